"""Metrics of clusterings, with or without labels for scoring."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy

from zoo.metrics.metric import Metric

BLOCK = 512


def cluster_scores(labelled: bool) -> tuple[Metric, ...]:
    """Return the metrics of a clustering, the objective of a search first.

    Stability and silhouette need more than assignments: the task computes them (:func:`stability`,
    :func:`silhouette_rows`), and their functions here only raise an error.

    Args:
        labelled: Whether there are labels.

    Example:
        >>> [score.name for score in cluster_scores(True)]
        ['stability', 'silhouette', 'clustering_accuracy', 'nmi', 'ari']
    """
    free = tuple(Metric(name, "max", _computed_by_the_task, limits=(-1.0, 1.0)) for name in ("stability", "silhouette"))
    if not labelled:
        return free
    return (
        *free,
        Metric("clustering_accuracy", "max", clustering_accuracy, limits=(0.0, 1.0)),
        Metric("nmi", "max", normalized_mutual_information, limits=(0.0, 1.0)),
        Metric("ari", "max", adjusted_rand, limits=(-1.0, 1.0)),
    )


def clustering_accuracy(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the fraction of rows in the correct cluster under the best matching of clusters and labels, shape (R,).

    The one-to-one matching is found by the Hungarian method (Kuhn, Naval Research Logistics 2, 1955).

    Args:
        truth: (N,) label codes.
        prediction: (N, K) probabilities of clusters.
        weights: (R, N).

    Example:
        >>> clustering_accuracy(np.array([0, 0, 1]), np.eye(2)[[1, 1, 0]], np.ones((1, 3)))
        array([1.])
    """
    accuracies = []
    for table in contingency(truth, prediction, weights):
        rows, columns = linear_sum_assignment(-table)
        total = table.sum()
        accuracies.append(table[rows, columns].sum() / total if total else np.nan)
    return np.array(accuracies)


def normalized_mutual_information(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mutual information of clusters and labels over the mean of their entropies, shape (R,).

    Strehl and Ghosh, JMLR 3, 2002, with the arithmetic mean. One cluster and one label agree perfectly.

    Args:
        truth: (N,) label codes.
        prediction: (N, K) probabilities of clusters.
        weights: (R, N).

    Example:
        >>> normalized_mutual_information(np.array([0, 0, 1]), np.eye(2)[[1, 1, 0]], np.ones((1, 3)))
        array([1.])
    """
    joint = contingency(truth, prediction, weights)
    totals = joint.sum(axis=(1, 2), keepdims=True)
    joint = np.divide(joint, totals, out=np.full_like(joint, np.nan), where=totals > 0)
    by_cluster, by_label = joint.sum(axis=2), joint.sum(axis=1)
    entropy = [-xlogy(fractions, fractions).sum(axis=1) for fractions in (by_cluster, by_label)]
    both = -xlogy(joint, joint).sum(axis=(1, 2))
    mutual = np.maximum(entropy[0] + entropy[1] - both, 0)
    mean = (entropy[0] + entropy[1]) / 2
    single = mean <= 1e-12
    return np.where(single, 1.0, np.divide(mutual, mean, out=np.ones_like(mean), where=~single))


def adjusted_rand(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the Rand index corrected for chance (Hubert and Arabie, Journal of Classification 2, 1985), shape (R,).

    Args:
        truth: (N,) label codes.
        prediction: (N, K) probabilities of clusters.
        weights: (R, N); integers are counts of rows.

    Example:
        >>> adjusted_rand(np.array([0, 0, 1]), np.eye(2)[[1, 1, 0]], np.ones((1, 3)))
        array([1.])
    """
    return adjusted_rand_of(contingency(truth, prediction, weights))


def adjusted_rand_of(tables: np.ndarray) -> np.ndarray:
    """Return the adjusted Rand index of contingency tables (R, K, L), shape (R,)."""
    pairs = (tables * (tables - 1)).sum(axis=(1, 2)) / 2
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    in_rows, in_columns = (rows * (rows - 1)).sum(axis=1) / 2, (columns * (columns - 1)).sum(axis=1) / 2
    total = rows.sum(axis=1)
    all_pairs = total * (total - 1) / 2
    expected = np.divide(in_rows * in_columns, all_pairs, out=np.zeros_like(pairs), where=all_pairs > 0)
    spread = (in_rows + in_columns) / 2 - expected
    # Both have a single cluster, or only clusters of one row: they agree, and there is nothing to correct.
    trivial = np.abs(spread) < 1e-9
    return np.where(trivial, 1.0, np.divide(pairs - expected, spread, out=np.ones_like(pairs), where=~trivial))


def contingency(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted number of rows by cluster and label, shape (R, K, L).

    Args:
        truth: (N,) label codes from 0.
        prediction: (N, K) probabilities; the first of equal ones is taken.
        weights: (R, N).
    """
    clusters, labels = prediction.shape[1], int(truth.max(initial=0)) + 1
    cells = prediction.argmax(axis=1) * labels + truth
    tables = [np.bincount(cells, row, clusters * labels) for row in weights]
    return np.array(tables).reshape(len(weights), clusters, labels)


def stability(assignments: np.ndarray, reference: np.ndarray, clusters: int) -> tuple[float, np.ndarray]:
    """Return the stability of a clustering under resampling, and the value of each resample.

    It is the mean adjusted Rand index, which is corrected for chance (Hennig, Computational Statistics & Data
    Analysis 52, 2007; von Luxburg, "Clustering stability: an overview", 2010), times the fraction of clusters that
    are not empty in the reference; otherwise a single cluster would be perfectly stable.

    Args:
        assignments: (B, N) cluster of each row in each resample.
        reference: (N,) cluster of each row in the clustering to score.
        clusters: Requested number of clusters K.

    Returns:
        The stability, and those of the resamples (B,).

    Example:
        >>> stability(np.array([[1, 1, 0, 0]]), np.array([0, 0, 1, 1]), 2)
        (1.0, array([1.]))
    """
    one = np.ones((1, len(reference)))
    used = len(np.unique(reference)) / clusters
    width = int(max(assignments.max(initial=0), clusters - 1)) + 1
    draws = np.array([adjusted_rand(reference, np.eye(width)[row], one)[0] for row in assignments]) * used
    return float(draws.mean()), draws


def silhouette_rows(x: np.ndarray, assigned: np.ndarray) -> np.ndarray:
    """Return the silhouette of each row (Rousseeuw 1987), shape (N,).

    It ranges from -1 to 1; it is 0 for a row alone in its cluster, and NaN if there is a single cluster. Distances are
    computed in blocks, so memory is linear in N and time is quadratic.

    Args:
        x: (N, D).
        assigned: (N,) cluster of each row.

    Example:
        >>> silhouette_rows(np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 0, 1, 1])).round(2)
        array([0.98, 0.98, 0.98, 0.98])
    """
    names, codes = np.unique(assigned, return_inverse=True)
    if len(names) < 2:
        return np.full(len(x), np.nan)
    x = np.asarray(x, np.float64)
    x = x - x.mean(axis=0)  # avoids cancellation for data far from the origin
    sizes = np.bincount(codes)
    member = np.eye(len(names))[codes]  # (N, K)
    squares = np.square(x).sum(axis=1)
    silhouettes = np.empty(len(x))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        distances = np.sqrt(np.maximum(squares[rows, None] + squares[None] - 2 * x[rows] @ x.T, 0))
        sums = distances @ member  # (B, K)
        cluster = codes[rows]
        place = np.arange(len(cluster))
        inside = sums[place, cluster] / np.maximum(sizes[cluster] - 1, 1)
        means = sums / sizes
        means[place, cluster] = np.inf
        outside = means.min(axis=1)
        greater = np.maximum(inside, outside)
        value = np.divide(outside - inside, greater, out=np.zeros_like(inside), where=greater > 0)
        silhouettes[rows] = np.where(sizes[cluster] > 1, value, 0)
    return silhouettes


def _computed_by_the_task(*_: Any) -> np.ndarray:
    raise TypeError("this metric needs more than labels and assignments; the task computes it")
