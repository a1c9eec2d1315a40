"""Soft actor-critic: learns a policy of continuous actions that has high returns and stays as random as it can.

Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", algorithm 1, with the temperature learned
(section 5) and pink exploration noise (Eberhard et al. 2023). ``cross`` switches to CrossQ (Bhatt et al. 2024): batch
normalisation in the critics in place of target networks.

Input: a raw observation (F,), or an integer. Output: the means of the actions, within [-1, 1] of the bounds (B, A).
Run: ``zoo train rl/sac Pendulum-v1``.
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

from ._acting import DISTRIBUTION, FastOutput, KeepDeviation, PinkNoise, SquashedGaussianPolicy, TakeMean
from ._actions import require_bounded
from ._agent_loop import Learner, train_agent
from ._environments import apply_settings
from ._experience import Replay, Transitions, convert_batches, train_on_batches
from ._training_state import AgentState

EXAMPLE = "Pendulum-v1"


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model; its network is the policy and carries the agent that trains it.

    Hyperparameters:
        units: Width of each hidden layer of the policy and the critics.
        layers: Number of hidden layers of each.
        gamma: Discount factor of future rewards.
        replay: Capacity of the replay buffer, in transitions.
        environments: Number of parallel environments.
        period: Evaluation interval in environment steps; it counts as an epoch.
        learning_starts: Number of environment steps before the first update.
        train_every: Number of environment steps between two rounds of updates.
        updates: Number of updates in a round.
        tau: Fraction by which the target critics approach the critics at each update.
        cross: Whether to learn as CrossQ does: batch normalisation, and no target critics.
    """
    hp = apply_settings(hp, spec, "rl/sac")
    knobs = Knobs(
        hp,
        vary=("learning_rate",),
        defaults={"learning_rate": 1e-3, "batch_size": 128, "epochs": 20, "patience": 20, "activation": "relu"},
    )
    units, layers = hp.Int("units", 32, 512, sampling="log", default=128), hp.Int("layers", 1, 3, default=2)
    cross = hp.Boolean("cross", default=False)
    target = require_bounded(spec.target, "sac")
    size = len(target.bounds)
    preprocessing = ObservationPreprocessing(spec)
    inputs = preprocessing.tensors()
    x = add_observation_layers(inputs["observations"], knobs, preprocessing.input_, units=units, layers=layers)
    distribution = keras.layers.Dense(2 * size, name=DISTRIBUTION)(x)
    one, width = keras.Input((1,), name="one"), inputs["observations"].shape[-1]
    agent = SAC(
        critics=_create_critics(width, size, units=units, layers=layers, normalize=cross),
        target_critics=_create_critics(width, size, units=units, layers=layers, normalize=cross),
        temperature=keras.Model(one, KeepDeviation(name="temperature")(one), name="temperature"),
        critic_optimizer=knobs.optimizer(),
        temperature_optimizer=knobs.optimizer(),
        gamma=hp.Float("gamma", 0.9, 0.9999, default=0.99),
        replay=hp.Fixed("replay", 100_000),
        environments=hp.Fixed("environments", 1),
        period=hp.Fixed("period", 2_000),
        learning_starts=hp.Fixed("learning_starts", 500),
        train_every=hp.Fixed("train_every", 50),
        updates=hp.Int("updates", 10, 100, sampling="log", default=50),
        tau=hp.Fixed("tau", 0.005),
        cross=cross,
    )
    knobs.training(2_048)
    means = TakeMean(name="actions")(distribution)
    return assemble(preprocessing, inputs, means, "mse", knobs, trainer=agent)


def _create_critics(width: int, size: int, *, units: int, layers: int, normalize: bool) -> keras.Model:
    """Return a network from observations (B, F) and actions (B, A) to two estimates of their value (B, 2)."""
    observations, actions = keras.Input((width,), name="observations"), keras.Input((size,), name="actions")
    joined, estimates = keras.layers.Concatenate()([observations, actions]), []
    for _ in range(2):
        x = keras.layers.BatchNormalization()(joined) if normalize else joined
        for _ in range(layers):
            x = keras.layers.Dense(units, activation="relu")(x)
            x = keras.layers.BatchNormalization()(x) if normalize else x
        estimates.append(keras.layers.Dense(1)(x))
    return keras.Model([observations, actions], keras.layers.Concatenate()(estimates))


def check_data(spec: Spec) -> None:
    """Raise if the actions are discrete."""
    require_bounded(spec.target, "sac")


@dataclass(frozen=True)
class SAC(Trainer):
    """A SAC agent: explores, fills a replay buffer and learns; see :func:`build` for the hyperparameters."""

    critics: keras.Model
    target_critics: keras.Model
    temperature: keras.Model
    critic_optimizer: keras.optimizers.Optimizer
    temperature_optimizer: keras.optimizers.Optimizer
    gamma: float
    replay: int
    environments: int
    period: int
    learning_starts: int
    train_every: int
    updates: int
    tau: float
    cross: bool

    @property
    def networks(self) -> Mapping[str, keras.Model]:
        """Critics and temperature; checkpoints have them beside the policy."""
        return {"critics": self.critics, "target_critics": self.target_critics, "temperature": self.temperature}

    @property
    def optimizers(self) -> Mapping[str, tuple[keras.optimizers.Optimizer, Any]]:
        """The optimizers of critics and temperature."""
        return {
            "critics": (self.critic_optimizer, self.critics.trainable_variables),
            "temperature": (self.temperature_optimizer, self.temperature.trainable_variables),
        }

    def train(self, state: AgentState) -> None:
        """Step the environments and learn from the replay buffer until training is over."""
        train_agent(
            state,
            SACLearner(self, state),
            environments=self.environments,
            round_steps=self.train_every,
            period=self.period,
        )


class SACLearner(Learner):
    """Acts by its policy with pink noise, and learns from a replay buffer, a round of updates in one compiled call.

    Args:
        agent: Hyperparameters of learning, critics and temperature.
        state: State of training, with the policy's network.
    """

    def __init__(self, agent: SAC, state: AgentState) -> None:
        self.agent, self.state, self.network, self.output = agent, state, state.network, state.output
        self.size = int(self.network.output.shape[-1])
        distribution = self.network.get_layer(DISTRIBUTION).output
        self.policy = SquashedGaussianPolicy(keras.Model(self.network.inputs, distribution))
        self.exploring = FastOutput(state.built_model, self.policy.network)
        self.noise = PinkNoise(state.rng, (agent.environments, self.size))
        self.replay = Replay(agent.replay)
        self.log_temperature = agent.temperature.get_layer("temperature").logarithm
        if state.steps == 0:
            agent.target_critics.set_weights(agent.critics.get_weights())
        self.network.optimizer.build(self.network.trainable_variables)
        for optimizer, variables in agent.optimizers.values():
            optimizer.build(variables)
        self.update = tf.function(self._update, autograph=False)

    def act(self, observations: np.ndarray, masks: np.ndarray | None, steps: int) -> np.ndarray:
        """Return actions of the policy, with pink noise."""
        if not self.exploring.checked:
            self.exploring.check(observations)
        return self.policy.draw(self.exploring(observations), self.noise.draw())

    def store(self, transitions: Transitions) -> None:
        """Add transitions to the replay buffer."""
        self.replay.add(transitions)

    def learn(self, number: int) -> Mapping[str, float]:
        """Update all networks once per batch, if there are enough transitions; return losses and temperature."""
        agent, rng = self.agent, self.state.rng
        if self.state.steps < agent.learning_starts:
            return {}
        size = self.state.plan.settings.batch(len(self.replay))
        batches = self.replay.sample(rng, agent.updates, size, gamma=agent.gamma)
        noise = rng.standard_normal((agent.updates, 2, size, self.size), np.float32)
        for optimizer in (agent.critic_optimizer, agent.temperature_optimizer):
            optimizer.learning_rate = float(self.network.optimizer.learning_rate)
        facts = self.update(*convert_batches(batches)[:-1], tf.constant(noise))
        self.exploring.refresh()
        names = ("loss", "critic_loss", "value_mean", "entropy", "temperature")
        return dict(zip(names, map(float, facts), strict=True))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the replay buffer and the noise that is drawn."""
        return {**self.replay.arrays(), **self.noise.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the replay buffer and the noise."""
        self.replay.restore(arrays)
        self.noise.restore(arrays)

    def _update(self, *batches: Any) -> Any:
        """Learn from batches (U, B, …) one after another; return the means of what is tracked."""
        return train_on_batches(self._learn_from, batches, tf.range(tf.shape(batches[0])[0]), facts=5)

    def _learn_from(self, raw: Any, actions: Any, rewards: Any, next_raw: Any, discounts: Any, noise: Any) -> Any:
        """Take one step of critics, policy and temperature by a batch."""
        agent, temperature = self.agent, tf.exp(self.log_temperature.value[0])
        observations, following = (self.output.encode(each)["observations"] for each in (raw, next_raw))
        next_actions, next_log_probability = self.policy.sample(following, noise[0])
        pairs = (observations, tf.cast(actions, tf.float32)), (following, next_actions)
        with tf.GradientTape() as tape:
            values, next_values = self._evaluate(*pairs)
            soft = tf.reduce_min(tf.stop_gradient(next_values), axis=1) - temperature * next_log_probability
            targets = rewards + discounts * soft
            critic_loss = tf.reduce_mean(tf.reduce_sum(tf.square(values - targets[:, None]), axis=1)) / 2
        self._apply(agent.critic_optimizer, tape, critic_loss, agent.critics.trainable_variables)
        with tf.GradientTape() as tape:
            chosen, log_probability = self.policy.sample(observations, noise[1])
            value = tf.reduce_min(agent.critics([observations, chosen], training=False), axis=1)
            loss = tf.reduce_mean(temperature * log_probability - value)
            loss = tf.add_n([loss, *self.network.losses])
        self._apply(self.network.optimizer, tape, loss, self.network.trainable_variables)
        entropy = -tf.reduce_mean(log_probability)
        with tf.GradientTape() as tape:  # the target entropy is minus the number of actions
            temperature_loss = self.log_temperature.value[0] * tf.stop_gradient(entropy + self.size)
        self._apply(agent.temperature_optimizer, tape, temperature_loss, agent.temperature.trainable_variables)
        if not agent.cross:
            followers = agent.target_critics.trainable_variables
            for old, new in zip(followers, agent.critics.trainable_variables, strict=True):
                old.assign(old + agent.tau * (new - old))
        return tf.stack([loss, critic_loss, tf.reduce_mean(value), entropy, temperature])

    def _evaluate(self, now: tuple[Any, Any], following: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return the critics' values of actions (B, 2), and the values of the next actions, which are targets."""
        if not self.agent.cross:
            return self.agent.critics([*now], training=True), self.agent.target_critics([*following], training=False)
        joined = [tf.concat(each, axis=0) for each in zip(now, following, strict=True)]  # normalised together
        values = tf.split(self.agent.critics(joined, training=True), 2)
        return values[0], values[1]

    def _apply(self, optimizer: Any, tape: Any, loss: Any, variables: Any) -> None:
        optimizer.apply(tape.gradient(loss, variables), variables)
