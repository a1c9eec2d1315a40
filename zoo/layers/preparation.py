"""Preparation inside the model: raw columns become prepared tensors, with the spec's statistics.

Nothing here trains. A saved model takes raw rows, with missing values and unseen levels as they come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.spec import Input, Spec

MOST_ONE_HOT = 32
SEPARATOR = "\x1f"
UNSEEN, MISSING, FIRST_LEVEL = 0, 1, 2


@keras.saving.register_keras_serializable("zoo")
class PrepareNumbers(keras.layers.Layer):
    """Brings columns of numbers to scale; a missing one becomes the middle, with an indicator where training knew such.

    The middle is 0, and with ``minmax`` the mean.

    Args:
        statistics: For each column ``mean``, ``std``, ``min``, ``max`` and ``quantiles``.
        indicators: Positions of the columns that get an indicator of missing values.
        scaling: ``standard``; ``minmax``; ``robust`` (median and quartiles, smoothly clipped, after
            Holzmüller et al. 2024, section 3); ``quantile`` (normal quantiles); ``robust_quantile`` (both); or
            ``common`` (centred, and all divided by one number: for columns in one unit).

    Call arguments:
        columns: F tensors (B,) of 64-bit floats: 16,777,217 is no 32-bit float, and is centred before it
            becomes one.
    """

    def __init__(
        self, statistics: Sequence[dict[str, Any]], indicators: Sequence[int], scaling: str, **options: Any
    ) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.statistics, self.indicators, self.scaling = list(statistics), list(indicators), scaling
        self.supports_jit = False

    def call(self, columns: Sequence[Any]) -> Any:
        """Return prepared numbers (B, F'), 32-bit."""
        x = tf.stack([tf.cast(tf.reshape(column, [-1]), tf.float64) for column in columns], axis=-1)  # (B, F)
        missing = tf.math.is_nan(x)
        scaled = [getattr(self, f"_{part}")(x) for part in self.scaling.split("_")]
        middle = self._minmax(self._column("mean")) if self.scaling == "minmax" else tf.zeros((), tf.float64)
        parts = [tf.cast(tf.where(missing, middle, part), tf.float32) for part in scaled]
        if self.indicators:
            parts.append(tf.cast(tf.gather(missing, self.indicators, axis=-1), tf.float32))
        return tf.concat(parts, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        """Return (B, F')."""
        width = len(self.statistics) * len(self.scaling.split("_")) + len(self.indicators)
        return (input_shape[0][0], width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        config.pop("dtype", None)
        config.pop("trainable", None)
        own = {"statistics": self.statistics, "indicators": self.indicators, "scaling": self.scaling}
        return {**config, **own}

    def _column(self, name: str) -> Any:
        return tf.constant([known[name] for known in self.statistics], tf.float64)

    def _standard(self, x: Any) -> Any:
        std = self._column("std")
        return (x - self._column("mean")) / tf.where(std > 0, std, 1.0)

    def _common(self, x: Any) -> Any:
        scale = tf.sqrt(tf.reduce_mean(tf.square(self._column("std"))))
        return (x - self._column("mean")) / tf.where(scale > 0, scale, 1.0)

    def _minmax(self, x: Any) -> Any:
        low, high = self._column("min"), self._column("max")
        return (x - low) / tf.where(high > low, high - low, 1.0)

    def _robust(self, x: Any) -> Any:
        quantiles = self._column("quantiles")  # (F, Q)
        size = quantiles.shape[-1] - 1
        spread = quantiles[:, 3 * size // 4] - quantiles[:, size // 4]
        whole = (quantiles[:, -1] - quantiles[:, 0]) / 2
        spread = tf.where(spread > 0, spread, tf.where(whole > 0, whole, 1.0))
        z = (x - quantiles[:, size // 2]) / spread
        return z / tf.sqrt(1 + tf.square(z / 3))

    def _quantile(self, x: Any) -> Any:
        """Interpolate between the quantiles; where several are equal, take the middle of their ranks."""
        knots = self._column("quantiles")  # (F, Q)
        steps = knots.shape[-1] - 1
        values = tf.transpose(x)  # (F, B)
        ranks = []
        for side in ("left", "right"):
            above = tf.clip_by_value(tf.searchsorted(knots, values, side=side), 1, steps)
            low, high = (tf.gather(knots, index, batch_dims=1) for index in (above - 1, above))
            share = tf.clip_by_value(tf.math.divide_no_nan(values - low, high - low), 0.0, 1.0)
            share = tf.where((high == low) & (values >= high), tf.ones_like(share), share)
            ranks.append((tf.cast(above - 1, tf.float64) + share) / steps)
        rank = tf.clip_by_value(tf.transpose((ranks[0] + ranks[1]) / 2), 1e-3, 1 - 1e-3)
        return tf.math.ndtri(rank)


@keras.saving.register_keras_serializable("zoo")
class EncodeCategories(keras.layers.Layer):
    """Looks up levels of all columns in one table: 0 for unseen, 1 for missing, 2 and on for the known levels.

    Args:
        levels: For each column its known levels.

    Call arguments:
        columns: C tensors (B,) of text; an empty one is missing.
    """

    def __init__(self, levels: Sequence[Sequence[str]], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **options)
        self.levels = [list(names) for names in levels]
        self.supports_jit = False
        vocabulary = [f"{i}{SEPARATOR}{name}" for i, names in enumerate(self.levels) for name in ["", *names]]
        self.lookup = keras.layers.StringLookup(vocabulary=vocabulary, num_oov_indices=1)
        self.built = True  # the table is filled from the constructor's arguments: nothing waits for a shape
        self.starts = [1 + sum(len(names) + 1 for names in self.levels[:i]) for i in range(len(self.levels))]

    def call(self, columns: Sequence[Any]) -> Any:
        """Return codes (B, C), 32-bit integers."""
        named = [tf.strings.join([f"{i}{SEPARATOR}", tf.reshape(text, [-1])]) for i, text in enumerate(columns)]
        found = tf.cast(self.lookup(tf.stack(named, axis=-1)), tf.int32)  # (B, C)
        return tf.where(found > 0, found - tf.constant(self.starts, tf.int32) + MISSING, UNSEEN)

    def compute_output_spec(self, columns: Sequence[Any]) -> keras.KerasTensor:
        """Return (B, C) of 32-bit integers."""
        return keras.KerasTensor((columns[0].shape[0], len(self.levels)), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        config.pop("trainable", None)
        return {**config, "levels": self.levels}


@keras.saving.register_keras_serializable("zoo")
class OneHotColumns(keras.layers.Layer):
    """Turns codes into indicator columns; an unseen level is none of them.

    Args:
        sizes: Number of known levels of each column.
        missing: For each column whether a missing value has an indicator of its own.

    Call arguments:
        codes: (B, C) as :class:`EncodeCategories` gives them.
    """

    def __init__(self, sizes: Sequence[int], missing: Sequence[bool], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.sizes, self.missing = list(sizes), list(missing)

    def call(self, codes: Any) -> Any:
        """Return indicators (B, D), 32-bit floats."""
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
        config = super().get_config()
        config.pop("dtype", None)
        config.pop("trainable", None)
        return {**config, "sizes": self.sizes, "missing": self.missing}


@dataclass(frozen=True)
class TablePreparation:
    """How a table's columns are prepared; makes the Keras model that does it.

    Args:
        spec: Describes the columns.
        scaling: How numbers are brought to scale.
    """

    spec: Spec
    scaling: str

    @property
    def digest(self) -> str:
        """Digest of all that decides what the prepared tensors hold, given the raw ones."""
        text = f"{type(self).__name__} {self.scaling} {self.spec.inputs!r}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def embedded(self) -> tuple[Input, ...]:
        """Categories with so many levels that the network embeds them, by their codes."""
        return tuple(known for known in self.spec.of_kind("category") if len(known.levels) > MOST_ONE_HOT)

    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the prepared tensors: ``features`` (B, D) and, where needed, ``codes`` (B, E)."""
        numbers, one_hot = self.spec.of_kind("number"), self._one_hot()
        width = len(numbers) * len(self.scaling.split("_")) + sum(known.missing > 0 for known in numbers)
        width += sum(len(known.levels) + (known.missing > 0) for known in one_hot)
        made = {}
        if width:
            made["features"] = keras.Input((width,), name="features")
        if self.embedded:
            made["codes"] = keras.Input((len(self.embedded),), dtype="int32", name="codes")
        return made

    def raw_tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the raw columns, by key: scalars, 64-bit floats and text."""
        types = {"number": "float64", "category": "string"}
        return {known.key: keras.Input((), dtype=types[known.kind], name=known.key) for known in self.spec.inputs}

    def model(self) -> keras.Model:
        """Return the Keras model from raw columns to prepared tensors; it has no weight that trains."""
        raw = self.raw_tensors()
        parts, made = [], {}
        numbers, categories = self.spec.of_kind("number"), self.spec.of_kind("category")
        if numbers:
            indicators = [index for index, known in enumerate(numbers) if known.missing]
            statistics = [known.statistics for known in numbers]
            layer = PrepareNumbers(statistics, indicators, self.scaling, name="numbers")
            parts.append(layer([raw[known.key] for known in numbers]))
        if categories:
            codes = EncodeCategories([known.levels for known in categories], name="levels")(
                [raw[known.key] for known in categories]
            )
            one_hot = self._one_hot()
            if one_hot:
                sizes = [len(known.levels) for known in one_hot]
                missing = [known.missing > 0 for known in one_hot]
                chosen = _Columns([categories.index(known) for known in one_hot], name="few_levels")(codes)
                parts.append(OneHotColumns(sizes, missing, name="one_hot")(chosen))
            if self.embedded:
                places = [categories.index(known) for known in self.embedded]
                made["codes"] = _Columns(places, name="many_levels")(codes)
        if parts:
            made["features"] = keras.layers.Concatenate(name="features")(parts) if len(parts) > 1 else parts[0]
        return keras.Model(raw, made, name="preparation")

    def _one_hot(self) -> tuple[Input, ...]:
        return tuple(known for known in self.spec.of_kind("category") if len(known.levels) <= MOST_ONE_HOT)


@keras.saving.register_keras_serializable("zoo")
class _Columns(keras.layers.Layer):
    """Picks columns of codes by position."""

    def __init__(self, places: Sequence[int], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **options)
        self.places = list(places)

    def call(self, codes: Any) -> Any:
        return tf.gather(codes, self.places, axis=-1)

    def compute_output_spec(self, codes: Any) -> keras.KerasTensor:
        return keras.KerasTensor((codes.shape[0], len(self.places)), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("trainable", None)
        return {**config, "places": self.places}


def natural_scaling(spec: Spec) -> str:
    """Return ``common`` for a table of numbers in like units, such as pixels, else ``standard``.

    Distances between rows mean something in columns of one unit, and standardising each would blow up those
    that hardly vary: k-means finds 79 % of the digits in pixels as they are, and 59 % in standardised ones.
    """
    deviations = np.array([known.statistics["std"] for known in spec.of_kind("number")])
    alike = len(deviations) == len(spec.inputs) and deviations.max() <= 10 * np.median(deviations)
    return "common" if alike and not any(known.missing for known in spec.inputs) else "standard"


def prepare_table(spec: Spec, *, scaling: str = "standard") -> TablePreparation:
    """Return the preparation of a table's columns.

    Args:
        spec: Describes the columns of the training part.
        scaling: How numbers are brought to scale; see :class:`PrepareNumbers`.
    """
    return TablePreparation(spec, scaling)


def flat_features(tensors: dict[str, Any], preparation: TablePreparation) -> Any:
    """Return one tensor (B, D) of a table's prepared tensors; categories with many levels are embedded.

    The width of an embedding is 1.6 times the number of levels to the power 0.56, at most 50 (the rule
    of fastai's tabular learner).
    """
    parts = [tensors["features"]] if "features" in tensors else []
    for index, known in enumerate(preparation.embedded):
        size = len(known.levels) + FIRST_LEVEL
        width = min(50, round(1.6 * len(known.levels) ** 0.56))
        parts.append(keras.layers.Embedding(size, width, name=f"embedding_{index}")(tensors["codes"][:, index]))
    return keras.layers.Concatenate(name="inputs")(parts) if len(parts) > 1 else parts[0]
