"""Losses that Keras lacks: of probabilities, quantiles, mixed examples, and targets of which some may be missing."""

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
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy with label smoothing, of a class given as an index.

    Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", section 7.

    Args:
        label_smoothing: Fraction of the probability of the true class that is spread over all classes.

    Call arguments:
        y_true: Class index (B,) or (B, 1).
        y_pred: Probability of each class (B, K).
    """

    def __init__(
        self,
        label_smoothing: float,
        reduction: str = "sum_over_batch_size",
        name: str = "smoothed_crossentropy",
        **options: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example (B,)."""
        logits = ops.log(ops.clip(y_pred, EPSILON, 1.0))
        classes = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        right = ops.sum(ops.one_hot(classes, y_pred.shape[-1], dtype=logits.dtype) * logits, -1)
        return -(1 - self.label_smoothing) * right - self.label_smoothing * ops.mean(logits, -1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


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


@keras.saving.register_keras_serializable("zoo")
class EachTarget(keras.losses.Loss):
    """Mean of the losses of several targets, of which a row may lack some.

    Args:
        kinds: Kind of each of the K targets: ``class`` (cross-entropy), or the loss of a number: ``squared_error``,
            ``absolute_error`` or ``huber``.
        widths: Number of outputs of each target: 1 for two classes, else the number of classes; of numbers how many.

    Call arguments:
        y_true: Class indices and standardised numbers, one after another (B, K), NaN where a row lacks the target.
        y_pred: Probabilities and numbers of all targets, one after another (B, sum of widths).

    Example:
        >>> import numpy as np
        >>> loss = EachTarget(["class", "squared_error"], [1, 1])
        >>> round(float(loss(np.array([[1.0, np.nan]]), np.array([[0.5, 9.0]]))), 4)
        0.3466
    """

    def __init__(
        self,
        kinds: Sequence[str],
        widths: Sequence[int],
        reduction: str = "sum_over_batch_size",
        name: str = "each_target",
        **options: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.kinds, self.widths = list(kinds), [int(width) for width in widths]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example (B,)."""
        truth, total, column, start = ops.cast(y_true, y_pred.dtype), 0.0, 0, 0
        for kind, width in zip(self.kinds, self.widths, strict=True):
            columns = 1 if kind == "class" else width
            values = truth[:, column : column + columns]
            missing = ops.isnan(values)
            values = ops.where(missing, 0.0, values)  # no NaN enters the gradient
            losses = _target_losses(kind, values, y_pred[:, start : start + width])
            total = total + ops.where(ops.any(missing, axis=-1), 0.0, losses)
            column, start = column + columns, start + width
        return total / len(self.kinds)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "kinds": self.kinds, "widths": self.widths}


@keras.saving.register_keras_serializable("zoo")
class MixedLoss(keras.losses.Loss):
    """Loss of predictions for mixed examples: that of each of the two labels, weighed by its fraction.

    A row's label is compared with both predictions that its example is a part of: its own, and that of the row before,
    see :class:`zoo.networks.augmentation.MixImages`. So each term has the weight of the row whose label it is, and a
    label may be a class, a number, or several of which some are missing.

    Args:
        loss: Loss of one label.
        width: Width K of the predictions.

    Call arguments:
        y_true: Labels as ``loss`` takes them.
        y_pred: Predictions, and the fraction of the mixed example that is the row's own (B, K + 1); or plain
            predictions (B, K).
    """

    def __init__(
        self,
        loss: keras.losses.Loss,
        width: int,
        reduction: str = "sum_over_batch_size",
        name: str = "mixed",
        **options: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.loss, self.width = loss, width

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example (B,)."""
        output, kept = y_pred[:, : self.width], y_pred[:, self.width :]
        if kept.shape[-1] == 0:
            return self.loss.call(y_true, output)
        kept = kept[:, 0]
        before = self.loss.call(y_true, ops.roll(output, 1, axis=0))
        return kept * self.loss.call(y_true, output) + ops.roll(1 - kept, 1, axis=0) * before

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "loss": keras.losses.serialize(self.loss), "width": self.width}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MixedLoss:
        """Return the loss of a configuration."""
        return cls(**{**config, "loss": keras.losses.deserialize(config["loss"])})


def _target_losses(kind: str, truth: Any, output: Any) -> Any:
    """Return the losses (B,) of a target, a class index (B, 1) or numbers (B, width), and its outputs (B, width)."""
    if kind == "class":
        p = ops.clip(output, EPSILON, 1 - EPSILON)
        p = ops.concatenate([1 - p, p], -1) if output.shape[-1] == 1 else p
        return keras.losses.sparse_categorical_crossentropy(ops.cast(truth[:, 0], "int32"), p)
    losses = {"squared_error": keras.losses.mean_squared_error, "absolute_error": keras.losses.mean_absolute_error}
    return losses.get(kind, keras.losses.huber)(truth, output)
