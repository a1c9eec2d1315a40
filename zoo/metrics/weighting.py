"""Weighted sums shared by the metrics."""

from __future__ import annotations

import numpy as np


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return numerator / denominator, NaN without a warning where the denominator is not positive.

    Example:
        >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
        array([0.5, nan])
    """
    undefined = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) > 0)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of ``values`` (N,) under each row of ``weights`` (R, N), shape (R,).

    Example:
        >>> weighted_mean(np.array([0.0, 1.0]), np.array([[1.0, 1.0], [1.0, 3.0]]))
        array([0.5 , 0.75])
    """
    return ratio(weights @ values, weights.sum(axis=1))


def running_sum(weights: np.ndarray) -> np.ndarray:
    """Return the sums of the first 0, 1, ..., N columns: (R, N) to (R, N + 1).

    Example:
        >>> running_sum(np.array([[1.0, 2.0]]))
        array([[0., 1., 3.]])
    """
    sums = np.empty((weights.shape[0], weights.shape[1] + 1))
    sums[:, 0] = 0.0
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def sum_by_class(weights: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the weight of each class: (R, N) and labels (N,) to (R, K).

    Example:
        >>> sum_by_class(np.array([[1.0, 2.0, 3.0]]), np.array([2, 0, 2]), 3)
        array([[2., 0., 4.]])
    """
    sums = np.zeros((weights.shape[0], n_classes))
    if labels.size:
        order = np.argsort(labels, kind="stable")
        present, starts = np.unique(labels[order], return_index=True)
        sums[:, present] = np.add.reduceat(np.take(weights, order, axis=1), starts, axis=1)
    return sums


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean of each row of (R, K) over the entries that are not NaN; NaN where there is none.

    Example:
        >>> mean_of_defined(np.array([[1.0, np.nan, 2.0], [np.nan, np.nan, np.nan]]))
        array([1.5, nan])
    """
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1))
