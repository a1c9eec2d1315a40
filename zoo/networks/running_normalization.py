"""Normalisation by running statistics, inside the saved network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

LARGEST = 10.0  # in standard deviations
SMALLEST_VARIANCE = 1e-8


@keras.saving.register_keras_serializable("zoo")
class RunningNormalization(keras.layers.Layer):
    """Subtracts the mean of all values so far, divides by their standard deviation, and clips.

    The statistics are weights that are not trained: the agent updates them with :meth:`update`.

    Call arguments:
        values: (B, F).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "autocast": False, "trainable": False, "dtype": "float32"})

    def build(self, input_shape: Any) -> None:
        """Create mean, variance and count."""
        size = (input_shape[-1],)
        self.mean = self.add_weight(shape=size, initializer="zeros", trainable=False, name="mean")
        self.variance = self.add_weight(shape=size, initializer="ones", trainable=False, name="variance")
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, values: Any) -> Any:
        """Return (B, F)."""
        scaled = (ops.cast(values, "float32") - self.mean) / ops.sqrt(self.variance + SMALLEST_VARIANCE)
        return ops.clip(scaled, -LARGEST, LARGEST)

    def update(self, values: np.ndarray) -> None:
        """Add values (N, F) to the statistics (Chan, Golub and LeVeque 1979)."""
        values = np.asarray(values, np.float64)
        before, count = float(self.count), float(self.count) + len(values)
        mean, variance = np.asarray(self.mean, np.float64), np.asarray(self.variance, np.float64)
        shift = values.mean(axis=0) - mean
        squares = variance * before + values.var(axis=0) * len(values) + shift**2 * before * len(values) / count
        self.mean.assign(mean + shift * len(values) / count)
        self.variance.assign(squares / count)
        self.count.assign(count)

    def convert(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return what the layer does now as a function of arrays."""
        mean, deviation = np.asarray(self.mean), np.sqrt(np.asarray(self.variance) + SMALLEST_VARIANCE)
        return lambda x: np.clip((x - mean) / deviation, -LARGEST, LARGEST)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, F)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the name."""
        return {"name": self.name}


def find_normalization(network: keras.Model, name: str) -> RunningNormalization | None:
    """Return the layer of a name, or None if the network has none."""
    layers = (layer for layer in network.layers if layer.name == name)
    return next((layer for layer in layers if isinstance(layer, RunningNormalization)), None)
