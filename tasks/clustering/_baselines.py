"""Classical clustering baselines on raw columns or pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset

from ._metrics import Judge, compute_reference_features
from ._mixture import fit_mixture

# Rows that a baseline is fitted on; it scores all rows. A full covariance of many columns takes long.
FITTED_ROWS = {"k_means": 10_000, "gaussian_mixture": 5_000}
_QUICK: list[tuple[str, int | None]] = [("k_means", None), ("gaussian_mixture", None)]
BASELINES: dict[str, list[tuple[str, int | None]]] = {
    "none": [],
    "quick": _QUICK,
    "all": [*_QUICK, ("ward", 10_000)],
}
EXPLAINED = 0.9


def run_baseline(name: str, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    """Return the scores of a classical clustering by split.

    ``k_means`` clusters the columns, ``gaussian_mixture`` the principal components with 90 % of the variance, and
    ``ward`` (1963) the columns; Ward assigns each new row to the nearest cluster mean. Of more training rows than
    ``FITTED_ROWS``, a random sample is used to fit.
    """
    features = {split: compute_reference_features(rows, dataset.spec) for split, rows in dataset.splits.items()}
    clusters = dataset.spec.options["clusters"]
    rows = np.random.default_rng(seed).permutation(len(features["train"]))[: FITTED_ROWS.get(name)]
    features["fit"] = features["train"][np.sort(rows)]
    kind = "gaussian" if name == "gaussian_mixture" else "k_means"
    if kind == "gaussian":
        from sklearn.decomposition import PCA

        reduced = PCA(EXPLAINED, svd_solver="full", random_state=seed).fit(features["fit"])
        features = {split: reduced.transform(values) for split, values in features.items()}
    fitted_on = features.pop("fit")
    assign = _ward(fitted_on, clusters) if name == "ward" else fit_mixture(fitted_on, clusters, kind, seed).assign
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
