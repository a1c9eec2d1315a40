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


def _columns(chosen: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the indices of the chosen rows in ascending order of score."""
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(score[rows], kind="stable")]
