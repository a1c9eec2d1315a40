"""Conformal prediction: sets and intervals that hold the truth as often as they say, whatever the model.

Split conformal prediction (Papadopoulos et al. 2002; Vovk, Gammerman and Shafer 2005; Lei et al. 2018): how far off
a model was on calibration rows, which it did not learn from, tells how far off it is on new rows like them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.errors import UsageError
from zoo.metrics.metric import rows_of

STEPS = 1000  # coverages are known in steps of 0.1 %


def conformal_quantiles(scores: np.ndarray, weight: np.ndarray | None, *, counts: bool) -> list[float | None]:
    """Return, for each coverage of 0.1 %, 0.2 %, …, 99.9 %, the score that so many new rows do not exceed.

    The new row counts as one more calibration row with the greatest score (Lei et al. 2018, section 2.2), so that
    the coverage holds for few rows, too; where there are too few for it, the limit is None: no limit at all.

    Args:
        scores: How wrong the model was on each calibration row (N,).
        weight: Weights of the rows (N,); None for equal ones.
        counts: Whether weights are numbers of rows: their sum is then the number of rows, else the effective one.

    Example:
        >>> limits = conformal_quantiles(np.arange(1.0, 10.0), None, counts=False)
        >>> limits[899], limits[900]
        (9.0, None)
    """
    order = np.argsort(scores, kind="stable")
    weight = np.ones(len(scores)) if weight is None else np.asarray(weight, float)
    rows = rows_of(weight, counts=counts)
    reached = np.cumsum(weight[order]) / weight.sum() * rows
    wanted = np.arange(1, STEPS) / STEPS * (rows + 1)
    # A rounding error in a sum of weights must not cost a whole row.
    places = np.searchsorted(reached, wanted - 1e-9 * rows)
    return [float(scores[order[place]]) if place < len(scores) else None for place in places]


def quantile_at(conformal_quantiles: Sequence[float | None], percent: float) -> float:
    """Return the limit for a coverage in percent; infinite where calibration rows are too few for it.

    Raises:
        UsageError: When the coverage is none of 0.1, 0.2, …, 99.9.
    """
    step = round(percent * STEPS / 100)
    if not 1 <= step < STEPS or abs(step - percent * STEPS / 100) > 1e-6:
        raise UsageError(f"received {percent:g}; a coverage is 0.1, 0.2, … or 99.9 percent", where="intervals")
    limit = conformal_quantiles[step - 1]
    return np.inf if limit is None else limit


def class_scores_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return 1 less the probability of the true class (N,): the score of the smallest sets (Sadinle et al. 2019)."""
    return np.asarray(1 - prediction[np.arange(len(truth)), truth])


def class_sets(prediction: np.ndarray, limit: float) -> np.ndarray:
    """Return which classes (N, K) are in each row's set; the likeliest always is, for an empty set says nothing."""
    inside = 1 - prediction <= limit
    inside[np.arange(len(prediction)), prediction.argmax(axis=1)] = True
    return np.asarray(inside)


def number_scores_of(truth: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return how far the truth lies outside of [lower, upper] (N,), negative inside (Romano et al. 2019, equation 6).

    With one number predicted, lower and upper are the same, and the score is the distance.
    """
    return np.maximum(lower - truth, truth - upper)


def number_bounds(lower: np.ndarray, upper: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of each row: widened by the limit, and never turned inside out."""
    low, high = lower - limit, upper + limit
    middle = (low + high) / 2
    crossed = low > high
    return np.where(crossed, middle, low), np.where(crossed, middle, high)


def interval_score(truth: np.ndarray, low: np.ndarray, high: np.ndarray, percent: float, weight: np.ndarray) -> float:
    """Return the mean interval score (Gneiting and Raftery 2007, equation 43): width, and what is missed, by the risk.

    Example:
        >>> float(interval_score(np.array([2.0]), np.array([0.0]), np.array([1.0]), 90.0, np.ones(1)))
        21.0
    """
    risk = 1 - percent / 100
    missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return float(np.average(high - low + 2 / risk * missed, weights=weight))


def set_metrics(
    truth: np.ndarray, inside: np.ndarray, classes: Sequence[str], percent: float, weight: np.ndarray
) -> dict[str, float]:
    """Return coverage, of all rows and by class, and the mean size of prediction sets."""
    held = inside[np.arange(len(truth)), truth].astype(float)
    made = {
        f"conformal_coverage_{percent:g}": float(np.average(held, weights=weight)),
        f"conformal_set_size_{percent:g}": float(np.average(inside.sum(axis=1), weights=weight)),
    }
    for index, name in enumerate(classes):
        own = truth == index
        if weight[own].sum() > 0:
            made[f"conformal_coverage_{percent:g}_{name}"] = float(np.average(held[own], weights=weight[own]))
    return made


def interval_metrics(
    truth: np.ndarray, low: np.ndarray, high: np.ndarray, percent: float, weight: np.ndarray
) -> dict[str, float]:
    """Return coverage, mean width and interval score of prediction intervals."""
    held = ((low <= truth) & (truth <= high)).astype(float)
    return {
        f"conformal_coverage_{percent:g}": float(np.average(held, weights=weight)),
        f"conformal_interval_width_{percent:g}": float(np.average(high - low, weights=weight)),
        f"conformal_interval_score_{percent:g}": interval_score(truth, low, high, percent, weight),
    }
