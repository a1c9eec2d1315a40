"""Deep Q-network: learns the value of each action from a replay buffer and takes the best action.

Mnih et al. 2015, "Human-level control through deep reinforcement learning", with the double estimator of van Hasselt,
Guez and Silver 2016, equation 4: the network selects the next action, the target network evaluates it.

Input: a raw observation (F,), or an integer. Output: the value of each action (B, A); the action with the highest
value is taken.
Run: ``zoo train rl/dqn CartPole-v1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from zoo.models.built_model import Trainer
from zoo.networks import Knobs, add_dense_layers, assemble
from zoo.preprocessing.observations import ObservationPreprocessing
from zoo.spec import Spec

from ._actions import require_discrete
from ._agent_loop import Learner, train_agent
from ._training_state import AgentState
from ._transitions import Replay, Transitions

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
        """Step the environments and learn from the replay buffer until training is over."""
        train_agent(
            state,
            lambda environments, rng: DQNLearner(self, state, environments.single_observation_space.shape or (), rng),
            environments=self.environments,
            round_steps=self.train_every,
            period=self.period,
        )

    def explore(self, steps: int) -> float:
        """Return the fraction of random actions after a number of steps."""
        return max(self.exploration, 1 - (1 - self.exploration) * steps / self.exploration_steps)


class DQNLearner(Learner):
    """Acts epsilon-greedily, and learns from batches of a replay buffer, a round of updates in one compiled call.

    Args:
        agent: Hyperparameters of learning.
        state: State of training, with the network; its optimizer is the compiled one.
        shape: Shape of one observation.
        rng: Random generator of actions and batches.
    """

    def __init__(self, agent: DQN, state: AgentState, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self.agent, self.state, self.rng, self.network = agent, state, rng, state.network
        self.replay, self.output = Replay(agent.replay, shape), state.output
        self.actions = int(self.network.output.shape[-1])
        self.target_network = keras.models.clone_model(self.network)
        self.target_network.set_weights(self.network.get_weights())
        self.network.optimizer.build(self.network.trainable_variables)
        rounds = state.plan.settings.epochs * max(1, agent.period // agent.train_every)
        self.update = tf.function(self._updates, autograph=False, jit_compile=rounds >= XLA_LEAST_ROUNDS)
        self.steps = 0

    def act(self, observations: np.ndarray, steps: int) -> np.ndarray:
        """Return an epsilon-greedy action for each environment."""
        self.steps = steps
        at_random = self.rng.random(len(observations)) < self.agent.explore(steps)
        actions = self.rng.integers(0, self.actions, len(observations))
        return actions if at_random.all() else np.where(at_random, actions, self.output(observations).argmax(axis=1))

    def store(self, transitions: Transitions) -> None:
        """Add transitions to the replay buffer."""
        self.replay.add(transitions)

    def learn(self, number: int) -> Mapping[str, float]:
        """Update the network once per batch, if there are enough transitions; return the mean loss."""
        if self.replay.added < self.agent.learning_starts:
            return {}
        if number % self.agent.target_every == 0:
            for old, new in zip(self.target_network.weights, self.network.weights, strict=True):
                old.assign(new)
        batch = self.state.plan.settings.batch(len(self.replay))
        batches = self.replay.sample(self.rng, self.agent.updates, batch)
        loss = float(self.update(*(tf.constant(values) for values in batches)))
        return {"loss": loss, "exploration": self.agent.explore(self.steps)}

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
        return self.output.preprocess({self.output.key: observations})


def compute_huber(error: Any) -> Any:
    """Return the Huber loss: error² / 2 up to 1, and |error| - 1/2 beyond (Huber 1964)."""
    size = tf.abs(error)
    return tf.where(size <= 1, 0.5 * tf.square(error), size - 0.5)
