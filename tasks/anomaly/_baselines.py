"""Classical anomaly detectors of scikit-learn, on preprocessed columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.data.dataset import Dataset
from zoo.preprocessing.table import preprocess_table, suggest_scaling
from zoo.training.preprocessed_arrays import preprocess

from ._layers import SCORE
from ._metrics import score_rows

BASELINES: dict[str, tuple[str, ...]] = {
    "none": (),
    "quick": ("isolation_forest",),
    "all": ("isolation_forest", "local_outlier_factor"),
}
# Rows that a detector is fitted on; it scores all rows. Each row is compared with all of those.
FITTED_ROWS = {"local_outlier_factor": 10_000}


def run_baseline(name: str, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    """Return the scores of a classical detector by split.

    ``isolation_forest`` is that of Liu, Ting and Zhou (2008), ``local_outlier_factor`` that of Breunig et al. (2000)
    with 20 neighbours, both fitted on the training split; of more rows than ``FITTED_ROWS``, on a random sample.
    """
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor

    preprocessing = preprocess_table(dataset.spec, scaling=suggest_scaling(dataset.spec)).model()
    features = {split: preprocess(preprocessing, rows).x["features"] for split, rows in dataset.splits.items()}
    train = features["train"]
    rows = np.random.default_rng(seed).permutation(len(train))[: FITTED_ROWS.get(name)]
    if name == "isolation_forest":
        detector = IsolationForest(random_state=seed)
    else:
        detector = LocalOutlierFactor(min(20, len(rows) - 1), novelty=True)
    detector.fit(train[np.sort(rows)])
    scored = {}
    for split, values in features.items():
        output = {SCORE: -detector.score_samples(values)[:, None]}
        scored[split], _ = score_rows(output, dataset, split, intervals=False)
    return scored
