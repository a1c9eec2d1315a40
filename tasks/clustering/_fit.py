"""Training of a clustering autoencoder: first reconstruction, then the mixture on its latent vectors."""

from __future__ import annotations

from collections.abc import Mapping
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
from ._neighbours import create_pair_model, draw_pairs, find_near_rows

MOST_ROWS = 20_000
MOST_PAIRS = 100_000  # in an epoch


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
    if LATENT in network.loss:
        result = _fit_neighbours(network, splits, plan)
    else:
        trained = keras.Model(network.input, network.output[ERROR], name="autoencoder")
        trained.compile(network.optimizer, network.loss[ERROR])
        result = fit(trained, splits["train"], splits.get("validation"), plan)
    encoder = keras.Model(network.input, network.output[LATENT], name="encoder")
    latent = _sample(forward(encoder, splits["train"].x), MOST_ROWS, plan.seed)
    layer: Any = network.get_layer(CLUSTER)
    mixture = fit_mixture(latent, layer.clusters, layer.kind, plan.seed)
    layer.calibrate(mixture.means, mixture.factors, mixture.weights)
    return result


def _fit_neighbours(network: Any, splits: Mapping[str, Arrays], plan: FitPlan) -> FitResult:
    """Train on pairs of neighbouring rows; those of validation are a validation row and a near training row."""
    loss = network.loss[LATENT]
    tensors = {name: split.padded() for name, split in splits.items()}
    joined = {key: np.concatenate([rows[key] for rows in tensors.values()]) for key in tensors["train"]}
    features = {name: _flatten(rows) for name, rows in tensors.items()}
    count = len(splits["train"])
    neighbours = min(loss.neighbours, count - 1)
    pairs = {"train": draw_pairs(features["train"], neighbours, min(neighbours * count, MOST_PAIRS), plan.seed)}
    if "validation" in features:
        pairs["validation"] = find_near_rows(features["train"], features["validation"], neighbours)
    model = create_pair_model(network, joined)
    model.compile(network.optimizer, loss)
    arrays = {name: Arrays(values, np.zeros(len(values), np.float32)) for name, values in pairs.items()}
    return fit(model, arrays["train"], arrays.get("validation"), plan)


def _flatten(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the numbers of preprocessed rows (N, D) that distances are computed from."""
    name = "features" if "features" in rows else next(iter(rows))
    return np.asarray(rows[name], np.float32).reshape(len(rows[name]), -1)


def _sample(values: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Return a random sample of limited size, which is enough for the few parameters of a mixture."""
    if len(values) <= rows:
        return values
    return values[np.random.default_rng(seed).choice(len(values), rows, replace=False)]
