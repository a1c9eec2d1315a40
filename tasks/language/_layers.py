"""Layers and loss of language models: text boundaries, the cost of each token, the next token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from zoo.portable.preprocessing import LENGTH
from zoo.preprocessing.configuration import simplify_config
from zoo.preprocessing.sequences import CODES, UNSEEN


@keras.saving.register_keras_serializable("zoo")
class AddBoundaries(keras.layers.Layer):
    """Adds a token before and after each text, so that its first token and its end are predicted as well.

    Args:
        boundary: Code of the boundary.

    Call arguments:
        codes: (B, T).
        length: Number of tokens of each text (B,); the rest is padding.
    """

    def __init__(self, boundary: int, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **options)
        self.boundary = boundary

    def call(self, codes: Any, length: Any) -> list[Any]:
        """Return codes (B, T + 2) and lengths (B,)."""
        length = ops.cast(length, "int32")
        codes = ops.pad(ops.cast(codes, "int32"), ((0, 0), (1, 1)), constant_values=self.boundary)
        place = ops.arange(ops.shape(codes)[1], dtype="int32")[None, :]
        return [ops.where(place > length[:, None], self.boundary, codes), length + 2]

    def compute_output_spec(self, codes: Any, length: Any) -> list[Any]:
        """Return the specs of codes and lengths."""
        rows = codes.shape[0]  # the names are those of the inputs of the part that is trained
        return [
            keras.KerasTensor((rows, None), dtype="int32", name=CODES),
            keras.KerasTensor((rows,), dtype="int32", name=LENGTH),
        ]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "boundary": self.boundary}


@keras.saving.register_keras_serializable("zoo")
class WithoutLast(keras.layers.Layer):
    """Leaves out the last token of a padded text, which predicts nothing.

    Call arguments:
        tokens: (B, S).
    """

    def call(self, tokens: Any) -> Any:
        """Return (B, S - 1)."""
        return tokens[:, :-1]

    def compute_output_spec(self, tokens: Any) -> Any:
        """Return the spec of the output."""
        return keras.KerasTensor((tokens.shape[0], None), dtype=tokens.dtype)


@keras.saving.register_keras_serializable("zoo")
class TextCost(keras.layers.Layer):
    """Computes the cost of each text: the sum of -ln p(token | tokens before) over its tokens but the first.

    No text is empty: after the boundary before a text, p is given that the boundary after it does not follow.

    Args:
        shares: Shares of other probabilities in p, each with a cost of its own; the rest is the network's share.

    Call arguments:
        logits: (B, S - 1, K).
        tokens: (B, S).
        length: Number of tokens of each text (B,).
        probabilities: The other probabilities of the tokens but the first (B, S - 1), above 0; without them there is
            one cost, that of the network.
    """

    def __init__(self, shares: Sequence[float] = (0.0,), **options: Any) -> None:
        super().__init__(dtype="float32", **_without_dtype(options))
        self.shares = tuple(shares)

    def call(self, logits: Any, tokens: Any, length: Any, probabilities: Any = None) -> Any:
        """Return the cost in nats for each share (B, W)."""
        logits, tokens = ops.cast(logits, "float32"), ops.cast(tokens, "int32")
        predicted = tokens[:, 1:]
        if probabilities is None:  # in training, where this loss is the fastest
            costs = [
                _exclude_empty(
                    keras.losses.sparse_categorical_crossentropy(predicted, logits, from_logits=True), logits, tokens
                )
            ]
        else:  # operations that every format has
            chosen = ops.take_along_axis(logits, predicted[:, :, None], axis=2)[:, :, 0]
            cost = _exclude_empty(ops.logsumexp(logits, axis=-1) - chosen, logits, tokens)
            costs = [
                -ops.log((1 - share) * ops.exp(-cost) + share * probabilities) if share else cost
                for share in self.shares
            ]
        real = ops.arange(ops.shape(predicted)[1], dtype="int32")[None, :] < ops.cast(length, "int32")[:, None] - 1
        return ops.stack([ops.sum(ops.where(real, cost, 0.0), axis=1) for cost in costs], axis=1)

    def compute_output_spec(self, logits: Any, tokens: Any, length: Any, probabilities: Any = None) -> Any:
        """Return the spec of the output (B, W)."""
        return keras.KerasTensor((logits.shape[0], len(self.shares)), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "shares": list(self.shares)}


@keras.saving.register_keras_serializable("zoo")
class NextToken(keras.layers.Layer):
    """Computes the probability of each token after a text, its end included.

    Args:
        share: Share of other probabilities.

    Call arguments:
        logits: (B, S - 1, K), for texts with both boundaries.
        length: Number of tokens of each text, boundaries included (B,).
        probabilities: The other probabilities of all tokens after each text (B, K); None for no others.
    """

    def __init__(self, share: float = 0.0, **options: Any) -> None:
        super().__init__(dtype="float32", **_without_dtype(options))
        self.share = share

    def call(self, logits: Any, length: Any, probabilities: Any = None) -> Any:
        """Return probabilities (B, K)."""
        last = ops.take_along_axis(logits, ops.maximum(length - 2, 0)[:, None, None], axis=1)
        last = ops.cast(last[:, 0], "float32")
        is_end = ops.arange(logits.shape[-1]) == logits.shape[-1] - 1
        last = ops.where(ops.logical_and(length[:, None] == 2, is_end), -1e9, last)  # no text is empty
        after = ops.softmax(last, axis=-1)
        return after if probabilities is None else (1 - self.share) * after + self.share * probabilities

    def compute_output_spec(self, logits: Any, length: Any, probabilities: Any = None) -> Any:
        """Return the spec of the output (B, K)."""
        return keras.KerasTensor((logits.shape[0], logits.shape[-1]), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "share": self.share}


@keras.saving.register_keras_serializable("zoo")
class TextBits(keras.layers.Layer):
    """Converts the cost of a text to bits, and charges each unknown token what it takes to say which one it is.

    Args:
        unknown_bits: Bits of an unknown token, in addition to those of being unknown.

    Call arguments:
        cost: In nats (B, 1).
        codes: (B, T), 0 for unknown.
        length: Number of tokens of each text (B,).
    """

    def __init__(self, unknown_bits: float, **options: Any) -> None:
        super().__init__(trainable=False, dtype="float32", autocast=False, **options)
        self.unknown_bits = unknown_bits

    def call(self, cost: Any, codes: Any, length: Any) -> Any:
        """Return bits (B, 1)."""
        real = ops.arange(ops.shape(codes)[1], dtype="int32")[None, :] < ops.cast(length, "int32")[:, None]
        unknown = ops.sum(ops.cast(real & (codes == UNSEEN), "float32"), axis=1, keepdims=True)
        return ops.cast(cost, "float32") / math.log(2) + unknown * self.unknown_bits

    def compute_output_spec(self, cost: Any, codes: Any, length: Any) -> Any:
        """Return the spec of the output (B, 1)."""
        return keras.KerasTensor((cost.shape[0], 1), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "unknown_bits": self.unknown_bits}


@keras.saving.register_keras_serializable("zoo")
class CostPerToken(keras.losses.Loss):
    """The mean cost of texts, divided by their mean number of tokens so that its size does not depend on their length.

    Args:
        tokens: Mean number of tokens of the training texts, ends included.
    """

    def __init__(self, tokens: float, name: str = "cost_per_token", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.tokens = tokens

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each text (B,), in nats per token; there is no target."""
        return ops.reshape(y_pred, (-1,)) / self.tokens

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "tokens": self.tokens}


def _exclude_empty(cost: Any, logits: Any, tokens: Any) -> Any:
    """Return costs (B, S - 1) that are, of the first token of each text, given that it is not the end (code K - 1)."""
    first = logits[:, :1]
    excluded = ops.logsumexp(first, axis=-1) - ops.logsumexp(first[:, :, :-1], axis=-1)
    begins = tokens[:, :1] == logits.shape[-1] - 1  # a later piece of a text does not
    return ops.concatenate([cost[:, :1] - ops.where(begins, excluded, 0.0), cost[:, 1:]], axis=1)


def _without_dtype(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a layer without the data type, which is always that of costs and probabilities."""
    return {name: value for name, value in options.items() if name != "dtype"}
