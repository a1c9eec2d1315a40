"""Profile of each cluster: its size, its typical rows, and what sets it apart from the other rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zoo.data.dataset import Split
from zoo.spec import CategoryInput, DateInput, NumberInput, Spec

TYPICAL_ROWS = 5
MOST_EFFECTS = 5  # in the table, of each cluster
MOST_CATEGORIES = 50  # of a column
SECONDS_PER_YEAR = 365.2425 * 24 * 3600
# A column that hardly varies within a cluster and within the rest would have an effect without bounds.
LEAST_SPREAD = 0.1
EFFECTS = ["cluster", "feature", "kind", "effect", "in_cluster", "in_rest", "standardized"]


@dataclass(frozen=True)
class Profile:
    """What sets the clusters of N rows apart.

    Args:
        assigned: Cluster of each row (N,).
        clusters: Number of clusters K.
        typical: Indices of the rows nearest to the mean of each cluster, the nearest first.
        effects: A row for each cluster and feature, see :func:`compute_effects`.
    """

    assigned: np.ndarray
    clusters: int
    typical: list[np.ndarray]
    effects: pd.DataFrame

    def tables(self, split: Split) -> dict[str, pd.DataFrame]:
        """Return the tables of a run: a row for each cluster, and the largest effects of each.

        Args:
            split: The N rows.
        """
        tables = {"cluster_profile": self.summarize(split)}
        return tables if self.effects.empty else {**tables, "cluster_effects": select_largest(self.effects)}

    def summarize(self, split: Split) -> pd.DataFrame:
        """Return a row for each cluster: its size, what sets it apart and the typical rows, numbered as in the source.

        Args:
            split: The N rows.
        """
        counts = np.bincount(self.assigned, minlength=self.clusters)
        largest = select_largest(self.effects, 3)
        texts = {
            cluster: ", ".join(f"{row.feature} {row.effect:+.2f}" for row in rows.itertuples())
            for cluster, rows in largest.groupby("cluster")
        }
        return pd.DataFrame({
            "cluster": np.arange(self.clusters),
            "rows": counts,
            "fraction": counts / max(len(self.assigned), 1),
            "sets_it_apart": [texts.get(cluster, "") for cluster in range(self.clusters)],
            "typical_rows": [", ".join(str(row + 1) for row in split.rows[rows]) for rows in self.typical],
        })  # fmt: skip


def create_profile(split: Split, spec: Spec, latent: np.ndarray, assigned: np.ndarray) -> Profile:
    """Return the profile of the clusters of a split.

    Args:
        split: The rows.
        spec: Their spec.
        latent: Latent vectors (N, L), in which a typical row is near the mean of its cluster.
        assigned: Cluster of each row (N,).
    """
    clusters = spec.options["clusters"]
    return Profile(assigned, clusters, find_typical(latent, assigned, clusters), compute_effects(split, spec, assigned))


def find_typical(latent: np.ndarray, assigned: np.ndarray, clusters: int, rows: int = TYPICAL_ROWS) -> list[np.ndarray]:
    """Return the indices of the rows nearest to the mean of each cluster, the nearest first.

    Example:
        >>> find_typical(np.array([[0.0], [2.0], [1.2], [9.0]]), np.array([0, 0, 0, 1]), 2, rows=2)
        [array([2, 1]), array([3])]
    """
    typical = []
    for cluster in range(clusters):
        members = np.flatnonzero(assigned == cluster)
        inside = np.asarray(latent[members], np.float64)
        distances = np.square(inside - inside.mean(axis=0, keepdims=True)).sum(axis=1) if len(members) else np.zeros(0)
        typical.append(members[np.argsort(distances, kind="stable")[:rows]])
    return typical


def compute_effects(split: Split, spec: Spec, assigned: np.ndarray) -> pd.DataFrame:
    """Return how far each feature of each cluster differs from the other rows.

    The effect of a number is the difference of the means over their standard deviation within cluster and rest (Cohen
    1988, "Statistical Power Analysis for the Behavioral Sciences", section 2.2); dates count in years. The effect of a
    category is the difference of its fractions. To rank both kinds, ``standardized`` divides the difference of
    fractions by its standard deviation too (Austin 2009, "Balance diagnostics", section 3).

    Args:
        split: The rows.
        spec: Their spec.
        assigned: Cluster of each row (N,).

    Returns:
        A row for each cluster that has rows and each feature: ``cluster``, ``feature``, ``kind`` (``number``, ``date``,
        ``category`` or ``missing``), ``effect``, ``in_cluster`` and ``in_rest`` (means, or fractions) and
        ``standardized``.
    """
    names, codes = np.unique(assigned, return_inverse=True)
    if len(names) < 2:
        return pd.DataFrame(columns=EFFECTS)
    tables = []
    for feature, kind, values in _read_features(split, spec):
        inside, outside, spread = _compare(values, codes, len(names))
        standardized = np.divide(inside - outside, spread, out=np.zeros(len(names)), where=spread != 0)
        effect = standardized if kind in ("number", "date") else inside - outside
        cells = (names, feature, kind, effect, inside, outside, standardized)
        tables.append(pd.DataFrame(dict(zip(EFFECTS, cells, strict=True))))
    if not tables:
        return pd.DataFrame(columns=EFFECTS)
    effects = pd.concat(tables, ignore_index=True)
    return effects[np.isfinite(effects["effect"].to_numpy(np.float64))].reset_index(drop=True)


def select_largest(effects: pd.DataFrame, most: int = MOST_EFFECTS) -> pd.DataFrame:
    """Return the largest effects of each cluster, the largest first, without those that are 0."""
    order = effects.assign(size=effects["standardized"].abs()).sort_values(["cluster", "size"], ascending=[True, False])
    return order[order["size"] > 0].groupby("cluster").head(most).drop(columns="size").reset_index(drop=True)


def _read_features(split: Split, spec: Spec) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield name, kind and values (N,) of each number, date and category; texts and images have none."""
    for input_ in spec.inputs:
        values = split.inputs[input_.key]
        if isinstance(input_, (NumberInput, DateInput)):
            numbers = np.asarray(values, np.float64)
            absent = np.isnan(numbers)
            if isinstance(input_, DateInput):
                yield f"{input_.name} (years)", "date", 1970 + numbers / SECONDS_PER_YEAR
            else:
                yield input_.name, "number", numbers
            if absent.any():
                yield f"{input_.name} is missing", "missing", absent.astype(np.float64)
        elif isinstance(input_, CategoryInput):
            cells = pd.Series(np.asarray(values)).astype(str)
            for category in cells.value_counts().index[:MOST_CATEGORIES]:
                yield f"{input_.name}={category or 'missing'}", "category", (cells == category).to_numpy(np.float64)


def _compare(values: np.ndarray, codes: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the means of a feature in each cluster and in its rest, and the standard deviation within both (K,)."""
    there = np.isfinite(values)
    codes, values = codes[there], values[there]
    middle = values.mean() if len(values) else 0.0
    centred = values - middle  # avoids cancellation
    count = np.bincount(codes, minlength=clusters).astype(np.float64)
    total = np.bincount(codes, centred, clusters)
    squares = np.bincount(codes, np.square(centred), clusters)
    with np.errstate(invalid="ignore", divide="ignore"):  # no value in a cluster, or in its rest: not-a-number
        inside, outside = total / count, (total.sum() - total) / (count.sum() - count)
        within = squares / count - np.square(inside)
        without = (squares.sum() - squares) / (count.sum() - count) - np.square(outside)
    whole = np.sqrt(squares.sum() / max(count.sum(), 1))
    spread = np.maximum(np.sqrt(np.maximum((within + without) / 2, 0)), LEAST_SPREAD * whole)
    return inside + middle, outside + middle, spread
