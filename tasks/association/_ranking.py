"""Costs and rankings of the scores that a network gives to the items missing in a basket."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from zoo.preprocessing.configuration import simplify_config

from ._layers import find_places

# A score that no item reaches: those of the basket itself are not recommended.
NEVER = -1e9


class _FloatLayer(keras.layers.Layer):
    """A layer that computes in 32-bit float."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "dtype": "float32"})

    def compute_output_spec(self, scores: Any, *codes: Any) -> Any:
        """Return the spec of the output (B, 1)."""
        return keras.KerasTensor((scores.shape[0], 1), dtype="float32")


@keras.saving.register_keras_serializable("zoo")
class HiddenCost(_FloatLayer):
    """Computes the cross-entropy of the hidden items among all that are not in the rest of the basket.

    Call arguments:
        scores: (B, I).
        kept: Codes of the items that are seen (B, T).
        hidden: Codes of the hidden items (B, T).
    """

    def call(self, scores: Any, kept: Any, hidden: Any) -> Any:
        """Return the mean over the hidden items of each basket (B, 1)."""
        scores = leave_out(scores, kept)
        real = ops.cast(hidden > 0, "float32")
        at_hidden = ops.take_along_axis(scores, hidden, axis=1)
        costs = real * (ops.logsumexp(scores, axis=1, keepdims=True) - ops.where(hidden > 0, at_hidden, 0.0))
        return ops.sum(costs, axis=1, keepdims=True) / ops.maximum(ops.sum(real, axis=1, keepdims=True), 1.0)


@keras.saving.register_keras_serializable("zoo")
class ReconstructionCost(_FloatLayer):
    """Computes the squared distance between baskets and their positive scores, both scaled to length 1.

    Call arguments:
        scores: (B, I).
        codes: The different items of each basket (B, T), 0 for none.
    """

    def call(self, scores: Any, codes: Any) -> Any:
        """Return (B, 1)."""
        scores, real = ops.relu(ops.cast(scores, "float32")), ops.cast(codes > 0, "float32")
        inside = ops.take_along_axis(scores, ops.maximum(codes - 1, 0), axis=1) * real
        squares = ops.sum(ops.square(scores), axis=1, keepdims=True) * ops.sum(real, axis=1, keepdims=True)
        return 2 - 2 * ops.sum(inside, axis=1, keepdims=True) / ops.sqrt(ops.maximum(squares, 1e-12))


@keras.saving.register_keras_serializable("zoo")
class HiddenRank(_FloatLayer):
    """Computes the rank of the hidden item among all that are not in the rest of the basket.

    Call arguments:
        scores: (B, I).
        kept: Codes of the items that are seen (B, T).
        hidden: Code of the hidden item among zeros (B, T).
    """

    def call(self, scores: Any, kept: Any, hidden: Any) -> Any:
        """Return (B, 1), from 1; the number of items plus 1 where the hidden item is unknown."""
        scores = leave_out(scores, kept)
        code = ops.max(hidden, axis=1, keepdims=True)
        value = ops.take_along_axis(scores, code, axis=1)
        earlier = ops.arange(ops.shape(scores)[1], dtype="int32")[None, :] < code
        before = (scores > value) | ((scores == value) & earlier)
        before &= scores > NEVER
        rank = 1 + ops.sum(ops.cast(before, "float32"), axis=1, keepdims=True)
        return ops.where(code > 0, rank, ops.cast(ops.shape(scores)[1], "float32"))


@keras.saving.register_keras_serializable("zoo")
class BestItems(keras.layers.Layer):
    """Ranks the items that are not in a basket; of equal scores, the more frequent item comes first.

    Args:
        count: Number of items that are returned.
        softmax: Whether scores become probabilities.

    Call arguments:
        scores: (B, I).
        codes: (B, T), 0 for none.
    """

    def __init__(self, count: int, softmax: bool, **options: Any) -> None:
        super().__init__(trainable=False, **{**options, "dtype": "float32"})
        self.count, self.softmax = count, softmax

    def call(self, scores: Any, codes: Any) -> list[Any]:
        """Return codes of items by rank and their scores, (B, K) each; code 0 is none."""
        scores = leave_out(scores, codes)
        if self.softmax:
            logs = ops.logsumexp(scores, axis=1, keepdims=True)
        values, items = ops.top_k(scores, self.count)
        items = ops.where(values > NEVER, ops.cast(items, "int32"), 0)
        return [items, ops.exp(values - logs) if self.softmax else values]

    def compute_output_spec(self, scores: Any, codes: Any) -> list[Any]:
        """Return the specs of both outputs."""
        shape = (scores.shape[0], self.count)
        return [keras.KerasTensor(shape, dtype="int32"), keras.KerasTensor(shape, dtype="float32")]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "count": self.count, "softmax": self.softmax}


def leave_out(scores: Any, codes: Any) -> Any:
    """Return scores (B, I + 1), by code, in which those of code 0 and of given codes (B, T) are ``NEVER``."""
    scores = ops.pad(ops.cast(scores, "float32"), ((0, 0), (1, 0)), constant_values=NEVER)
    places = find_places(codes)
    return ops.scatter_update(scores, places, ops.full((ops.shape(places)[0],), NEVER))
