"""Preparation inside the model: raw columns become prepared tensors, with the spec's statistics.

Nothing here trains. A saved model takes raw rows, with missing values and unseen levels as they come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from zoo.data.columns.describe_column import MOST_ONE_HOT
from zoo.data.columns.missing_values import LAST
from zoo.models.built_model import PREPROCESSING
from zoo.preprocessing.bag_of_words import BagOfWords
from zoo.preprocessing.categories import (
    FIRST_LEVEL,
    ChooseColumns,
    EncodeCategories,
    HashCategories,
    MissingLevels,
    OneHotColumns,
    StepsOfOrder,
)
from zoo.preprocessing.dates import PrepareDates
from zoo.preprocessing.numbers import PrepareNumbers
from zoo.spec import Input, Spec

_LEVELS, _HASHED = "codes of levels\x1f", "codes of hashes\x1f"  # beside the raw tensors, which no key is called


@dataclass(frozen=True)
class _Block:
    """Some of the prepared features: how many there are, and how they are made of raw tensors by key."""

    width: int
    make: Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class TablePreprocessing:
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
        """Categories that the network embeds, by their codes: those with many levels, then those that are hashed."""
        many = [known for known in self._looked_up() if not _ordered(known) and len(known.levels) > MOST_ONE_HOT]
        return (*many, *self._hashed())

    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the prepared tensors: ``features`` (B, D) and, where needed, ``codes`` (B, E)."""
        width = sum(block.width for block in self._blocks())
        made = {}
        if width:
            made["features"] = keras.Input((width,), name="features")
        if self.embedded:
            made["codes"] = keras.Input((len(self.embedded),), dtype="int32", name="codes")
        return made

    def raw_tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the raw columns, by key: scalars, 64-bit floats and text."""
        types = {"number": "float64", "date": "float64", "category": "string", "text": "string"}
        return {known.key: keras.Input((), dtype=types[known.kind], name=known.key) for known in self.spec.inputs}

    def model(self) -> keras.Model:
        """Return the Keras model from raw columns to prepared tensors; it has no weight that trains."""
        raw = self.raw_tensors()
        given = {**raw, **self._codes(raw)}
        parts = [block.make(given) for block in self._blocks()]
        made = {}
        codes = []
        if many := [known for known in self.embedded if not _buckets(known)]:
            codes.append(self._chosen(many, "many_levels")(given[_LEVELS]))
        if self._hashed():
            codes.append(given[_HASHED])
        if codes:
            made["codes"] = _joined(codes, "codes")
        if parts:
            made["features"] = _joined(parts, "features")
        return keras.Model(raw, made, name=PREPROCESSING)

    def _codes(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Codes of the categories: of those that are looked up, and of those that are hashed."""
        made = {}
        if known := self._looked_up():
            layer = EncodeCategories([one.levels for one in known], [_fill(one) for one in known], name="levels")
            made[_LEVELS] = layer([raw[one.key] for one in known])
        if known := self._hashed():
            hashing = HashCategories([_buckets(one) for one in known], [_fill(one) for one in known], name="hashed")
            made[_HASHED] = hashing([raw[one.key] for one in known])
        return made

    def _blocks(self) -> list[_Block]:
        """The features in their order; numbers come first."""
        categories = self._looked_up()
        few = [known for known in categories if not _ordered(known) and len(known.levels) <= MOST_ONE_HOT]
        ordered = [known for known in categories if _ordered(known)]
        filled = [known for known in self.spec.of_kind("category") if known.missing and _fill(known)]
        blocks = [self._numbers(), self._few_levels(few), self._steps(ordered), _missing_levels(filled)]
        blocks += [_dates(self.spec.of_kind("date")), *(_words(*one) for one in enumerate(self.spec.of_kind("text")))]
        return [block for block in blocks if block.width]

    def _numbers(self) -> _Block:
        known = self.spec.of_kind("number")
        indicators = [index for index, one in enumerate(known) if one.missing and not _told_elsewhere(one)]
        statistics = [one.statistics for one in known]

        def make(raw: dict[str, Any]) -> Any:
            layer = PrepareNumbers(statistics, indicators, self.scaling, name="numbers")
            return layer([raw[one.key] for one in known])

        return _Block(len(known) * len(self.scaling.split("_")) + len(indicators), make)

    def _few_levels(self, known: Sequence[Input]) -> _Block:
        sizes, missing = [len(one.levels) for one in known], [_own_level(one) for one in known]

        def make(raw: dict[str, Any]) -> Any:
            return OneHotColumns(sizes, missing, name="one_hot")(self._chosen(known, "few_levels")(raw[_LEVELS]))

        return _Block(sum(sizes) + sum(missing), make)

    def _steps(self, known: Sequence[Input]) -> _Block:
        sizes, missing = [len(one.levels) for one in known], [_own_level(one) for one in known]

        def make(raw: dict[str, Any]) -> Any:
            chosen = self._chosen(known, "ordered_levels")(raw[_LEVELS])
            return StepsOfOrder(sizes, missing, name="steps_of_order")(chosen)

        return _Block(sum(sizes) - len(sizes) + sum(missing), make)

    def _chosen(self, known: Sequence[Input], name: str) -> ChooseColumns:
        categories = self._looked_up()
        return ChooseColumns([categories.index(one) for one in known], name=name)

    def _looked_up(self) -> list[Input]:
        return [known for known in self.spec.of_kind("category") if not _buckets(known)]

    def _hashed(self) -> list[Input]:
        return [known for known in self.spec.of_kind("category") if _buckets(known)]


def _joined(parts: list[Any], name: str) -> Any:
    """Tensors side by side: a layer even of a single one, so that none that bulk preparation looks up is an output."""
    # In 32 bits, whatever the policy: it would round them to 16.
    layer = keras.layers.Concatenate if len(parts) > 1 else keras.layers.Identity
    return layer(name=name, dtype="float32")(parts if len(parts) > 1 else parts[0])


def _missing_levels(known: Sequence[Input]) -> _Block:
    known = [one for one in known if not _told_elsewhere(one)]
    return _Block(len(known), lambda raw: MissingLevels(name="missing_levels")([raw[one.key] for one in known]))


def _dates(known: Sequence[Input]) -> _Block:
    indicators = [index for index, one in enumerate(known) if one.missing and not _told_elsewhere(one)]
    wanted = ("parts", "fill")
    statistics = [{name: fact for name, fact in one.statistics.items() if name in wanted} for one in known]
    width = sum(len(facts["parts"]) for facts in statistics) + len(indicators)
    return _Block(
        width, lambda raw: PrepareDates(statistics, indicators, name="dates")([raw[one.key] for one in known])
    )


def _words(index: int, known: Input) -> _Block:
    layer = partial(BagOfWords, known.levels, known.statistics["idf"], name=f"words_{index}")
    return _Block(len(known.levels), lambda raw: layer()(raw[known.key]))


def _ordered(known: Input) -> bool:
    return bool(known.statistics.get("ordered"))


def _buckets(known: Input) -> int:
    return int(known.statistics.get("buckets", 0))


def _fill(known: Input) -> str:
    return str(known.statistics.get("fill", ""))


def _own_level(known: Input) -> bool:
    """Whether a missing value is a level of its own: training knew such, and nothing stands for it."""
    return known.missing > 0 and not _fill(known)


def _told_elsewhere(known: Input) -> bool:
    """Whether another input tells which values were missing: before they come to the model they are filled."""
    return known.statistics.get("way") == LAST


def natural_scaling(spec: Spec) -> str:
    """Return ``common`` for a table of numbers in like units, such as pixels, else ``standard``.

    Distances between rows mean something in columns of one unit, and standardising each would blow up those
    that hardly vary: k-means finds 79 % of the digits in pixels as they are, and 59 % in standardised ones.
    """
    deviations = np.array([known.statistics["std"] for known in spec.of_kind("number")])
    alike = len(deviations) == len(spec.inputs) and deviations.max() <= 10 * np.median(deviations)
    return "common" if alike and not any(known.missing for known in spec.inputs) else "standard"


def preprocess_table(spec: Spec, *, scaling: str = "standard") -> TablePreprocessing:
    """Return the preparation of a table's columns.

    Args:
        spec: Describes the columns of the training part.
        scaling: How numbers are brought to scale; see :class:`PrepareNumbers`.
    """
    return TablePreprocessing(spec, scaling)


def flat_features(tensors: dict[str, Any], preprocessing: TablePreprocessing) -> Any:
    """Return one tensor (B, D) of a table's prepared tensors; categories with many levels are embedded.

    The width of an embedding is 1.6 times the number of levels to the power 0.56, at most 50 (the rule
    of fastai's tabular learner).
    """
    parts = [tensors["features"]] if "features" in tensors else []
    for index, known in enumerate(preprocessing.embedded):
        levels = _buckets(known) or len(known.levels)
        width = min(50, round(1.6 * levels**0.56))
        parts.append(
            keras.layers.Embedding(levels + FIRST_LEVEL, width, name=f"embedding_{index}")(tensors["codes"][:, index])
        )
    return keras.layers.Concatenate(name="inputs")(parts) if len(parts) > 1 else parts[0]
