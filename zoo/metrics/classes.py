"""Metrics of class probabilities: truth (N,) class indices, prediction (N, K), weights (R, N)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np

from zoo.metrics.calibration_error import ECE_BINS, ece_interval
from zoo.metrics.class_intervals import (
    accuracy_interval,
    f1_interval,
    f1_macro_interval,
    mean_loss_interval,
    pr_auc_interval,
    roc_auc_interval,
)
from zoo.metrics.decisions import decide_classes as decide_classes
from zoo.metrics.intervals import ERROR, FRACTION, Interval, Sample
from zoo.metrics.metric import Metric, ScoreFunction
from zoo.metrics.ranking import area_under_roc, average_precision
from zoo.metrics.weighting import mean_of_defined, ratio, running_sum, sum_by_class, weighted_mean


def create_class_metrics(n_classes: int, positive: int = 1, threshold: float | None = None) -> tuple[Metric, ...]:
    """Return the metrics of a classification into ``n_classes``, the objective of a search first.

    Args:
        n_classes: Number of columns K of the prediction, at least 2.
        positive: Index of the positive class of two, for brier, roc_auc, pr_auc and f1.
        threshold: Probability from which the positive class of two is predicted; None for the most likely class.

    Example:
        >>> [score.name for score in create_class_metrics(3)]
        ['log_loss', 'accuracy', 'brier', 'roc_auc', 'pr_auc', 'f1_macro', 'ece']
    """
    if n_classes < 2 or not 0 <= positive < n_classes:
        raise ValueError(f"need at least 2 classes, the positive among them; received {n_classes}, {positive}")
    of_positive: dict[str, Any] = {"positive": positive}
    called: dict[str, Any] = {"threshold": threshold, "positive": positive}

    def metric(name: str, direction: Literal["min", "max"], function: Any, interval: Any, **options: Any) -> Metric:
        limits = {"log_loss": ERROR, "brier": (0.0, 2.0)}.get(name, FRACTION)
        return Metric(name, direction, partial(function, **options), partial(interval, **options), limits=limits)

    return (
        metric("log_loss", "min", log_loss, log_loss_interval),
        metric("accuracy", "max", accuracy, accuracy_interval, **called),
        metric("brier", "min", brier, brier_interval, **of_positive),
        metric("roc_auc", "max", roc_auc, roc_auc_interval, **of_positive),
        metric("pr_auc", "max", pr_auc, pr_auc_interval, **of_positive),
        *((metric("f1", "max", f1, f1_interval, **called),) if n_classes == 2 else ()),
        metric("f1_macro", "max", f1_macro, f1_macro_interval, **called),
        metric("ece", "min", ece, ece_interval),
    )


def log_loss(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean negative logarithm of the true class' probability (Good, 1952), shape (R,).

    Probabilities are clipped to the precision of their dtype, as in scikit-learn.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        weights: (R, N).

    Example:
        >>> log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]), np.ones((1, 2))).round(4)
        array([0.6931])
    """
    return weighted_mean(_log_losses(truth, prediction), weights)


def log_loss_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
    """Return the 95 % interval of the log loss; see :func:`zoo.metrics.class_intervals.mean_loss_interval`."""
    return mean_loss_interval(truth, prediction, sample, _log_losses)


def _log_losses(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    prediction = np.asarray(prediction)
    if prediction.dtype.kind != "f":
        prediction = prediction.astype(float)
    smallest = float(np.finfo(prediction.dtype).eps)
    chosen = prediction[np.arange(len(truth)), truth].astype(float)
    return np.asarray(-np.log(np.clip(chosen, smallest, 1 - smallest)))


def accuracy(
    truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, threshold: float | None = None, positive: int = 1
) -> np.ndarray:
    """Return the fraction of rows whose predicted class is the true one, shape (R,).

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        weights: (R, N).
        threshold: As in :func:`decide_classes`.
        positive: Index of the positive class.

    Example:
        >>> accuracy(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), np.ones((1, 2)))
        array([0.5])
    """
    return weighted_mean((decide_classes(prediction, threshold, positive) == truth).astype(float), weights)


def brier(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, positive: int = 1) -> np.ndarray:
    """Return the mean squared error of the probabilities (Brier, Monthly Weather Review 78, 1950), shape (R,).

    For two classes, that of the positive class, from 0 to 1; for more, the sum over classes, from 0 to 2.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        weights: (R, N).
        positive: Index of the positive class when K is 2.

    Example:
        >>> brier(np.array([0, 1]), np.array([[0.9, 0.1], [0.3, 0.7]]), np.ones((1, 2))).round(3)
        array([0.05])
    """
    return weighted_mean(_squared_errors(truth, prediction, positive), weights)


def brier_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample, positive: int = 1) -> Interval:
    """Return the 95 % interval of the Brier score; see :func:`zoo.metrics.class_intervals.mean_loss_interval`."""
    return mean_loss_interval(truth, prediction, sample, partial(_squared_errors, positive=positive))


def _squared_errors(truth: np.ndarray, prediction: np.ndarray, positive: int) -> np.ndarray:
    prediction = np.asarray(prediction, dtype=float)
    if prediction.shape[1] == 2:
        return np.asarray((prediction[:, positive] - (truth == positive)) ** 2)
    # The sum of (p - y)^2 over classes, without the (N, K) matrix of indicators.
    chosen = prediction[np.arange(len(truth)), truth]
    others = np.einsum("nk,nk->n", prediction, prediction) - chosen**2
    return np.asarray(others + (1 - chosen) ** 2)


def roc_auc(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, positive: int = 1) -> np.ndarray:
    """Return the area under the ROC curve, shape (R,); NaN where only one class has weight.

    For two classes, that of the positive class; for more, the mean of one class against the rest over the classes
    that occur (Provost and Domingos, 2001, without weighting by prevalence).

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        weights: (R, N).
        positive: Index of the positive class when K is 2.

    Example:
        >>> roc_auc(np.array([0, 1]), np.array([[0.9, 0.1], [0.3, 0.7]]), np.ones((1, 2)))
        array([1.])
    """
    return _mean_over_classes(area_under_roc, truth, prediction, weights, positive)


def pr_auc(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, positive: int = 1) -> np.ndarray:
    """Return the average precision, shape (R,); NaN where no positive row has weight.

    For two classes, that of the positive class; for more, the mean of one class against the rest over the classes
    that occur.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        weights: (R, N).
        positive: Index of the positive class when K is 2.

    Example:
        >>> pr_auc(np.array([0, 1]), np.array([[0.9, 0.1], [0.3, 0.7]]), np.ones((1, 2)))
        array([1.])
    """
    return _mean_over_classes(average_precision, truth, prediction, weights, positive)


def f1(
    truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, positive: int = 1, threshold: float | None = None
) -> np.ndarray:
    """Return the harmonic mean of precision and recall of the positive class, shape (R,).

    Defined by van Rijsbergen (*Information Retrieval*, 1979); NaN where the class is neither true nor predicted.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities; the most likely class is predicted.
        weights: (R, N).
        positive: Index of the positive class.

    Example:
        >>> f1(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]]), np.ones((1, 3))).round(3)
        array([0.667])
    """
    true, called = truth == positive, decide_classes(prediction, threshold, positive) == positive
    counts = weights @ np.stack([true & called, true, called], axis=1).astype(float)
    return ratio(2 * counts[:, 0], counts[:, 1] + counts[:, 2])


def f1_macro(
    truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, threshold: float | None = None, positive: int = 1
) -> np.ndarray:
    """Return the mean F1 over the classes that are true or predicted in some row, shape (R,).

    Of the two macro averages this one is preferable (Opitz and Burst, *Macro F1 and Macro F1*, 2019). A class that is
    never correct counts 0.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities; the most likely class is predicted.
        weights: (R, N).

    Example:
        >>> f1_macro(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), np.ones((1, 2))).round(3)
        array([0.333])
    """
    called, n_classes = decide_classes(prediction, threshold, positive), prediction.shape[1]
    right = called == truth
    hits = sum_by_class(weights[:, right], truth[right], n_classes)
    size = sum_by_class(weights, truth, n_classes) + sum_by_class(weights, called, n_classes)
    return mean_of_defined(ratio(2 * hits, size))


def ece(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the expected calibration error of the most likely class, shape (R,).

    The mean distance between confidence and accuracy over 15 bins of equal mass: the measure of Naeini,
    Cooper and Hauskrecht (AAAI 2015) with the bins of Nguyen and O'Connor (EMNLP 2015), none of which is empty.
    Rows of equal confidence share the bin that the middle of their mass falls into.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        weights: (R, N).

    Example:
        >>> ece(np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]]), np.ones((1, 2))).round(3)
        array([0.15])
    """
    confidence = prediction.max(axis=1).astype(float)
    order = np.argsort(confidence, kind="stable")
    sorted_weights = np.take(weights, order, axis=1)
    mass = running_sum(sorted_weights)
    sorted_weights *= (_correct(truth, prediction) - confidence)[order]
    excess = running_sum(sorted_weights)  # cumulative sum of accuracy minus confidence

    cuts = np.flatnonzero(np.diff(confidence[order], prepend=-np.inf, append=np.inf))
    if len(cuts) <= len(truth):  # with ties there are fewer groups than rows
        mass, excess = np.take(mass, cuts, axis=1), np.take(excess, cuts, axis=1)
    middle = (mass[:, 1:] + mass[:, :-1]) / 2
    edges = mass[:, -1:] * np.arange(1, ECE_BINS) / ECE_BINS
    inner = [np.searchsorted(row, edge) for row, edge in zip(middle, edges, strict=True)]
    at_edges = np.take_along_axis(excess, np.reshape(inner, edges.shape), axis=1)
    at_all = np.concatenate([excess[:, :1], at_edges, excess[:, -1:]], axis=1)
    return ratio(np.abs(np.diff(at_all, axis=1)).sum(axis=1), mass[:, -1])


def _correct(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return (np.argmax(prediction, axis=1) == truth).astype(float)


def _mean_over_classes(
    area: ScoreFunction, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, positive: int
) -> np.ndarray:
    """Return the mean area (R,) of the positive class of two, or of each present class against the rest."""
    classes = [positive] if prediction.shape[1] == 2 else np.unique(truth)
    return mean_of_defined(np.stack([area(truth == k, prediction[:, k], weights) for k in classes], axis=1))
