"""Metrics, and their evaluation with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zoo.metrics.direction import Direction
from zoo.metrics.intervals import NORMAL_QUANTILE, UNKNOWN, Interval, Sample, student_quantile

ScoreFunction = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
IntervalFunction = Callable[[np.ndarray, np.ndarray, Sample], Interval]

PERCENTILES = (2.5, 97.5)
# Size of a chunk of resampled weights (8 MB of float64), which fits the cache: 0.8 s for 10,000 rows, compared to
# 1.0 s for chunks of four million.
CHUNK_NUMBERS = 1_000_000
# Predictions are sorted once per chunk, so a chunk should have several draws, within a limit on memory.
CHUNK_DRAWS = 16
MOST_CHUNK_NUMBERS = 4_000_000
FULL_RESAMPLES_ROWS = 20_000
FULL_RESAMPLES_COLUMNS = 10
LEAST_RESAMPLES = 200


def percentile_bounds(draws: np.ndarray, value: float, units: float = math.inf) -> Interval:
    """Return the 2.5 and 97.5 percentiles of the defined draws, widened to contain the value.

    The percentile bootstrap (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13), whose
    distances to the value are extended by Student's t for few units (Hesterberg 2015, "What Teachers Should Know About
    the Bootstrap", section 4.4).

    Args:
        draws: (R,) the metric in each draw, NaN where undefined.
        value: The metric itself.
        units: Number of independent rows or groups.

    Example:
        >>> percentile_bounds(np.array([0.0, 1.0, np.nan]), 0.5)
        (0.025, 0.975)
    """
    defined = draws[~np.isnan(draws)]
    if not defined.size:
        return UNKNOWN
    with np.errstate(invalid="ignore"):  # no percentile between two infinities
        low, high = np.percentile(defined, PERCENTILES)
        if math.isfinite(units):
            factor = student_quantile(units) / NORMAL_QUANTILE * math.sqrt(units / max(units - 1, 1))
            low, high = value + factor * (low - value), value + factor * (high - value)
    return min(float(low), value), max(float(high), value)


def clip_to_limits(limits: Interval | None, low: float, high: float) -> tuple[float, float]:
    """Clip an interval to the limits of its metric, such as accuracy to at most 1.

    Args:
        limits: Least and greatest possible value; None if there are none.
        low: Lower end.
        high: Upper end.

    Example:
        >>> clip_to_limits((0.0, 1.0), 0.9, 1.02), clip_to_limits(None, -3.0, 2.0)
        ((0.9, 1.0), (-3.0, 2.0))
    """
    least, most = limits or (-math.inf, math.inf)
    return (max(low, least), min(high, most))


@dataclass(frozen=True)
class Metric:
    """A named metric and its direction.

    Args:
        name: The name in tables, tracking and JSON.
        direction: ``"min"`` if smaller is better, ``"max"`` if larger is better.
        function: ``(truth (N, ...), prediction (N, ...), weights (R, N)) -> (R,)``: the metric for each row of
            weights; NaN where it is undefined.
        interval: ``(truth, prediction, sample) -> (low, high)`` for metrics with a closed-form 95 % interval, which
            replaces the bootstrap; see :mod:`zoo.metrics.intervals`.
        perfect: Value of perfect predictions.
        limits: Least and greatest possible value, to which intervals of means are clipped; None if there are none.

    Example:
        >>> Metric("mae", "min", lambda t, p, w: w @ np.abs(t - p) / w.sum(axis=1)).better(0.1, 0.2)
        True
    """

    name: str
    direction: Literal["min", "max"]
    function: ScoreFunction
    interval: IntervalFunction | None = None
    perfect: float = 0.0
    limits: Interval | None = None

    def better(self, a: float, b: float) -> bool:
        """Return whether the value ``a`` is strictly better than ``b``; NaN is never better than anything."""
        return Direction(self.direction).better(a, b)


def evaluate(
    scores: Sequence[Metric],
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    counts: bool = False,
    group: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return each metric and its 95 % interval.

    Intervals are unknown if there are too few rows or groups, or too few rows of a class
    (:data:`zoo.metrics.intervals.LEAST_ROWS`). Each metric of the catalogue has one in closed form: those of 100,000
    rows take half a second. For other metrics, it is the percentile bootstrap over rows, or over groups: metrics are
    recomputed with the counts of a multinomial draw times the sample weights. All metrics use the same draws. Draws in
    which a metric is undefined are left out.

    Metrics are vectorised over rows of weights; tests compare them with scikit-learn, including ties and weights. Time
    and memory of the bootstrap are limited: above 20,000 rows, or 200,000 probabilities, the number of draws decreases
    in inverse proportion, to at least 200 (or ``resamples``, if smaller).

    Args:
        scores: The metrics to compute.
        truth: (N,) or (N, ...) encoded targets; of several targets (N, K), NaN where a row lacks one.
        prediction: (N,) or (N, ...), as the metrics expect it. If any number of truth or prediction is not finite, as
            after a diverged fit, every metric is NaN.
        weight: (N,) non-negative sample weights; None for equal weights.
        counts: Whether weights are frequencies: draws then have as many rows. Otherwise the number of rows is the
            effective one, (sum w)^2 / sum w^2 (Kish, *Survey Sampling*, 1965).
        group: (N,) names of groups, if rows of a group depend on each other; None for independent rows.
        seed: Seed of the draws.
        resamples: Number of draws; 0 for no intervals.

    Returns:
        Two dictionaries by metric name: the value, and ``(low, high)``; an undefined metric is NaN with the interval
        ``(nan, nan)``.

    Example:
        >>> from zoo.metrics.numbers import create_number_metrics
        >>> values, intervals = evaluate(create_number_metrics(), np.arange(50.0), np.arange(50.0) + np.arange(50) % 2)
        >>> values["mae"], [round(bound, 2) for bound in intervals["mae"]]
        (0.5, [0.36, 0.66])
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    scaled = _checked_weight(truth, prediction, weight)
    intervals = {score.name: UNKNOWN for score in scores}
    usable = _usable(truth) if truth.ndim == 1 else truth.size > 0 and not np.isnan(truth).all()
    if not (usable and _usable(prediction) and scaled.any()):
        return {score.name: math.nan for score in scores}, intervals

    values = {score.name: float(score.function(truth, prediction, scaled[None])[0]) for score in scores}
    defined = [score for score in scores if not math.isnan(values[score.name])] if resamples else []
    sample = Sample(scaled if weight is None or not counts else np.asarray(weight, float), counts, group)
    for score in defined:
        if score.interval is not None:
            intervals[score.name] = score.interval(truth, prediction, sample)
    drawn = [score for score in defined if score.interval is None and sample.enough]
    if drawn:
        draws: dict[str, list[np.ndarray]] = {score.name: [] for score in drawn}
        for weights in draw_weights(scaled, seed, limit_draws(resamples, prediction), sample):
            for score in drawn:
                draws[score.name].append(score.function(truth, prediction, weights))
        for score in drawn:
            bounds = percentile_bounds(np.concatenate(draws[score.name]), values[score.name], sample.units)
            intervals[score.name] = clip_to_limits(score.limits, *bounds)
    return values, intervals


def _checked_weight(truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the weights (N,) scaled to a maximum of 1; metrics do not depend on the scale."""
    if truth.ndim < 1 or prediction.ndim < 1 or len(truth) != len(prediction):
        raise ValueError(f"truth {truth.shape} and prediction {prediction.shape} must have the same rows")
    if weight is None:
        return np.ones(len(truth))
    weight = np.asarray(weight, dtype=float)
    if weight.shape != (len(truth),):
        raise ValueError(f"weight must have shape ({len(truth)},), received {weight.shape}")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError("weights must be finite and not negative")
    return weight / weight.max() if weight.any() else weight


def _usable(values: np.ndarray) -> bool:
    return values.size > 0 and (values.dtype.kind != "f" or bool(np.isfinite(values).all()))


def limit_draws(resamples: int, prediction: np.ndarray) -> int:
    """Return the number of draws that is affordable for the size of a prediction (N, ...).

    Example:
        >>> limit_draws(1000, np.empty(20_000)), limit_draws(1000, np.empty(40_000))
        (1000, 500)
    """
    size = max(len(prediction), prediction.size / FULL_RESAMPLES_COLUMNS)
    if size <= FULL_RESAMPLES_ROWS:
        return resamples
    return min(resamples, max(LEAST_RESAMPLES, round(resamples * FULL_RESAMPLES_ROWS / size)))


def draw_weights(weight: np.ndarray, seed: int, resamples: int, sample: Sample) -> Iterator[np.ndarray]:
    """Yield chunks (R, N) of bootstrap weights of rows: multinomial counts of rows or groups, times the weights.

    Counts of uniform draws have the multinomial distribution and take 0.1 s for 10,000 rows and 1000 draws;
    ``Generator.multinomial`` takes 0.5 s.

    Args:
        weight: (N,) non-negative sample weights.
        seed: Seed of the draws.
        resamples: Number of draws.
        sample: The rows as a sample; frequencies are drawn as that many rows, and groups as a whole.

    Example:
        >>> chunks = draw_weights(np.ones(4), 0, 10, Sample(np.ones(4)))
        >>> sum(len(chunk) for chunk in chunks)
        10
    """
    n = len(weight)
    names, codes = (None, None) if sample.group is None else np.unique(sample.group, return_inverse=True)
    units = n if names is None else len(names)
    generator = np.random.default_rng(seed)
    most = max(CHUNK_NUMBERS // n, min(CHUNK_DRAWS, MOST_CHUNK_NUMBERS // n), 1)
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        if sample.counts and codes is None:
            total = max(1, round(float(sample.weight.sum())))
            yield generator.multinomial(total, weight / weight.sum(), rows).astype(float)
            continue
        chosen = generator.integers(0, units, (rows, units))
        chosen += np.arange(rows)[:, None] * units
        counts = np.bincount(chosen.ravel(), minlength=rows * units).reshape(rows, units)
        yield (counts if codes is None else counts[:, codes]) * weight
