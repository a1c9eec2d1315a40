"""Recurrent language models: embedding, recurrent layers, softmax over the vocabulary and the end of a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from zoo.models.built_model import BuiltModel
from zoo.models.shared_hyperparameters import Knobs, choose_batch_size
from zoo.networks import assemble
from zoo.networks.dropout import Dropout
from zoo.portable.preprocessing import LENGTH
from zoo.preprocessing.sequences import CODES, SequencePreprocessing
from zoo.spec import Spec, TextInput

from ._layers import AddBoundaries, CostPerToken, NextToken, TextBits, TextCost, WithoutLast

# Tokens that are trained on in all epochs together, within limits on the epochs.
TRAINED_TOKENS, FEWEST_EPOCHS, MOST_EPOCHS = 20_000_000, 6, 30
# Dropout is half below the first, and none from the second on: few epochs over so many do not over-fit.
FEW_TOKENS, MANY_TOKENS = 100_000, 2_000_000
MOST_BATCH = 128
BOUNDARIES, LOGITS, COST, NEXT, BITS, NETWORK_BITS = "boundaries", "logits", "cost", "next", "bits", "network_bits"


def find_boundary(spec: Spec) -> int:
    """Return the code of a text's beginning and end: 0 is unknown, and from 1 on is the vocabulary."""
    return len(spec.only(TextInput).vocabulary) + 1


def choose_defaults(spec: Spec) -> dict[str, Any]:
    """Return the defaults of shared hyperparameters for the size of the training texts.

    Small batches learn more in the same time: a step over 128 words of ten letters has a thousand predictions. The more
    texts there are, the fewer epochs are needed, and the less dropout.
    """
    tokens = count_tokens(spec)
    epochs = int(min(max(TRAINED_TOKENS / tokens, FEWEST_EPOCHS), MOST_EPOCHS))
    return {
        "learning_rate": 4e-3,
        "schedule": "cosine",
        "clip_norm": 1.0,
        "batch_size": min(MOST_BATCH, choose_batch_size(spec.rows)),
        "epochs": epochs,
        "patience": max(5, epochs // 4),
        "dropout": 0.5 if tokens < FEW_TOKENS else 0.2 if tokens < MANY_TOKENS else 0.0,
    }


def build_language_model(
    spec: Spec,
    knobs: Knobs,
    *,
    kind: type[keras.layers.Layer],
    units: int,
    layers: int,
    embedding: int,
    after_fit: Callable[[BuiltModel, Any], None] | None = None,
) -> keras.Model:
    """Return the compiled model of texts: their bits, and the probabilities of the token that comes next.

    The states after a token predict the next one, so texts are read forwards only, and padding behind a text has no
    effect.

    Args:
        spec: Spec with a text as its only input.
        knobs: Provide dropout, regularisation, optimizer and training length.
        kind: ``SimpleRNN``, ``LSTM`` or ``GRU`` of Keras.
        units: Width of each recurrent layer.
        layers: Number of recurrent layers.
        embedding: Width of the embedding of tokens.
        after_fit: Called with the built model and the dataset when training is over.
    """
    preprocessing = SequencePreprocessing(spec)
    inputs = preprocessing.tensors()
    size, codes, length = find_boundary(spec) + 1, inputs[CODES], inputs[LENGTH]
    tokens, tokens_length = AddBoundaries(size - 1, name=BOUNDARIES)(codes, length)
    initializer, dropout, regularizer = knobs.get("initializer"), knobs.get("dropout"), knobs.regularizer()
    before = WithoutLast(name="context")(tokens)
    x = keras.layers.Embedding(size, embedding, name="embedding")(before)
    for index in range(layers):
        x = kind(
            units,
            return_sequences=True,
            kernel_initializer=initializer,
            kernel_regularizer=regularizer,
            name=f"recurrent_{index}",
        )(x)
        x = Dropout(dropout, name=f"dropout_{index}")(x) if dropout else x
    x = keras.layers.Dense(size, kernel_initializer=initializer, kernel_regularizer=regularizer, name=LOGITS)(x)
    cost = TextCost(name=COST)(x, tokens, tokens_length)
    bits = TextBits(spec.options["unknown_bits"], name=BITS)(cost, codes, length)
    outputs = {BITS: bits, NEXT: NextToken(name=NEXT)(x, tokens_length)}
    knobs.training(spec.rows)
    loss = CostPerToken(spec.only(TextInput).mean_length + 1)
    return assemble(preprocessing, inputs, outputs, {BITS: loss}, knobs, after_fit=after_fit)


def count_tokens(spec: Spec) -> float:
    """Return the number of training tokens, the end of each text included."""
    return spec.rows * (spec.only(TextInput).mean_length + 1)


def create_trained_part(network: keras.Model) -> keras.Model:
    """Return the compiled part of a network that is trained: from texts with boundaries to their cost (B, 1).

    Args:
        network: The network of :func:`build_language_model`, whose weights it shares.
    """
    tokens, length = network.get_layer(BOUNDARIES).output
    part = keras.Model({CODES: tokens, LENGTH: length}, network.get_layer(COST).output, name="texts")
    part.compile(network.optimizer, network.loss[BITS])
    return part
