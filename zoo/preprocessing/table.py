"""Preprocessing of tables as part of the model: from raw columns to tensors, with the statistics of the spec.

There are no trainable weights. A saved model takes raw rows, including missing values and unknown categories.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from zoo.data.columns.describe_column import MOST_ONE_HOT
from zoo.data.columns.missing_values import LAST
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
from zoo.preprocessing.input_preprocessing import InputPreprocessing
from zoo.preprocessing.numbers import PrepareNumbers
from zoo.spec import CategoryInput, ColumnInput, DateInput, Input, NumberInput, Spec, TextInput

_LEVELS, _HASHED = "codes of levels\x1f", "codes of hashes\x1f"  # keys next to those of the raw tensors


@dataclass(frozen=True)
class _Block:
    """A block of features: the column that each comes from, and a function that creates it from raw tensors by key."""

    columns: tuple[str, ...]
    make: Callable[[dict[str, Any]], Any]

    @property
    def width(self) -> int:
        return len(self.columns)


@dataclass(frozen=True)
class TablePreprocessing(InputPreprocessing):
    """Preprocessing of a table: the columns among a spec's inputs.

    Args:
        spec: Spec of the columns.
        scaling: Scaling of numbers.
    """

    spec: Spec
    scaling: str

    def __repr__(self) -> str:
        return f"TablePreprocessing({self.scaling}, {self.spec.of_kind(ColumnInput)!r})"

    @property
    def embedded(self) -> tuple[CategoryInput, ...]:
        """Inputs that the network embeds: columns with many categories, then hashed ones."""
        many = [c for c in self._looked_up() if not c.ordered and len(c.categories) > MOST_ONE_HOT]
        return (*many, *self._hashed())

    @property
    def columns_of_features(self) -> tuple[str, ...]:
        """Name of the source column that each of the D features comes from."""
        return tuple(name for block in self._blocks() for name in block.columns)

    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the preprocessed tensors: ``features`` (B, D) and, if needed, ``codes`` (B, E)."""
        width = len(self.columns_of_features)
        tensors = {}
        if width:
            tensors["features"] = keras.Input((width,), name="features")
        if self.embedded:
            tensors["codes"] = keras.Input((len(self.embedded),), dtype="int32", name="codes")
        return tensors

    def raw_tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the raw columns by key: scalars, float64 and text."""
        return {
            input_.key: keras.Input(
                (), dtype="float64" if isinstance(input_, NumberInput | DateInput) else "string", name=input_.key
            )
            for input_ in self.spec.inputs
            if is_column(input_)
        }

    def outputs(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return the preprocessed tensors by name."""
        tensors = {**raw, **self._codes(raw)}
        parts = [block.make(tensors) for block in self._blocks()]
        outputs = {}
        codes = []
        if many := [input_ for input_ in self.embedded if not input_.buckets]:
            codes.append(self._chosen(many, "many_levels")(tensors[_LEVELS]))
        if self._hashed():
            codes.append(tensors[_HASHED])
        if codes:
            outputs["codes"] = _joined(codes, "codes")
        if parts:
            outputs["features"] = _joined(parts, "features")
        return outputs

    def _codes(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return codes of the categories, looked up or hashed."""
        codes = {}
        if inputs := self._looked_up():
            layer = EncodeCategories(
                [input_.categories for input_ in inputs], [_fill(input_) for input_ in inputs], name="levels"
            )
            codes[_LEVELS] = layer([raw[input_.key] for input_ in inputs])
        if inputs := self._hashed():
            hashing = HashCategories(
                [input_.buckets for input_ in inputs], [_fill(input_) for input_ in inputs], name="hashed"
            )
            codes[_HASHED] = hashing([raw[input_.key] for input_ in inputs])
        return codes

    def _blocks(self) -> list[_Block]:
        """Return the blocks of features in order; numbers come first."""
        categories = self._looked_up()
        few = [c for c in categories if not c.ordered and len(c.categories) <= MOST_ONE_HOT]
        ordered = [input_ for input_ in categories if input_.ordered]
        filled = [input_ for input_ in self.spec.of_kind(CategoryInput) if input_.missing and _fill(input_)]
        blocks = [self._numbers(), self._few_categories(few), self._steps(ordered), _missing_categories(filled)]
        texts = [input_ for input_ in self.spec.of_kind(TextInput) if input_.idf]
        blocks += [_dates(self.spec.of_kind(DateInput)), *(_words(*indexed) for indexed in enumerate(texts))]
        return [block for block in blocks if block.width]

    def _numbers(self) -> _Block:
        inputs = self.spec.of_kind(NumberInput)
        indicators = [index for index, input_ in enumerate(inputs) if input_.missing and not _has_missing_input(input_)]
        statistics = [input_.statistics for input_ in inputs]

        def make(raw: dict[str, Any]) -> Any:
            layer = PrepareNumbers(statistics, indicators, self.scaling, name="numbers")
            return layer([raw[input_.key] for input_ in inputs])

        names = [input_.name for input_ in inputs]
        return _Block((*names * len(self.scaling.split("_")), *(names[index] for index in indicators)), make)

    def _few_categories(self, inputs: Sequence[CategoryInput]) -> _Block:
        sizes, missing = [len(input_.categories) for input_ in inputs], [_own_category(input_) for input_ in inputs]

        def make(raw: dict[str, Any]) -> Any:
            return OneHotColumns(sizes, missing, name="one_hot")(self._chosen(inputs, "few_levels")(raw[_LEVELS]))

        return _Block(_repeat_names(inputs, np.add(sizes, missing)), make)

    def _steps(self, inputs: Sequence[CategoryInput]) -> _Block:
        sizes, missing = [len(input_.categories) for input_ in inputs], [_own_category(input_) for input_ in inputs]

        def make(raw: dict[str, Any]) -> Any:
            chosen = self._chosen(inputs, "ordered_levels")(raw[_LEVELS])
            return StepsOfOrder(sizes, missing, name="steps_of_order")(chosen)

        return _Block(_repeat_names(inputs, np.add(sizes, missing) - 1), make)

    def _chosen(self, inputs: Sequence[CategoryInput], name: str) -> ChooseColumns:
        categories = self._looked_up()
        return ChooseColumns([categories.index(input_) for input_ in inputs], name=name)

    def _looked_up(self) -> list[CategoryInput]:
        return [input_ for input_ in self.spec.of_kind(CategoryInput) if not input_.buckets]

    def _hashed(self) -> list[CategoryInput]:
        return [input_ for input_ in self.spec.of_kind(CategoryInput) if input_.buckets]


def is_column(input_: Input) -> bool:
    """Return whether an input is a column of a table, rather than a text that is read as a sequence of tokens."""
    return isinstance(input_, ColumnInput) and not (isinstance(input_, TextInput) and not input_.idf)


def _joined(parts: list[Any], name: str) -> Any:
    """Concatenate tensors; a single one also gets a layer, since bulk preprocessing must not look up output layers."""
    # float32 even under a mixed-precision policy, which would round features to 16 bits.
    layer = keras.layers.Concatenate if len(parts) > 1 else keras.layers.Identity
    return layer(name=name, dtype="float32")(parts if len(parts) > 1 else parts[0])


def _missing_categories(inputs: Sequence[CategoryInput]) -> _Block:
    inputs = [input_ for input_ in inputs if not _has_missing_input(input_)]
    return _Block(
        _repeat_names(inputs, [1] * len(inputs)),
        lambda raw: MissingLevels(name="missing_levels")([raw[input_.key] for input_ in inputs]),
    )


def _dates(inputs: Sequence[DateInput]) -> _Block:
    indicators = [index for index, input_ in enumerate(inputs) if input_.missing and not _has_missing_input(input_)]
    statistics = [_date_statistics(input_) for input_ in inputs]
    widths = [len(input_.parts) + (index in indicators) for index, input_ in enumerate(inputs)]
    return _Block(
        _repeat_names(inputs, widths),
        lambda raw: PrepareDates(statistics, indicators, name="dates")([raw[input_.key] for input_ in inputs]),
    )


def _date_statistics(input_: DateInput) -> dict[str, Any]:
    parts = {name: list(moments) for name, moments in input_.parts.items()}
    return {"parts": parts} if input_.fill is None else {"parts": parts, "fill": input_.fill}


def _words(index: int, input_: TextInput) -> _Block:
    layer = partial(BagOfWords, input_.vocabulary, input_.idf, name=f"words_{index}")
    return _Block((input_.name,) * len(input_.vocabulary), lambda raw: layer()(raw[input_.key]))


def _repeat_names(inputs: Sequence[ColumnInput], widths: Sequence[int] | np.ndarray) -> tuple[str, ...]:
    """Return the name of each input as many times as it has features."""
    return tuple(input_.name for input_, width in zip(inputs, widths, strict=True) for _ in range(width))


def _fill(input_: ColumnInput) -> str:
    return "" if input_.fill is None else str(input_.fill)


def _own_category(input_: CategoryInput) -> bool:
    """Return whether missing values are a category of their own: there were some in training, and no imputation."""
    return input_.missing > 0 and not _fill(input_)


def _has_missing_input(input_: ColumnInput) -> bool:
    """Return whether a second input indicates missing values, since they are filled forward before the model."""
    return input_.imputation == LAST


def suggest_scaling(spec: Spec) -> str:
    """Return ``common`` for a table of numbers with the same unit, such as pixels, else ``standard``.

    With a common unit, distances between rows are meaningful, and standardising would amplify columns that hardly
    vary: k-means recognises 79 % of the digits in raw pixels, and 59 % in standardised ones.
    """
    deviations = np.array([input_.std for input_ in spec.of_kind(NumberInput)])
    same_unit = len(deviations) == len(spec.inputs) and deviations.max() <= 10 * np.median(deviations)
    return "common" if same_unit and not any(input_.missing for input_ in spec.inputs) else "standard"


def preprocess_table(spec: Spec, *, scaling: str = "standard") -> TablePreprocessing:
    """Return the preprocessing of a table.

    Args:
        spec: Spec of the columns.
        scaling: Scaling of numbers; see :class:`PrepareNumbers`.
    """
    return TablePreprocessing(spec, scaling)


def join_features(tensors: dict[str, Any], preprocessing: TablePreprocessing) -> Any:
    """Join the preprocessed tensors of a table to one (B, D), with embeddings of columns with many categories.

    The width of an embedding is 1.6 times the number of categories to the power 0.56, at most 50 (the rule
    of fastai's tabular learner).
    """
    parts = [tensors["features"]] if "features" in tensors else []
    for index, input_ in enumerate(preprocessing.embedded):
        size = input_.buckets or len(input_.categories)
        width = min(50, round(1.6 * size**0.56))
        parts.append(
            keras.layers.Embedding(size + FIRST_LEVEL, width, name=f"embedding_{index}")(tensors["codes"][:, index])
        )
    return keras.layers.Concatenate(name="inputs")(parts) if len(parts) > 1 else parts[0]
