"""Preprocessing of categories: lookup, hashing, and codes of ordered categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo.preprocessing.configuration import simplify_config

SEPARATOR = "\x1f"
UNSEEN, MISSING, FIRST_LEVEL = 0, 1, 2


class LevelCodes(keras.layers.Layer):
    """Base class of layers that encode several text columns, each independently of the others.

    Args:
        fills: For each column the category that replaces missing values; ``""`` for none.
    """

    by_category = True  # each output column depends on one input column only

    def __init__(self, fills: Sequence[str], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **options)
        self.fills = list(fills)
        self.supports_jit = False

    def compute_output_spec(self, columns: Sequence[Any]) -> keras.KerasTensor:
        """Return the spec of the output (B, C), int32."""
        return keras.KerasTensor((columns[0].shape[0], len(self.fills)), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        config.pop("trainable", None)
        return {**config, "fills": self.fills}


@keras.saving.register_keras_serializable("zoo")
class EncodeCategories(LevelCodes):
    """Looks up categories of all columns in one table: 0 for unknown, 1 for missing, from 2 the known categories.

    Args:
        levels: For each column its known categories.
        fills: For each column the category that replaces missing values; ``""`` for none.

    Call arguments:
        columns: C tensors (B,) of text; empty text is missing.
    """

    def __init__(self, levels: Sequence[Sequence[str]], fills: Sequence[str] | None = None, **options: Any) -> None:
        super().__init__(fills or [""] * len(levels), **options)
        self.levels = [list(names) for names in levels]
        vocabulary = [f"{i}{SEPARATOR}{name}" for i, names in enumerate(self.levels) for name in ["", *names]]
        self.lookup = keras.layers.StringLookup(vocabulary=vocabulary, num_oov_indices=1)
        self.built = True  # the lookup table depends only on the constructor's arguments
        self.starts = [1 + sum(len(names) + 1 for names in self.levels[:i]) for i in range(len(self.levels))]

    def call(self, columns: Sequence[Any]) -> Any:
        """Return codes (B, C), int32."""
        texts = [_filled(text, fill) for text, fill in zip(columns, self.fills, strict=True)]
        keyed = [tf.strings.join([f"{i}{SEPARATOR}", text]) for i, text in enumerate(texts)]
        indices = tf.cast(self.lookup(tf.stack(keyed, axis=-1)), tf.int32)  # (B, C)
        return tf.where(indices > 0, indices - tf.constant(self.starts, tf.int32) + MISSING, UNSEEN)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable("zoo")
class OneHotColumns(keras.layers.Layer):
    """One-hot encodes columns of codes; an unknown category is all zeros.

    Args:
        sizes: Number of known categories of each column.
        missing: For each column whether missing values have an indicator.

    Call arguments:
        codes: (B, C) from :class:`EncodeCategories`.
    """

    def __init__(self, sizes: Sequence[int], missing: Sequence[bool], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.sizes, self.missing = list(sizes), list(missing)

    def call(self, codes: Any) -> Any:
        """Return indicators (B, D), float32."""
        columns = []
        for index, (size, missing) in enumerate(zip(self.sizes, self.missing, strict=True)):
            first = MISSING if missing else FIRST_LEVEL
            columns.append(tf.one_hot(codes[:, index] - first, size + int(missing), dtype=tf.float32))
        return tf.concat(columns, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        """Return (B, D)."""
        return (input_shape[0], sum(self.sizes) + sum(self.missing))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = simplify_config(super().get_config())
        return {**config, "sizes": self.sizes, "missing": self.missing}


@keras.saving.register_keras_serializable("zoo")
class HashCategories(LevelCodes):
    """Hashes categories into buckets, equally on every machine: 1 for missing, from 2 the buckets.

    Feature hashing: Weinberger et al. 2009, "Feature hashing for large scale multitask learning".

    Args:
        buckets: Number of buckets of each column.
        fills: For each column the category that replaces missing values; ``""`` for none.

    Call arguments:
        columns: C tensors (B,) of text; empty text is missing.
    """

    def __init__(self, buckets: Sequence[int], fills: Sequence[str], **options: Any) -> None:
        super().__init__(fills, **options)
        self.buckets = list(buckets)

    def call(self, columns: Sequence[Any]) -> Any:
        """Return codes (B, C), int32."""
        codes = []
        for text, size, fill in zip(columns, self.buckets, self.fills, strict=True):
            filled = _filled(text, fill)
            bucket = tf.cast(tf.strings.to_hash_bucket_fast(filled, size), tf.int32)
            codes.append(tf.where(filled == "", MISSING, bucket + FIRST_LEVEL))
        return tf.stack(codes, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "buckets": self.buckets}


@keras.saving.register_keras_serializable("zoo")
class MissingLevels(keras.layers.Layer):
    """Indicators of missing values, for columns in which a category replaces them.

    Call arguments:
        columns: C tensors (B,) of text; empty text is missing.
    """

    by_category = True

    def __init__(self, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)

    def call(self, columns: Sequence[Any]) -> Any:
        """Return indicators (B, C), float32."""
        return tf.stack([tf.cast(tf.reshape(text, [-1]) == "", tf.float32) for text in columns], axis=-1)

    def compute_output_spec(self, columns: Sequence[Any]) -> keras.KerasTensor:
        """Return the spec of the output (B, C), float32."""
        return keras.KerasTensor((columns[0].shape[0], len(columns)), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return simplify_config(super().get_config())


@keras.saving.register_keras_serializable("zoo")
class StepsOfOrder(keras.layers.Layer):
    """Thermometer code of ordered categories: of K - 1 indicators, category k sets the first k.

    Unknown and missing values set none. Smith 1993, "Neural networks for statistical modeling".

    Args:
        sizes: Number of categories of each column.
        missing: For each column whether unknown and missing values have an indicator.

    Call arguments:
        codes: (B, C) from :class:`EncodeCategories`.
    """

    def __init__(self, sizes: Sequence[int], missing: Sequence[bool], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.sizes, self.missing = list(sizes), list(missing)

    def call(self, codes: Any) -> Any:
        """Return indicators (B, D), float32."""
        parts = []
        for index, (size, missing) in enumerate(zip(self.sizes, self.missing, strict=True)):
            place = codes[:, index : index + 1]  # (B, 1)
            if missing:
                parts.append(tf.cast(place < FIRST_LEVEL, tf.float32))
            parts.append(tf.cast(place - FIRST_LEVEL >= tf.range(1, size)[None, :], tf.float32))
        return tf.concat(parts, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        """Return (B, D)."""
        return (input_shape[0], sum(self.sizes) - len(self.sizes) + sum(self.missing))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = simplify_config(super().get_config())
        return {**config, "sizes": self.sizes, "missing": self.missing}


@keras.saving.register_keras_serializable("zoo", name="_Columns")
class ChooseColumns(keras.layers.Layer):
    """Selects columns of codes by position.

    Args:
        places: The positions.

    Call arguments:
        codes: (B, C).
    """

    def __init__(self, places: Sequence[int], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **options)
        self.places = list(places)

    def call(self, codes: Any) -> Any:
        """Return the selected codes (B, P)."""
        return tf.gather(codes, self.places, axis=-1)

    def compute_output_spec(self, codes: Any) -> keras.KerasTensor:
        """Return the spec of the output (B, P), int32."""
        return keras.KerasTensor((codes.shape[0], len(self.places)), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        config.pop("trainable", None)
        return {**config, "places": self.places}


def _filled(text: Any, fill: str) -> Any:
    """Return a text column (B,) with missing values replaced."""
    text = tf.reshape(text, [-1])
    return tf.where(text == "", fill, text) if fill else text
