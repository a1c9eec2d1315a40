"""Policies: distributions of actions given a network's output, to draw from and to compute probabilities."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.preprocessing.observations import OBSERVATION
from zoo.spec import Target

from .._actions import LEAST, choose_greedy_actions, draw_random_actions, mask_output

LOG_2PI = math.log(2 * math.pi)
ZETA, MOST_REPEATS = 2.0, 50  # of random actions
LOG_DEVIATIONS = (-5.0, 2.0)  # least and greatest logarithm of a deviation


class Policy(ABC):
    """A distribution of actions for each observation."""

    @abstractmethod
    def draw(self, output: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a random action for each row of an output (B, A)."""

    @abstractmethod
    def log_probability(self, output: Any, actions: Any) -> Any:
        """Return the logarithm of the probability, or its density, of each action (B,)."""

    @abstractmethod
    def entropy(self, output: Any) -> Any:
        """Return the entropy of each row's distribution (B,)."""


class CategoricalPolicy(Policy):
    """One of several discrete actions; outputs are the logarithms of their probabilities, up to a constant."""

    def draw(self, output: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the index of an action for each row (B,), by the Gumbel-max trick (Gumbel 1954)."""
        return np.asarray((output + rng.gumbel(size=output.shape)).argmax(axis=1))

    def log_probability(self, output: Any, actions: Any) -> Any:
        """Return the logarithm of the probability of each index (B,)."""
        return tf.gather(tf.nn.log_softmax(output), actions, batch_dims=1)

    def entropy(self, output: Any) -> Any:
        """Return the entropy (B,)."""
        logarithms = tf.nn.log_softmax(output)
        return -tf.reduce_sum(tf.exp(logarithms) * logarithms, axis=1)


class GaussianPolicy(Policy):
    """Independent normal numbers; outputs are their means, and their standard deviations do not depend on the row.

    Args:
        deviation: The network's layer that holds the logarithms of the standard deviations.
    """

    def __init__(self, deviation: KeepDeviation) -> None:
        self.deviation = deviation

    def draw(self, output: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return numbers for each row (B, A), not clipped."""
        noise = rng.standard_normal(output.shape) * np.exp(np.asarray(self.deviation.logarithm))
        return np.asarray(output + noise, np.float32)

    def log_probability(self, output: Any, actions: Any) -> Any:
        """Return the logarithm of the density of each action (B,)."""
        logarithm = self.deviation.logarithm.value
        scaled = (actions - output) / tf.exp(logarithm)
        return -tf.reduce_sum(tf.square(scaled) / 2 + logarithm + LOG_2PI / 2, axis=1)

    def entropy(self, output: Any) -> Any:
        """Return the entropy (B,), the same for each row."""
        total = tf.reduce_sum(self.deviation.logarithm.value + (LOG_2PI + 1) / 2)
        return tf.fill([tf.shape(output)[0]], total)


class SquashedGaussianPolicy:
    """Independent normal numbers, squashed by the hyperbolic tangent; mean and deviation depend on the observation.

    Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", appendix C.

    Args:
        network: From observations to the means of the numbers and the logarithms of their deviations (B, 2 A).
    """

    def __init__(self, network: keras.Model) -> None:
        self.network = network

    def draw(self, output: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return actions (B, A) for outputs (B, 2 A) and standard normal noise (B, A)."""
        means, logarithms = np.split(output, 2, axis=1)
        return np.tanh(means + np.exp(np.clip(logarithms, *LOG_DEVIATIONS)) * noise)

    def sample(self, observations: Any, noise: Any) -> tuple[Any, Any]:
        """Return actions (B, A), and the logarithms of their densities (B,)."""
        means, logarithms = tf.split(self.network({"observations": observations}), 2, axis=1)
        logarithms = tf.clip_by_value(logarithms, *LOG_DEVIATIONS)
        numbers = means + tf.exp(logarithms) * noise
        density = tf.reduce_sum(tf.square(noise) / 2 + logarithms + LOG_2PI / 2, axis=1)
        # The logarithm of 1 - tanh², in a form that does not underflow.
        squashing = tf.reduce_sum(2 * (math.log(2) - numbers - tf.nn.softplus(-2 * numbers)), axis=1)
        return tf.tanh(numbers), -density - squashing


@keras.saving.register_keras_serializable("zoo")
class KeepDeviation(keras.layers.Layer):
    """Passes means on, and holds the logarithm of the standard deviation of each number as trained weights.

    Call arguments:
        means: (B, A).
    """

    def build(self, input_shape: Any) -> None:
        """Create the logarithms (A,), 0 at first."""
        self.logarithm = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="logarithm")

    def call(self, means: Any) -> Any:
        """Return the means."""
        return means

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, A)."""
        return input_shape


def create_greedy_policy(model: keras.Model, target: Target) -> Callable[[np.ndarray, np.ndarray | None], np.ndarray]:
    """Return a function from raw observations (B, …) and masks of legal actions to a model's greedy actions."""
    call = tf.function(model, reduce_retracing=True)

    def policy(observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        output = call({OBSERVATION: tf.constant(observations, tf.float32)}, training=False)
        return choose_greedy_actions(target, output.numpy(), masks)

    return policy


def mask_tensor(output: Any, masks: Any) -> Any:
    """Return the output (B, A) with the least value at actions that are not legal, in a graph; see mask_output."""
    return output if masks is None else tf.where(masks, output, LEAST)


class EpsilonGreedy:
    """Takes the action with the highest value, and with a probability that falls, repeats a random one for a while.

    Dabney, Ostrovski and Barreto 2021, "Temporally-extended epsilon-greedy exploration": the number of steps has a
    zeta distribution, so that some random actions lead far.

    Args:
        output: Function from raw observations (N, …) to the value of each action (N, A).
        final: Probability in the end of choosing a random action.
        steps: Number of environment steps over which the probability falls from 1 to its final value.
        rng: Random generator.
    """

    def __init__(self, output: Callable[[np.ndarray], np.ndarray], final: float, steps: int, rng: Any) -> None:
        self.output, self.final, self.steps, self.rng = output, final, steps, rng
        self.repeated, self.left = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def draw(self, observations: np.ndarray, masks: np.ndarray | None, steps: int) -> np.ndarray:
        """Return the index of a legal action for each row, after a number of environment steps."""
        values = self.output(observations)
        rows, count = values.shape
        if len(self.left) != rows:
            self.repeated, self.left = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        begins = (self.left == 0) & (self.rng.random(rows) < self.fraction(steps))
        self.repeated = np.where(begins, draw_random_actions(self.rng, rows, count, masks), self.repeated)
        self.left = np.where(begins, np.minimum(self.rng.zipf(ZETA, rows), MOST_REPEATS), self.left)
        repeats = self.left > 0
        if masks is not None:
            repeats &= masks[np.arange(rows), self.repeated]
        self.left = np.where(repeats, self.left - 1, 0)
        return np.where(repeats, self.repeated, mask_output(values, masks).argmax(axis=1))

    def fraction(self, steps: int) -> float:
        """Return the probability of choosing a random action after a number of environment steps."""
        return max(self.final, 1 - (1 - self.final) * steps / self.steps)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the actions that are being repeated, and for how long."""
        return {"repeated": self.repeated, "left": self.left}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`arrays` returned."""
        self.repeated, self.left = arrays["repeated"].copy(), arrays["left"].copy()


@keras.saving.register_keras_serializable("zoo")
class JoinDuelling(keras.layers.Layer):
    """Returns the value of each action from that of the state and the advantages, which have the mean 0 then.

    Wang et al. 2016, "Dueling network architectures for deep reinforcement learning", equation 9.

    Call arguments:
        joined: The value of the state, then the advantage of each action (B, 1 + A).
    """

    def call(self, joined: Any) -> Any:
        """Return (B, A)."""
        value, advantages = joined[:, :1], joined[:, 1:]
        return value + advantages - keras.ops.mean(advantages, axis=1, keepdims=True)

    def convert(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return what the layer does as a function of arrays."""
        return lambda x: x[:, :1] + x[:, 1:] - x[:, 1:].mean(axis=1, keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, A)."""
        return (input_shape[0], input_shape[1] - 1)


@keras.saving.register_keras_serializable("zoo")
class TakeMean(keras.layers.Layer):
    """Returns the squashed means of a distribution, which are the greedy actions.

    Call arguments:
        distribution: Means, then logarithms of deviations (B, 2 A).
    """

    def call(self, distribution: Any) -> Any:
        """Return (B, A)."""
        return keras.ops.tanh(distribution[:, : distribution.shape[1] // 2])

    def convert(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return what the layer does as a function of arrays."""
        return lambda x: np.tanh(x[:, : x.shape[1] // 2])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, A)."""
        return (input_shape[0], input_shape[1] // 2)
