"""Rows of a frame become the arrays that a model's inputs take, and targets become codes."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from zoo.data.columns.date_parsing import seconds_of
from zoo.data.columns.missing_values import LAST, is_missing, last_known
from zoo.data.examples.describe_examples import cells_from_columns, example_values
from zoo.data.limits import row_in_source
from zoo.data.ragged import Ragged
from zoo.errors import DataError, listed, nearest_name
from zoo.spec import Input, Spec, Target

Values = np.ndarray | Ragged | pd.Categorical

MISSING = ""
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)\.0+")
_TRUTHS = {"True", "TRUE", "true", "False", "FALSE", "false"}


def text_columns(spec: Spec) -> list[str]:
    """Return the columns that a file's reader shall take as text, for they hold categories or classes of text."""
    known_as_text = (*spec.of_kind("category"), *spec.of_kind("text"), *spec.of_kind("date"))
    names = [known.name for known in known_as_text if not known.statistics.get("numeric")]
    target = spec.target
    return names + ([target.name] if target is not None and target.kind == "class" and target.dtype == "str" else [])


def raw_inputs(
    frame: pd.DataFrame, spec: Spec, *, where: str = "the rows", train: np.ndarray | None = None
) -> dict[str, Values]:
    """Return the values of a model's inputs, as they are before preparation.

    Columns may stand in any order, and other columns are ignored.

    Args:
        frame: N raw rows.
        spec: The spec of the model.
        where: What to call the rows in an error.
        train: Which rows are training ones, where there are others among them: no value of these reaches a
            training row, where a column is filled by the last one known.

    Returns:
        For each input by key an array (N,): float64 with NaN for a missing number, or for a date (seconds
        since 1970 in UTC); a category as ``pandas.Categorical``, which has each level once, and text with ``""`` for
        a missing one; images and sequences are ragged, an array in a cell is (N, …).

    Raises:
        DataError: When a column is missing, or a number cannot be read as one.
    """
    for known in spec.inputs:
        cells = cells_from_columns(frame, known) if known.name not in frame.columns else None
        frame = frame.assign(**{known.name: cells}) if cells is not None else frame
    columns = {str(name): name for name in frame.columns}
    absent = [known.name for known in spec.inputs if known.name not in columns]
    if absent:
        raise DataError(
            f"columns that the model needs are missing: {listed(absent, 5)}",
            where=where,
            nearest=nearest_name(absent[0], set(columns) - {known.name for known in spec.inputs}),
        )
    made: dict[str, Values] = {}
    unfilled: dict[str, np.ndarray] = {}
    for known in spec.inputs:
        if known.statistics.get("was_missing"):  # stands behind the input that it is about
            made[known.key] = is_missing(unfilled[known.name]).astype(np.float64)
            continue
        values = _values(frame[columns[known.name]], known, where)
        if known.statistics.get("way") == LAST:
            assert not isinstance(values, Ragged)
            unfilled[known.name] = np.asarray(values)
            values = last_known(values, is_missing(unfilled[known.name]), train)
        made[known.key] = values
    return made


def has_value(values: pd.Series) -> np.ndarray:
    """Return which values (N,) are there: neither missing nor a text of blanks alone.

    Example:
        >>> has_value(pd.Series(["a", " ", None])).tolist()
        [True, False, False]
    """
    known = values.notna().to_numpy(dtype=bool)
    if not pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_datetime64_any_dtype(values.dtype):
        known = known & [not (isinstance(text, str) and not text.strip()) for text in values]
    return known


def level_names(values: pd.Series) -> np.ndarray:
    """Return each value's level as text, one spelling for ``1``, ``1.0`` and ``"1"``; ``""`` where missing.

    Example:
        >>> level_names(pd.Series([1.0, 2.5, None])).tolist()
        ['1', '2.5', '']
    """
    return np.asarray(as_levels(values))


def as_levels(values: pd.Series) -> pd.Categorical:
    """Return each value's level as :func:`level_names` does, by codes: each level is there once, and ``""`` is one.

    Example:
        >>> as_levels(pd.Series(["b", None, "b"])).tolist()
        ['b', '', 'b']
    """
    codes, names = coded_levels(values)
    levels = pd.Index(np.append(names, MISSING), dtype=object)
    codes = np.where(codes < 0, len(names), codes)
    return pd.Categorical.from_codes(codes, levels, validate=False)


def coded_levels(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the code of each value (N,), -1 where it is missing, and the level that each code stands for.

    Each different value is spelled once, so that a million rows cost little more than finding these. The levels
    of a column of categories stand in its own order, the others as they come.

    Example:
        >>> codes, names = coded_levels(pd.Series(["b", None, "a", "b"]))
        >>> codes.tolist(), names.tolist()
        ([0, -1, 1, 0], ['b', 'a'])
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes, raw = values.cat.codes.to_numpy(np.int64), dtype.categories.tolist()
    elif pd.api.types.is_numeric_dtype(dtype) or isinstance(dtype, pd.StringDtype) or _is_text(values):
        codes, found = pd.factorize(values.to_numpy(object) if pd.api.types.is_object_dtype(dtype) else values)
        raw = found.tolist()
    else:  # 1 and True are equal, and yet not one level: each is spelled before they are compared
        spelled = np.array([_name(value) for value in values], dtype=object)
        spelled[values.isna().to_numpy()] = MISSING
        codes, found = pd.factorize(spelled)
        raw = found.tolist()
    merged, levels = pd.factorize(np.array([_name(value) for value in raw], dtype=object))
    present = np.flatnonzero(levels != MISSING)
    place = np.full(len(levels) + 1, -1)  # the last is that of no value
    place[present] = np.arange(len(present))
    return place[np.append(merged, -1)][codes], levels[present]


def _is_text(values: pd.Series) -> bool:
    return pd.api.types.infer_dtype(values, skipna=True) == "string"


def encode_target(values: pd.Series, target: Target, *, where: str = "the rows") -> np.ndarray:
    """Return a target column as codes (N,): class index (int64) or standardised number (float64).

    Raises:
        DataError: When a class is unknown or a number cannot be read.
    """
    if target.kind == "number":
        numbers = read_numbers(values, where)
        if np.isnan(numbers).any():
            row = int(np.flatnonzero(np.isnan(numbers))[0])
            place = f"{where}, column {target.name}, row {row_in_source(values, row)}"
            raise DataError(f"the target must be a finite number; received {values.iloc[row]}", where=place)
        return (numbers - target.mean) / target.std
    found, names = coded_levels(values)
    index = {name: code for code, name in enumerate(target.classes)}
    codes = np.array([*(index.get(name, -1) for name in names), -1], dtype=np.int64)[found]
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        name = str(np.append(names, MISSING)[found[row]])
        raise DataError(
            f"class {name!r} is not among those of the training part: {', '.join(target.classes[:20])}",
            where=f"{where}, column {target.name}, row {row_in_source(values, row)}",
            nearest=nearest_name(name, target.classes),
        )
    return codes


def decode_classes(codes: np.ndarray, target: Target) -> np.ndarray:
    """Return classes (N,) by their index, in the type that the source had them in."""
    if target.dtype == "bool":
        return np.array([name == "true" for name in target.classes])[codes]
    kinds = {"int": int, "float": float, "str": str}
    kind = kinds[target.dtype]
    typed = np.array([kind(name) for name in target.classes], dtype=object if kind is str else None)
    return typed[codes]


def dtype_name(values: pd.Series) -> str:
    """Return which of bool, int, float and str a column's classes are."""
    present = values.dropna()
    if pd.api.types.is_bool_dtype(values.dtype) or (
        len(present) and present.map(lambda value: isinstance(value, bool)).all()
    ):
        return "bool"
    if pd.api.types.is_numeric_dtype(values.dtype):
        whole = (present == np.floor(present)).all()
        return "int" if whole else "float"
    return "str"


def _values(values: pd.Series, known: Input, where: str) -> Values:
    if known.kind == "category":
        return as_levels(values)
    if known.kind == "text" and "idf" in known.statistics:
        return level_names(values)
    if known.kind == "date":
        return read_dates(values, known.statistics.get("format"), where, strict=known.statistics.get("strict", False))
    return read_numbers(values, where) if known.kind == "number" else example_values(values, known, where)


def read_numbers(values: pd.Series, where: str) -> np.ndarray:
    """Return a column as 64-bit floats (N,), not a number where a cell is empty or infinite.

    Raises:
        DataError: When a cell is no number; the message names the row.
    """
    dtype = values.dtype
    numbers = values if pd.api.types.is_numeric_dtype(dtype) else pd.to_numeric(values, errors="coerce")
    result: np.ndarray = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    if numbers is not values:
        wrong = np.isnan(result) & ~_is_empty(values)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            place = f"{where}, column {values.name}, row {row_in_source(values, row)}"
            raise DataError(f"{values.iloc[row]!r} is not a number", where=place)
    infinite = np.isinf(result)
    return np.where(infinite, np.nan, result) if infinite.any() else result


def read_dates(values: pd.Series, form: str | None, where: str, *, strict: bool) -> np.ndarray:
    """Return a column of dates as seconds since 1970 (N,), not a number where a cell is none.

    Args:
        values: N cells.
        form: The format of text.
        where: What to call the rows in an error.
        strict: Whether a cell that is no date in the format is an error: where somebody said that they are dates.

    Raises:
        DataError: Names the row.
    """
    seconds = seconds_of(values, form)
    wrong = np.isnan(seconds) & ~_is_empty(values) if strict else np.zeros(len(values), bool)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = f"{where}, column {values.name}, row {row_in_source(values, row)}"
        told = f"of the format {form}" if form else "as ISO 8601 spells one (2024-01-31); say its format: date:%d.%m.%Y"
        raise DataError(f"{values.iloc[row]!r} is not a date {told}", where=place)
    return seconds


def _is_empty(values: pd.Series) -> np.ndarray:
    return (values.isna() | (values.astype(str).str.strip() == "")).to_numpy()


def _number_name(value: float) -> str:
    return str(int(value)) if np.isfinite(value) and value == int(value) else str(value)


def _text_name(text: object) -> str:
    """Text that spells a whole number or a truth value is the level that it spells; ``01`` is neither."""
    spelled = str(text)
    if _WHOLE.fullmatch(spelled):
        return spelled.split(".")[0]
    return spelled.lower() if spelled in _TRUTHS else spelled


def _name(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        return _number_name(float(value))
    return _text_name(value)
