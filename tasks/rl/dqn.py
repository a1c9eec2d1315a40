"""Deep Q-network: learns the value of each action from a replay buffer and takes the best action.

Mnih et al. 2015, "Human-level control through deep reinforcement learning", with the double estimator of van Hasselt,
Guez and Silver 2016, equation 4: the network selects the next action, the target network evaluates it.

Input: a raw observation (F,), or an integer. Output: the value of each action (B, A); the action with the highest
value is taken.
Run: ``zoo train rl/dqn CartPole-v1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from zoo.models.built_model import BuiltModel, Trainer
from zoo.networks import Knobs, add_dense_layers, assemble
from zoo.preprocessing.observations import ObservationPreprocessing
from zoo.spec import Spec

from ._actions import require_discrete
from ._environments import make_vector_environment
from ._replay import Replay, Transitions
from ._training_state import AgentState

# For a network of 2 x 128 units, XLA compiles a round of updates in a second and saves 19 of its 53 ms.
XLA_LEAST_ROUNDS = 100


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model; its network carries the agent that trains it.

    Hyperparameters:
        units: Width of each hidden layer.
        layers: Number of hidden layers.
        gamma: Discount factor of future rewards.
        replay: Capacity of the replay buffer, in transitions.
        environments: Number of parallel environments.
        period: Evaluation interval in environment steps; it counts as an epoch.
        learning_starts: Number of environment steps before the first update.
        train_every: Number of environment steps between two rounds of updates.
        updates: Number of updates in a round.
        target_every: Number of rounds between two updates of the target network.
        exploration: Final fraction of random actions.
        exploration_steps: Number of steps over which the fraction of random actions falls from 1 to its final value.
        double: Whether to use double Q-learning: the network selects the next action, the target network evaluates it.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate",),
        defaults={"learning_rate": 2.3e-3, "batch_size": 64, "epochs": 40, "patience": 40, "clip_norm": 10.0},
    )
    units, layers = hp.Int("units", 32, 512, sampling="log", default=128), hp.Int("layers", 1, 3, default=2)
    agent = DQN(
        gamma=hp.Float("gamma", 0.9, 0.999, default=0.99),
        replay=hp.Fixed("replay", 100_000),
        environments=hp.Fixed("environments", 8),
        period=hp.Fixed("period", 2_560),
        learning_starts=hp.Fixed("learning_starts", 1_000),
        train_every=hp.Fixed("train_every", 256),
        updates=hp.Int("updates", 32, 256, sampling="log", default=128),
        target_every=hp.Fixed("target_every", 1),
        exploration=hp.Float("exploration", 0.01, 0.2, sampling="log", default=0.04),
        exploration_steps=hp.Int("exploration_steps", 2_000, 50_000, sampling="log", default=8_000),
        double=hp.Fixed("double", True),
    )
    target = require_discrete(spec.target, "dqn")
    preprocessing = ObservationPreprocessing(spec)
    inputs = preprocessing.tensors()
    x = add_dense_layers(inputs["observations"], knobs, units=units, layers=layers)
    values = keras.layers.Dense(len(target.classes), name="values")(x)
    knobs.training(2_048)
    return assemble(preprocessing, inputs, values, keras.losses.Huber(), knobs, trainer=agent)


@dataclass(frozen=True)
class DQN(Trainer):
    """A DQN agent: explores, fills a replay buffer and learns; see :func:`build` for the hyperparameters."""

    gamma: float
    replay: int
    environments: int
    period: int
    learning_starts: int
    train_every: int
    updates: int
    target_every: int
    exploration: float
    exploration_steps: int
    double: bool

    def train(self, state: AgentState) -> None:
        """Step the environments and learn from the replay buffer until training is over.

        When training resumes, weights, optimizer and counts are restored; the replay buffer is refilled with
        ``learning_starts`` steps before the next update, and the environments are reset.
        """
        seed = state.plan.seed
        rng = np.random.default_rng([seed, state.steps])
        environment = state.environment
        environments = make_vector_environment(environment.name, environment.options, self.environments)
        shape = environments.single_observation_space.shape or ()
        rounds = max(1, self.period // self.train_every)
        xla = state.plan.settings.epochs * rounds >= XLA_LEAST_ROUNDS
        replay, learn = Replay(self.replay, shape), Learner(self, state.built_model, xla=xla)
        gathered, loss = 0, float("nan")
        try:
            observations, _ = environments.reset(seed=int(rng.integers(2**31)))
            while not state.over:
                rates = state.plan.settings.rates(state.base_rate, state.result.epochs_run, rounds)
                for number in range(rounds):
                    for _ in range(max(1, self.train_every // self.environments)):
                        actions = self.act(state, observations, rng)
                        observations = self.step_and_store(replay, environments, observations, actions)
                        state.steps += self.environments
                        gathered += self.environments
                    if gathered >= self.learning_starts:
                        if rates is not None:
                            state.network.optimizer.learning_rate = float(rates[number])
                        batch = state.plan.settings.batch(len(replay))
                        loss = learn(replay.sample(rng, self.updates, batch), state.updates)
                        state.updates += 1
                state.after_evaluation(loss, exploration=self.share(state.steps))
        finally:
            environments.close()

    def share(self, steps: int) -> float:
        """Return the fraction of random actions after a number of steps."""
        return max(self.exploration, 1 - (1 - self.exploration) * steps / self.exploration_steps)

    def act(self, state: AgentState, observations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return an epsilon-greedy action for each environment."""
        greedy = state.policy(observations)
        at_random = rng.random(len(observations)) < self.share(state.steps)
        actions = int(state.network.output.shape[-1])
        return np.where(at_random, rng.integers(0, actions, len(observations)), greedy)

    def step_and_store(
        self, replay: Replay, environments: Any, observations: np.ndarray, actions: np.ndarray
    ) -> np.ndarray:
        """Step all environments, store the transitions and return the next observations."""
        start = getattr(environments.single_action_space, "start", 0)
        next_observations, rewards, terminated, truncated, infos = environments.step(actions + start)
        last = next_observations.copy()
        for row in np.flatnonzero(terminated | truncated):
            last[row] = infos["final_obs"][row]  # not the first observation of the next episode
        replay.add(Transitions(observations, actions, rewards, last, terminated))
        return next_observations


class Learner:
    """Runs rounds of updates of a network, each round in one compiled call.

    Args:
        agent: Hyperparameters of learning.
        built_model: Network and preprocessing; its optimizer is the compiled one.
        xla: Whether to compile with XLA.
    """

    def __init__(self, agent: DQN, built_model: BuiltModel, *, xla: bool = False) -> None:
        assert built_model.preprocessing is not None
        self.agent, self.network = agent, built_model.network
        self.target_network = keras.models.clone_model(built_model.network)
        self.target_network.set_weights(built_model.network.get_weights())
        self.preprocess, self.key = (
            built_model.preprocessing.model(),
            next(iter(built_model.preprocessing.raw_tensors())),
        )
        self.network.optimizer.build(self.network.trainable_variables)
        self._round = tf.function(self._updates, autograph=False, jit_compile=xla)

    def __call__(self, batches: tuple[np.ndarray, ...], rounds: int) -> float:
        """Update the network once per batch (U, B, …); return the mean loss."""
        if rounds % self.agent.target_every == 0:
            for old, new in zip(self.target_network.weights, self.network.weights, strict=True):
                old.assign(new)
        return float(self._round(*(tf.constant(values) for values in batches)))

    def _updates(self, observations: Any, actions: Any, rewards: Any, next_observations: Any, terminated: Any) -> Any:
        count = actions.shape[0]

        def one(step: Any, total: Any) -> Any:
            targets = self.targets(rewards[step], next_observations[step], terminated[step])
            with tf.GradientTape() as tape:
                values = self.network(self.preprocessed(observations[step]), training=True)
                taken = tf.gather(values, actions[step], batch_dims=1)
                loss = tf.reduce_mean(compute_huber(targets - taken)) + tf.add_n(
                    [tf.constant(0.0), *self.network.losses]
                )
            variables = self.network.trainable_variables
            self.network.optimizer.apply(tape.gradient(loss, variables), variables)
            return step + 1, total + loss

        start = (tf.constant(0), tf.constant(0.0))
        _, total = tf.while_loop(lambda step, _: step < count, one, start, parallel_iterations=1)
        return total / count

    def targets(self, rewards: Any, next_observations: Any, terminated: Any) -> Any:
        """Return the targets (B,): the reward plus, unless the episode terminated, the discounted next value."""
        preprocessed = self.preprocessed(next_observations)
        target_network = self.target_network(preprocessed, training=False)
        if self.agent.double:
            chosen = tf.argmax(self.network(preprocessed, training=False), axis=-1, output_type=tf.int32)
            next_values = tf.gather(target_network, chosen, batch_dims=1)
        else:
            next_values = tf.reduce_max(target_network, axis=-1)
        return rewards + self.agent.gamma * (1 - terminated) * next_values

    def preprocessed(self, observations: Any) -> Any:
        """Return preprocessed observations."""
        return self.preprocess({self.key: observations})


def compute_huber(error: Any) -> Any:
    """Return the Huber loss: error² / 2 up to 1, and |error| - 1/2 beyond (Huber 1964)."""
    size = tf.abs(error)
    return tf.where(size <= 1, 0.5 * tf.square(error), size - 0.5)
