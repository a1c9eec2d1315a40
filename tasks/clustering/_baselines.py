"""Classical clustering baselines on raw columns or pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset

from ._metrics import Judge, compute_reference_features
from ._mixture import fit_mixture

_QUICK: list[tuple[str, int | None]] = [("k_means", 200_000), ("gaussian_mixture", 100_000)]
BASELINES: dict[str, list[tuple[str, int | None]]] = {
    "none": [],
    "quick": _QUICK,
    "all": [*_QUICK, ("ward", 10_000)],
}
EXPLAINED = 0.9


def run_baseline(name: str, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    """Return the scores of a classical clustering by split.

    ``k_means`` clusters the columns, ``gaussian_mixture`` the principal components with 90 % of the variance, and
    ``ward`` (1963) the columns; Ward assigns each new row to the nearest cluster mean.
    """
    features = {split: compute_reference_features(rows, dataset.spec) for split, rows in dataset.splits.items()}
    clusters = dataset.spec.options["clusters"]
    kind = "gaussian" if name == "gaussian_mixture" else "k_means"
    if kind == "gaussian":
        from sklearn.decomposition import PCA

        reduced = PCA(EXPLAINED, svd_solver="full", random_state=seed).fit(features["train"])
        features = {split: reduced.transform(values) for split, values in features.items()}
    assign = _ward(features["train"], clusters) if name == "ward" else None
    if assign is None:
        assign = fit_mixture(features["train"], clusters, kind, seed).assign
    judge = Judge(clusters, kind, seed=seed)
    scored = {}
    for split, values in features.items():
        hard = np.eye(clusters)[assign(np.asarray(values, np.float64))]
        scored[split], _ = judge.scores(features["train"], values, hard, dataset, split)
    return scored


def _ward(train: np.ndarray, clusters: int) -> Any:
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.neighbors import NearestCentroid

    assigned = AgglomerativeClustering(clusters).fit_predict(train)
    nearest = NearestCentroid().fit(np.asarray(train, np.float64), assigned)
    return nearest.predict
