"""Rows of a frame become the arrays that a model's inputs take, and targets become codes."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from zoo.data.examples import cells_from_columns, example_values, row_in_source
from zoo.data.ragged import Ragged
from zoo.errors import DataError, nearest_name
from zoo.spec import Input, Spec, Target

Values = np.ndarray | Ragged

MISSING = ""
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)\.0+")
_TRUTHS = {"True", "TRUE", "true", "False", "FALSE", "false"}


def text_columns(spec: Spec) -> list[str]:
    """Return the columns that a file's reader shall take as text, for they hold categories or classes of text."""
    names = [known.name for known in (*spec.of_kind("category"), *spec.of_kind("text"))]
    target = spec.target
    return names + ([target.name] if target is not None and target.kind == "class" and target.dtype == "str" else [])


def raw_inputs(frame: pd.DataFrame, spec: Spec, *, where: str = "the rows") -> dict[str, Values]:
    """Return the values of a model's inputs, as they are before preparation.

    Columns may stand in any order, and other columns are ignored.

    Args:
        frame: N raw rows.
        spec: The spec of the model.
        where: What to call the rows in an error.

    Returns:
        For each input by key an array (N,): float64 with NaN for a missing number, text with ``""``
        for a missing category; pictures and sequences are ragged, an array in a cell is (N, …).

    Raises:
        DataError: When a column is missing, or a number cannot be read as one.
    """
    for known in spec.inputs:
        made = cells_from_columns(frame, known) if known.name not in frame.columns else None
        frame = frame.assign(**{known.name: made}) if made is not None else frame
    columns = {str(name): name for name in frame.columns}
    absent = [known.name for known in spec.inputs if known.name not in columns]
    if absent:
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise DataError(
            f"columns that the model needs are missing: {', '.join(absent[:5])}{more}",
            where=where,
            nearest=nearest_name(absent[0], set(columns) - {known.name for known in spec.inputs}),
        )
    return {known.key: _values(frame[columns[known.name]], known, where) for known in spec.inputs}


def level_names(values: pd.Series) -> np.ndarray:
    """Return each value's level as text, one spelling for ``1``, ``1.0`` and ``"1"``; ``""`` where missing.

    Example:
        >>> level_names(pd.Series([1.0, 2.5, None])).tolist()
        ['1', '2.5', '']
    """
    missing = values.isna().to_numpy()
    if pd.api.types.is_bool_dtype(values.dtype):
        names = values.astype(object).map({True: "true", False: "false"}).to_numpy(dtype=object)
    elif pd.api.types.is_integer_dtype(values.dtype):
        names = values.astype(str).to_numpy(dtype=object)
    elif pd.api.types.is_float_dtype(values.dtype):
        names = np.array([_number_name(value) for value in values.to_numpy(dtype=float)], dtype=object)
    elif pd.api.types.infer_dtype(values, skipna=True) == "string":
        codes, levels = pd.factorize(values.to_numpy(dtype=object), use_na_sentinel=False)
        names = np.array([_text_name(text) for text in levels], dtype=object)[codes]
    else:
        names = np.array([_name(value) for value in values], dtype=object)
    names[missing] = MISSING
    return names


def encode_target(values: pd.Series, target: Target, *, where: str = "the rows") -> np.ndarray:
    """Return a target column as codes (N,): class index (int64) or standardised number (float64).

    Raises:
        DataError: When a class is unknown or a number cannot be read.
    """
    if target.kind == "number":
        numbers = _numbers(values, where)
        if np.isnan(numbers).any():
            row = int(np.flatnonzero(np.isnan(numbers))[0])
            place = f"{where}, column {target.name}, row {row_in_source(values, row)}"
            raise DataError(f"the target must be a finite number; received {values.iloc[row]}", where=place)
        return (numbers - target.mean) / target.std
    names = level_names(values)
    index = {name: code for code, name in enumerate(target.classes)}
    codes = np.array([index.get(name, -1) for name in names], dtype=np.int64)
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise DataError(
            f"class {names[row]!r} is not among those of the training part: {', '.join(target.classes[:20])}",
            where=f"{where}, column {target.name}, row {row_in_source(values, row)}",
            nearest=nearest_name(names[row], target.classes),
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
        return level_names(values)
    return _numbers(values, where) if known.kind == "number" else example_values(values, known, where)


def _numbers(values: pd.Series, where: str) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = numbers.isna() & values.notna() & (values.astype(str).str.strip() != "")
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = f"{where}, column {values.name}, row {row_in_source(values, row)}"
        raise DataError(f"{values.iloc[row]!r} is not a number", where=place)
    result: np.ndarray = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isinf(result), np.nan, result)


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
