"""Training of a network that completes baskets."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.models.built_model import BuiltModel
from zoo.preprocessing.sequences import CODES
from zoo.spec import Spec
from zoo.training.fit_loop import fit
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.training_state import FitPlan, FitResult, Monitor

from ._hidden import encode_baskets, hide_items
from ._metrics import list_metrics
from ._network import COMPLETION, create_ranking_part


def fit_baskets(built_model: BuiltModel, dataset: Dataset, plan: FitPlan) -> FitResult:
    """Train the network on baskets of two known items or more; early stopping monitors the first metric.

    Args:
        built_model: Model of :func:`build_completion_model`.
        dataset: The data.
        plan: How to train.
    """
    spec, network = dataset.spec, built_model.network
    baskets = encode_baskets(dataset.splits["train"], spec)
    _set_popularity(network, baskets)
    train = _prepare([codes for codes in baskets if len(codes) > 1])
    validation = None
    if "validation" in dataset.splits:
        rest = hide_items(dataset.splits["validation"], spec)
        if len(rest):
            validation = _prepare([np.append(codes, item) for codes, item in zip(rest.codes, rest.hidden, strict=True)])
            plan = dataclasses.replace(plan, monitor=_create_monitor(spec))
    return fit(network, train, validation, plan, inference=create_ranking_part(network))


def check_learnable(dataset: Dataset) -> None:
    """Raise an error if no training basket has two items.

    Raises:
        DataError: If there is nothing to learn, or nothing to score in the test split.
    """
    baskets = encode_baskets(dataset.splits["train"], dataset.spec)
    if max(map(len, baskets)) < 2:
        message = (
            "each basket of the training split has one item only, so that nothing can be learned about items that go "
            "together; a basket is a line, its items separated by commas, semicolons, tabs or spaces; a table with a "
            "row for each item needs --basket COLUMN --item COLUMN"
        )
        raise DataError(message, where=dataset.source)
    for name, split in dataset.splits.items():
        if not len(hide_items(split, dataset.spec)):
            raise DataError(
                f"no basket of the {name} split has two items, so that it has no score", where=dataset.source
            )


def _prepare(baskets: list[np.ndarray]) -> Arrays:
    x: dict[str, Any] = {CODES: Ragged.of([np.asarray(codes, np.int32) for codes in baskets], axes=1)}
    return Arrays(x, np.zeros(len(baskets), np.float32))


def _set_popularity(network: Any, baskets: list[np.ndarray]) -> None:
    """Let the scores of a network with a bias begin with the logarithm of the items' frequencies."""
    layers = {layer.name: layer for layer in network.get_layer(COMPLETION).layers}
    if "logits" in layers:
        bias = layers["logits"].bias
        counts = np.bincount(np.concatenate(baskets), minlength=bias.shape[0] + 1)[1:]
        bias.assign(np.log((counts + 1) / (counts.sum() + len(counts))))


def _create_monitor(spec: Spec) -> Monitor:
    metric = list_metrics(spec)[0]

    def score(rank: np.ndarray) -> float:
        rank = np.asarray(rank)[:, 0]
        return float(metric.function(rank, rank, np.ones((1, len(rank))))[0])

    return Monitor(f"val_{metric.name}", metric.direction, score)
