"""Clustering scores, by the same rules for models and classical baselines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.metrics.clusters import cluster_scores, silhouette_rows, stability
from zoo.metrics.metric import Metric, evaluate, percentile_bounds
from zoo.metrics.weighting import weighted_mean
from zoo.preprocessing.images import ImagePreprocessing
from zoo.preprocessing.table import preprocess_table, suggest_scaling
from zoo.spec import ImageInput, Spec
from zoo.training.preprocessed_arrays import preprocess

from ._mixture import fit_mixture

RESAMPLES = 8
MOST_ROWS = 1000
MOST_SILHOUETTES = 2000


@dataclass(frozen=True)
class Judge:
    """Computes clustering scores.

    Args:
        clusters: Requested number of clusters K.
        kind: The mixture that is fitted again for stability: ``gaussian`` or ``k_means``.
        intervals: Whether to compute intervals.
        seed: Seed of the resamples.
    """

    clusters: int
    kind: str
    intervals: bool = False
    seed: int = 0

    def scores(
        self, train: np.ndarray, space: np.ndarray, probabilities: np.ndarray, dataset: Dataset, split: str
    ) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        """Return scores and intervals of one split.

        Args:
            train: Vectors of the training split, in the clustered space (M, L).
            space: Vectors of the split, in the clustered space (N, L).
            probabilities: Probability of each cluster (N, K).
            dataset: The data.
            split: Name of the split.
        """
        assigned = probabilities.argmax(axis=1)
        value, draws = self._stability(train, space, assigned)
        scores = {"stability": value}
        bounds = {"stability": percentile_bounds(draws, value)}
        self._add_silhouette(scores, bounds, dataset, split, assigned)
        labels = dataset.splits[split].target
        if labels is not None:
            has_label = labels >= 0
            named = [score for score in cluster_scores(True) if score.name not in scores]
            resamples = 200 if self.intervals else 0
            more, intervals = evaluate(named, labels[has_label], probabilities[has_label], resamples=resamples)
            scores.update(more)
            bounds.update(intervals)
        if not self.intervals:
            return scores, {}
        # Bounds are extended for few rows, and no score is above 1.
        return scores, {name: (low, min(high, 1.0)) for name, (low, high) in bounds.items()}

    def _stability(self, train: np.ndarray, space: np.ndarray, assigned: np.ndarray) -> tuple[float, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        rows = rng.permutation(len(space))[:MOST_ROWS]
        again = []
        for resample in range(RESAMPLES):
            drawn = rng.integers(0, len(train), min(len(train), 2 * MOST_ROWS))
            mixture = fit_mixture(train[drawn], self.clusters, self.kind, self.seed + resample, starts=1)
            again.append(mixture.assign(np.asarray(space[rows], np.float64)))
        return stability(np.array(again), assigned[rows], self.clusters)

    def _add_silhouette(
        self,
        scores: dict[str, float],
        bounds: dict[str, tuple[float, float]],
        dataset: Dataset,
        split: str,
        assigned: np.ndarray,
    ) -> None:
        rows = np.random.default_rng(self.seed).permutation(len(assigned))[:MOST_SILHOUETTES]
        features = compute_reference_features(dataset.splits[split], dataset.spec, rows)
        values = silhouette_rows(features, assigned[rows])
        mean = Metric("silhouette", "max", _mean)
        silhouette, intervals = evaluate([mean], values, values, resamples=1000 if self.intervals else 0)
        scores.update(silhouette)
        bounds.update(intervals)


def compute_reference_features(split: Split, spec: Spec, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Return the features (N, D) that score every clustering of this data, independent of a model's preprocessing."""
    chosen = Split({key: values[rows] for key, values in split.inputs.items()}, None, split.rows[rows])
    if spec.of_kind(ImageInput):
        images = preprocess(ImagePreprocessing(spec).model(), chosen).x["images"]
        return np.asarray(images, np.float32).reshape(len(chosen), -1) / np.max(spec.only(ImageInput).std)
    tensors = preprocess(preprocess_table(spec, scaling=suggest_scaling(spec)).model(), chosen).x
    return np.asarray(tensors["features"], np.float32)  # category codes are not distances


def _mean(truth: np.ndarray, _: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weighted_mean(truth, weights)
