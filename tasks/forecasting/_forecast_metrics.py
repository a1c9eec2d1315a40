"""Metrics of forecasts, and of their quantiles, over the steps that have a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from zoo.metrics.intervals import ERROR, FRACTION
from zoo.metrics.metric import Metric
from zoo.metrics.numbers import select_median
from zoo.metrics.weighting import weighted_mean

TINY = 1e-12
VALUE, PRESENT, NAIVE_ERROR, NAIVE = range(4)  # channels of a truth (N, H, 4)


def create_forecast_metrics() -> tuple[Metric, ...]:
    """Return the metrics of forecasts (N, H) against truths (N, H, 4), the objective of a search first.

    Example:
        >>> [metric.name for metric in create_forecast_metrics()]
        ['mase', 'relative_mase', 'smape', 'mape', 'rmse']
    """
    functions = {"mase": _mase, "relative_mase": _relative_mase, "smape": _smape, "mape": _mape, "rmse": _rmse}
    return tuple(Metric(name, "min", function, limits=ERROR) for name, function in functions.items())


def create_quantile_metrics(levels: Sequence[float]) -> tuple[Metric, ...]:
    """Return the metrics of quantiles (N, H, Q): their loss, the coverage of the outermost, then those of the median.

    Args:
        levels: Probabilities of the quantiles, ascending.

    Example:
        >>> [metric.name for metric in create_quantile_metrics([0.1, 0.5, 0.9])][:3]
        ['scaled_pinball', 'coverage_80', 'mase']
    """
    metrics = [Metric("scaled_pinball", "min", partial(_scaled_pinball, levels=np.asarray(levels)), limits=ERROR)]
    if len(levels) > 1:
        percent = round(100 * (levels[-1] - levels[0]), 6)
        metrics.append(Metric(f"coverage_{percent:g}", "max", _coverage, limits=FRACTION))
    middle = select_median(levels)
    of_middle = (
        replace(metric, function=partial(_of_quantile, metric.function, middle)) for metric in create_forecast_metrics()
    )
    return (*metrics, *of_middle)


def _mean_steps(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of values (N, H) over the steps that have a truth (N,)."""
    present = truth[..., PRESENT]
    return np.asarray((values * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1))


def _errors(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return np.abs(truth[..., VALUE] - prediction)


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of values (N,), without those that are undefined, for each row of weights (R, N)."""
    defined = np.isfinite(values)
    if not defined.any():
        return np.full(len(weights), np.nan)
    return np.asarray(weighted_mean(values[defined], weights[:, defined]))


def _mase(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean error in errors of the seasonal naive forecast before the split (Hyndman and Koehler 2006).

    Args:
        truth: Values, presence, naive error, seasonal naive forecast (N, H, 4).
        prediction: Forecasts (N, H).
        weights: Weights of the windows (R, N).
    """
    naive = truth[:, 0, NAIVE_ERROR]
    errors = _mean_steps(truth, _errors(truth, prediction))
    return _weighted(np.where(naive > 0, errors / np.maximum(naive, TINY), np.nan), weights)


def _relative_mase(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the geometric mean of the errors relative to those of the seasonal naive forecast of the same windows."""
    naive = _mean_steps(truth, np.abs(truth[..., VALUE] - truth[..., NAIVE]))
    errors = _mean_steps(truth, _errors(truth, prediction))
    ratios = np.where((naive > 0) & (errors > 0), errors / np.maximum(naive, TINY), np.nan)
    return np.asarray(np.exp(_weighted(np.log(ratios), weights)))


def _smape(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of 200 |y - f| / (|y| + |f|), as in the M3 competition (Makridakis and Hibon 2000)."""
    sizes = np.abs(truth[..., VALUE]) + np.abs(prediction)
    return _weighted(_mean_steps(truth, 200 * _errors(truth, prediction) / np.maximum(sizes, TINY)), weights)


def _mape(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean error in per cent of the value; NaN if a value is 0."""
    values = np.where(truth[..., PRESENT] > 0, np.abs(truth[..., VALUE]), 1.0)
    if (values == 0).any():
        return np.full(len(weights), np.nan)
    return _weighted(_mean_steps(truth, 100 * _errors(truth, prediction) / values), weights)


def _rmse(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the root of the mean squared error, in units of the target."""
    return np.sqrt(_weighted(_mean_steps(truth, _errors(truth, prediction) ** 2), weights))


def _scaled_pinball(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the mean pinball loss of quantiles (N, H, Q) in errors of the seasonal naive forecast.

    Makridakis et al. 2022, "The M5 uncertainty competition", section 2.3.
    """
    rest = truth[..., VALUE, None] - prediction
    losses = _mean_steps(truth, np.maximum(levels * rest, (levels - 1) * rest).mean(axis=-1))
    naive = truth[:, 0, NAIVE_ERROR]
    return _weighted(np.where(naive > 0, losses / np.maximum(naive, TINY), np.nan), weights)


def _coverage(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the fraction of values between the outermost quantiles."""
    inside = (prediction[..., 0] <= truth[..., VALUE]) & (truth[..., VALUE] <= prediction[..., -1])
    return _weighted(_mean_steps(truth, inside.astype(float)), weights)


def _of_quantile(
    function: Callable[..., np.ndarray], middle: int, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    return np.asarray(function(truth, prediction[..., middle], weights))
