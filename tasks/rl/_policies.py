"""Policies: distributions of actions given a network's output, to draw from and to compute probabilities."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LOG_2PI = math.log(2 * math.pi)


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
