"""Metrics of predicted numbers: truth (N,), prediction (N,), weights (R, N)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from zoo.metrics.intervals import (
    ERROR,
    FRACTION,
    Interval,
    Sample,
    error_interval,
    mean_error_interval,
    mean_fraction_interval,
    mean_influence,
)
from zoo.metrics.metric import Metric, ScoreFunction
from zoo.metrics.weighting import ratio, weighted_mean


def create_number_metrics() -> tuple[Metric, ...]:
    """Return the metrics of a regression, the objective of a search first.

    Example:
        >>> [(score.name, score.direction) for score in create_number_metrics()]
        [('rmse', 'min'), ('mae', 'min'), ('r2', 'max')]
    """
    return (
        Metric("rmse", "min", rmse, rmse_interval, limits=ERROR),
        Metric("mae", "min", mae, mae_interval, limits=ERROR),
        Metric("r2", "max", r2, r2_interval, limits=(-math.inf, 1.0)),
    )


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
    losses: list[tuple[str, Callable[..., np.ndarray]]] = [("pinball", partial(_pinball_losses, levels=probabilities))]
    if len(probabilities) > 1:
        losses.append((f"interval_score_{percent:g}", partial(_interval_scores, percent=percent)))
    metrics = [
        Metric(name, "min", partial(_mean_loss, rows), partial(_loss_interval, rows), limits=ERROR)
        for name, rows in losses
    ]
    if len(probabilities) > 1:
        metrics.append(Metric(f"coverage_{percent:g}", "max", _coverage, _coverage_interval, limits=FRACTION))
    of_median = (_apply_to(metric, partial(_pick_prediction, column=middle)) for metric in create_number_metrics())
    return (*metrics, *of_median)


def create_mean_metrics(std: np.ndarray) -> tuple[Metric, ...]:
    """Return the metrics of several numbers (N, K): means over the numbers, each divided by its standard deviation.

    Each number is scored on the rows that have it.

    Args:
        std: Standard deviation of each number in the training split (K,).

    Example:
        >>> metric = create_mean_metrics(np.array([1.0, 10.0]))[1]
        >>> metric.name, metric.function(np.zeros((1, 2)), np.array([[3.0, 10.0]]), np.ones((1, 1)))
        ('mae', array([2.]))
    """
    parts = (_rmse_parts, _mae_parts, _unexplained_parts)
    return tuple(
        Metric(
            metric.name,
            metric.direction,
            partial(_mean_of_columns, metric.function, std),
            partial(_interval_of_columns, part, metric.direction == "max", std),
            limits=metric.limits,
        )
        for metric, part in zip(create_number_metrics(), parts, strict=True)
    )


Pick = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _apply_to(metric: Metric, pick: Pick, name: str | None = None) -> Metric:
    """Return a metric of what ``pick`` returns for truth and prediction."""
    interval = None if metric.interval is None else partial(_of_picked, metric.interval, pick)
    function = partial(_of_picked, metric.function, pick)
    return Metric(name or metric.name, metric.direction, function, interval, limits=metric.limits)


def _of_picked(function: Callable[..., Any], pick: Pick, truth: np.ndarray, prediction: np.ndarray, last: Any) -> Any:
    return function(*pick(truth, prediction), last)


def _pick_prediction(truth: np.ndarray, prediction: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
    return truth, prediction[:, column]


def _mean_of_columns(
    function: ScoreFunction, std: np.ndarray, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    values = []
    for column, scale in enumerate(std):
        rows = find_present(truth[:, column])
        values.append(function(truth[rows, column] / scale, prediction[rows, column] / scale, weights[:, rows]))
    mean: np.ndarray = np.mean(values, axis=0)
    return mean


def _interval_of_columns(
    parts: Callable[..., tuple[float, np.ndarray]],
    gain: bool,
    std: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    sample: Sample,
) -> Interval:
    """Return the interval of a mean over columns; of 1 minus it if ``gain``, so that it is an error of at least 0."""
    values, influences = [], np.zeros((len(std), len(truth)))  # a row has no influence on a number that it lacks
    for column, scale in enumerate(std):
        rows = find_present(truth[:, column])
        value, influences[column, rows] = parts(
            truth[rows, column] / scale, prediction[rows, column] / scale, sample.weight[rows]
        )
        values.append(value)
    low, high = error_interval(float(np.mean(values)), influences.mean(axis=0), sample)
    return (1 - high, 1 - low) if gain else (low, high)


def find_present(truth: np.ndarray) -> np.ndarray:
    """Return the positions of the rows that have one of several targets (N,), which is NaN in the others.

    Example:
        >>> find_present(np.array([0.0, np.nan, 2.0])).tolist()
        [0, 2]
    """
    return np.flatnonzero(~np.isnan(truth))


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
    return weighted_mean(_pinball_losses(truth, prediction, levels), weights)


def _pinball_losses(truth: np.ndarray, prediction: np.ndarray, levels: np.ndarray) -> np.ndarray:
    error = truth[:, None] - prediction
    return np.asarray(np.maximum(levels * error, (levels - 1) * error).mean(axis=1))


def _interval_scores(truth: np.ndarray, prediction: np.ndarray, percent: float) -> np.ndarray:
    low, high = prediction[:, 0], prediction[:, -1]
    missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return np.asarray(high - low + 2 / (1 - percent / 100) * missed)


def _mean_loss(
    losses: Callable[..., np.ndarray], truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    return weighted_mean(losses(truth, prediction), weights)


def _loss_interval(
    losses: Callable[..., np.ndarray], truth: np.ndarray, prediction: np.ndarray, sample: Sample
) -> Interval:
    return mean_error_interval(losses(truth, prediction), sample)


def _inside(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return ((prediction[:, 0] <= truth) & (truth <= prediction[:, -1])).astype(float)


def _coverage(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weighted_mean(_inside(truth, prediction), weights)


def _coverage_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
    return mean_fraction_interval(_inside(truth, prediction), sample)


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


def rmse_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
    """Return the 95 % interval of the rmse: the root of that of the mean squared error."""
    error, scale = _scaled(_error(truth, prediction))
    low, high = mean_error_interval(error**2, sample)
    return scale * math.sqrt(low), scale * math.sqrt(high)


def _rmse_parts(truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the rmse, and the influence of each row (N,)."""
    error, scale = _scaled(_error(truth, prediction))
    value = math.sqrt(float(weight @ error**2 / weight.sum()))
    return scale * value, scale * mean_influence(error**2, weight) / (2 * value or math.inf)


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


def mae_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
    """Return the 95 % interval of the mean absolute error; see :func:`zoo.metrics.intervals.mean_error_interval`."""
    error, scale = _scaled(_error(truth, prediction))
    low, high = mean_error_interval(np.abs(error), sample)
    return scale * low, scale * high


def _mae_parts(truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    error, scale = _scaled(_error(truth, prediction))
    return scale * float(weight @ np.abs(error) / weight.sum()), scale * mean_influence(np.abs(error), weight)


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


def r2_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
    """Return the 95 % interval of the fraction of explained variance: 1 minus that of the unexplained fraction."""
    low, high = error_interval(*_unexplained_parts(truth, prediction, sample.weight), sample)
    return 1 - high, 1 - low


def _unexplained_parts(truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """Return 1 minus r2, and the influence of each row (N,) on it."""
    error, error_scale = _scaled(_error(truth, prediction))
    centred, scale = _scaled(_error(truth, np.full(len(truth), np.average(truth, weights=weight))))
    variance = float(weight @ centred**2 / weight.sum())
    value = float(weight @ error**2 / weight.sum()) / variance
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite error has no interval
        factor = np.square(error_scale / scale)
        influence = (mean_influence(error**2, weight) - value * mean_influence(centred**2, weight)) / variance
        return float(factor * value), factor * influence


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
