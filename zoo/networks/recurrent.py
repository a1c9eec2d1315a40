"""Layers for sequences and texts: masks of real steps, pooling, recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.models.built_model import assemble
from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.dropout import Dropout
from zoo.networks.heads import add_head
from zoo.portable.preprocessing import LENGTH
from zoo.preprocessing.compose import preprocess_sequence
from zoo.preprocessing.sequences import CODES, STEPS
from zoo.preprocessing.table import TablePreprocessing, is_column, join_features
from zoo.spec import Spec, TextInput

JOINED_UNITS = 64  # of the layer that joins a sequence with the columns beside it


@keras.saving.register_keras_serializable("zoo")
class RealSteps(keras.layers.Layer):
    """Computes the mask of a batch of sequences: true for real steps, false for padding.

    Call arguments:
        steps: (B, T, …).
        length: (B,).
    """

    def call(self, steps: Any, length: Any) -> Any:
        """Return the mask (B, T)."""
        return ops.arange(ops.shape(steps)[1], dtype="int32")[None, :] < ops.cast(length, "int32")[:, None]

    def compute_output_spec(self, steps: Any, length: Any) -> Any:
        """Return the spec of the mask."""
        return keras.KerasTensor(steps.shape[:2], dtype="bool")


@keras.saving.register_keras_serializable("zoo")
class PoolSteps(keras.layers.Layer):
    """Pools the real steps of a sequence to one vector.

    Args:
        kind: ``mean``, ``max`` or ``mean_max`` for both.

    Call arguments:
        steps: (B, T, F).
        real: Mask (B, T).
    """

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__(**options)
        self.kind = kind
        self.supports_masking = True  # the mask of a bidirectional layer equals ``real``

    def compute_mask(self, steps: Any, mask: Any = None) -> None:
        """Return None, since the output has no steps."""

    def call(self, steps: Any, real: Any) -> Any:
        """Return (B, F)."""
        shown = real[..., None]
        count = ops.maximum(ops.sum(ops.cast(shown, steps.dtype), axis=1), 1)
        pooled = []
        if self.kind in ("mean", "mean_max"):
            pooled.append(ops.sum(ops.where(shown, steps, 0), axis=1) / count)
        if self.kind in ("max", "mean_max"):
            pooled.append(ops.max(ops.where(shown, steps, ops.cast(-np.inf, steps.dtype)), axis=1))
        return ops.concatenate(pooled, axis=-1) if len(pooled) > 1 else pooled[0]

    def compute_output_spec(self, steps: Any, real: Any) -> Any:
        """Return the spec of the output (B, F), or (B, 2 F) for ``mean_max``."""
        width = steps.shape[-1] * (2 if self.kind == "mean_max" else 1)
        return keras.KerasTensor((steps.shape[0], width), dtype=steps.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "kind": self.kind}


@keras.saving.register_keras_serializable("zoo")
class GroupSteps(keras.layers.Layer):
    """Joins each few successive steps to one, so that a recurrent layer has fewer steps to remember.

    Args:
        size: Number of steps that are joined. Padding is zero.

    Call arguments:
        steps: (B, T, F).
        real: Mask of real steps (B, T).
    """

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(**options)
        self.size = size

    def call(self, steps: Any, real: Any) -> list[Any]:
        """Return the groups (B, T / size, size F), and the mask of groups with a real step."""
        length, width = ops.shape(steps)[1], steps.shape[-1]
        groups = (length + self.size - 1) // self.size
        missing = groups * self.size - length
        steps = ops.pad(ops.where(real[..., None], steps, 0), [[0, 0], [0, missing], [0, 0]])
        real = ops.pad(real, [[0, 0], [0, missing]])
        steps = ops.reshape(steps, (-1, groups, self.size * width))
        return [steps, ops.any(ops.reshape(real, (-1, groups, self.size)), axis=-1)]

    def compute_output_spec(self, steps: Any, real: Any) -> list[Any]:
        """Return the specs of groups and mask."""
        rows, width = steps.shape[0], self.size * steps.shape[-1]
        return [keras.KerasTensor((rows, None, width), dtype=steps.dtype), keras.KerasTensor((rows, None), "bool")]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size}


def build_sequence_model(
    spec: Spec, knobs: Knobs, hidden: Callable[[Any, Any], Any], *, embedding: int = 32
) -> keras.Model:
    """Return the compiled model of sequences or texts for any target.

    Args:
        spec: Spec with a sequence or a text, and perhaps columns beside it.
        knobs: Provide loss, optimizer and training length.
        hidden: Function from steps (B, T, F) and the mask of real steps (B, T) to the input of the head (B, D).
        embedding: Width of token embeddings, for texts.
    """
    preprocessing = preprocess_sequence(spec)
    inputs = preprocessing.tensors()
    if STEPS in inputs:
        steps = inputs[STEPS]
    else:
        size = len(spec.only(TextInput).vocabulary) + 1
        steps = keras.layers.Embedding(size, embedding, name="embedding")(inputs[CODES])
    real = RealSteps(name="real_steps")(steps, inputs[LENGTH])
    output, loss = add_head(_join_columns(hidden(steps, real), inputs, spec), spec, knobs)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, output, loss, knobs)


def _join_columns(hidden: Any, inputs: dict[str, Any], spec: Spec) -> Any:
    """Return the summary of sequences (B, D) and the columns beside them as one hidden layer."""
    if not any(is_column(input_) for input_ in spec.inputs):
        return hidden
    columns = join_features(inputs, TablePreprocessing(spec, "standard"))
    together = keras.layers.Concatenate(name="sequence_and_columns")([hidden, columns])
    return keras.layers.Dense(JOINED_UNITS, activation="relu", name="with_columns")(together)


def add_recurrent_layers(
    steps: Any,
    real: Any,
    knobs: Knobs,
    *,
    kind: type[keras.layers.Layer],
    units: int,
    layers: int,
    bidirectional: bool,
    summary: str,
) -> Any:
    """Return recurrent layers over the real steps of sequences, summarised as one vector.

    Args:
        steps: (B, T, F).
        real: Mask (B, T); padding is skipped in both directions.
        knobs: Provide initializer, dropout (of each layer's inputs) and regularisation.
        kind: ``SimpleRNN``, ``LSTM`` or ``GRU`` of Keras.
        units: Width of each layer in each direction.
        layers: Number of layers.
        bidirectional: Whether to read in both directions (Schuster and Paliwal 1997).
        summary: ``last`` (the state after the last step), ``mean`` or ``max`` over all steps.

    Returns:
        Tensor (B, D).
    """
    initializer, dropout, regularizer = knobs.get("initializer"), knobs.get("dropout"), knobs.regularizer()
    for index in range(layers):
        name = f"recurrent_{index}"
        if dropout:
            steps = Dropout(dropout, name=f"dropout_{index}")(steps)
        layer = kind(
            units,
            return_sequences=index < layers - 1 or summary != "last",
            kernel_initializer=initializer,
            kernel_regularizer=regularizer,
            name=name,
        )
        if bidirectional:
            layer = keras.layers.Bidirectional(layer, name=f"both_ways_{index}")
        steps = layer(steps, mask=real)
    return steps if summary == "last" else PoolSteps(summary, name="pooled")(steps, real)
