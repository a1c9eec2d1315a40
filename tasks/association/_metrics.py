"""Metrics of completed baskets: at which rank the hidden item is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from zoo.metrics.intervals import Interval, Sample, mean_error_interval, mean_fraction_interval
from zoo.metrics.metric import Metric
from zoo.metrics.weighting import weighted_mean
from zoo.spec import Spec, TextInput

# Rank of an item that is not among those that are ranked.
MISSED = 10**9
# With fewer items, the first ten have the hidden one so often that the hit rate hardly tells models apart.
FEW_ITEMS = 20


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
_METRICS = (
    _create_metric("hit_rate_at_10", partial(_hits, most=10), is_fraction=True),
    _create_metric("hit_rate_at_1", partial(_hits, most=1), is_fraction=True),
    _create_metric("hit_rate_at_20", partial(_hits, most=20), is_fraction=True),
    _create_metric("ndcg_at_10", _gain),
    _create_metric("mrr", _reciprocal),
)


def list_metrics(spec: Spec) -> tuple[Metric, ...]:
    """Return the metrics of baskets; the one by which models are chosen comes first.

    That is the hit rate of the first ten items, or with few items the reciprocal rank.

    Example:
        >>> list_metrics(Spec("association", (TextInput("items", "items", vocabulary=("beer", "crisps")),)))[0].name
        'mrr'
    """
    few = len(spec.only(TextInput).vocabulary) < FEW_ITEMS
    return (_METRICS[-1], *_METRICS[:-1]) if few else _METRICS
