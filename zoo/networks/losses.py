"""Losses of probabilities that Keras lacks, and the pinball loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

EPSILON = 1e-7


@keras.saving.register_keras_serializable("zoo")
class ProbabilityHinge(keras.losses.Loss):
    """Hinge loss of class probabilities, with margins computed as differences of logarithms.

    For two classes with a sigmoid the margin is the logit, with labels -1 and 1 (Rosasco et al. 2004); for more
    classes it is the loss of Crammer and Singer (2001). The model still outputs probabilities.

    Call arguments:
        y_true: Class index (B,) or (B, 1).
        y_pred: Probability of the second class (B, 1), or of each class (B, K).
    """

    def __init__(self, reduction: str = "sum_over_batch_size", name: str = "hinge", **options: Any) -> None:
        super().__init__(name=name, reduction=reduction, **options)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example (B,)."""
        p = ops.clip(y_pred, EPSILON, 1 - EPSILON)
        if y_pred.shape[-1] == 1:
            sign = 2 * ops.cast(ops.reshape(y_true, ops.shape(p)), p.dtype) - 1
            return ops.squeeze(ops.maximum(1 - sign * (ops.log(p) - ops.log(1 - p)), 0), -1)
        logits = ops.log(p)
        one_hot = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), p.shape[-1], dtype=p.dtype)
        right = ops.sum(one_hot * logits, -1)
        best_other = ops.max(logits - one_hot * 1e9, -1)
        return ops.maximum(1 + best_other - right, 0)


@keras.saving.register_keras_serializable("zoo")
class ClassKLDivergence(keras.losses.Loss):
    """Kullback-Leibler divergence from a class given as an index.

    For a single true class it equals cross-entropy; it has a name of its own because the course lists it as a loss.
    """

    def __init__(self, reduction: str = "sum_over_batch_size", name: str = "kullback_leibler", **options: Any) -> None:
        super().__init__(name=name, reduction=reduction, **options)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the divergence of each example (B,)."""
        p = ops.clip(y_pred, EPSILON, 1 - EPSILON)
        if y_pred.shape[-1] == 1:
            p = ops.concatenate([1 - p, p], -1)
        one_hot = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), p.shape[-1], dtype=p.dtype)
        return keras.losses.kl_divergence(one_hot, p)


@keras.saving.register_keras_serializable("zoo")
class ClassFocal(keras.losses.Loss):
    """Focal loss of class probabilities: cross-entropy times (1 - p)^2, which reduces the weight of easy rows.

    Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 4, with gamma 2. It worsens the calibration of
    probabilities, which ``calibrate`` can restore.

    Call arguments:
        y_true: Class index (B,) or (B, 1).
        y_pred: Probability of the second class (B, 1), or of each class (B, K).
    """

    def __init__(
        self, gamma: float = 2.0, reduction: str = "sum_over_batch_size", name: str = "focal", **options: Any
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.gamma = gamma

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example (B,)."""
        p = ops.clip(y_pred, EPSILON, 1 - EPSILON)
        if y_pred.shape[-1] == 1:
            p = ops.concatenate([1 - p, p], -1)
        one_hot = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), p.shape[-1], dtype=p.dtype)
        right = ops.sum(one_hot * p, -1)
        return -ops.power(1 - right, self.gamma) * ops.log(right)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable("zoo")
class Pinball(keras.losses.Loss):
    """Mean pinball loss of several quantiles of a number (Koenker and Bassett 1978).

    Args:
        levels: Probabilities of the Q quantiles.

    Call arguments:
        y_true: The number (B,) or (B, 1).
        y_pred: Its quantiles (B, Q).
    """

    def __init__(
        self, levels: Sequence[float], reduction: str = "sum_over_batch_size", name: str = "pinball", **options: Any
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.levels = [float(level) for level in levels]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example (B,)."""
        levels = ops.convert_to_tensor(self.levels, y_pred.dtype)
        error = ops.reshape(ops.cast(y_true, y_pred.dtype), (-1, 1)) - y_pred
        return ops.mean(ops.maximum(levels * error, (levels - 1) * error), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "levels": self.levels}
