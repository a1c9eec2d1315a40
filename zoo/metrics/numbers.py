"""Metrics of predicted numbers: truth (N,), prediction (N,), weights (R, N)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from zoo.metrics.metric import Metric, ScoreFunction
from zoo.metrics.weighting import ratio, weighted_mean


def create_number_metrics() -> tuple[Metric, ...]:
    """Return the metrics of a regression, the objective of a search first.

    Example:
        >>> [(score.name, score.direction) for score in create_number_metrics()]
        [('rmse', 'min'), ('mae', 'min'), ('r2', 'max')]
    """
    return Metric("rmse", "min", rmse), Metric("mae", "min", mae), Metric("r2", "max", r2)


def create_quantile_metrics(levels: Sequence[float]) -> tuple[Metric, ...]:
    """Return the metrics of predicted quantiles (N, Q), the objective of a search first.

    Args:
        levels: Their probabilities, ascending. The outermost two are also scored as an interval, and the one nearest
            to the median as a predicted number.

    Example:
        >>> [score.name for score in create_quantile_metrics([0.05, 0.5, 0.95])]
        ['pinball', 'interval_score_90', 'coverage_90', 'rmse', 'mae', 'r2']
    """
    probabilities = np.asarray(levels, float)
    percent, middle = round(100 * float(probabilities[-1] - probabilities[0]), 6), select_median(levels)
    metrics = [Metric("pinball", "min", partial(pinball, levels=probabilities))]
    if len(probabilities) > 1:
        metrics.append(Metric(f"interval_score_{percent:g}", "min", partial(_interval_score, percent=percent)))
        metrics.append(Metric(f"coverage_{percent:g}", "max", _coverage))
    of_median = (Metric(s.name, s.direction, partial(_of_column, s.function, middle)) for s in create_number_metrics())
    return (*metrics, *of_median)


def create_mean_metrics(std: np.ndarray) -> tuple[Metric, ...]:
    """Return the metrics of several numbers (N, K): means over the numbers, each divided by its standard deviation.

    Args:
        std: Standard deviation of each number in the training split (K,).

    Example:
        >>> metric = create_mean_metrics(np.array([1.0, 10.0]))[1]
        >>> metric.name, metric.function(np.zeros((1, 2)), np.array([[3.0, 10.0]]), np.ones((1, 1)))
        ('mae', array([2.]))
    """
    return tuple(
        Metric(s.name, s.direction, partial(_mean_of_columns, s.function, std)) for s in create_number_metrics()
    )


def create_column_metrics(column: int, name: str) -> tuple[Metric, ...]:
    """Return the metrics of one of several numbers (N, K), in its own units.

    Args:
        column: Its place.
        name: Its name, which follows that of each metric.
    """
    metrics = (partial(_of_both_columns, metric.function, column) for metric in create_number_metrics())
    return tuple(
        Metric(f"{m.name}_{name}", m.direction, f) for m, f in zip(create_number_metrics(), metrics, strict=True)
    )


def _mean_of_columns(
    function: ScoreFunction, std: np.ndarray, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    scaled = [(truth[:, i] / scale, prediction[:, i] / scale) for i, scale in enumerate(std)]
    mean: np.ndarray = np.mean([function(*columns, weights) for columns in scaled], axis=0)
    return mean


def _of_both_columns(
    function: ScoreFunction, column: int, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    return function(truth[:, column], prediction[:, column], weights)


def select_median(levels: Sequence[float]) -> int:
    """Return the index of the level nearest to the median.

    Example:
        >>> select_median([0.05, 0.5, 0.95])
        1
    """
    return int(np.argmin(np.abs(np.asarray(levels, float) - 0.5)))


def pinball(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the mean pinball loss over quantiles (Koenker and Bassett 1978), in units of the target, shape (R,).

    Args:
        truth: (N,).
        prediction: (N, Q).
        weights: (R, N).
        levels: (Q,).

    Example:
        >>> pinball(np.array([1.0]), np.array([[0.0]]), np.ones((1, 1)), np.array([0.9]))
        array([0.9])
    """
    error = truth[:, None] - prediction
    return weighted_mean(np.maximum(levels * error, (levels - 1) * error).mean(axis=1), weights)


def _interval_score(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, percent: float) -> np.ndarray:
    low, high = prediction[:, 0], prediction[:, -1]
    missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return weighted_mean(high - low + 2 / (1 - percent / 100) * missed, weights)


def _coverage(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    inside = (prediction[:, 0] <= truth) & (truth <= prediction[:, -1])
    return weighted_mean(inside.astype(float), weights)


def _of_column(
    function: ScoreFunction, column: int, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    return function(truth, prediction[:, column], weights)


def rmse(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the root of the mean squared error, in units of the target, shape (R,).

    Args:
        truth: (N,).
        prediction: (N,).
        weights: (R, N).

    Example:
        >>> rmse(np.array([0.0, 0.0]), np.array([1.0, 7.0]), np.ones((1, 2)))
        array([5.])
    """
    error, scale = _scaled(_error(truth, prediction))
    return scale * np.sqrt(weighted_mean(error**2, weights))


def mae(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean absolute error, in units of the target, shape (R,).

    Args:
        truth: (N,).
        prediction: (N,).
        weights: (R, N).

    Example:
        >>> mae(np.array([0.0, 0.0]), np.array([1.0, 7.0]), np.ones((1, 2)))
        array([4.])
    """
    error, scale = _scaled(_error(truth, prediction))
    return scale * weighted_mean(np.abs(error), weights)


def r2(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the fraction of explained variance, shape (R,); NaN where truth is constant.

    One minus the squared error divided by that of the best constant (Wright, 1921); negative if worse than it.

    Args:
        truth: (N,).
        prediction: (N,).
        weights: (R, N).

    Example:
        >>> r2(np.array([0.0, 2.0]), np.array([0.0, 1.0]), np.ones((1, 2)))
        array([0.5])
    """
    error, error_scale = _scaled(_error(truth, prediction))
    centred, scale = _scaled(_error(truth, np.full(len(truth), np.mean(truth, dtype=float))))
    with np.errstate(over="ignore"):  # an infinite error gives minus infinity
        unexplained = ratio(weighted_mean(error**2, weights), _variance(centred, weights))
        return 1 - unexplained * np.square(error_scale / scale)


def _error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    truth, prediction = np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float)
    if truth.shape != prediction.shape or truth.ndim != 1:  # (N,) and (N, 1) would broadcast to (N, N)
        raise ValueError(f"truth and prediction must both be (N,), received {truth.shape}, {prediction.shape}")
    return truth - prediction


def _scaled(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return values within [-1, 1], whose squares cannot overflow, and the scale."""
    scale = float(np.abs(values).max(initial=0.0)) or 1.0
    return values / scale, scale


def _variance(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the variance of values (N,) under each row of weights (R, N), zero exactly when constant."""
    squares = weighted_mean(values**2, weights)
    variance = squares - weighted_mean(values, weights) ** 2
    # If a draw has hardly more than one value, the difference of two close numbers is noise: recompute these rare
    # rows in a numerically stable way.
    for row in np.flatnonzero(variance <= 1e-9 * squares):
        drawn = weights[row] > 0
        chosen, weight = values[drawn], weights[row, drawn]
        centred = chosen - np.average(chosen, weights=weight)
        variance[row] = 0.0 if np.ptp(chosen) == 0 else np.average(centred**2, weights=weight)
    return variance
