"""Encode the rows of a data frame as model inputs, and targets as class indices or numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from zoo.data.columns.date_parsing import convert_to_seconds
from zoo.data.columns.missing_values import LAST, fill_forward
from zoo.data.examples.describe_examples import join_numbered_columns, prepare_values
from zoo.data.examples.given_observations import join_parts
from zoo.data.limits import find_source_row
from zoo.data.ragged import Ragged
from zoo.errors import DataError, find_nearest_name, join_first
from zoo.portable.answers import find_answer, map_answers
from zoo.portable.number_parsing import read_number_cells
from zoo.portable.rows import is_missing, name_category
from zoo.spec import (
    CategoryInput,
    ColumnInput,
    DateInput,
    Input,
    NumberInput,
    ObservationInput,
    Spec,
    Target,
    TextInput,
)

Values = np.ndarray | Ragged | pd.Categorical

MISSING = ""


def find_text_columns(spec: Spec) -> list[str]:
    """Return the columns that must be read as text: categories, classes, and numbers that are written as people do."""
    categories = [input_ for input_ in spec.of_kind(CategoryInput) if not input_.numeric]
    names = [input_.name for input_ in (*categories, *spec.of_kind(TextInput), *spec.of_kind(DateInput))]
    names += [input_.name for input_ in spec.of_kind(NumberInput) if input_.notation]
    return names + [target.name for target in spec.targets if target.dtype == "str" or target.notation]


def extract_inputs(
    frame: pd.DataFrame, spec: Spec, *, where: str = "the rows", train: np.ndarray | None = None
) -> dict[str, Values]:
    """Return the raw values of a model's inputs, before preprocessing.

    Columns may be in any order; other columns are ignored.

    Args:
        frame: N raw rows.
        spec: The spec of the model.
        where: Name of the rows in error messages.
        train: Mask of training rows, if the frame also has other rows: forward filling never copies a value of
            another row into a training row.

    Returns:
        For each input by key an array (N,): float64 with NaN for a missing number, or for a date (seconds
        since 1970 in UTC); ``pandas.Categorical`` for categories, text with ``""`` for missing; ragged arrays for
        images and sequences; (N, …) for an array in each cell.

    Raises:
        DataError: If a column is missing, or a number cannot be parsed.
    """
    for input_ in spec.inputs:
        cells = _join(frame, input_) if input_.name not in frame.columns else None
        frame = frame.assign(**{input_.name: cells}) if cells is not None else frame
    columns = {str(name): name for name in frame.columns}
    absent = [input_ for input_ in spec.inputs if input_.name not in columns]
    if absent:
        raise DataError(
            f"columns that the model needs are missing: {join_first(list(map(_name_columns, absent)), 5)}",
            where=where,
            nearest=find_nearest_name(absent[0].name, set(columns) - {input_.name for input_ in spec.inputs}),
        )
    arrays: dict[str, Values] = {}
    unfilled: dict[str, np.ndarray] = {}
    for input_ in spec.inputs:
        if isinstance(input_, NumberInput) and input_.indicates_missing:  # follows the input that it belongs to
            arrays[input_.key] = is_missing(unfilled[input_.name]).astype(np.float64)
            continue
        values = _values(frame[columns[input_.name]], input_, where)
        if isinstance(input_, ColumnInput) and input_.imputation == LAST:
            assert not isinstance(values, Ragged)
            unfilled[input_.name] = np.asarray(values)
            values = fill_forward(values, is_missing(unfilled[input_.name]), train)
        arrays[input_.key] = values
    return arrays


def _join(frame: pd.DataFrame, input_: Input) -> pd.Series | None:
    parts = join_parts(frame, input_) if isinstance(input_, ObservationInput) else None
    return parts if parts is not None else join_numbered_columns(frame, input_)


def _name_columns(input_: Input) -> str:
    """Return the name of an input's column, or of the first and the last one of the numbers of an observation."""
    is_vector = isinstance(input_, ObservationInput) and input_.space is None
    count = len(input_.low) if is_vector else 1  # type: ignore[attr-defined]
    return f"{input_.name}_0 to {input_.name}_{count - 1}" if count > 1 else input_.name


def has_value(values: pd.Series) -> np.ndarray:
    """Return a mask (N,) of values that are neither missing nor blank text.

    Example:
        >>> has_value(pd.Series(["a", " ", None])).tolist()
        [True, False, False]
    """
    present = values.notna().to_numpy(dtype=bool)
    if not pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_datetime64_any_dtype(values.dtype):
        present = present & [not (isinstance(text, str) and not text.strip()) for text in values]
    return present


def name_categories(values: pd.Series) -> np.ndarray:
    """Return each value's category as text, with one spelling for ``1``, ``1.0`` and ``"1"``; ``""`` if missing.

    Example:
        >>> name_categories(pd.Series([1.0, 2.5, None])).tolist()
        ['1', '2.5', '']
    """
    return np.asarray(convert_to_categories(values))


def convert_to_categories(values: pd.Series) -> pd.Categorical:
    """Return categories as :func:`name_categories` does, as a ``pandas.Categorical`` in which ``""`` is a category.

    Example:
        >>> convert_to_categories(pd.Series(["b", None, "b"])).tolist()
        ['b', '', 'b']
    """
    codes, names = encode_categories(values)
    categories = pd.Index(np.append(names, MISSING), dtype=object)
    codes = np.where(codes < 0, len(names), codes)
    return pd.Categorical.from_codes(codes, categories, validate=False)


def convert_answers(values: pd.Categorical, categories: tuple[str, ...]) -> pd.Categorical:
    """Return values with each spelling of yes and no as it is among the categories of training, if these are answers.

    Example:
        >>> convert_answers(pd.Categorical(["1", "no", ""]), ("TRUE", "FALSE")).tolist()
        ['TRUE', 'FALSE', '']
    """
    answers = map_answers(categories)
    if not answers or set(values.categories) <= {MISSING, *categories}:
        return values
    names = pd.Index([name if name in categories else find_answer(name, answers) for name in values.categories])
    codes, spelled = pd.factorize(names.to_numpy(object))
    return pd.Categorical.from_codes(np.append(codes, -1)[values.codes], pd.Index(spelled, dtype=object))


def encode_categories(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the code of each value (N,), -1 where it is missing, and the category of each code.

    Each distinct value is converted to text once, which keeps a million rows cheap. A categorical column keeps the
    order of its categories; others are in order of first appearance.

    Example:
        >>> codes, names = encode_categories(pd.Series(["b", None, "a", "b"]))
        >>> codes.tolist(), names.tolist()
        ([0, -1, 1, 0], ['b', 'a'])
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes, raw = values.cat.codes.to_numpy(np.int64), dtype.categories.tolist()
    elif pd.api.types.is_numeric_dtype(dtype) or isinstance(dtype, pd.StringDtype) or _is_text(values):
        codes, uniques = pd.factorize(values.to_numpy(object) if pd.api.types.is_object_dtype(dtype) else values)
        raw = uniques.tolist()
    else:  # 1 == True, but they are two categories: convert to text before comparing
        spelled = np.array([name_category(value) for value in values], dtype=object)
        spelled[values.isna().to_numpy()] = MISSING
        codes, uniques = pd.factorize(spelled)
        raw = uniques.tolist()
    merged, categories = pd.factorize(np.array([name_category(value) for value in raw], dtype=object))
    present = np.flatnonzero(categories != MISSING)
    place = np.full(len(categories) + 1, -1)  # the last one is for missing values
    place[present] = np.arange(len(present))
    return place[np.append(merged, -1)][codes], categories[present]


def _is_text(values: pd.Series) -> bool:
    return pd.api.types.infer_dtype(values, skipna=True) == "string"


def encode_targets(frame: pd.DataFrame, spec: Spec, *, where: str = "the rows") -> np.ndarray:
    """Return the encoded targets of N rows: (N,) for one value, (N, …) for one with a shape, (N, K) for several.

    Where a row lacks one of several targets, that is NaN.

    Raises:
        DataError: If a class is unknown or a number cannot be parsed.
    """
    if len(spec.targets) == 1:
        return encode_target(frame[spec.targets[0].name], spec.targets[0], where=where)
    columns = []
    for target in spec.targets:
        values = frame[target.name]
        present = has_value(values) if not target.shape else np.ones(len(values), bool)
        column = np.full((len(values), max(1, math.prod(target.shape))), np.nan)
        column[present] = encode_target(values[present], target, where=where).reshape(present.sum(), -1)
        columns.append(column)
    return np.concatenate(columns, axis=1)


def encode_target(values: pd.Series, target: Target, *, where: str = "the rows") -> np.ndarray:
    """Return a target column as codes (N,): class index (int64) or standardised number (float64).

    A target with a shape is an array in each cell; its codes are (N, …).

    Raises:
        DataError: If a class is unknown or a number cannot be parsed.
    """
    if target.shape:
        input_ = ObservationInput(target.name, target.name, shape=target.shape)
        return (np.asarray(prepare_values(values, input_, where), np.float64) - target.mean) / target.std
    if target.kind == "number":
        numbers = read_numbers(values, where, target.notation)
        if np.isnan(numbers).any():
            row = int(np.flatnonzero(np.isnan(numbers))[0])
            place = f"{where}, column {target.name}, row {find_source_row(values, row)}"
            raise DataError(f"the target must be a finite number; received {values.iloc[row]}", where=place)
        return (numbers - target.mean) / target.std
    category_codes, names = encode_categories(values)
    index = {name: code for code, name in enumerate(target.classes)}
    answers = map_answers(target.classes)
    places = (index.get(name, index.get(find_answer(name, answers), -1)) for name in names)
    codes = np.array([*places, -1], dtype=np.int64)[category_codes]
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        name = str(np.append(names, MISSING)[category_codes[row]])
        raise DataError(
            f"class {name!r} does not occur in the training split, which has {', '.join(target.classes[:20])}",
            where=f"{where}, column {target.name}, row {find_source_row(values, row)}",
            nearest=find_nearest_name(name, target.classes),
        )
    return codes


def decode_classes(codes: np.ndarray, target: Target) -> np.ndarray:
    """Return classes (N,) by index, in the type that they have in the source."""
    if target.dtype == "bool":
        return np.array([name == "true" for name in target.classes])[codes]
    kinds = {"int": int, "float": float, "str": str}
    kind = kinds[target.dtype]
    typed = np.array([kind(name) for name in target.classes], dtype=object if kind is str else None)
    return typed[codes]


def name_dtype(values: pd.Series) -> str:
    """Return the type of a column's classes: bool, int, float or str."""
    present = values.dropna()
    if pd.api.types.is_bool_dtype(values.dtype) or (
        len(present) and all(isinstance(value, (bool, np.bool_)) for value in present)
    ):
        return "bool"
    if pd.api.types.is_numeric_dtype(values.dtype):
        integer = (present == np.floor(present)).all()
        return "int" if integer else "float"
    return "str"


def _values(values: pd.Series, input_: Input, where: str) -> Values:
    if isinstance(input_, CategoryInput):
        return convert_answers(convert_to_categories(values), input_.categories)
    if isinstance(input_, TextInput) and input_.idf:
        return name_categories(values)
    if isinstance(input_, DateInput):
        return read_dates(values, input_.format, where, strict=input_.strict)
    if isinstance(input_, NumberInput):
        return read_numbers(values, where, input_.notation, is_answer=input_.is_answer)
    return prepare_values(values, input_, where)


def parse_numbers(values: pd.Series, notation: str = "", *, is_answer: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return a column as float64 (N,), NaN where a cell is empty, infinite or no number; and a mask (N,) of those.

    Args:
        values: N cells.
        notation: How texts are written; see :func:`zoo.portable.number_parsing.read_number`.
        is_answer: Whether 0 and 1 stand for no and yes, so that these words are read too.

    Example:
        >>> parse_numbers(pd.Series(["1,5", "x"]), "1.234,5")[0].tolist()
        [1.5, nan]
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        infinite = np.isinf(numbers)
        return np.where(infinite, np.nan, numbers) if infinite.any() else numbers, np.zeros(len(values), bool)
    cells = values.astype(object).to_numpy()
    try:
        codes, uniques = pd.factorize(cells)  # each distinct text is read once
    except TypeError:  # a cell that cannot be hashed, such as a list
        codes, uniques = np.arange(len(cells)), cells
    numbers, wrong = read_number_cells(uniques, notation, is_answer=is_answer)
    return np.append(numbers, np.nan)[codes], np.append(wrong, False)[codes]


def read_numbers(values: pd.Series, where: str, notation: str = "", *, is_answer: bool = False) -> np.ndarray:
    """Return a column as float64 (N,), NaN where a cell is empty or infinite.

    Args:
        values: N cells.
        where: Name of the rows in error messages.
        notation: How texts are written; see :func:`zoo.portable.number_parsing.read_number`.
        is_answer: Whether 0 and 1 stand for no and yes, so that these words are read too.

    Raises:
        DataError: If a cell is not a number; the message names the row.
    """
    numbers, wrong = parse_numbers(values, notation, is_answer=is_answer)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = f"{where}, column {values.name}, row {find_source_row(values, row)}"
        written = f" written as {notation}" if notation else ""
        raise DataError(f"{values.iloc[row]!r} is not a number{written}", where=place)
    return numbers


def read_dates(values: pd.Series, form: str | None, where: str, *, strict: bool) -> np.ndarray:
    """Return a column of dates as seconds since 1970 (N,), NaN where a cell is not a date.

    Args:
        values: N cells.
        form: Date format of text.
        where: Name of the rows in error messages.
        strict: Whether a cell that is not a date in the format is an error, as when the user set the kind to date.

    Raises:
        DataError: If a cell cannot be parsed; the message names the row.
    """
    seconds = convert_to_seconds(values, form)
    wrong = np.isnan(seconds) & ~_is_empty(values) if strict else np.zeros(len(values), bool)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = f"{where}, column {values.name}, row {find_source_row(values, row)}"
        expected = f"in the format {form}" if form else "in ISO 8601 (2024-01-31); give the format, as in date:%d.%m.%Y"
        raise DataError(f"{values.iloc[row]!r} is not a date {expected}", where=place)
    return seconds


def _is_empty(values: pd.Series) -> np.ndarray:
    return (values.isna() | (values.astype(str).str.strip() == "")).to_numpy()
