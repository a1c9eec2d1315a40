"""N-gram models as tables inside a network: the probability of each token of a text, and of each token after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.preprocessing.configuration import simplify_config

from ._ngrams import NGrams

WEIGHTS = ("first_child", "older_token", "first_ngram", "freed", "token", "probability")


@dataclass(frozen=True)
class Tables:
    """The n-grams of a model as arrays; the contexts are a tree whose children have one more token, an older one.

    Args:
        first_child: Number of the first child of each context, and one more entry (contexts + 1,).
        older_token: Oldest token of each context, sorted among the children of one (contexts,).
        first_ngram: Number of the first n-gram of each context, and one more entry (contexts + 1,).
        freed: Share of each context that is left to the shorter ones (contexts,).
        token: Token that each n-gram predicts, sorted among those of one context (n-grams,).
        probability: Discounted share of each n-gram in its context (n-grams,).
    """

    first_child: np.ndarray
    older_token: np.ndarray
    first_ngram: np.ndarray
    freed: np.ndarray
    token: np.ndarray
    probability: np.ndarray


def create_tables(ngrams: NGrams, order: int) -> Tables:
    """Return the tables of the model of one order."""
    size, levels = ngrams.size, ngrams.levels[:order]
    sizes = [len(level.contexts) for level in levels]
    starts = np.cumsum([0, *sizes])
    parts: dict[str, list[np.ndarray]] = {name: [] for name in WEIGHTS}
    ngrams_before = 0
    for length, level in enumerate(levels):
        counts = level.longest if length == order - 1 else ngrams.shorter[length]
        children = levels[length + 1].contexts // size if length < order - 1 else np.empty(0, np.int64)
        context = level.keys // size
        numbers = np.arange(sizes[length])
        parts["first_child"].append(starts[length + 1] + np.searchsorted(children, numbers))
        parts["older_token"].append(level.contexts % size)
        parts["first_ngram"].append(ngrams_before + np.searchsorted(context, numbers))
        parts["freed"].append(counts.freed / counts.totals)
        parts["token"].append(level.keys % size)
        parts["probability"].append(counts.discounted / counts.totals[context])
        ngrams_before += len(level.keys)
    parts["first_child"].append(starts[-1:])
    parts["first_ngram"].append(np.array([ngrams_before]))
    return Tables(**{name: np.concatenate(arrays) for name, arrays in parts.items()})


@keras.saving.register_keras_serializable("zoo")
class NGramTables(keras.layers.Layer):
    """Looks up the probabilities of an n-gram model; :meth:`filled` returns a layer with its tables.

    Args:
        order: Greatest number of tokens of an n-gram, the predicted one included.
        size: Number of codes K; the last is the boundary.
        contexts: Number of contexts of all lengths.
        ngrams: Number of n-grams of all lengths.
        most: Greatest number of children or n-grams of one context.

    Call arguments:
        tokens: With boundaries (B, S).
        length: Number of tokens of each text (B,).
    """

    def __init__(self, order: int, size: int, contexts: int, ngrams: int, most: int, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **options)
        self.order, self.size, self.contexts, self.ngrams, self.most = order, size, contexts, ngrams, most
        shapes = (contexts + 1, contexts, contexts + 1, contexts, ngrams, ngrams)
        for name, rows in zip(WEIGHTS, shapes, strict=True):
            kind = "float32" if name in ("freed", "probability") else "int32"
            weight = self.add_weight(shape=(rows,), dtype=kind, initializer="zeros", trainable=False, name=name)
            setattr(self, name, weight)

    @classmethod
    def filled(cls, tables: Tables, order: int, size: int, **options: Any) -> NGramTables:
        """Return a layer with the probabilities of tables."""
        most = max(int(np.diff(starts).max()) for starts in (tables.first_child, tables.first_ngram))
        layer = cls(order, size, len(tables.older_token), len(tables.token), most, **options)
        for name in WEIGHTS:
            getattr(layer, name).assign(getattr(tables, name))
        return layer

    def call(self, tokens: Any, length: Any) -> list[Any]:
        """Return the probability of each token but the first (B, S - 1), and of all tokens after each text (B, K)."""
        tokens = ops.cast(tokens, "int32")
        contexts, steps = self._find_contexts(tokens), ops.shape(tokens)[1] - 1
        last = ops.maximum(ops.cast(length, "int32") - 2, 0)[:, None]
        every = ops.zeros_like(last) + ops.arange(self.size, dtype="int32")[None, :]  # (B, K)
        probability = ops.zeros((), "float32") + 1 / self.size
        predicted = ops.concatenate([tokens[:, 1:], every], axis=1)
        place = ops.concatenate(
            [ops.zeros_like(tokens[:, 1:]) + ops.arange(steps), last + ops.zeros_like(every)], axis=1
        )
        for number, context in enumerate(contexts):
            end = ops.take_along_axis(context, last, axis=1)
            context = ops.concatenate([context, end + ops.zeros_like(every)], axis=1)
            probability = self._interpolate(context, predicted, probability)
            if number == 0:  # no text is empty: its first token is not the end, which is the last of all tokens here
                first = ops.where(predicted == self.size - 1, 0.0, probability / (1 - probability[:, -1:]))
                probability = ops.where(place == 0, first, probability)
        return [probability[:, :steps], probability[:, steps:]]

    def _find_contexts(self, tokens: Any) -> list[Any]:
        """Return the number of the context of each length before each token but the first, each (B, S - 1).

        Where the training texts lack a context, its number is that of an empty one.
        """
        before = tokens[:, :-1]
        steps = ops.shape(before)[1]
        earlier = ops.concatenate([ops.repeat(before[:, :1], self.order, axis=1), before], axis=1)
        contexts = [ops.zeros_like(before)]
        for length in range(1, self.order):
            start = self.order + 1 - length
            parent = contexts[-1]
            child = self._search(self.older_token, self.first_child, parent, earlier[:, start : start + steps])
            contexts.append(ops.where(child < 0, self.contexts, child))
        return contexts

    def _interpolate(self, context: Any, token: Any, shorter: Any) -> Any:
        """Return the probabilities of tokens after contexts, given those after contexts that are shorter."""
        place = self._search(self.token, self.first_ngram, context, token)
        share = ops.where(place < 0, 0.0, ops.take(self.probability, ops.maximum(place, 0), axis=0))
        freed = ops.take(self.freed, ops.minimum(context, self.contexts - 1), axis=0)
        return ops.where(context < self.contexts, share + freed * shorter, shorter)

    def _search(self, values: Any, first: Any, context: Any, wanted: Any) -> Any:
        """Return the places of wanted values among the sorted ones of their contexts; -1 where there is none."""
        place = ops.take(first, ops.minimum(context, self.contexts), axis=0)
        end = ops.take(first, ops.minimum(context + 1, self.contexts), axis=0)
        count = values.shape[0]
        for power in reversed(range(self.most.bit_length())):
            further = place + 2**power
            is_smaller = ops.take(values, ops.minimum(further, count) - 1, axis=0) < wanted
            place = ops.where(ops.logical_and(further <= end, is_smaller), further, place)
        is_equal = ops.take(values, ops.minimum(place, count - 1), axis=0) == wanted
        return ops.where(ops.logical_and(place < end, is_equal), place, -1)

    def compute_output_spec(self, tokens: Any, length: Any) -> list[Any]:
        """Return the specs of the outputs."""
        rows = tokens.shape[0]
        return [keras.KerasTensor(shape, dtype="float32") for shape in ((rows, None), (rows, self.size))]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("order", "size", "contexts", "ngrams", "most")
        return {**simplify_config(super().get_config()), **{name: getattr(self, name) for name in names}}
