"""Training of a language model on pieces of texts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.ragged import Ragged
from zoo.models.built_model import BuiltModel
from zoo.preprocessing.sequences import CODES
from zoo.training.fit_loop import fit
from zoo.training.preprocessed_arrays import load_or_preprocess
from zoo.training.training_state import FitPlan, FitResult, Monitor

from ._network import create_trained_part, find_boundary
from ._texts import add_boundaries, count_sizes, count_unknown, cut_into_pieces, get_texts, prepare_arrays


def fit_texts(built_model: BuiltModel, dataset: Dataset, plan: FitPlan, cache: Path | None) -> FitResult:
    """Train the network to predict each token of the training texts; early stopping monitors the bits per character.

    Args:
        built_model: Model of :func:`build_language_model`.
        dataset: The data.
        plan: How to train.
        cache: Folder for preprocessed data.
    """
    network, preprocessing, spec = built_model.network, built_model.preprocessing, dataset.spec
    assert preprocessing is not None
    digest = preprocessing.digest if cache is not None else ""
    splits: dict[str, Ragged] = {}
    for name in ("train", "validation"):
        if name in dataset.splits:
            arrays = load_or_preprocess(preprocessing.model(), digest, name, dataset.splits[name], cache)
            splits[name] = add_boundaries(arrays.x[CODES], find_boundary(spec))
    if "validation" in splits:
        plan = dataclasses.replace(plan, monitor=_create_monitor(dataset, splits["validation"]))
    train = prepare_arrays(cut_into_pieces(splits["train"], spec.options["piece"]))
    return fit(
        create_trained_part(network),
        train,
        prepare_arrays(splits["validation"]) if "validation" in splits else None,
        plan,
    )


def _create_monitor(dataset: Dataset, texts: Ragged) -> Monitor:
    spec = dataset.spec
    characters = count_sizes(get_texts(dataset.splits["validation"], spec), spec)[:, 0].sum()
    charged = count_unknown(texts).sum() * spec.options["unknown_bits"]

    def score(cost: np.ndarray) -> float:
        return float((np.sum(cost, dtype=np.float64) / np.log(2) + charged) / characters)

    return Monitor("val_bits_per_character", "min", score)
