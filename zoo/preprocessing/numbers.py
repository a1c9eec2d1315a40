"""Preprocessing of numbers: scaling and imputation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.preprocessing.configuration import simplify_config


@keras.saving.register_keras_serializable("zoo")
class PrepareNumbers(keras.layers.Layer):
    """Scales numeric columns; missing values become the centre, with an indicator if there were any in training.

    The centre is 0, or with ``minmax`` the scaled mean.

    Args:
        statistics: For each column ``mean``, ``std``, ``min``, ``max`` and ``quantiles``, and optionally ``fill``,
            which replaces missing values.
        indicators: Positions of the columns that get an indicator of missing values.
        scaling: ``standard``; ``minmax``; ``robust`` (median and quartiles, smoothly clipped, after
            Holzmüller et al. 2024, section 3); ``quantile`` (normal quantiles); ``robust_quantile`` (both); or
            ``common`` (centred, and all divided by the same number: for columns with the same unit).

    Call arguments:
        columns: F tensors (B,), float64, so that large integers such as 16,777,217 are centred before they are
            rounded to float32.
    """

    def __init__(
        self, statistics: Sequence[dict[str, Any]], indicators: Sequence[int], scaling: str, **options: Any
    ) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.statistics, self.indicators, self.scaling = list(statistics), list(indicators), scaling
        self.supports_jit = False

    def call(self, columns: Sequence[Any]) -> Any:
        """Return scaled numbers (B, F'), float32."""
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
        config = simplify_config(super().get_config())
        arguments = {"statistics": self.statistics, "indicators": self.indicators, "scaling": self.scaling}
        return {**config, **arguments}

    def _column(self, name: str) -> Any:
        return tf.constant([facts[name] for facts in self.statistics], tf.float64)

    def _fills(self) -> Any:
        return tf.constant([facts.get("fill", np.nan) for facts in self.statistics], tf.float64)

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
        half_range = (quantiles[:, -1] - quantiles[:, 0]) / 2
        spread = tf.where(spread > 0, spread, tf.where(half_range > 0, half_range, 1.0))
        z = tf.clip_by_value((x - quantiles[:, size // 2]) / spread, -1e100, 1e100)  # its square is finite
        return z / tf.sqrt(1 + tf.square(z / 3))

    def _quantile(self, x: Any) -> Any:
        """Interpolate between the quantiles; equal quantiles get the mean of their ranks."""
        knots = self._column("quantiles")  # (F, Q)
        steps = knots.shape[-1] - 1
        values = tf.transpose(x)  # (F, B)
        ranks = []
        for side in ("left", "right"):
            above = tf.clip_by_value(tf.searchsorted(knots, values, side=side), 1, steps)
            low, high = (tf.gather(knots, index, batch_dims=1) for index in (above - 1, above))
            fraction = tf.clip_by_value(tf.math.divide_no_nan(values - low, high - low), 0.0, 1.0)
            fraction = tf.where((high == low) & (values >= high), tf.ones_like(fraction), fraction)
            ranks.append((tf.cast(above - 1, tf.float64) + fraction) / steps)
        rank = tf.clip_by_value(tf.transpose((ranks[0] + ranks[1]) / 2), 1e-3, 1 - 1e-3)
        return tf.math.ndtri(rank)


def _in_32_bits(x: Any) -> Any:
    """Cast to float32, clipping to its range so that numbers stay finite."""
    return tf.cast(tf.clip_by_value(x, tf.float32.min, tf.float32.max), tf.float32)
