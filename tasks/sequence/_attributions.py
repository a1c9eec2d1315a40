"""Which steps of a sequence, and which words of a text, a prediction depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.data.dataset import Dataset
from zoo.inspection.gradient_flow import create_hidden_part
from zoo.inspection.integrated_gradients import compute_integrated_gradients
from zoo.models.built_model import find_network, find_preprocessing
from zoo.networks.ngram_layers import WeighNgrams
from zoo.networks.rocket import RocketFeatures
from zoo.portable.ngrams import split_into_signs
from zoo.portable.preprocessing import split_into_tokens
from zoo.preprocessing.ngrams import NGRAMS, HashNgrams
from zoo.preprocessing.sequences import CODES, STEPS, EncodeText
from zoo.training.preprocessed_arrays import convert_to_tensor, prepare_inputs

from ._ngram_contributions import split_over_words

ACTIVATIONS = (keras.activations.sigmoid, keras.activations.softmax)
CHOSEN = "chosen class"
LEAST_SHARE = 1e-7


@dataclass(frozen=True)
class Part:
    """The part of a network that is differentiated.

    Args:
        start: Tensors of the network that the part takes; contributions are of the first one.
        end: Logits of classes, or the output of the network.
        are_logits: Whether the end has logits.
    """

    start: tuple[Any, ...]
    end: Any
    are_logits: bool


def can_attribute(dataset: Dataset, model: Any) -> bool:
    """Return whether there is one target, a validation split, and a network with a part that can be differentiated."""
    spec = dataset.spec
    one = len(spec.targets) == 1 and not spec.target.quantiles and not spec.target.shape
    if not one or "validation" not in dataset.splits or find_preprocessing(model) is None:
        return False
    network = find_network(model)
    return network is not model and find_part(network) is not None  # a user's own network may have any name


def find_part(network: keras.Model) -> Part | None:
    """Return the part of a network behind its steps, its embedding of tokens, or its weights of n-grams.

    None if there is none, and for MiniRocket: its features are shares of steps above thresholds, whose gradient is
    zero.
    """
    if any(isinstance(layer, RocketFeatures) for layer in network._flatten_layers()):
        return None
    by_name = {tensor.name: tensor for tensor in network.inputs}
    if STEPS in by_name:
        start = (by_name.pop(STEPS), *by_name.values())
        return Part(start, *_find_end(network))
    name = CODES if CODES in by_name else NGRAMS
    if name not in by_name:
        return None
    readers = [node for node in _list_nodes(network) if any(each is by_name[name] for each in node.input_tensors)]
    layer = readers[0].operation
    if len(readers) > 1 or not isinstance(layer, (keras.layers.Embedding, WeighNgrams)):
        return None
    if isinstance(layer, WeighNgrams):
        buckets, weights = readers[0].outputs
        return Part((weights, buckets), *_find_end(network))
    others = [tensor for tensor in network.inputs if tensor.name != CODES]
    # A mask of the embedding itself would be lost.
    return None if layer.mask_zero else Part((*readers[0].outputs, *others), *_find_end(network))


def run_part(network: keras.Model, part: Part, values: Mapping[str, Any]) -> Any:
    """Return the value of a part's end.

    The layers are called one by one: Keras cannot save a model whose intermediate tensors are inputs of another model.

    Args:
        network: The network.
        part: From :func:`find_part`.
        values: Values of the part's start, by name.
    """
    computed = {id(tensor): values[tensor.name] for tensor in part.start}
    for node in _list_nodes(network):
        is_needed = not node.is_input and not any(id(each) in computed for each in node.outputs)
        if is_needed and all(id(each) in computed for each in node.input_tensors):
            arguments, options = node.arguments.fill_in(computed)
            outputs = keras.tree.flatten(node.operation(*arguments, **options))
            computed.update({id(tensor): value for tensor, value in zip(node.outputs, outputs, strict=True)})
    return computed[id(part.end)]


def compute_attributions(
    model: keras.Model, inputs: Mapping[str, Any], chosen: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each value that a network reads contributes to its prediction, and the completeness gap (N,).

    Integrated gradients of the log-odds of a class, before calibration, or of the output for a number. The baseline is
    the mean of the training steps for numbers, an embedding of zeros for texts, and no n-grams for a bag of n-grams.

    Args:
        model: The full model.
        inputs: Raw inputs of N examples by key.
        chosen: Index of the class of each example (N,); None for numbers.

    Returns:
        Contributions (N, T, F) of standardized steps, (N, T, D) of embeddings, or (N, T) of the n-grams in the order
        of the preprocessed ones; and the gap, as of :func:`zoo.inspection.integrated_gradients`.
    """
    network = find_network(model)
    part = find_part(network)
    assert part is not None
    given = create_hidden_part(network, part.start)(preprocess_inputs(model, inputs))
    values = {tensor.name: value for tensor, value in zip(part.start, given, strict=True)}
    classes = {} if chosen is None else {CHOSEN: np.asarray(chosen, np.int32)}

    def score(values: Mapping[str, Any]) -> Any:
        output = tf.cast(run_part(network, part, values), tf.float32)
        return output[:, 0] if chosen is None else compute_log_odds(output, values[CHOSEN], logits=part.are_logits)

    return compute_integrated_gradients(score, {**values, **classes}, part.start[0].name)


def compute_log_odds(output: Any, chosen: Any, *, logits: bool) -> Any:
    """Return the log-odds of a class of each row (N,).

    Args:
        output: Of the second of two classes (N, 1), or of each class (N, K).
        chosen: Index of the class (N,).
        logits: Whether the output has logits rather than probabilities.

    Example:
        >>> f"{compute_log_odds(tf.constant([[0.25]]), tf.constant([0]), logits=False)[0]:.4f}"
        '1.0986'
    """
    if output.shape[-1] == 1:
        output = tf.concat([tf.zeros_like(output) if logits else 1 - output, output], axis=1)
    scores = output if logits else tf.math.log(tf.maximum(output, LEAST_SHARE))
    is_chosen = tf.one_hot(chosen, scores.shape[-1], on_value=True, off_value=False)
    others = tf.reduce_logsumexp(tf.where(is_chosen, -np.inf, scores), axis=1)
    return tf.reduce_sum(tf.where(is_chosen, scores, 0.0), axis=1) - others


def split_contributions(
    model: keras.Model, inputs: Mapping[str, Any], contributions: np.ndarray
) -> tuple[list[list[str]], list[np.ndarray]]:
    """Return the tokens of N texts that a model reads, and the contribution of each token.

    Args:
        model: The full model.
        inputs: The texts by key.
        contributions: From :func:`compute_attributions`.
    """
    (values,) = inputs.values()
    texts = [str(text) for text in np.asarray(values)]
    config = _find_config(model, HashNgrams)
    if config is None:
        config = _find_config(model, EncodeText)
        assert config is not None
        tokens = [split_into_tokens(text, config["unit"])[: config["longest"]] for text in texts]
        # A text without tokens is read as an unknown one.
        return tokens, [row[: len(words)].sum(axis=-1) for row, words in zip(contributions, tokens, strict=True)]
    tokens = [[token for token in split_into_signs(text) if token][: config["longest"]] for text in texts]
    pairs = np.asarray(preprocess_inputs(model, inputs)[NGRAMS])
    rows = zip(tokens, pairs, contributions, strict=True)
    return tokens, [split_over_words(config, words, ngrams, row) for words, ngrams, row in rows]


def preprocess_inputs(model: keras.Model, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the padded tensors that the network of a full model takes, by name."""
    raw = {key: convert_to_tensor(values) for key, values in prepare_inputs(inputs).items()}
    return dict(find_preprocessing(model)(raw))


def _find_config(model: keras.Model, kind: type[keras.layers.Layer]) -> dict[str, Any] | None:
    layers = [layer for layer in find_preprocessing(model).layers if isinstance(layer, kind)]
    return layers[0].get_config() if layers else None


def _list_nodes(network: keras.Model) -> list[Any]:
    """Return the calls of layers in a network, from inputs to outputs."""
    by_depth = getattr(network, "_nodes_by_depth", {})
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _find_end(network: keras.Model) -> tuple[Any, bool]:
    """Return the logits of classes, and that they are; or the output, and that it has none."""
    layer = network.output._keras_history.operation
    if isinstance(layer, keras.layers.Activation) and layer.activation in ACTIVATIONS:
        return layer.input, True
    return network.output, False
