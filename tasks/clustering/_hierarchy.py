"""Hierarchical clustering of the latent space: clusters inside clusters, cut at any level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from zoo.errors import UsageError
from zoo.inspection.probe_rows import choose_rows

MOST_ROWS = 2_000  # of the tree; its time and memory are quadratic


@dataclass(frozen=True)
class Hierarchy:
    """The trees of Ward (1963, "Hierarchical grouping to optimize an objective function") over the latent space.

    Args:
        means: Means (K, L) of the model's clusters; the same tree over them is cut when rows are predicted.
        latent: Latent vectors of training rows (N, L), at most 2,000.
        assigned: Cluster of each row (N,).
    """

    means: np.ndarray
    latent: np.ndarray
    assigned: np.ndarray

    @cached_property
    def rows(self) -> np.ndarray:
        """The tree over rows (N - 1, 4), as ``scipy.cluster.hierarchy.linkage`` returns it."""
        return build_tree(self.latent)

    @cached_property
    def clusters(self) -> np.ndarray:
        """The tree over the means of clusters (K - 1, 4)."""
        return build_tree(self.means)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return a row for each cluster, with the coarser cluster that holds it at each cut."""
        clusters = len(self.means)
        cuts = {f"cut_{cut}": join_clusters(self.means, cut) for cut in range(2, clusters)}
        counts = np.bincount(self.assigned, minlength=clusters) / max(len(self.assigned), 1)
        table = pd.DataFrame({"cluster": np.arange(clusters), "fraction": counts, **cuts})
        return {"cluster_hierarchy": table.sort_values([*cuts, "cluster"], kind="stable", ignore_index=True)}


def create_hierarchy(means: Any, latent: np.ndarray, assigned: np.ndarray) -> Hierarchy:
    """Return the hierarchy of a model's clusters and of a sample of its training rows.

    Args:
        means: Means (K, L) of the clusters.
        latent: Latent vectors of the training rows (N, L).
        assigned: Cluster of each row (N,).
    """
    rows = choose_rows(len(latent), MOST_ROWS)
    return Hierarchy(np.asarray(means), latent[rows], assigned[rows])


def build_tree(points: np.ndarray) -> np.ndarray:
    """Return Ward's tree over N points (N - 1, 4): which two are merged, at which distance, and how many they hold.

    Example:
        >>> build_tree(np.array([[0.0], [1.0], [9.0]]))[:, :2].astype(int).tolist()
        [[0, 1], [2, 3]]
    """
    from scipy.cluster.hierarchy import linkage

    return np.asarray(linkage(np.nan_to_num(np.asarray(points, np.float64)), "ward"))


def join_clusters(means: np.ndarray, cut: int) -> np.ndarray:
    """Return the coarser cluster of each of K clusters (K,), numbered in the order of the clusters.

    Args:
        means: Means of the clusters (K, L).
        cut: Number of coarser clusters.

    Raises:
        UsageError: If there are more than the model has.

    Example:
        >>> join_clusters(np.array([[9.0], [0.0], [8.0], [1.0]]), 2)
        array([0, 1, 0, 1])
    """
    from scipy.cluster.hierarchy import cut_tree

    if cut > len(means):
        message = f"the model has {len(means)} clusters, which cannot be cut into {cut}; train with --clusters {cut}"
        raise UsageError(message, where="cut")
    return np.asarray(pd.factorize(cut_tree(build_tree(means), n_clusters=cut)[:, 0])[0])
