"""Ranking metrics: how well a score separates positive from negative rows; ties are handled exactly."""

from __future__ import annotations

import numpy as np

from zoo.metrics.weighting import ratio, running_sum


def area_under_roc(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probability that a positive row scores above a negative one, ties counting one half.

    This is the area under the ROC curve: Hanley and McNeil, Radiology 143 (1982).

    Args:
        positive: (N,) booleans.
        score: (N,) numbers, larger for more likely positive.
        weights: (R, N).

    Returns:
        (R,), NaN where only one class has weight.

    Example:
        >>> area_under_roc(np.array([False, True, True]), np.array([0.3, 0.3, 0.9]), np.ones((1, 3)))
        array([0.75])
    """
    score = np.asarray(score, dtype=float)
    inside = _columns(positive, score)
    outside = _columns(~positive, score)
    below = running_sum(np.take(weights, outside, axis=1))  # (R, negatives + 1)
    first = np.searchsorted(score[outside], score[inside], side="left")
    last = np.searchsorted(score[outside], score[inside], side="right")
    beaten = np.take(below, first, axis=1)
    if not np.array_equal(first, last):
        beaten += np.take(below, last, axis=1)
        beaten /= 2
    gained = np.take(weights, inside, axis=1)
    won = np.einsum("rn,rn->r", gained, beaten)
    return ratio(won, gained.sum(axis=1) * below[:, -1])


def average_precision(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean, over positive rows, of the precision among rows that score at least as high.

    It is the area under the precision-recall curve without interpolation, which would be too optimistic
    (Davis and Goadrich, ICML 2006).

    Args:
        positive: (N,) booleans.
        score: (N,) numbers, larger for more likely positive.
        weights: (R, N).

    Returns:
        (R,), NaN where no positive row has weight.

    Example:
        >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.5, 0.1]), np.ones((1, 3)))
        array([0.83333333])
    """
    falling = -np.asarray(score, dtype=float)  # the highest score first
    inside = _columns(positive, falling)
    outside = _columns(~positive, falling)
    gained = np.take(weights, inside, axis=1)
    threshold = falling[inside]
    # Weight at or above the threshold of each positive row: rows in a tie all count, hence side="right".
    hits = np.take(running_sum(gained), np.searchsorted(threshold, threshold, side="right"), axis=1)
    above = np.searchsorted(falling[outside], threshold, side="right")
    called = np.take(running_sum(np.take(weights, outside, axis=1)), above, axis=1)
    called += hits
    # Only rows without weight have no predicted positives, so their precision does not matter.
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return ratio(np.einsum("rn,rn->r", gained, precision), gained.sum(axis=1))


def area_influence(positive: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the influence of each row (N,) on the area under the ROC curve.

    They are the centred placements of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988).

    Args:
        positive: (N,) booleans, some of them true and some false.
        score: (N,) numbers.
        weight: (N,) weights.

    Example:
        >>> area_influence(np.array([False, True]), np.array([0.3, 0.9]), np.ones(2))
        array([0., 0.])
    """
    influence = np.zeros(len(score))
    for rows, others in ((positive, ~positive), (~positive, positive)):
        below = np.concatenate([[0.0], np.cumsum(weight[others][np.argsort(score[others], kind="stable")])])
        ascending = np.sort(score[others])
        first, last = (np.searchsorted(ascending, score[rows], side=side) for side in ("left", "right"))
        placement = (below[first] + below[last]) / (2 * below[-1])
        share = weight[rows] / weight[rows].sum()
        influence[rows] = share * (placement - share @ placement)
        score = -score  # a negative row gains where it scores below a positive one
    return influence


def precision_influence(positive: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the influence of each row (N,) on the average precision.

    A row changes the precision at each positive row that scores no higher, and a positive row also the mean.

    Args:
        positive: (N,) booleans, some of them true.
        score: (N,) numbers.
        weight: (N,) weights.

    Example:
        >>> precision_influence(np.array([True, True]), np.array([0.3, 0.9]), np.ones(2))
        array([0., 0.])
    """
    order, first, last = _order(score)
    weights = weight[order]
    gained = weights * positive[order]
    hits, called = (_sum_before(values)[last] for values in (gained, weights))
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    per_call = np.divide(gained, called, out=np.zeros_like(hits), where=called > 0)
    lost = per_call * precision
    mean = gained @ precision / gained.sum()
    raised, lowered = (_sum_before(values[::-1])[len(values) - first] for values in (per_call, lost))
    change = np.where(positive[order], precision - mean + raised, 0.0) - lowered
    influence = np.empty(len(score))
    influence[order] = weights * change / gained.sum()
    return influence


def discount_own_rows(positive: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    """Return the average precision in which a positive row is no evidence for the precision at its own score.

    The average precision of few positive rows is too high, for each counts itself among the hits. Here its own hit
    counts as much as the mean. It is too low where the model ranks well: the true value is likely between the two.

    Args:
        positive: (N,) booleans, some of them true.
        score: (N,) numbers.
        weight: (N,) weights.

    Example:
        >>> round(discount_own_rows(np.array([True, False, True]), np.array([0.9, 0.5, 0.1]), np.ones(3)), 3)
        0.5
    """
    order, _, last = _order(score)
    weights = weight[order]
    gained = weights * positive[order]
    drawn = gained > 0
    hits, called = (_sum_before(values)[last][drawn] for values in (gained, weights))
    share = gained[drawn] / gained.sum()
    others, rest = share @ ((hits - gained[drawn]) / called), 1 - share @ (gained[drawn] / called)
    return float(others / rest) if rest > 1e-12 else 1.0


def _order(score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the order of descending scores, and of each row in it the first and the end of the rows that tie."""
    order = np.argsort(-score, kind="stable")
    falling = -score[order]
    return order, np.searchsorted(falling, falling, side="left"), np.searchsorted(falling, falling, side="right")


def _sum_before(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values)])


def _columns(chosen: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the indices of the chosen rows in ascending order of score."""
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(score[rows], kind="stable")]
