"""Training of an anomaly detector on preprocessed rows, without a target."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.dataset import Dataset
from zoo.models.built_model import BuiltModel
from zoo.training.fit_loop import fit
from zoo.training.preprocessed_arrays import Arrays, load_or_preprocess
from zoo.training.training_state import FitPlan, FitResult

from ._layers import ColumnNoise


def fit_network(built_model: BuiltModel, dataset: Dataset, plan: FitPlan, cache: Path | None) -> FitResult:
    """Train the network, whose output is its loss; early stopping monitors ``val_loss``.

    Args:
        built_model: Model whose trained output is the loss of each row.
        dataset: The data; its labels are not used.
        plan: How to train.
        cache: Folder for preprocessed data.
    """
    preprocessing = built_model.preprocessing
    assert preprocessing is not None
    model, digest = preprocessing.model(), preprocessing.digest if cache is not None else ""
    splits = {}
    for name in ("train", "validation"):
        if name in dataset.splits:
            arrays = load_or_preprocess(model, digest, name, dataset.splits[name], cache)
            splits[name] = Arrays(arrays.x, np.zeros(len(arrays), np.float32))
    for layer in built_model.network.layers:
        if isinstance(layer, ColumnNoise):
            layer.adapt(splits["train"].x["features"])
    return fit(built_model.network, splits["train"], splits.get("validation"), plan)
