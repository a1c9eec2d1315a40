"""Baselines of completed baskets: popularity, item-to-item counts, EASE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

from zoo.data.dataset import Dataset
from zoo.metrics.metric import evaluate
from zoo.spec import Spec, TextInput
from zoo.task import Baseline

from ._hidden import encode_baskets, hide_items
from ._metrics import MISSED, list_metrics

LEVELS: dict[str, Sequence[str]] = {
    "none": (),
    "quick": ("popularity", "item_counts"),
    "all": ("popularity", "item_counts", "ease"),
}
# Pseudo-counts that keep an item of a single basket from a confidence of 1; penalties of EASE. Validation chooses.
SHRINKAGES, PENALTIES = (0.0, 5.0, 20.0, 100.0), (50.0, 100.0, 300.0)
# EASE inverts a matrix of items by items: those of 8,000 items are 256 MB each; the others are scored by popularity.
EASE_ITEMS = 8000
CHUNK_VALUES = 1 << 24
Score = Callable[[scipy.sparse.csr_matrix], np.ndarray]


def choose_baselines(level: str, spec: Spec) -> list[Baseline]:
    """Return the baselines of a level, ``none``, ``quick`` or ``all``."""
    return [Baseline(name, partial(_run, name), is_dummy=name == "popularity") for name in LEVELS[level]]


def _run(name: str, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    """Return the scores of a baseline by split; its one parameter is chosen on the validation split."""
    items, metrics = len(dataset.spec.only(TextInput).vocabulary), list_metrics(dataset.spec)
    x = create_matrix(encode_baskets(dataset.splits["train"], dataset.spec), items)
    rests = {split: hide_items(rows, dataset.spec) for split, rows in dataset.splits.items()}
    seen = {split: create_matrix(rest.codes, items) for split, rest in rests.items()}

    def measure(score: Score, split: str) -> dict[str, float]:
        ranks = rank_hidden(score, seen[split], rests[split].hidden)
        return evaluate(metrics, ranks, ranks, resamples=0)[0]

    candidates = FITS[name](x)
    chosen = candidates[len(candidates) // 2]
    if "validation" in seen and len(candidates) > 1:
        chosen = max(candidates, key=lambda fit: measure(fit(), "validation")[metrics[0].name])
    score = chosen()
    return {split: measure(score, split) for split in dataset.splits}


def create_matrix(baskets: Sequence[np.ndarray], items: int) -> scipy.sparse.csr_matrix:
    """Return baskets as a sparse matrix of 0 and 1 (N, I)."""
    ends = np.cumsum([0, *(len(basket) for basket in baskets)])
    flat = np.concatenate([*baskets, np.empty(0, np.int32)]).astype(np.int64) - 1
    return scipy.sparse.csr_matrix((np.ones(len(flat), np.float32), flat, ends), shape=(len(baskets), items))


def rank_hidden(score: Score, seen: scipy.sparse.csr_matrix, hidden: np.ndarray) -> np.ndarray:
    """Return the rank of each hidden item among those that are not in the rest of its basket (N,).

    Of equal scores the more frequent item comes first; an unknown item is ``MISSED``.

    Args:
        score: From baskets (B, I) to scores (B, I), which may be overwritten.
        seen: The rest of each basket (N, I).
        hidden: Codes from 1, 0 for unknown (N,).
    """
    ranks = []
    step = max(1, CHUNK_VALUES // seen.shape[1])
    for start in range(0, len(hidden), step):
        rows, codes = seen[start : start + step], hidden[start : start + step]
        scores = score(rows)
        scores[rows.nonzero()] = -np.inf
        value = scores[np.arange(len(codes)), codes - 1][:, None]
        earlier = np.arange(seen.shape[1]) < (codes - 1)[:, None]
        ranks.append(1 + ((scores > value) | ((scores == value) & earlier)).sum(axis=1))
    return np.where(hidden > 0, np.concatenate(ranks), MISSED)


def _fit_popularity(x: scipy.sparse.csr_matrix) -> list[Callable[[], Score]]:
    counts = _count_items(x)
    return [lambda: lambda rows: np.tile(counts, (rows.shape[0], 1))]


def _fit_counts(x: scipy.sparse.csr_matrix) -> list[Callable[[], Score]]:
    """Score an item by the sum of its conditional probabilities, given each item of the basket.

    Deshpande and Karypis 2004, "Item-based top-N recommendation algorithms", section 4.2, with pseudo-counts.
    """
    together, counts = _count_together(x), _count_items(x)

    def create(shrinkage: float) -> Score:
        given = scipy.sparse.diags(1 / np.maximum(counts + shrinkage, 1)) @ together
        return lambda rows: np.asarray((rows @ given).todense(), np.float32)

    return [partial(create, shrinkage) for shrinkage in SHRINKAGES]


def _fit_ease(x: scipy.sparse.csr_matrix) -> list[Callable[[], Score]]:
    """Score by linear weights between items with a diagonal of zero, in closed form.

    Steck 2019, "Embarrassingly shallow autoencoders for sparse data", equation 8, for the most frequent items.
    """
    items = min(EASE_ITEMS, x.shape[1])
    most = x[:, :items]

    def create(penalty: float) -> Score:
        gram = np.asfortranarray((most.T @ most).toarray(), np.float32)
        gram[np.arange(items), np.arange(items)] += penalty
        factor, _ = scipy.linalg.lapack.spotrf(gram, lower=1, overwrite_a=1)
        inverse, _ = scipy.linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
        return partial(_score_by_weights, _fill_weights(inverse))

    return [partial(create, penalty) for penalty in PENALTIES]


def _fill_weights(inverse: np.ndarray) -> np.ndarray:
    """Return B = -P / diag(P) with a diagonal of zero, in place of the lower triangle of P."""
    for row in range(1, len(inverse)):
        inverse[:row, row] = inverse[row, :row]
    diagonal = inverse.diagonal().copy()
    inverse /= -diagonal
    np.fill_diagonal(inverse, 0.0)
    return inverse


def _score_by_weights(weights: np.ndarray, rows: scipy.sparse.csr_matrix) -> np.ndarray:
    scores = np.full(rows.shape, -1e9, np.float32)  # items beyond the matrix come last, by popularity
    scores[:, : len(weights)] = rows[:, : len(weights)] @ weights
    return scores


def _count_items(x: scipy.sparse.csr_matrix) -> np.ndarray:
    return np.asarray(x.sum(axis=0), np.float32).ravel()


def _count_together(x: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    together = (x.T @ x).tocsr()
    together.setdiag(0)
    return together


FITS: dict[str, Callable[[Any], list[Callable[[], Score]]]] = {
    "popularity": _fit_popularity,
    "item_counts": _fit_counts,
    "ease": _fit_ease,
}
