"""Training of a clustering autoencoder: first reconstruction, then the mixture on its latent vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.data.dataset import Dataset
from zoo.models.built_model import BuiltModel
from zoo.networks.autoencoder import CLUSTER, ERROR, LATENT
from zoo.training.fit_loop import fit
from zoo.training.preprocessed_arrays import Arrays, forward, load_or_preprocess
from zoo.training.training_state import FitPlan, FitResult

from ._mixture import fit_mixture

MOST_ROWS = 20_000


def fit_clusters(built_model: BuiltModel, dataset: Dataset, plan: FitPlan, cache: Path | None) -> FitResult:
    """Train the network to reconstruct preprocessed examples, then fit its mixture.

    Args:
        built_model: Model whose network has the outputs of :func:`zoo.networks.autoencoder.add_cluster_outputs`.
        dataset: The data; its labels are not used.
        plan: How to train; early stopping monitors ``val_loss``.
        cache: Folder for preprocessed data.
    """
    network, preprocessing = built_model.network, built_model.preprocessing
    assert preprocessing is not None
    model = preprocessing.model()
    digest = preprocessing.digest if cache is not None else ""
    splits = {}
    for name in ("train", "validation"):
        if name in dataset.splits:
            arrays = load_or_preprocess(model, digest, name, dataset.splits[name], cache)
            splits[name] = Arrays(arrays.x, np.zeros(len(arrays), np.float32))
    trained = keras.Model(network.input, network.output[ERROR], name="autoencoder")
    trained.compile(network.optimizer, network.loss[ERROR])
    result = fit(trained, splits["train"], splits.get("validation"), plan)
    encoder = keras.Model(network.input, network.output[LATENT], name="encoder")
    latent = _sample(forward(encoder, splits["train"].x), MOST_ROWS, plan.seed)
    layer: Any = network.get_layer(CLUSTER)
    mixture = fit_mixture(latent, layer.clusters, layer.kind, plan.seed)
    layer.calibrate(mixture.means, mixture.factors, mixture.weights)
    return result


def _sample(values: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Return a random sample of limited size, which is enough for the few parameters of a mixture."""
    if len(values) <= rows:
        return values
    return values[np.random.default_rng(seed).choice(len(values), rows, replace=False)]
