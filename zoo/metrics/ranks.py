"""Metrics of ordered classes: truth (N,) class indices, prediction (N, K) probabilities, weights (R, N)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from zoo.metrics.classes import create_class_metrics
from zoo.metrics.intervals import ERROR, Interval, Sample, error_interval, mean_error_interval, mean_influence
from zoo.metrics.metric import Metric
from zoo.metrics.weighting import ratio, weighted_mean
from zoo.portable.predict import choose_median_class

OF_DECISIONS = ("accuracy", "f1_macro")


def create_ordered_metrics(n_classes: int) -> tuple[Metric, ...]:
    """Return the metrics of ordered classes, the objective of a search first; the predicted class is the median.

    Args:
        n_classes: Number of classes K, at least 3.

    Example:
        >>> [metric.name for metric in create_ordered_metrics(3)][-3:]
        ['ece', 'quadratic_kappa', 'rank_error']
    """
    return (
        *(_of_median(metric) if metric.name in OF_DECISIONS else metric for metric in create_class_metrics(n_classes)),
        Metric("quadratic_kappa", "max", quadratic_kappa, quadratic_kappa_interval, limits=(-1.0, 1.0)),
        Metric("rank_error", "min", rank_error, rank_error_interval, limits=ERROR),
    )


def _of_median(metric: Metric) -> Metric:
    """Return a metric of decisions that takes the median class, not the most likely one, as the predicted one."""
    assert metric.interval is not None
    return replace(metric, function=partial(_decided, metric.function), interval=partial(_decided, metric.interval))


def _decided(function: Callable[..., Any], truth: np.ndarray, prediction: np.ndarray, last: Any) -> Any:
    return function(truth, np.eye(prediction.shape[1])[choose_median_class(prediction)], last)


def quadratic_kappa(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the agreement of predicted and true ranks beyond chance, with squared distances, shape (R,).

    Cohen 1968, "Weighted kappa", Psychological Bulletin 70. NaN where all ranks are equal.

    Args:
        truth: (N,) class indices, from low to high.
        prediction: (N, K) probabilities.
        weights: (R, N).

    Example:
        >>> quadratic_kappa(np.array([0, 1, 2]), np.eye(3), np.ones((1, 3)))
        array([1.])
    """
    first, second = truth.astype(float), choose_median_class(prediction).astype(float)
    observed = weighted_mean((first - second) ** 2, weights)
    by_chance = weighted_mean(first**2, weights) + weighted_mean(second**2, weights)
    by_chance -= 2 * weighted_mean(first, weights) * weighted_mean(second, weights)
    return 1 - ratio(observed, by_chance)


def quadratic_kappa_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
    """Return the 95 % interval of the kappa: 1 minus that of observed disagreement over disagreement by chance."""
    first, second = truth.astype(float), choose_median_class(prediction).astype(float)
    weight = sample.weight
    means = [float(weight @ values / weight.sum()) for values in (first, second)]
    observed = float(weight @ (first - second) ** 2 / weight.sum())
    by_chance = float(weight @ (first**2 + second**2) / weight.sum()) - 2 * means[0] * means[1]
    of_chance = mean_influence(first**2 + second**2 - 2 * (means[1] * first + means[0] * second), weight)
    influence = mean_influence((first - second) ** 2, weight) - observed / by_chance * of_chance
    low, high = error_interval(observed / by_chance, influence / by_chance, sample)
    return 1 - high, 1 - low


def rank_error(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference between the ranks of the predicted and the true class, shape (R,).

    Args:
        truth: (N,) class indices, from low to high.
        prediction: (N, K) probabilities.
        weights: (R, N).

    Example:
        >>> rank_error(np.array([0, 2]), np.array([[1.0, 0, 0], [1.0, 0, 0]]), np.ones((1, 2)))
        array([1.])
    """
    return weighted_mean(_rank_errors(truth, prediction), weights)


def rank_error_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
    """Return the 95 % interval of the mean absolute rank error."""
    return mean_error_interval(_rank_errors(truth, prediction), sample)


def _rank_errors(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return np.abs(truth - choose_median_class(prediction)).astype(float)
