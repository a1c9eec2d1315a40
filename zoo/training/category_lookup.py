"""Fast bulk preprocessing: look up each category of a column once instead of once per row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import keras

# For fewer rows, direct lookups are faster than splitting the graph.
LEAST_ROWS = 20_000
_apart: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def split_at_lookups(preprocessing: keras.Model, inputs: Mapping[str, Any]) -> tuple[keras.Model, dict[str, Any]]:
    """Return the rest of a preprocessing model after its category lookups, and the inputs of that rest (N rows each).

    The model's own lookup layers are applied to each distinct category once, so bulk preprocessing gives the same
    result as preprocessing a single row.

    Args:
        preprocessing: Keras model from raw to preprocessed inputs.
        inputs: Raw values by key, N rows each.
    """
    if len(next(iter(inputs.values()))) < LEAST_ROWS:
        return preprocessing, dict(inputs)
    if preprocessing not in _apart:
        _apart[preprocessing] = _taken_apart(preprocessing)
    apart = _apart[preprocessing]
    if apart is None:
        return preprocessing, dict(inputs)
    names = {name for layer in apart.layers for name in _names_of_inputs(layer)}
    factored = {name: _factored(inputs[name]) for name in names}
    inputs_ = {name: values for name, values in inputs.items() if name in {column.name for column in apart.rest.inputs}}
    for layer in apart.layers:
        inputs_[layer.output.name] = _looked_up(layer, [factored[name] for name in _names_of_inputs(layer)])
    return apart.rest, inputs_


@dataclass(frozen=True)
class _Apart:
    """The lookup layers of a preprocessing model, and the model of everything after them."""

    layers: list[Any]
    rest: keras.Model


def _taken_apart(preprocessing: keras.Model) -> _Apart | None:
    import keras

    # Clone first: Keras cannot save a model whose intermediate tensors are inputs of another model.
    copy = keras.models.clone_model(preprocessing)
    layers = [layer for layer in copy.layers if getattr(layer, "by_category", False)]
    if not layers:
        return None
    looked_up = {name for layer in layers for name in _names_of_inputs(layer)}
    # Text that is not an input of a lookup layer is passed through unchanged.
    tensors = {tensor.name: tensor for tensor in copy.inputs if tensor.name not in looked_up}
    cut = {layer.output.name: layer.output for layer in layers}
    return _Apart(layers, keras.Model({**tensors, **cut}, copy.output, name=preprocessing.name))


def _names_of_inputs(layer: Any) -> list[str]:
    taken = layer.input if isinstance(layer.input, list) else [layer.input]  # Keras unpacks a list of one item
    return [tensor.name for tensor in taken]


def _factored(values: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(values, pd.Categorical):
        return np.asarray(values.codes), values.categories.to_numpy()
    codes, categories = pd.factorize(np.asarray(values, dtype=object))
    return codes, np.asarray(categories, dtype=object)


def _looked_up(layer: Any, columns: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return a lookup layer's output (N, C) for columns given as codes (N,) and categories."""
    import tensorflow as tf

    longest = max(len(categories) for _, categories in columns)
    padded = [np.append(categories, [""] * (longest - len(categories))) for _, categories in columns]
    table = np.asarray(layer([tf.constant(categories.astype(object)) for categories in padded]))  # (longest, C)
    codes_ = np.empty((len(columns[0][0]), len(columns)), table.dtype)
    for index, (codes, _) in enumerate(columns):
        codes_[:, index] = table[codes, index]
    return codes_
