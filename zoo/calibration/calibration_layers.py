"""Calibration layers, which adjust the probabilities of a network and are part of the saved model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo.models.built_model import CALIBRATION
from zoo.preprocessing.configuration import simplify_config

SMALLEST = 1e-7


@keras.saving.register_keras_serializable("zoo")
class Temperature(keras.layers.Layer):
    """Temperature scaling (Guo et al. 2017, section 4.2), which divides log probabilities by a temperature.

    Biases correct class frequencies that differ between training and application ("bias-corrected temperature
    scaling", Alexandari, Kundaje and Shrikumar 2020; with two classes Platt 1999).

    Args:
        temperature: Above 1 predictions become less confident, below 1 more confident.
        biases: Added to the log probability of each class; empty for none.

    Call arguments:
        probabilities: (B, 1) of the second of two classes, or (B, K) of each.
    """

    def __init__(self, temperature: float, biases: Sequence[float] = (), **options: Any) -> None:
        super().__init__(trainable=False, **{"name": CALIBRATION, **options, "dtype": "float32"})
        self.temperature = float(temperature)
        self.biases = [float(bias) for bias in biases]

    def call(self, probabilities: Any) -> Any:
        """Return probabilities of the same shape."""
        logarithms = tf.math.log(tf.clip_by_value(probabilities, SMALLEST, 1.0))
        if probabilities.shape[-1] == 1:
            rest = tf.math.log(tf.clip_by_value(1 - probabilities, SMALLEST, 1.0))
            moved = self.biases[1] - self.biases[0] if self.biases else 0.0
            return tf.sigmoid((logarithms - rest) / self.temperature + moved)
        return tf.nn.softmax(logarithms / self.temperature + (tf.constant(self.biases) if self.biases else 0.0))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "temperature": self.temperature, "biases": self.biases}


@keras.saving.register_keras_serializable("zoo")
class Isotonic(keras.layers.Layer):
    """Isotonic calibration of each class (Zadrozny and Elkan 2002), then normalised to a sum of 1.

    Args:
        lines: For each output the knots ``[x, y]`` of a piecewise linear function, with x ascending.

    Call arguments:
        probabilities: (B, 1) of the second of two classes, or (B, K) of each.
    """

    def __init__(self, lines: Sequence[Sequence[Sequence[float]]], **options: Any) -> None:
        super().__init__(trainable=False, **{"name": CALIBRATION, **options, "dtype": "float32"})
        self.lines = [[[float(x) for x in side] for side in line] for line in lines]

    def call(self, probabilities: Any) -> Any:
        """Return probabilities of the same shape."""
        mapped = tf.stack([_along(probabilities[:, k], *line) for k, line in enumerate(self.lines)], axis=-1)
        if len(self.lines) == 1:
            return mapped
        return mapped / tf.reduce_sum(mapped, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "lines": self.lines}


def _along(values: Any, x: Sequence[float], y: Sequence[float]) -> Any:
    """Interpolate values (B,) linearly between knots, constant outside."""
    corners, heights = tf.constant(x, tf.float32), tf.constant(y, tf.float32)
    if len(x) == 1:
        return tf.fill(tf.shape(values), heights[0])
    above = tf.clip_by_value(tf.searchsorted(corners, values), 1, len(x) - 1)
    low, high = tf.gather(corners, above - 1), tf.gather(corners, above)
    fraction = tf.clip_by_value(tf.math.divide_no_nan(values - low, high - low), 0.0, 1.0)
    return tf.gather(heights, above - 1) * (1 - fraction) + tf.gather(heights, above) * fraction
