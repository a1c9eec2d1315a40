"""Parallel Q-network: learns the value of each action from rollouts, without replay buffer and target network.

Gallici et al. 2025, "Simplifying deep temporal difference learning", algorithm 1: layer normalisation keeps the network
stable where DQN needs a target network, and many environments give the variety of a replay buffer.

Input: a raw observation (F,), or an integer. Output: the value of each action (B, A); the action with the highest
value is taken.
Run: ``zoo train rl/pqn CartPole-v1``.
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

from ._acting import EpsilonGreedy, mask_tensor
from ._actions import require_discrete
from ._agent_loop import Learner, train_agent
from ._environments import apply_settings
from ._experience import RewardScale, Transitions, compute_returns, draw_minibatches, stack_steps, train_on_batches
from ._training_state import AgentState


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model; its network carries the agent that trains it.

    Hyperparameters:
        units: Width of each hidden layer.
        layers: Number of hidden layers.
        gamma: Discount factor of future rewards.
        trace: Lambda of the returns: 0 learns from the next value alone, 1 from rewards alone.
        environments: Number of parallel environments.
        rollout: Number of steps of each environment between two updates.
        passes: Number of passes over a rollout in an update.
        period: Evaluation interval in environment steps; it counts as an epoch.
        exploration: Final fraction of random actions.
        exploration_steps: Number of steps over which the fraction of random actions falls from 1 to its final value.
        normalize: Whether rewards, and observations that are no images, are divided by their running deviation.
    """
    hp = apply_settings(hp, spec, "rl/pqn")
    knobs = Knobs(
        hp,
        vary=("learning_rate",),
        defaults={"learning_rate": 1e-3, "schedule": "cosine", "batch_size": 64, "epochs": 12, "patience": 12,
                  "clip_norm": 10.0, "normalization": "layer"},
    )  # fmt: skip
    units, layers = hp.Int("units", 32, 512, sampling="log", default=128), hp.Int("layers", 1, 3, default=2)
    normalize = hp.Fixed("normalize", True)
    target = require_discrete(spec.target, "pqn")
    preprocessing = ObservationPreprocessing(spec)
    inputs, scaled = preprocessing.tensors(), normalize and not is_image(preprocessing.input_)
    x = inputs["observations"]
    x = RunningNormalization(name="normalized")(x) if scaled else x
    x = add_observation_layers(x, knobs, preprocessing.input_, units=units, layers=layers)
    values = keras.layers.Dense(len(target.classes), name="values")(x)
    one = keras.Input((1,), name="return")
    agent = PQN(
        return_statistics=keras.Model(one, RunningNormalization(name="returns")(one), name="return_statistics"),
        gamma=hp.Float("gamma", 0.9, 0.999, default=0.99),
        trace=hp.Float("trace", 0.0, 1.0, default=0.65),
        environments=hp.Fixed("environments", 16),
        rollout=hp.Int("rollout", 8, 256, sampling="log", default=32),
        passes=hp.Fixed("passes", 4),
        period=hp.Fixed("period", 8_192),
        exploration=hp.Float("exploration", 0.01, 0.2, sampling="log", default=0.05),
        exploration_steps=hp.Int("exploration_steps", 2_000, 100_000, sampling="log", default=20_000),
        normalize=normalize,
    )
    knobs.training(2_048)
    return assemble(preprocessing, inputs, values, "mse", knobs, trainer=agent)


def check_data(spec: Spec) -> None:
    """Raise if the actions are continuous."""
    require_discrete(spec.target, "pqn")


@dataclass(frozen=True)
class PQN(Trainer):
    """A PQN agent: explores in many environments and learns from each rollout; see :func:`build`."""

    return_statistics: keras.Model
    gamma: float
    trace: float
    environments: int
    rollout: int
    passes: int
    period: int
    exploration: float
    exploration_steps: int
    normalize: bool

    @property
    def networks(self) -> Mapping[str, keras.Model]:
        """The statistics of returns; checkpoints have them beside the network."""
        return {"return_statistics": self.return_statistics}

    def train(self, state: AgentState) -> None:
        """Play and learn until training is over."""
        train_agent(
            state,
            PQNLearner(self, state),
            environments=self.environments,
            round_steps=self.environments * self.rollout,
            period=self.period,
        )


class PQNLearner(Learner):
    """Acts epsilon-greedily, and learns the lambda-returns of each rollout in one compiled call.

    Args:
        agent: Hyperparameters of learning.
        state: State of training, with the network; its optimizer is the compiled one.
    """

    def __init__(self, agent: PQN, state: AgentState) -> None:
        self.agent, self.state, self.network, self.output = agent, state, state.network, state.output
        self.policy = EpsilonGreedy(state.output, agent.exploration, agent.exploration_steps, state.rng)
        self.steps: list[Transitions] = []
        self.normalizer = find_normalization(self.network, "normalized")
        self.reward_scale = RewardScale(agent.return_statistics.get_layer("returns"), agent.gamma)
        self.network.optimizer.build(self.network.trainable_variables)
        self.evaluate = tf.function(self._evaluate, reduce_retracing=True, autograph=False)
        self.update = tf.function(self._update, autograph=False)

    def act(self, observations: np.ndarray, masks: np.ndarray | None, steps: int) -> np.ndarray:
        """Return an epsilon-greedy action for each environment."""
        return self.policy.draw(observations, masks, steps)

    def store(self, transitions: Transitions) -> None:
        """Add a step to the rollout."""
        self.steps.append(transitions)

    def learn(self, number: int) -> Mapping[str, float]:
        """Update the network by the rollout; return the loss and the mean of the values of actions taken."""
        rollout, self.steps = stack_steps(self.steps), []
        if self.agent.normalize:
            rollout.rewards = self.reward_scale(rollout.rewards, rollout.ended)
        size = rollout.rewards.size
        rows = [each.reshape(size, *each.shape[2:]) for each in (rollout.observations, rollout.next_observations)]
        next_masks = None if rollout.next_masks is None else tf.constant(rollout.next_masks.reshape(size, -1))
        observations, next_values = self.evaluate(*(tf.constant(each, tf.float32) for each in rows), next_masks)
        returns = compute_returns(
            rollout,
            np.asarray(next_values).reshape(rollout.rewards.shape),
            gamma=self.agent.gamma,
            trace=self.agent.trace,
        )
        order = draw_minibatches(self.state.rng, size, self.state.settings.batch_size, self.agent.passes)
        actions, targets = tf.constant(rollout.actions.ravel()), tf.constant(returns.ravel(), tf.float32)
        loss, value = self.update(observations, actions, targets, order)
        if self.normalizer is not None:
            self.normalizer.update(np.asarray(observations))
        exploration = self.policy.fraction(self.state.steps)
        return {"loss": float(loss), "value_mean": float(value), "exploration": exploration}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the discounted returns so far, of which the statistics are, and the random actions under way."""
        return {**self.reward_scale.arrays(), **self.policy.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`arrays` returned."""
        self.reward_scale.restore(arrays)
        self.policy.restore(arrays)

    def _evaluate(self, raw: Any, next_raw: Any, next_masks: Any) -> tuple[Any, Any]:
        """Return preprocessed observations, and the value of the best legal action at each next one (B,)."""
        observations, following = self.output.encode(raw), self.output.encode(next_raw)
        values = mask_tensor(self.network(following, training=False), next_masks)
        return observations["observations"], tf.reduce_max(values, axis=1)

    def _update(self, observations: Any, actions: Any, returns: Any, order: Any) -> Any:
        """Learn from the minibatches of an order (M, B); return the means of what is tracked."""
        return train_on_batches(self._learn_from, [observations, actions, returns], order, facts=2)

    def _learn_from(self, observations: Any, actions: Any, returns: Any) -> Any:
        """Take one step by a minibatch."""
        with tf.GradientTape() as tape:
            values = self.network({"observations": observations}, training=True)
            taken = tf.gather(values, actions, batch_dims=1)
            loss = tf.add_n([tf.reduce_mean(tf.square(taken - returns)) / 2, *self.network.losses])
        variables = self.network.trainable_variables
        self.network.optimizer.apply(tape.gradient(loss, variables), variables)
        return tf.stack([loss, tf.reduce_mean(taken)])
