"""Layers of anomaly detectors: noise with a standard deviation for each column, and contributions of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.preprocessing.configuration import simplify_config

SCORE, CONTRIBUTIONS = "score", "contributions"
LARGEST_ERROR = 1e30
_DRAWS = 8  # fixed draws of noise that rows are scored with
_LEAST_STD = 1e-3  # a feature that varies less, such as an indicator of a rare category, gets noise as if it did


@keras.saving.register_keras_serializable("zoo")
class ColumnNoise(keras.layers.Layer):
    """Adds Gaussian noise to copies of a row, with a standard deviation for each feature.

    A feature with heavy tails gets more noise: sigma = std * clip(scale * (1 + slope * (kurtosis - 3)), 0.1, 3), as in
    K-DSM (arXiv 2605.06955). Outside of training the noise is a fixed set of draws, the same for each row, so that the
    score of a row is always the same.

    Args:
        copies: Number of noisy copies of each row in training.
        scale: Noise of a normally distributed feature, in standard deviations.
        slope: How much it grows with the kurtosis.

    Call arguments:
        features: (B, D).
    """

    def __init__(self, copies: int, scale: float, slope: float, **options: Any) -> None:
        super().__init__(**options)
        self.copies, self.scale, self.slope = copies, scale, slope
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Any) -> None:
        """Create the standard deviations, which :meth:`adapt` sets, and the fixed draws."""
        size = input_shape[-1]
        self.sigma = self.add_weight(shape=(size,), name="sigma", trainable=False, initializer="ones")
        fixed = keras.initializers.RandomNormal(stddev=1.0, seed=0)
        self.draws = self.add_weight(shape=(_DRAWS, size), name="draws", trainable=False, initializer=fixed)

    def adapt(self, features: np.ndarray) -> None:
        """Set the standard deviations by the features of the training rows (N, D)."""
        values = np.asarray(features, np.float64)
        std = np.maximum(values.std(axis=0), _LEAST_STD)
        kurtosis = np.square(np.square((values - values.mean(axis=0)) / std)).mean(axis=0)
        self.sigma.assign(std * np.clip(self.scale * (1 + self.slope * (kurtosis - 3)), 0.1, 3.0))

    def call(self, features: Any, training: bool = False) -> tuple[Any, Any]:
        """Return noisy copies (B, M, D), and their noise in units of its scale, of the same shape."""
        shape = ops.shape(features)
        if training:
            wanted = (shape[0], self.copies, features.shape[-1])
            noise = keras.random.normal(wanted, dtype=features.dtype, seed=self.seed_generator)
        else:
            noise = ops.cast(self.draws, features.dtype)[None] * ops.ones_like(features)[:, None]
        return features[:, None] + noise * ops.cast(self.sigma, features.dtype), noise

    def compute_output_spec(self, features: Any, training: bool = False) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Return the specs of both outputs."""
        shape = (features.shape[0], None, features.shape[-1])
        return keras.KerasTensor(shape, dtype=features.dtype), keras.KerasTensor(shape, dtype=features.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        arguments = {"copies": self.copies, "scale": self.scale, "slope": self.slope}
        return {**simplify_config(super().get_config()), **arguments}


@keras.saving.register_keras_serializable("zoo")
class SumByColumn(keras.layers.Layer):
    """Sums what belongs to the features of each column, such as the indicators of the categories of one.

    Args:
        columns: Number of the column of each of the D features, from 0.

    Call arguments:
        values: (B, D).
    """

    def __init__(self, columns: Sequence[int], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **{**options, "dtype": "float32"})
        self.columns = list(columns)

    def call(self, values: Any) -> Any:
        """Return (B, C)."""
        members = np.eye(max(self.columns) + 1, dtype=np.float32)[self.columns]
        return ops.matmul(ops.cast(values, "float32"), members)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, C)."""
        return (input_shape[0], max(self.columns) + 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "columns": self.columns}


def create_outputs(errors: Any, columns: Sequence[str]) -> dict[str, Any]:
    """Return the outputs of an anomaly detector, by name.

    Args:
        errors: Error of each feature (B, D), not negative; a row's loss is their mean.
        columns: Name of the column that each of the D features comes from.

    Returns:
        ``score`` (B, 1), which is the loss of the row, and ``contributions`` (B, C) of the columns, which sum to it.
    """
    names = list(dict.fromkeys(columns))
    # Beyond any training row; infinite ones would become NaN in the sums, and NaN is above no threshold.
    errors = ops.clip(ops.where(ops.isnan(errors), LARGEST_ERROR, errors), 0.0, LARGEST_ERROR)
    layer = SumByColumn([names.index(name) for name in columns], name=CONTRIBUTIONS)
    contributions = layer(errors / len(columns))
    return {SCORE: ops.sum(contributions, axis=-1, keepdims=True), CONTRIBUTIONS: contributions}
