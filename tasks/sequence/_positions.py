"""Positions of steps, which attention does not see by itself."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

LONGEST_WAVE = 10_000.0


@keras.saving.register_keras_serializable("zoo")
class AddPositions(keras.layers.Layer):
    """Adds sines and cosines of a step's number, in waves of several lengths (Vaswani et al. 2017, section 3.5).

    Call arguments:
        steps: (B, T, D).
    """

    def call(self, steps: Any) -> Any:
        """Return steps (B, T, D)."""
        width = steps.shape[-1]
        numbers = ops.cast(ops.arange(ops.shape(steps)[1]), steps.dtype)[:, None]
        rates = LONGEST_WAVE ** (-ops.cast(ops.arange((width + 1) // 2), steps.dtype) * 2 / width)
        angles = numbers * rates
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
        return steps + waves[None, :, :width]

    def compute_output_spec(self, steps: Any) -> Any:
        """Return the spec of the steps."""
        return keras.KerasTensor(steps.shape, dtype=steps.dtype)
