"""Metrics of completed baskets: at which rank the hidden item is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from zoo.metrics.intervals import Interval, Sample, mean_error_interval, mean_fraction_interval
from zoo.metrics.metric import Metric
from zoo.metrics.weighting import weighted_mean

# Rank of an item that is not among those that are ranked.
MISSED = 10**9


def find_ranks(items: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Return the rank of each hidden item (N,), from 1; ``MISSED`` where it is unknown or not among the ranked ones.

    Args:
        items: Codes by rank (N, K), 0 for none.
        hidden: Code of the hidden item (N,), 0 for an unknown one.

    Example:
        >>> find_ranks(np.array([[5, 7], [5, 7], [5, 0]]), np.array([7, 1, 0])).tolist()
        [2, 1000000000, 1000000000]
    """
    equal = (items == hidden[:, None]) & (hidden[:, None] > 0)
    return np.where(equal.any(axis=1), equal.argmax(axis=1) + 1, MISSED)


def _hits(rank: np.ndarray, most: int) -> np.ndarray:
    return (rank <= most).astype(float)


def _gain(rank: np.ndarray) -> np.ndarray:
    """Return 1 / log2(1 + rank) up to rank 10, which is the normalised gain of a single relevant item."""
    return np.where(rank <= 10, 1 / np.log2(1.0 + rank), 0.0)


def _reciprocal(rank: np.ndarray) -> np.ndarray:
    return np.where(rank < MISSED, 1 / rank, 0.0)


def _create_metric(name: str, gain: Callable[[np.ndarray], np.ndarray], *, is_fraction: bool = False) -> Metric:
    def score(_: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return weighted_mean(gain(prediction), weights)

    def bound(_: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
        values = gain(prediction)
        return mean_fraction_interval(values, sample) if is_fraction else mean_error_interval(values, sample)

    return Metric(name, "max", score, bound, perfect=1.0, limits=(0.0, 1.0))


# Hit rate: Deshpande and Karypis 2004, "Item-based top-N recommendation algorithms"; discounted gain: Järvelin and
# Kekäläinen 2002; reciprocal rank: Voorhees 1999, here 0 beyond the ranked items.
METRICS = (
    _create_metric("hit_rate_at_10", partial(_hits, most=10), is_fraction=True),
    _create_metric("hit_rate_at_1", partial(_hits, most=1), is_fraction=True),
    _create_metric("hit_rate_at_20", partial(_hits, most=20), is_fraction=True),
    _create_metric("ndcg_at_10", _gain),
    _create_metric("mrr", _reciprocal),
)
