"""Networks that complete baskets: from the items of a basket to the items that are missing in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from zoo.models.shared_hyperparameters import Knobs
from zoo.networks import assemble
from zoo.networks.autoencoder import OutputItself
from zoo.portable.preprocessing import LENGTH
from zoo.preprocessing.sequences import CODES, SequencePreprocessing
from zoo.spec import Spec, TextInput

from ._layers import CountUnseen, DistinctItems, HideItems
from ._ranking import BestItems, HiddenRank

ITEMS, SCORES, UNSEEN_ITEMS, COMPLETION = "items", "scores", "unseen", "completion"
MOST_RANKED = 100
# Baskets that are trained on in all epochs together, within limits on the epochs.
TRAINED_BASKETS, FEWEST_EPOCHS, MOST_EPOCHS = 500_000, 8, 40


def choose_length(spec: Spec) -> dict[str, Any]:
    """Return the defaults of the length of training: the more baskets there are, the fewer epochs are needed."""
    epochs = int(min(max(TRAINED_BASKETS / max(spec.rows, 1), FEWEST_EPOCHS), MOST_EPOCHS))
    return {"schedule": "cosine", "epochs": epochs, "patience": max(3, epochs // 4)}


def build_completion_model(
    spec: Spec,
    knobs: Knobs,
    score: Callable[[Any], Any],
    cost: Callable[[keras.Model, Any, Any], Any],
    *,
    softmax: bool,
) -> keras.Model:
    """Return the compiled model of baskets: their best missing items, and the cost that trains it.

    Args:
        spec: Spec with baskets as its only input.
        knobs: Provide optimizer and training length.
        score: From the codes of a basket (B, T) to the score of each item (B, I).
        cost: From the model of ``score``, codes and lengths to the cost of each basket (B, 1).
        softmax: Whether the softmax of the scores are probabilities.
    """
    preprocessing = SequencePreprocessing(spec)
    inputs = preprocessing.tensors()
    codes, length = inputs[CODES], inputs[LENGTH]
    items = keras.Input((None,), dtype="int32", name="basket")
    completion = keras.Model(items, score(items), name=COMPLETION)
    trained = cost(completion, codes, length)
    distinct = DistinctItems(name="distinct")(codes)
    ranked = min(MOST_RANKED, len(spec.only(TextInput).vocabulary))
    best, values = BestItems(ranked, softmax, name="best")(completion(distinct), distinct)
    outputs = {ITEMS: best, SCORES: values, UNSEEN_ITEMS: CountUnseen(name=UNSEEN_ITEMS)(codes, length)}
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, trained, OutputItself(), knobs, inference_output=outputs)


def create_ranking_part(network: keras.Model) -> keras.Model:
    """Return the compiled model from baskets to the rank of their last item (B, 1), predicted from the others.

    Args:
        network: The network of :func:`build_completion_model`, whose weights it shares.
    """
    inputs = {name: keras.Input(t.shape[1:], dtype=t.dtype, name=name) for name, t in network.input.items()}
    kept, hidden = HideItems(0.0, name="hide_last")(inputs[CODES], inputs[LENGTH])
    rank = HiddenRank(name="rank")(network.get_layer(COMPLETION)(kept), kept, hidden)
    part = keras.Model(inputs, rank, name="ranking")
    part.compile(network.optimizer, network.loss)
    return part
