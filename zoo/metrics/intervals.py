"""95 % intervals of metrics in closed form, from the influence of each row on the metric.

The influence of a row is its weight times the derivative of the metric by its weight, the infinitesimal jackknife
(Jaeckel 1972; Efron, *The Jackknife, the Bootstrap and Other Resampling Plans*, 1982, chapter 6). Influences sum to
zero, and their squares estimate the variance of the metric. Rows of a group are added first, so that the groups are
the sample (Liang and Zeger 1986). ``benchmarks/intervals.py`` measures how often each interval contains the true value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Interval = tuple[float, float]

UNKNOWN: Interval = (math.nan, math.nan)
FRACTION: Interval = (0.0, 1.0)  # limits of a fraction
ERROR: Interval = (0.0, math.inf)  # and of an error
NORMAL_QUANTILE = 1.959963984540054  # 97.5 % of the standard normal distribution
LEAST_ROWS = 10  # of the sample, and of the rarer class for a metric that depends on it; below, intervals are unknown
LEAST_GROUPS = 5


def count_rows(weight: np.ndarray, *, counts: bool) -> float:
    """Return the number of rows that weights (N,) represent: their sum, or the effective number.

    Example:
        >>> count_rows(np.array([2.0, 2.0]), counts=True), count_rows(np.array([2.0, 2.0]), counts=False)
        (4.0, 2.0)
    """
    total = float(np.sum(weight, dtype=float))
    return total if counts else total**2 / max(float(np.square(weight, dtype=float).sum()), 1e-300)


@dataclass(frozen=True)
class Sample:
    """The rows of an evaluation, as a sample.

    Args:
        weight: (N,) non-negative sample weights.
        counts: Whether weights are frequencies, so that a row of weight 2 is two rows. Otherwise the number of rows is
            the effective one, (sum w)^2 / sum w^2 (Kish, *Survey Sampling*, 1965).
        group: (N,) names of groups, if rows were drawn by group; None for independent rows.
    """

    weight: np.ndarray
    counts: bool = False
    group: np.ndarray | None = None

    @cached_property
    def rows(self) -> float:
        """Number of rows that the weights represent."""
        return count_rows(self.weight, counts=self.counts)

    @cached_property
    def units(self) -> float:
        """Number of independent units: groups or rows."""
        return self.rows if self.group is None else float(len(np.unique(self.group[self.weight > 0])))

    @property
    def enough(self) -> bool:
        """Whether there are enough rows, and groups, for an interval."""
        return self.rows >= LEAST_ROWS and (self.group is None or self.units >= LEAST_GROUPS)

    def count(self, rows: np.ndarray) -> float:
        """Return the number of rows that a subset represents, given as a mask (N,)."""
        return count_rows(self.weight[rows], counts=self.counts)

    def sum_powers(self, influence: np.ndarray, power: int) -> float:
        """Return the sum over independent units of a power of their influence, given that of each row (N,)."""
        if self.group is not None:
            return float((self._sum_by_group(influence) ** power).sum())
        if not self.counts:
            return float((influence**power).sum())
        drawn = self.weight > 0
        return float((influence[drawn] ** power / self.weight[drawn] ** (power - 1)).sum())

    def variance(self, influence: np.ndarray) -> float:
        """Return the variance of a metric, given the influence of each row (N,)."""
        return self.sum_powers(influence, 2) * self.units / (self.units - 1)

    def covariance(self, influences: np.ndarray) -> np.ndarray:
        """Return the covariance (K, K) of several metrics, given their influences (K, N)."""
        if self.group is not None:
            influences = np.stack([self._sum_by_group(influence) for influence in influences])
        elif self.counts:
            influences = influences / np.sqrt(np.where(self.weight > 0, self.weight, 1.0))
        return influences @ influences.T * self.units / (self.units - 1)

    def inflation(self, influence: np.ndarray) -> float:
        """Return the factor, at least 1, by which groups raise the variance over that of independent rows."""
        if self.group is None:
            return 1.0
        alone = Sample(self.weight, self.counts).variance(influence)
        return max(1.0, self.variance(influence) / alone) if alone > 0 else self.rows / self.units

    def _sum_by_group(self, influence: np.ndarray) -> np.ndarray:
        return np.bincount(self._codes, influence)

    @cached_property
    def _codes(self) -> np.ndarray:
        assert self.group is not None
        return np.unique(self.group, return_inverse=True)[1]


def student_quantile(units: float) -> float:
    """Return the 97.5 % quantile of Student's t for the mean of that many units.

    Example:
        >>> round(student_quantile(10), 3)
        2.262
    """
    from scipy import special

    return float(special.stdtrit(max(units - 1, 1), 0.975))


def mean_influence(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the influence of each row (N,) on the weighted mean of values (N,).

    Example:
        >>> mean_influence(np.array([0.0, 1.0]), np.ones(2))
        array([-0.25,  0.25])
    """
    total = weight.sum()
    return weight * (values - weight @ values / total) / total


def mean_error_interval(values: np.ndarray, sample: Sample) -> Interval:
    """Return the interval of the weighted mean of the errors of rows (N,), as :func:`error_interval`.

    Example:
        >>> low, high = mean_error_interval(np.array([0.1] * 9 + [1.0]), Sample(np.ones(10)))
        >>> round(low, 2), round(high, 2)
        (0.06, 0.83)
    """
    mean = float(sample.weight @ values / sample.weight.sum())
    return error_interval(mean, mean_influence(values, sample.weight), sample)


def error_interval(value: float, influence: np.ndarray, sample: Sample) -> Interval:
    """Return the interval of a mean error of at least 0, whose rows may be skewed.

    Student's t of the estimate is corrected for the skewness of the rows by a monotone transformation (Hall 1992, "On
    the Removal of Skewness by Transformation", JRSS B 54). That of a sample is too small on
    average: each bound is the wider of those for it and for 1 more.

    Args:
        value: The metric.
        influence: (N,) influence of each row.
        sample: The rows.
    """
    variance = sample.variance(influence) if sample.enough else 0.0
    if not ((1e-12 * value) ** 2 < variance < math.inf):  # equal up to rounding: nothing is known of their spread
        return UNKNOWN
    error, quantile = math.sqrt(variance), student_quantile(sample.units)
    skewness = sample.sum_powers(influence, 3) / sample.sum_powers(influence, 2) ** 1.5
    steps = [[_undo_hall(sign * quantile, skewness + more) for more in (0, sample.units**-0.5)] for sign in (-1, 1)]
    low, high = value - error * max(steps[1]), value - error * min(steps[0])
    return min(max(low, 0.0), value), max(high, value)


def _undo_hall(quantile: float, skewness: float) -> float:
    """Return t for which Hall's transformation t + a t^2 / 3 + a^2 t^3 / 27 + a / 6 is the quantile."""
    if abs(skewness) < 1e-6:
        return quantile
    cube = 1 + skewness * (quantile - skewness / 6)
    return 3 / skewness * (math.copysign(abs(cube) ** (1 / 3), cube) - 1)


def fraction_interval(fraction: float, rows: float, quantile: float = NORMAL_QUANTILE) -> Interval:
    """Return the score interval of a fraction of rows (Wilson, JASA 22, 1927).

    It does not collapse to a point if the fraction is 0 or 1.

    Example:
        >>> low, high = fraction_interval(1.0, 1)
        >>> round(low, 3), high
        (0.207, 1.0)
    """
    square = quantile**2 / rows
    centre = (fraction + square / 2) / (1 + square)
    half = quantile / (1 + square) * math.sqrt(max(fraction * (1 - fraction), 0.0) / rows + square / (4 * rows))
    # Rounding must not move a bound past the fraction itself, which is the bound at 0 and at 1.
    return min(max(0.0, centre - half), fraction), max(min(1.0, centre + half), fraction)


def mean_fraction_interval(values: np.ndarray, sample: Sample) -> Interval:
    """Return the score interval of the mean of values (N,) that are 0 or 1."""
    fraction = float(sample.weight @ values / sample.weight.sum())
    if sample.group is None:
        return fraction_interval(fraction, sample.rows)
    if not sample.enough:
        return UNKNOWN
    rows = sample.rows / sample.inflation(mean_influence(values, sample.weight))
    return fraction_interval(fraction, rows, student_quantile(sample.units))


def area_interval(area: float, variance: float, rows: float, units: float) -> Interval:
    """Return the interval of an area under the ROC curve, by Student's t on the scale of its logit.

    Args:
        area: The area.
        variance: Its variance (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988).
        rows: Number of rows of the rarer class, which bounds an area of 0 or 1.
        units: Number of rows of the rarer class, or of groups if they are fewer.
    """
    quantile = student_quantile(units)
    if not (0 < area < 1 and variance > 0):
        return fraction_interval(area, rows, quantile)
    logit, half = math.log(area / (1 - area)), quantile * math.sqrt(variance) / (area * (1 - area))
    low, high = (1 / (1 + math.exp(min(-(logit + sign * half), 700.0))) for sign in (-1, 1))
    return min(low, area), max(high, area)


def combine_intervals(values: np.ndarray, intervals: Sequence[Interval], covariance: np.ndarray) -> Interval:
    """Return the interval of the mean of several metrics, from the interval of each.

    The distances to the bounds are added as standard errors are, with their correlations (Zou and Donner 2008,
    "Construction of Confidence Limits about Effect Measures", Statistics in Medicine 27, equation 7), negative ones
    left out.

    Args:
        values: (K,) metrics.
        intervals: The interval of each.
        covariance: (K, K) their covariance.

    Example:
        >>> combine_intervals(np.array([0.5, 0.5]), [(0.4, 0.6), (0.4, 0.6)], np.ones((2, 2)))
        (0.4, 0.6)
    """
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    correlation = np.maximum(np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0), 0.0)
    np.fill_diagonal(correlation, 1.0)
    bounds, mean = np.asarray(intervals, float), float(np.mean(values))
    below, above = values - bounds[:, 0], bounds[:, 1] - values
    low, high = (math.sqrt(max(side @ correlation @ side, 0.0)) / len(values) for side in (below, above))
    return mean - low, mean + high
