"""Training of a language model: its network on pieces of texts, then the share of n-grams in its predictions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.ragged import Ragged
from zoo.inspection.probe_rows import preprocess_sample
from zoo.models.built_model import NETWORK, BuiltModel
from zoo.preprocessing.sequences import CODES
from zoo.training.fit_loop import fit
from zoo.training.preprocessed_arrays import forward, load_or_preprocess
from zoo.training.training_state import FitPlan, FitResult, Monitor

from ._layers import NextToken, TextBits, TextCost
from ._network import (
    BITS,
    BOUNDARIES,
    COST,
    LOGITS,
    NETWORK_BITS,
    NEXT,
    count_tokens,
    create_trained_part,
    find_boundary,
)
from ._ngram_tables import NGramTables, create_tables
from ._ngrams import MOST_TOKENS, USUAL_ORDER, NGrams
from ._texts import add_boundaries, count_sizes, count_unknown, cut_into_pieces, get_texts, prepare_arrays

MOST_NGRAMS = 6_000_000  # in the tables, 8 bytes each
USUAL_SHARE = 0.5  # without validation texts
SHARES = tuple(np.linspace(0, 1, 21).round(2).tolist())


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


def add_ngrams(built_model: BuiltModel, dataset: Dataset) -> None:
    """Let a trained network predict together with n-grams of the training texts.

    The probability of a token is a mean of both, as of recurrent networks and n-grams in Mikolov et al. 2010,
    "Recurrent neural network based language model", section 3. The share of the n-grams is the one that has the fewest
    bits on the validation texts, the network's share is the rest. N-grams have Kneser-Ney smoothing.

    Args:
        built_model: Model of :func:`build_language_model` with its final weights; gets another network for predictions.
        dataset: Texts that it was trained on.
    """
    spec, network = dataset.spec, built_model.network
    size = find_boundary(spec) + 1
    rows = max(1, int(MOST_TOKENS * spec.rows / count_tokens(spec)))
    texts = {
        name: preprocess_sample(built_model, dataset.splits[name], rows).x
        for name in ("train", "validation")
        if name in dataset.splits
    }
    encoded = {name: add_boundaries(inputs[CODES], size - 1) for name, inputs in texts.items()}
    ngrams = NGrams(encoded["train"], size)
    order = ngrams.choose_order(encoded["validation"]) if "validation" in encoded else USUAL_ORDER
    sizes = np.cumsum([len(level.keys) for level in ngrams.levels])
    order = min(order, max(1, int(np.searchsorted(sizes, MOST_NGRAMS, side="right"))))
    tables = NGramTables.filled(create_tables(ngrams, order), order, size, name="ngrams")

    tokens, length = network.get_layer(BOUNDARIES).output
    logits = network.get_layer(LOGITS).output
    probabilities, after = tables(tokens, length)
    share = USUAL_SHARE
    if "validation" in texts:
        every_share = TextCost(SHARES, name="cost_by_share")(logits, tokens, length, probabilities)
        costs = forward(keras.Model(network.inputs, every_share), texts["validation"])
        share = SHARES[int(costs.sum(axis=0, dtype=np.float64).argmin())]
    cost = TextCost((share,), name=COST)(logits, tokens, length, probabilities)
    network_cost = TextCost(name="network_cost")(logits, tokens, length, probabilities)
    unknown_bits, inputs = spec.options["unknown_bits"], network.get_layer(BOUNDARIES).input
    outputs = {
        BITS: TextBits(unknown_bits, name=BITS)(cost, *inputs),
        NETWORK_BITS: TextBits(unknown_bits, name=NETWORK_BITS)(network_cost, *inputs),
        NEXT: NextToken(share, name=NEXT)(logits, length, after),
    }
    inference = keras.Model(network.inputs, outputs, name=NETWORK)
    inference.compile(optimizer=network.optimizer, loss=network.loss)
    built_model.inference = inference
