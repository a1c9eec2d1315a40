"""Deep Q-network: learns the value of each action from a replay buffer and takes the best action.

Mnih et al. 2015, "Human-level control through deep reinforcement learning", with the double estimator of van Hasselt,
Guez and Silver 2016, equation 4: the network selects the next action, the target network evaluates it; with returns of
several steps (Sutton 1988) and, if asked, the duelling network of Wang et al. 2016, equation 9.

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
from zoo.networks import Knobs, assemble
from zoo.networks.observation_layers import add_observation_layers
from zoo.preprocessing.observations import ObservationPreprocessing
from zoo.spec import Spec

from ._acting import EpsilonGreedy, JoinDuelling, mask_tensor
from ._actions import require_discrete
from ._agent_loop import Learner, train_agent
from ._environments import apply_settings
from ._experience import Replay, Transitions, convert_batches, train_on_batches
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
        duelling: Whether the network has a part for the value of the state and one for the advantage of each action.
        steps: Number of steps of the return from which a value is learned.
    """
    hp = apply_settings(hp, spec, "rl/dqn")
    knobs = Knobs(
        hp,
        vary=("learning_rate",),
        defaults={"learning_rate": 2.3e-3, "schedule": "cosine", "batch_size": 64, "epochs": 40, "patience": 40,
                  "clip_norm": 10.0},
    )  # fmt: skip
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
        steps=hp.Int("steps", 1, 5, default=2),
    )
    target = require_discrete(spec.target, "dqn")
    preprocessing = ObservationPreprocessing(spec)
    inputs = preprocessing.tensors()
    x = add_observation_layers(inputs["observations"], knobs, preprocessing.input_, units=units, layers=layers)
    if hp.Fixed("duelling", False):
        values = JoinDuelling(name="values")(
            keras.layers.Dense(1 + len(target.classes), name="value_and_advantages")(x)
        )
    else:
        values = keras.layers.Dense(len(target.classes), name="values")(x)
    knobs.training(2_048)
    return assemble(preprocessing, inputs, values, keras.losses.Huber(), knobs, trainer=agent)


def check_data(spec: Spec) -> None:
    """Raise if the actions are continuous."""
    require_discrete(spec.target, "dqn")


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
    steps: int

    def train(self, state: AgentState) -> None:
        """Step the environments and learn from the replay buffer until training is over."""
        train_agent(
            state,
            DQNLearner(self, state),
            environments=self.environments,
            round_steps=self.train_every,
            period=self.period,
        )


class DQNLearner(Learner):
    """Acts epsilon-greedily, and learns from batches of a replay buffer, a round of updates in one compiled call.

    Args:
        agent: Hyperparameters of learning.
        state: State of training, with the network; its optimizer is the compiled one.
    """

    def __init__(self, agent: DQN, state: AgentState) -> None:
        self.agent, self.state, self.network, self.output = agent, state, state.network, state.output
        self.replay = Replay(agent.replay)
        self.policy = EpsilonGreedy(state.output, agent.exploration, agent.exploration_steps, state.rng)
        self.target_network = keras.models.clone_model(self.network)
        self.target_network.set_weights(self.network.get_weights())
        self.network.optimizer.build(self.network.trainable_variables)
        rounds = state.plan.settings.epochs * max(1, agent.period // agent.train_every)
        self.update = tf.function(self._update, autograph=False, jit_compile=rounds >= XLA_LEAST_ROUNDS)

    def act(self, observations: np.ndarray, masks: np.ndarray | None, steps: int) -> np.ndarray:
        """Return an epsilon-greedy action for each environment."""
        return self.policy.draw(observations, masks, steps)

    def store(self, transitions: Transitions) -> None:
        """Add transitions to the replay buffer."""
        self.replay.add(transitions)

    def learn(self, number: int) -> Mapping[str, float]:
        """Update the network once per batch, if there are enough transitions; return the mean loss."""
        if self.state.steps < self.agent.learning_starts:
            return {}
        if number % self.agent.target_every == 0:
            for old, new in zip(self.target_network.weights, self.network.weights, strict=True):
                old.assign(new)
        size = self.state.plan.settings.batch(len(self.replay))
        batches = self.replay.sample(
            self.state.rng, self.agent.updates, size, gamma=self.agent.gamma, steps=self.agent.steps
        )
        loss = float(self.update(*convert_batches(batches)))
        return {"loss": loss, "exploration": self.policy.fraction(self.state.steps)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the replay buffer, the random actions under way, and the weights of the target network."""
        weights = {f"target_{number}": weight for number, weight in enumerate(self.target_network.get_weights())}
        return {**self.replay.arrays(), **self.policy.arrays(), **weights}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`arrays` returned."""
        names = [f"target_{number}" for number in range(len(self.target_network.weights))]
        self.target_network.set_weights([arrays[name] for name in names])
        self.replay.restore(arrays)
        self.policy.restore(arrays)

    def _update(self, *batches: Any) -> Any:
        """Learn from batches (U, B, …) one after another; return the mean loss."""
        return train_on_batches(self._learn_from, batches, tf.range(tf.shape(batches[0])[0]), facts=1)[0]

    def _learn_from(
        self, observations: Any, actions: Any, rewards: Any, next_observations: Any, discounts: Any, masks: Any
    ) -> Any:
        """Take one step by a batch."""
        targets = rewards + discounts * self._next_values(next_observations, masks)
        with tf.GradientTape() as tape:
            values = self.network(self.output.encode(observations), training=True)
            taken = tf.gather(values, actions, batch_dims=1)
            loss = tf.add_n([tf.reduce_mean(compute_huber(targets - taken)), *self.network.losses])
        variables = self.network.trainable_variables
        self.network.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss[None]

    def _next_values(self, next_observations: Any, masks: Any) -> Any:
        """Return the value of the best legal action for each next observation (B,)."""
        preprocessed = self.output.encode(next_observations)
        values = self.target_network(preprocessed, training=False)
        if not self.agent.double:
            return tf.reduce_max(mask_tensor(values, masks), axis=-1)
        chosen_by = mask_tensor(self.network(preprocessed, training=False), masks)
        return tf.gather(values, tf.argmax(chosen_by, axis=-1, output_type=tf.int32), batch_dims=1)


def compute_huber(error: Any) -> Any:
    """Return the Huber loss: error² / 2 up to 1, and |error| - 1/2 beyond (Huber 1964)."""
    size = tf.abs(error)
    return tf.where(size <= 1, 0.5 * tf.square(error), size - 0.5)
