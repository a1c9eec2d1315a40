"""How many clusters the training rows have: by stability under resampling and silhouette, in an embedding of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from zoo.data.dataset import Dataset
from zoo.figures.style import BLUE, GREY, ORANGE, add_legend_beside, create_figure, set_integer_ticks
from zoo.inspection.probe_rows import choose_rows
from zoo.metrics.clusters import silhouette_rows

from ._metrics import compute_reference_features

FEWEST, MOST = 2, 15
LEAST_ROWS, MOST_ROWS = 10, 1_500
RESAMPLES = 4
MOST_COLUMNS = 50
PERPLEXITY, STEPS = 30, 500
# Gaussian, uniform and heavy-tailed rows without clusters reach 0.75 (2 to 50 columns, several seeds), except long
# ones, whose parts are stable too: they are told by their silhouette, which is that of normal rows.
STABLE = 0.8
LEAST_GAIN = 0.12  # of silhouette over normal rows with the same covariance
TOLERANCE = 0.03  # differences of silhouette that are chance
CURVE = "number_of_clusters"
COLUMNS = ["clusters", "stability", "silhouette", "silhouette_without_clusters"]
SEED = 0  # the same for all seeds of a model, so that they have the same number

_CHOSEN: dict[tuple[str, int | None], ChosenNumber] = {}  # seeds, trials and models read the same split again


@dataclass(frozen=True)
class ChosenNumber:
    """A number of clusters and what it was chosen by.

    Args:
        clusters: The number.
        curve: Columns ``clusters``, ``stability``, ``silhouette`` and ``silhouette_without_clusters``, of normal rows
            with the same covariance; empty with too few different rows.
    """

    clusters: int
    curve: pd.DataFrame

    @property
    def note(self) -> str:
        """What the user is told."""
        if self.curve.empty:
            return f"{self.clusters} clusters: too few different rows to choose a number; --clusters says how many"
        tried = f"{FEWEST} to {self.curve['clusters'].max()}"
        if find_likely(self.curve).empty:
            highest, gain = self.curve["stability"].max(), compute_gain(self.curve).max()
            return (
                f"the data do not say how many clusters there are: of {tried}, no number is both stable under "
                f"resampling ({STABLE} or more; the highest is {highest:.2f}) and better separated than rows without "
                f"clusters (silhouette higher by {LEAST_GAIN}; the most is {gain:.2f}); {self.clusters} are used, and "
                "--clusters says how many"
            )
        row = self.curve.set_index("clusters").loc[self.clusters]
        return (
            f"{self.clusters} clusters, chosen from {tried}: stability under resampling {row['stability']:.2f}, "
            f"silhouette in the embedding {row['silhouette']:.2f} ({row['silhouette_without_clusters']:.2f} without "
            "clusters); --clusters overrides it"
        )


def choose_number(dataset: Dataset) -> ChosenNumber:
    """Return the number of clusters of the training rows of a dataset, of at most 1,500 of them."""
    split, size = dataset.splits["train"], dataset.spec.options.get("size")
    key = (dataset.split_digest, size)
    if key not in _CHOSEN:
        rows = choose_rows(len(split), MOST_ROWS)
        _CHOSEN[key] = choose_number_of(compute_reference_features(split, dataset.spec, rows))
    return _CHOSEN[key]


def set_number(dataset: Dataset, number: ChosenNumber) -> Dataset:
    """Return the dataset with a number of clusters in its spec, and what it was chosen by as a note and a fact."""
    spec = dataclasses.replace(dataset.spec, options={**dataset.spec.options, "clusters": number.clusters})
    facts = {**dataset.facts, CURVE: number.curve.to_dict("list")}
    return dataclasses.replace(dataset, spec=spec, notes=(*dataset.notes, number.note), facts=facts)


def choose_number_of(features: np.ndarray) -> ChosenNumber:
    """Return the number of clusters of rows.

    The rows are embedded in the plane by t-SNE (van der Maaten and Hinton, JMLR 9, 2008), where k-means finds clusters
    of any shape. Stability is that of von Luxburg, "Clustering stability: an overview", 2010: parts of the rows, drawn
    at random, are embedded and clustered on their own, and each row gets the cluster of the nearest row of the part; it
    is the mean adjusted Rand index with the clusters of all rows. A number is likely if its stability is 0.8 or more
    and its silhouette (Rousseeuw 1987) higher by 0.12 than that of normal rows with the same covariance, embedded
    alike: a single cluster, as in Liu et al., "Statistical significance of clustering for high-dimension, low-sample
    size data", JASA 103, 2008. Of the numbers whose silhouette is higher by nearly as much as the highest, the most
    stable one is chosen; without a likely one, the data do not say, and the number is 2.

    Args:
        features: Features (N, D).

    Example:
        >>> points = np.random.default_rng(0).normal(size=(90, 2)) + 20 * np.eye(3, 2)[np.arange(90) % 3]
        >>> choose_number_of(points).clusters
        3
    """
    if len(np.unique(features, axis=0)) < LEAST_ROWS:
        return ChosenNumber(FEWEST, pd.DataFrame(columns=COLUMNS))
    curve = compute_curve(_reduce(features))
    likely = find_likely(curve)
    if likely.empty:
        return ChosenNumber(FEWEST, curve)
    return ChosenNumber(int(likely["clusters"].to_numpy()[likely["stability"].argmax()]), curve)


def compute_gain(curve: pd.DataFrame) -> pd.Series:
    """Return how much higher the silhouette is than without clusters."""
    return curve["silhouette"] - curve["silhouette_without_clusters"]


def find_likely(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the curve with the likely numbers of clusters; empty if the data do not say."""
    gain = compute_gain(curve)
    likely = (curve["stability"] >= STABLE) & (gain >= LEAST_GAIN)
    return curve[likely & (gain >= gain[likely].max() - TOLERANCE)]


def compute_curve(features: np.ndarray) -> pd.DataFrame:
    """Return stability and silhouettes of each number of clusters, from 2 to 15, or less with few rows.

    Args:
        features: Features (N, D).
    """
    from sklearn.metrics import adjusted_rand_score
    from sklearn.neighbors import NearestNeighbors

    rows = len(features)
    part = max(rows // 2, min(4 * rows // 5, 400))
    lines = []
    with threadpool_limits(1):  # the order of sums differs between threads, and a number could be another one next time
        whole, single = _embed(features, SEED), _embed(_draw_normal(features), SEED)
        resamples = []
        for seed in range(1, RESAMPLES + 1):
            drawn = np.random.default_rng(seed).permutation(rows)[:part]
            near = NearestNeighbors(n_neighbors=1).fit(features[drawn]).kneighbors(features, return_distance=False)
            resamples.append((_embed(features[drawn], seed), near[:, 0]))
        for clusters in range(FEWEST, min(MOST, rows // 4) + 1):
            assign = _create_k_means(clusters)
            reference = assign(whole)
            again = [adjusted_rand_score(reference, assign(embedded)[near]) for embedded, near in resamples]
            silhouettes = [silhouette_rows(whole, reference).mean(), silhouette_rows(single, assign(single)).mean()]
            lines.append((clusters, float(np.mean(again)), *np.nan_to_num(silhouettes, nan=-1.0).tolist()))
    return pd.DataFrame(lines, columns=COLUMNS)


def draw_numbers(curve: pd.DataFrame, chosen: int) -> Any:
    """Draw stability under resampling and silhouette by number of clusters.

    Args:
        curve: Columns ``clusters``, ``stability``, ``silhouette`` and ``silhouette_without_clusters``.
        chosen: The chosen number.

    Example:
        >>> curve = pd.DataFrame({"clusters": [2, 3], "stability": [0.9, 0.5], "silhouette": [0.6, 0.4]})
        >>> curve = curve.assign(silhouette_without_clusters=0.4)
        >>> draw_numbers(curve, 2).axes[0].get_title(loc="left")
        '2 clusters'
    """
    says = not find_likely(curve).empty
    figure, (axis,) = create_figure(width=7.5, height=4.2)
    axis.plot(curve["clusters"], curve["stability"], "-o", color=BLUE, label="stability under resampling")
    axis.plot(curve["clusters"], curve["silhouette"], "--s", color=ORANGE, label="silhouette in the embedding")
    single = curve["silhouette_without_clusters"]
    axis.plot(curve["clusters"], single, "-.", color=GREY, label="silhouette of normal rows, without clusters")
    axis.axhline(STABLE, color=GREY, linestyle=":", linewidth=1, label="least stability of a likely number")
    axis.axvline(chosen, color=GREY, linewidth=1)
    axis.set_ylim(min(0.0, float(curve["silhouette"].min())), 1.02)
    axis.set_xlabel("clusters")
    axis.set_title(f"{chosen} clusters" + ("" if says else "; the data do not say how many"), loc="left")
    set_integer_ticks(axis)
    add_legend_beside(axis)
    return figure


def _create_k_means(clusters: int) -> Callable[[np.ndarray], Any]:
    """Return the function that clusters points by k-means."""
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    def assign(points: np.ndarray) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters
            return KMeans(clusters, n_init=4, random_state=SEED).fit_predict(points)

    return assign


def _draw_normal(features: np.ndarray) -> np.ndarray:
    """Return as many normal rows (N, D) with the same mean and covariance."""
    centred = features - features.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    draws = np.random.default_rng(SEED).normal(size=(len(features), len(lengths)))
    return np.asarray(draws * lengths / np.sqrt(len(features)) @ axes)


def _reduce(features: np.ndarray) -> np.ndarray:
    """Return the first principal components of wide features, and at least two columns."""
    from sklearn.decomposition import PCA

    if features.shape[1] > MOST_COLUMNS:
        return np.asarray(PCA(min(MOST_COLUMNS, len(features)), random_state=SEED).fit_transform(features))
    return np.pad(features, ((0, 0), (0, max(0, 2 - features.shape[1]))))


def _embed(features: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    embedding = TSNE(2, init="pca", perplexity=perplexity, max_iter=STEPS, random_state=seed)
    return np.asarray(embedding.fit_transform(np.asarray(features, np.float32)), np.float64)
