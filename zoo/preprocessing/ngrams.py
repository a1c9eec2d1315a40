"""Preprocessing of texts as bags of hashed n-grams of words and of characters."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from zoo.portable.ngrams import (
    FIRST_FACTOR,
    FIRST_SHIFT,
    LAST_SHIFT,
    SECOND_FACTOR,
    SECOND_SHIFT,
    SPACE,
    SPACES,
    STRIDE,
)
from zoo.portable.preprocessing import LENGTH
from zoo.preprocessing.configuration import simplify_config
from zoo.preprocessing.input_preprocessing import InputPreprocessing
from zoo.preprocessing.sequences import convert_to_lower_case
from zoo.spec import Spec, TextInput

NGRAMS = "ngrams"
# Tokens that are kept of a text unless the options say so: a multiple of the mean, and at least so many.
TIMES_MEAN, LEAST_MAXIMUM = 8, 1000


@keras.saving.register_keras_serializable("zoo")
class HashNgrams(keras.layers.Layer):
    """Counts the n-grams of a text, each of which has a bucket by its hash (Weinberger et al. 2009).

    A token is a run of letters and digits in lower case, or a run of other signs. An n-gram of characters does not
    go from one token to the next; the space before and after a token belongs to it.

    Args:
        words: Greatest number of tokens of an n-gram.
        characters: Greatest number of characters of an n-gram; 0 for none.
        buckets: Number of buckets, a power of two: as many for n-grams of words, then as many for those of characters.
        longest: Maximum number of tokens, counted from the first; None for all.

    Call arguments:
        texts: (B,) of text.
    """

    def __init__(self, words: int, characters: int, buckets: int, longest: int | None = None, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.words, self.characters, self.buckets, self.longest = words, characters, buckets, longest
        self.supports_jit = False
        self.built = True

    def call(self, texts: Any) -> list[Any]:
        """Return pairs of bucket and count (B, T, 2), in ascending order, and their numbers (B,), at least 1."""
        texts = tf.reshape(texts, [-1])
        rows = tf.shape(texts, out_type=tf.int64)[0]
        tokens = self._split(texts)
        points = tf.strings.unicode_decode(" " + tf.strings.reduce_join(tokens, axis=-1, separator=" ") + " ", "UTF-8")
        row, flat = points.value_rowids(), tf.cast(points.values, tf.int64)
        space = tf.equal(flat, SPACE)
        starts = tf.reshape(tf.where(space), [-1])
        token = tf.cumsum(tf.cast(space, tf.int64)) - 1
        place = tf.range(tf.size(flat, out_type=tf.int64)) - tf.gather(starts, token)
        mixed = tf.where(space, tf.zeros_like(flat), _mix(flat + place * STRIDE))
        words = tf.math.segment_sum(mixed, token)
        # The last space of a row starts no token.
        is_token = tf.concat([starts[1:] - starts[:-1] > 1, tf.zeros_like(starts[:1], tf.bool)], axis=0)
        words, row_of_words = words[is_token], tf.gather(row, starts)[is_token]
        keys = [self._keys(words, row_of_words, size, None) for size in range(1, self.words + 1)]
        keys += [self._keys(flat, row, size, space) for size in range(1, self.characters + 1)]
        return self._count(tf.concat(keys, axis=0), rows)

    def _split(self, texts: Any) -> Any:
        spaced = tf.strings.regex_replace(convert_to_lower_case(texts), r"([\p{L}\p{N}]+)", r" \1 ")
        tokens = tf.strings.split(tf.strings.regex_replace(spaced, f"[{SPACES}]+", " "), " ")
        tokens = tf.ragged.boolean_mask(tokens, tf.not_equal(tokens, ""))
        return tokens if self.longest is None else tokens[:, : self.longest]

    def _keys(self, values: Any, row: Any, size: int, space: Any) -> Any:
        """Return row and bucket of each n-gram of a size as one number; ``space`` is None for n-grams of words."""
        last = tf.maximum(tf.size(values) - size + 1, 0)
        kept = tf.equal(row[:last], row[size - 1 :][:last])
        inside = () if space is None else range(1, size - 1) if size > 1 else (0,)
        for offset in inside:
            kept &= ~space[offset : last + offset]
        hashes = tf.zeros_like(values[:last])
        for offset in range(size):
            hashes += _mix(values[offset : last + offset] + tf.constant(offset, tf.int64) * STRIDE)
        salt, first = (size, 0) if space is None else (-size, self.buckets)
        bucket = first + tf.bitwise.bitwise_and(_mix(hashes[kept] + salt), tf.constant(self.buckets - 1, tf.int64))
        return row[:last][kept] * (2 * self.buckets) + bucket

    def _count(self, keys: Any, rows: Any) -> list[Any]:
        keys = tf.sort(keys)
        first = tf.concat([tf.ones_like(keys[:1], tf.bool), keys[1:] != keys[:-1]], axis=0)
        starts = tf.reshape(tf.where(first), [-1])
        counts = tf.concat([starts[1:], tf.shape(keys, out_type=tf.int64)], axis=0)[: tf.size(starts)] - starts
        distinct = keys[first]
        pairs = tf.cast(tf.stack([distinct % (2 * self.buckets), counts], axis=1), tf.float32)
        ragged = tf.RaggedTensor.from_value_rowids(pairs, distinct // (2 * self.buckets), nrows=rows)
        lengths = tf.maximum(ragged.row_lengths(), 1)
        padded = ragged.to_tensor()
        padded = tf.pad(padded, [[0, 0], [0, tf.maximum(1 - tf.shape(padded)[1], 0)], [0, 0]])
        return [padded, tf.cast(lengths, tf.int32)]

    def compute_output_spec(self, texts: Any) -> list[Any]:
        """Return the specs of pairs and their numbers."""
        rows = texts.shape[0]
        return [keras.KerasTensor((rows, None, 2), dtype="float32"), keras.KerasTensor((rows,), dtype="int32")]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        arguments = {"words": self.words, "characters": self.characters, "buckets": self.buckets}
        return {**simplify_config(super().get_config()), **arguments, "longest": self.longest}


class NgramPreprocessing(InputPreprocessing):
    """Preprocessing of a text as a bag of hashed n-grams.

    Args:
        spec: Spec with a text as its only input.
        words: Greatest number of tokens of an n-gram.
        characters: Greatest number of characters of an n-gram; 0 for none.
        buckets: Number of buckets for n-grams of words, and for those of characters.
    """

    def __init__(self, spec: Spec, *, words: int, characters: int, buckets: int) -> None:
        self.input_ = spec.only(TextInput)
        self.words, self.characters, self.buckets = words, characters, buckets
        # Single long texts would take most of the time and memory.
        most = max(LEAST_MAXIMUM, math.ceil(TIMES_MEAN * self.input_.mean_length))
        self.longest = spec.options.get("max_length") or most

    def __repr__(self) -> str:
        settings = (self.input_.key, self.words, self.characters, self.buckets, self.longest)
        return f"NgramPreprocessing{settings!r}"

    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs: pairs of bucket and count ``ngrams`` (B, T, 2), and their numbers ``length`` (B,)."""
        return {
            NGRAMS: keras.Input((None, 2), dtype="float32", name=NGRAMS),
            LENGTH: keras.Input((), dtype="int32", name=LENGTH),
        }

    def raw_tensors(self) -> dict[str, Any]:
        """Return the Keras input of texts (B,)."""
        return {self.input_.key: keras.Input((), dtype="string", name=self.input_.key)}

    def outputs(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return the n-grams and their numbers, by name."""
        layer = HashNgrams(self.words, self.characters, self.buckets, self.longest, name="hashed_ngrams")
        pairs, length = layer(raw[self.input_.key])
        return {NGRAMS: pairs, LENGTH: length}


def _mix(values: Any) -> Any:
    """Return 64-bit integers in which each bit of the result depends on all bits of the value."""
    values = tf.bitwise.bitwise_xor(values, _shifted(values, FIRST_SHIFT)) * FIRST_FACTOR
    values = tf.bitwise.bitwise_xor(values, _shifted(values, SECOND_SHIFT)) * SECOND_FACTOR
    return tf.bitwise.bitwise_xor(values, _shifted(values, LAST_SHIFT))


def _shifted(values: Any, places: int) -> Any:
    return tf.bitwise.right_shift(values, tf.constant(places, tf.int64))
