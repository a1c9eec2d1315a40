"""Conformal prediction: sets and intervals with guaranteed coverage for any model.

Split conformal prediction (Papadopoulos et al. 2002; Vovk, Gammerman and Shafer 2005; Lei et al. 2018): errors on
calibration rows, which were not used for training, bound the errors on exchangeable new rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.errors import UsageError
from zoo.metrics.intervals import count_rows

STEPS = 1000  # resolution of coverages, 0.1 %
# Limits of each coverage: one list, or by class one for each.
ConformalQuantiles = Sequence[float | None] | Sequence[Sequence[float | None]]


def compute_quantiles(scores: np.ndarray, weight: np.ndarray | None, *, counts: bool) -> list[float | None]:
    """Return the conformal quantile of the scores for each coverage of 0.1 %, 0.2 %, …, 99.9 %.

    The new row counts as one more calibration row with the largest score (Lei et al. 2018, section 2.2), so coverage
    also holds for few rows. If there are too few rows for a coverage, its quantile is None, which means infinite.

    Args:
        scores: Nonconformity score of each calibration row (N,).
        weight: Weights of the rows (N,); None for equal ones.
        counts: Whether weights are frequencies: the number of rows is then their sum, else the effective number.

    Example:
        >>> quantiles = compute_quantiles(np.arange(1.0, 10.0), None, counts=False)
        >>> quantiles[899], quantiles[900]
        (9.0, None)
    """
    order = np.argsort(scores, kind="stable")
    weight = np.ones(len(scores)) if weight is None else np.asarray(weight, float)
    rows = count_rows(weight, counts=counts)
    reached = np.cumsum(weight[order]) / weight.sum() * rows
    wanted = np.arange(1, STEPS) / STEPS * (rows + 1)
    # A rounding error in the sum of weights must not cost a whole row.
    places = np.searchsorted(reached, wanted - 1e-9 * rows)
    return [float(scores[order[place]]) if place < len(scores) else None for place in places]


def compute_class_quantiles(
    scores: np.ndarray, truth: np.ndarray, weight: np.ndarray | None, *, counts: bool, classes: int
) -> list[list[float | None]]:
    """Return the conformal quantiles of each class, from its own calibration rows.

    Sets then hold their coverage in each class, also in a rare one: Mondrian conformal prediction (Vovk, Gammerman and
    Shafer 2005, section 4.5; Vovk 2012, "Conditional Validity of Inductive Conformal Predictors"). A class with too few
    rows for a coverage has no limit, and is in each set.

    Args:
        scores: Nonconformity score of each calibration row (N,).
        truth: Class index of each row (N,).
        weight: Weights of the rows (N,); None for equal ones.
        counts: Whether weights are frequencies.
        classes: Number of classes.

    Example:
        >>> scores, truth = np.arange(20.0), np.arange(20) % 2
        >>> [quantiles[499] for quantiles in compute_class_quantiles(scores, truth, None, counts=False, classes=3)]
        [10.0, 11.0, None]
    """
    by_class: list[list[float | None]] = []
    for index in range(classes):
        rows = truth == index
        some = rows.any() and (weight is None or np.any(weight[rows] > 0))
        of_class = None if weight is None else np.asarray(weight)[rows]
        by_class.append(compute_quantiles(scores[rows], of_class, counts=counts) if some else [None] * (STEPS - 1))
    return by_class


def look_up_quantile(conformal_quantiles: ConformalQuantiles, percent: float) -> Any:
    """Return the conformal quantile for a coverage in per cent; infinite if there are too few calibration rows.

    Returns:
        A number, or by class an array (K,).

    Raises:
        UsageError: If the coverage is not one of 0.1, 0.2, …, 99.9.
    """
    step = round(percent * STEPS / 100)
    if not 1 <= step < STEPS or abs(step - percent * STEPS / 100) > 1e-6:
        raise UsageError(f"received {percent:g}; a coverage must be 0.1, 0.2, … or 99.9 per cent", where="intervals")
    if isinstance(conformal_quantiles[0], Sequence):
        return np.array([look_up_quantile(of_class, percent) for of_class in conformal_quantiles])  # type: ignore[arg-type]
    limit = conformal_quantiles[step - 1]
    return np.inf if limit is None else limit


def score_classes(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return the scores 1 - p of the true class (N,), which give the smallest sets (Sadinle et al. 2019)."""
    return np.asarray(1 - prediction[np.arange(len(truth)), truth])


def predict_sets(prediction: np.ndarray, limit: float | np.ndarray) -> np.ndarray:
    """Return a mask (N, K) of the classes in each row's set, which always includes the most likely class.

    Args:
        prediction: Probabilities (N, K).
        limit: Conformal quantile, or that of each class (K,).
    """
    inside = 1 - prediction <= limit
    inside[np.arange(len(prediction)), prediction.argmax(axis=1)] = True
    return np.asarray(inside)


def score_bounds(truth: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return the distance of the truth from [lower, upper] (N,), negative inside (Romano et al. 2019, equation 6).

    For a point prediction, lower and upper are equal, and the score is the absolute error.
    """
    return np.maximum(lower - truth, truth - upper)


def widen_bounds(lower: np.ndarray, upper: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of each row, widened by the limit; bounds that would cross meet in the middle."""
    low, high, middle = lower - limit, upper + limit, (lower + upper) / 2
    crossed = low > high
    return np.where(crossed, middle, low), np.where(crossed, middle, high)


def compute_interval_score(
    truth: np.ndarray, low: np.ndarray, high: np.ndarray, percent: float, weight: np.ndarray
) -> float:
    """Return the mean interval score (Gneiting and Raftery 2007, equation 43): width plus a penalty for misses.

    Example:
        >>> round(compute_interval_score(np.array([2.0]), np.array([0.0]), np.array([1.0]), 90.0, np.ones(1)), 3)
        21.0
    """
    risk = 1 - percent / 100
    missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return float(np.average(high - low + 2 / risk * missed, weights=weight))


def measure_sets(
    truth: np.ndarray, inside: np.ndarray, classes: Sequence[str], percent: float, weight: np.ndarray
) -> dict[str, float]:
    """Return the coverage of prediction sets, over all rows and by class, and their mean size."""
    covered = inside[np.arange(len(truth)), truth].astype(float)
    metrics = {
        f"conformal_coverage_{percent:g}": float(np.average(covered, weights=weight)),
        f"conformal_set_size_{percent:g}": float(np.average(inside.sum(axis=1), weights=weight)),
    }
    for index, name in enumerate(classes):
        of_class = truth == index
        if weight[of_class].sum() > 0:
            metrics[f"conformal_coverage_{percent:g}_{name}"] = float(
                np.average(covered[of_class], weights=weight[of_class])
            )
    return metrics


def measure_intervals(
    truth: np.ndarray, low: np.ndarray, high: np.ndarray, percent: float, weight: np.ndarray
) -> dict[str, float]:
    """Return coverage, mean width and interval score of prediction intervals."""
    covered = ((low <= truth) & (truth <= high)).astype(float)
    return {
        f"conformal_coverage_{percent:g}": float(np.average(covered, weights=weight)),
        f"conformal_interval_width_{percent:g}": float(np.average(high - low, weights=weight)),
        f"conformal_interval_score_{percent:g}": compute_interval_score(truth, low, high, percent, weight),
    }
