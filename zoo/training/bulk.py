"""Preparation in bulk: each level of a column is looked up once, and not in each of a million rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import keras

# Fewer rows are looked up sooner than a graph is taken apart.
LEAST_ROWS = 20_000
_rests: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def by_level(preparation: keras.Model, inputs: Mapping[str, Any]) -> tuple[keras.Model, dict[str, Any]]:
    """Return what is left of a preparation once levels are looked up, and what that takes, N rows each.

    The layers that look levels up are the model's own: they are shown each different level once. So bulk preparation
    is what a model does with a single row, and no second way beside it.

    Args:
        preparation: The Keras model from raw to prepared.
        inputs: Raw values by key, N rows each.
    """
    import keras

    layers = [layer for layer in preparation.layers if getattr(layer, "by_level", False)]
    if not layers or len(next(iter(inputs.values()))) < LEAST_ROWS:
        return preparation, dict(inputs)
    factored: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    looked_up: dict[str, Any] = {}
    for layer in layers:
        names = [tensor.name for tensor in layer.input]
        for name in names:
            if name not in factored:
                codes, levels = pd.factorize(np.asarray(inputs[name], dtype=object))
                factored[name] = codes, np.asarray(levels, dtype=object)
        looked_up[layer.output.name] = _looked_up(layer, [factored[name] for name in names])
    # Text that no such layer takes is still wanted as it is.
    tensors = {tensor.name: tensor for tensor in preparation.inputs if tensor.name not in factored}
    if preparation not in _rests:
        cut = {layer.output.name: layer.output for layer in layers}
        _rests[preparation] = keras.Model({**tensors, **cut}, preparation.output, name=preparation.name)
    return _rests[preparation], {**{name: inputs[name] for name in tensors}, **looked_up}


def _looked_up(layer: Any, columns: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return a layer's output (N, C) for columns that are given as codes (N,) and levels."""
    import tensorflow as tf

    longest = max(len(levels) for _, levels in columns)
    padded = [np.append(levels, [""] * (longest - len(levels))) for _, levels in columns]
    table = np.asarray(layer([tf.constant(levels.astype(object)) for levels in padded]))  # (longest, C)
    made = np.empty((len(columns[0][0]), len(columns)), table.dtype)
    for index, (codes, _) in enumerate(columns):
        made[:, index] = table[codes, index]
    return made
