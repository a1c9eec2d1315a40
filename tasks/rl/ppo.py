"""Proximal policy optimisation: learns a policy from its own rollouts, in steps that are kept small.

Schulman et al. 2017, "Proximal Policy Optimization Algorithms", equations 7 and 9, with generalized advantage
estimation; details after Huang et al. 2022, "The 37 Implementation Details of Proximal Policy Optimization".

Input: a raw observation (F,), or an integer. Output: for discrete actions the logarithm of their probabilities, up to a
constant (B, A); for numbers their means, within [-1, 1] of the bounds (B, A).
Run: ``zoo train rl/ppo CartPole-v1``.
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
from zoo.networks.observation_layers import add_observation_layers, is_image
from zoo.networks.running_normalization import RunningNormalization, find_normalization
from zoo.preprocessing.observations import ObservationPreprocessing
from zoo.spec import Spec

from ._acting import DEVIATION, LOGITS, CategoricalPolicy, GaussianPolicy, KeepDeviation, mask_tensor
from ._actions import mask_output
from ._agent_loop import Learner, train_agent
from ._environments import apply_settings
from ._experience import RewardScale, Transitions, compute_advantages, draw_minibatches, stack_steps, train_on_batches
from ._training_state import AgentState

SMALLEST_DEVIATION = 1e-8


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model; its network is the policy and carries the agent that trains it.

    Hyperparameters:
        units: Width of each hidden layer of policy and value network.
        layers: Number of hidden layers of each.
        gamma: Discount factor of future rewards.
        trace: Lambda of generalized advantage estimation.
        clip: Largest relative change of an action's probability that an update gains from.
        entropy: Weight of the policy's entropy, which keeps it exploring.
        environments: Number of parallel environments.
        rollout: Number of steps of each environment between two updates.
        passes: Number of passes over a rollout in an update.
        period: Evaluation interval in environment steps; it counts as an epoch.
        normalize: Whether rewards, and observations that are no images, are divided by their running deviation.
    """
    hp = apply_settings(hp, spec, "rl/ppo")
    knobs = Knobs(
        hp,
        vary=("learning_rate",),
        defaults={"learning_rate": 1e-3, "schedule": "cosine", "batch_size": 64, "epochs": 12, "patience": 12,
                  "clip_norm": 0.5, "activation": "tanh", "initializer": "orthogonal"},
    )  # fmt: skip
    units, layers = hp.Int("units", 16, 512, sampling="log", default=64), hp.Int("layers", 1, 3, default=2)
    normalize = hp.Fixed("normalize", True)
    preprocessing, target = ObservationPreprocessing(spec), spec.target
    inputs, scaled = preprocessing.tensors(), normalize and not is_image(preprocessing.input_)
    observations = inputs["observations"]
    x = RunningNormalization(name="normalized")(observations) if scaled else observations
    x = add_observation_layers(x, knobs, preprocessing.input_, units=units, layers=layers)
    size = len(target.classes) if target.kind == "class" else len(target.bounds)
    name = LOGITS if target.kind == "class" else "actions"
    output = keras.layers.Dense(size, kernel_initializer=keras.initializers.Orthogonal(0.01), name=name)(x)
    if target.kind != "class":
        output = KeepDeviation(name=DEVIATION)(output)
    state = keras.Input(observations.shape[1:], name="normalized_observations")
    value = keras.layers.Dense(1, kernel_initializer=keras.initializers.Orthogonal(1.0), name="value")(
        add_observation_layers(state, knobs, preprocessing.input_, units=units, layers=layers)
    )
    one = keras.Input((1,), name="return")
    agent = PPO(
        return_statistics=keras.Model(one, RunningNormalization(name="returns")(one), name="return_statistics"),
        value_network=keras.Model(state, value, name="value"),
        value_optimizer=knobs.optimizer(),
        gamma=hp.Float("gamma", 0.9, 0.9999, default=0.99),
        trace=hp.Float("trace", 0.8, 1.0, default=0.95),
        clip=hp.Fixed("clip", 0.2),
        entropy=hp.Float("entropy", 0.0, 0.1, default=0.0),
        environments=hp.Fixed("environments", 8),
        rollout=hp.Int("rollout", 16, 2048, sampling="log", default=128),
        passes=hp.Fixed("passes", 10),
        period=hp.Fixed("period", 8_192),
        normalize=normalize,
    )
    knobs.training(2_048)
    return assemble(preprocessing, inputs, output, "mse", knobs, trainer=agent)


@dataclass(frozen=True)
class PPO(Trainer):
    """A PPO agent: plays rollouts with its policy and learns from each; see :func:`build` for the hyperparameters."""

    return_statistics: keras.Model
    value_network: keras.Model
    value_optimizer: keras.optimizers.Optimizer
    gamma: float
    trace: float
    clip: float
    entropy: float
    environments: int
    rollout: int
    passes: int
    period: int
    normalize: bool

    @property
    def networks(self) -> Mapping[str, keras.Model]:
        """The value network and the statistics of returns; checkpoints have them beside the policy."""
        return {"value": self.value_network, "return_statistics": self.return_statistics}

    @property
    def optimizers(self) -> Mapping[str, tuple[keras.optimizers.Optimizer, Any]]:
        """The value network's optimizer."""
        return {"value": (self.value_optimizer, self.value_network.trainable_variables)}

    def train(self, state: AgentState) -> None:
        """Play and learn until training is over."""
        train_agent(
            state,
            PPOLearner(self, state),
            environments=self.environments,
            round_steps=self.environments * self.rollout,
            period=self.period,
        )


class PPOLearner(Learner):
    """Collects a rollout, then updates policy and value network in one compiled call.

    Args:
        agent: Hyperparameters of learning, and the value network.
        state: State of training, with the policy's network.
    """

    def __init__(self, agent: PPO, state: AgentState) -> None:
        self.agent, self.state, self.rng = agent, state, state.rng
        self.network = state.network
        self.output = state.output
        is_discrete = state.environment.target.kind == "class"
        self.policy = CategoricalPolicy() if is_discrete else GaussianPolicy(self.network.get_layer(DEVIATION))
        self.steps: list[Transitions] = []
        self.normalizer = find_normalization(self.network, "normalized")
        self.reward_scale = RewardScale(agent.return_statistics.get_layer("returns"), agent.gamma)
        self.encode = tf.function(self._encode, reduce_retracing=True, autograph=False)
        self.update = tf.function(self._update, autograph=False)
        # Built here: variables that a compiled graph creates are checked at each use, whether they exist.
        self.network.optimizer.build(self.network.trainable_variables)
        agent.value_optimizer.build(agent.value_network.trainable_variables)

    def act(self, observations: np.ndarray, masks: np.ndarray | None, steps: int) -> np.ndarray:
        """Return actions drawn from the policy."""
        return self.policy.draw(mask_output(self.output(observations), masks), self.rng)

    def store(self, transitions: Transitions) -> None:
        """Add a step to the rollout."""
        self.steps.append(transitions)

    def learn(self, number: int) -> Mapping[str, float]:
        """Update policy and value network by the rollout; return losses, entropy and how far the policy moved."""
        rollout, self.steps = stack_steps(self.steps), []
        if self.agent.normalize:
            rollout.rewards = self.reward_scale(rollout.rewards, rollout.ended)
        size = rollout.rewards.size
        flat = rollout.observations.reshape(size, *rollout.observations.shape[2:])
        observations, values = self.encode(flat)
        _, next_values = self.encode(rollout.next_observations.reshape(flat.shape))
        values, next_values = (np.asarray(each).reshape(rollout.rewards.shape) for each in (values, next_values))
        advantages = compute_advantages(rollout, values, next_values, gamma=self.agent.gamma, trace=self.agent.trace)
        returns = advantages + values
        order = draw_minibatches(self.rng, size, self.state.settings.batch_size, self.agent.passes)
        self.agent.value_optimizer.learning_rate = float(self.network.optimizer.learning_rate)
        facts = self.update(
            observations,
            tf.constant(rollout.actions.reshape(size, *rollout.actions.shape[2:])),
            tf.constant(advantages.ravel(), tf.float32),
            tf.constant(returns.ravel(), tf.float32),
            None if rollout.masks is None else tf.constant(rollout.masks.reshape(size, -1)),
            order,
        )
        if self.normalizer is not None:
            self.normalizer.update(np.asarray(observations))
        unexplained = np.var(returns - values) / max(float(np.var(returns)), SMALLEST_DEVIATION)
        names = ("loss", "value_loss", "entropy", "kl", "clipped")
        return {**dict(zip(names, map(float, facts), strict=True)), "explained_variance": float(1 - unexplained)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the discounted returns so far, of which the statistics are."""
        return self.reward_scale.arrays()

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the discounted returns."""
        self.reward_scale.restore(arrays)

    def _encode(self, raw: Any) -> tuple[Any, Any]:
        """Return preprocessed observations and their values (B,)."""
        observations = self.output.encode(tf.cast(raw, tf.float32))["observations"]
        normalized = observations if self.normalizer is None else self.normalizer(observations)
        return observations, self.agent.value_network(normalized)[:, 0]

    def _update(self, observations: Any, actions: Any, advantages: Any, returns: Any, masks: Any, order: Any) -> Any:
        """Learn from the minibatches of an order (M, B); return the means of what is tracked."""
        before = self.policy.log_probability(self._compute_output(observations, masks), actions)
        tensors = [observations, actions, advantages, returns, before, masks]
        return train_on_batches(self._learn_from, tensors, order, facts=5)

    def _compute_output(self, observations: Any, masks: Any, *, training: bool = False) -> Any:
        """Return the policy's output (B, A), the least at actions that are not legal."""
        return mask_tensor(self.network({"observations": observations}, training=training), masks)

    def _learn_from(
        self, observations: Any, actions: Any, advantages: Any, returns: Any, before: Any, masks: Any
    ) -> Any:
        """Take one step of both networks by a minibatch."""
        clip, policy, value_network = self.agent.clip, self.network, self.agent.value_network
        advantages -= tf.reduce_mean(advantages)
        advantages /= tf.math.reduce_std(advantages) + SMALLEST_DEVIATION
        with tf.GradientTape() as tape:
            output = self._compute_output(observations, masks, training=True)
            difference = self.policy.log_probability(output, actions) - before
            ratio, entropy = tf.exp(difference), tf.reduce_mean(self.policy.entropy(output))
            gain = tf.minimum(ratio * advantages, tf.clip_by_value(ratio, 1 - clip, 1 + clip) * advantages)
            loss = -tf.reduce_mean(gain) - self.agent.entropy * entropy
            loss = tf.add_n([loss, *policy.losses])
        policy.optimizer.apply(tape.gradient(loss, policy.trainable_variables), policy.trainable_variables)
        normalized = observations if self.normalizer is None else self.normalizer(observations)
        with tf.GradientTape() as tape:
            value_loss = tf.reduce_mean(tf.square(value_network(normalized, training=True)[:, 0] - returns)) / 2
        variables = value_network.trainable_variables
        self.agent.value_optimizer.apply(tape.gradient(value_loss, variables), variables)
        divergence = tf.reduce_mean(ratio - 1 - difference)  # of Kullback and Leibler; Schulman 2020, estimator k3
        clipped = tf.reduce_mean(tf.cast(tf.abs(ratio - 1) > clip, tf.float32))
        return tf.stack([loss, value_loss, entropy, divergence, clipped])
