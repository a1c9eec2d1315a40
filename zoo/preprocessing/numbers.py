"""Numbers inside the model: raw columns are brought to scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.preprocessing.configuration import plain_config


@keras.saving.register_keras_serializable("zoo")
class PrepareNumbers(keras.layers.Layer):
    """Brings columns of numbers to scale; a missing one becomes the middle, with an indicator where training knew such.

    The middle is 0, and with ``minmax`` the mean.

    Args:
        statistics: For each column ``mean``, ``std``, ``min``, ``max`` and ``quantiles``; where a number was asked
            for to stand for a missing one, it is ``fill``.
        indicators: Positions of the columns that get an indicator of missing values.
        scaling: ``standard``; ``minmax``; ``robust`` (median and quartiles, smoothly clipped, after
            Holzmüller et al. 2024, section 3); ``quantile`` (normal quantiles); ``robust_quantile`` (both); or
            ``common`` (centred, and all divided by one number: for columns in one unit).

    Call arguments:
        columns: F tensors (B,) of 64-bit floats: 16,777,217 is no 32-bit float, and is centred before it
            becomes one.
    """

    def __init__(
        self, statistics: Sequence[dict[str, Any]], indicators: Sequence[int], scaling: str, **options: Any
    ) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.statistics, self.indicators, self.scaling = list(statistics), list(indicators), scaling
        self.supports_jit = False

    def call(self, columns: Sequence[Any]) -> Any:
        """Return prepared numbers (B, F'), 32-bit."""
        x = tf.stack([tf.cast(tf.reshape(column, [-1]), tf.float64) for column in columns], axis=-1)  # (B, F)
        missing = tf.math.is_nan(x)
        x = tf.where(missing, self._fills(), x)
        nothing = tf.math.is_nan(x)
        scaled = [getattr(self, f"_{part}")(x) for part in self.scaling.split("_")]
        middle = self._minmax(self._column("mean")) if self.scaling == "minmax" else tf.zeros((), tf.float64)
        parts = [_in_32_bits(tf.where(nothing, middle, part)) for part in scaled]
        if self.indicators:
            parts.append(tf.cast(tf.gather(missing, self.indicators, axis=-1), tf.float32))
        return tf.concat(parts, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        """Return (B, F')."""
        width = len(self.statistics) * len(self.scaling.split("_")) + len(self.indicators)
        return (input_shape[0][0], width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = plain_config(super().get_config())
        own = {"statistics": self.statistics, "indicators": self.indicators, "scaling": self.scaling}
        return {**config, **own}

    def _column(self, name: str) -> Any:
        return tf.constant([known[name] for known in self.statistics], tf.float64)

    def _fills(self) -> Any:
        return tf.constant([known.get("fill", np.nan) for known in self.statistics], tf.float64)

    def _standard(self, x: Any) -> Any:
        std = self._column("std")
        return (x - self._column("mean")) / tf.where(std > 0, std, 1.0)

    def _common(self, x: Any) -> Any:
        scale = tf.sqrt(tf.reduce_mean(tf.square(self._column("std"))))
        return (x - self._column("mean")) / tf.where(scale > 0, scale, 1.0)

    def _minmax(self, x: Any) -> Any:
        low, high = self._column("min"), self._column("max")
        return (x - low) / tf.where(high > low, high - low, 1.0)

    def _robust(self, x: Any) -> Any:
        quantiles = self._column("quantiles")  # (F, Q)
        size = quantiles.shape[-1] - 1
        spread = quantiles[:, 3 * size // 4] - quantiles[:, size // 4]
        whole = (quantiles[:, -1] - quantiles[:, 0]) / 2
        spread = tf.where(spread > 0, spread, tf.where(whole > 0, whole, 1.0))
        z = tf.clip_by_value((x - quantiles[:, size // 2]) / spread, -1e100, 1e100)  # its square is finite
        return z / tf.sqrt(1 + tf.square(z / 3))

    def _quantile(self, x: Any) -> Any:
        """Interpolate between the quantiles; where several are equal, take the middle of their ranks."""
        knots = self._column("quantiles")  # (F, Q)
        steps = knots.shape[-1] - 1
        values = tf.transpose(x)  # (F, B)
        ranks = []
        for side in ("left", "right"):
            above = tf.clip_by_value(tf.searchsorted(knots, values, side=side), 1, steps)
            low, high = (tf.gather(knots, index, batch_dims=1) for index in (above - 1, above))
            share = tf.clip_by_value(tf.math.divide_no_nan(values - low, high - low), 0.0, 1.0)
            share = tf.where((high == low) & (values >= high), tf.ones_like(share), share)
            ranks.append((tf.cast(above - 1, tf.float64) + share) / steps)
        rank = tf.clip_by_value(tf.transpose((ranks[0] + ranks[1]) / 2), 1e-3, 1 - 1e-3)
        return tf.math.ndtri(rank)


def _in_32_bits(x: Any) -> Any:
    """Numbers as 32-bit floats; what lies beyond them is the greatest there is, and stays finite."""
    return tf.cast(tf.clip_by_value(x, tf.float32.min, tf.float32.max), tf.float32)
