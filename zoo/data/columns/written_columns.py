"""Columns of text files as they are written: codes with leading zeros, decimal commas, integers beside other texts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from zoo.data.columns.number_notation import LEADING_ZERO, PLAIN_INTEGER, NumberNotation
from zoo.portable.number_parsing import COMMA, EXAMPLES, POINT, read_number

# Fraction of a column's cells that are numbers; others are mistakes.
MOSTLY = 0.9
FIRST_CELLS, LONGEST_INTEGER = 1000, 16
_DIGITS = r"[0-9]+"
_GROUPED = re.compile(r"[+-]?([1-9][0-9]{0,2}(\.[0-9]{3})+|[0-9]+)")


@dataclass(frozen=True)
class WrittenColumns:
    """Columns whose cells were read again, as they are written.

    Args:
        columns: The columns that differ from what was read, by name.
        notations: How their numbers are written, by name.
        notes: Notes for the user.
    """

    columns: dict[str, pd.Series] = field(default_factory=dict)
    notations: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_codes(frame: pd.DataFrame, read: Callable[[list[str]], pd.DataFrame]) -> WrittenColumns:
    """Return the columns of integers that are written with leading zeros, as texts.

    Args:
        frame: The table, in which these columns are numbers.
        read: Returns the texts of some columns.
    """
    names = [name for name in map(str, frame.columns) if _is_integer(frame[name])]
    columns = {}
    notes = []
    for name, texts in read(names).items() if names else ():
        present = texts.dropna().str.strip()
        zeros = present.str.fullmatch(LEADING_ZERO.pattern)
        if zeros.any() and present.str.fullmatch(_DIGITS).all():
            columns[str(name)] = texts.str.strip()
            notes.append(
                f"the integers of column {name} are read as text, since some are written with leading zeros, such as "
                f"{str(present[zeros].iloc[0])!r}; use --column {shlex.quote(f'{name}=number')} if they are numbers"
            )
    return WrittenColumns(columns, notes=tuple(notes))


def find_decimal_commas(
    frame: pd.DataFrame, texts: Collection[str], read: Callable[[list[str]], pd.DataFrame]
) -> WrittenColumns:
    """Return the columns of a file without separating commas that are numbers with a decimal comma.

    Where such a column shows that the file has decimal commas, a point before three digits separates thousands.
    Otherwise it is a decimal point, and a note says so if every point of a column is before three digits.

    Args:
        frame: The table.
        texts: Columns to be left as texts.
        read: Returns the texts of some columns.

    Returns:
        Columns of numbers; a cell that is no number remains a text.
    """
    others = [name for name in map(str, frame.columns) if name not in texts]
    columns = {name: _parse(frame[name]) for name in others if _has_decimal_commas(frame[name])}
    grouped = [name for name in others if name not in columns and _may_be_grouped(frame[name])]
    written = {name: frame[name] for name in grouped if _is_text(frame[name])}
    if from_numbers := [name for name in grouped if name not in written]:
        written |= {str(name): cells for name, cells in read(from_numbers).items()}
    has_commas, notes = bool(columns), []
    for name in grouped:
        names = pd.Series(pd.unique(written[name].dropna())).str.strip()
        with_point = names[names.str.contains(POINT, regex=False)]
        if not len(with_point) or not _are_mostly(written[name], lambda cell: _GROUPED.fullmatch(cell) is not None):
            continue
        if has_commas:
            columns[name] = _parse(written[name])
        elif name in from_numbers:
            notes.append(NumberNotation(ambiguous=with_point.iloc[0]).describe(name))
    return WrittenColumns(columns, dict.fromkeys(columns, EXAMPLES[COMMA]), tuple(notes))


def separate_integers(values: pd.Series) -> pd.Series | None:
    """Return a text column with its plain integers as integers, if most cells are such and the others are mistakes.

    No spelling is lost, and where the training rows have integers only, the column is one of numbers. So it is with
    codes such as 007 among integers. None if the column has nothing to separate.

    Example:
        >>> separate_integers(pd.Series([*"123456789", "x"])).tolist()
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 'x']
    """
    if not _is_text(values) or not _has_integers(values.head(FIRST_CELLS)):
        return None
    if pd.api.types.infer_dtype(values, skipna=True) != "string":
        return None
    counts = values.value_counts()
    is_integer = np.array([_is_plain_integer(name) for name in counts.index], bool)
    if is_integer.all():
        return None
    codes = all(LEADING_ZERO.fullmatch(name) for name in counts.index[~is_integer])
    if counts[is_integer].sum() < MOSTLY * counts.sum() and not codes:
        return None
    convert = {name: int(name) if integer else name for name, integer in zip(counts.index, is_integer, strict=True)}
    return values.astype(object).map(convert, na_action="ignore")


def _has_integers(values: pd.Series) -> bool:
    return any(isinstance(cell, str) and _is_plain_integer(cell) for cell in values)


def _is_plain_integer(text: str) -> bool:
    return len(text) < LONGEST_INTEGER and PLAIN_INTEGER.fullmatch(text) is not None


def _is_integer(values: pd.Series) -> bool:
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return False
    present = values.dropna().to_numpy(dtype=np.float64)
    return len(present) > 0 and bool((present == np.floor(present)).all()) and bool((present >= 0).all())


def _is_text(values: pd.Series) -> bool:
    return isinstance(values.dtype, pd.StringDtype) or pd.api.types.is_object_dtype(values.dtype)


def _may_be_grouped(values: pd.Series) -> bool:
    """Return whether points of a column may separate thousands: of numbers, if all have at most three decimals."""
    if _is_text(values):
        return True
    if not pd.api.types.is_float_dtype(values.dtype):
        return False
    numbers = np.abs(values.dropna().to_numpy(dtype=np.float64))
    thousandths = numbers[numbers != np.floor(numbers)] * 1000
    return bool(len(thousandths) and (thousandths >= 1000).all()) and np.allclose(thousandths, thousandths.round())


def _are_mostly(values: pd.Series, fits: Callable[[str], bool]) -> bool:
    counts = values.dropna().astype(str).str.strip().value_counts()
    fitting = [fits(str(cell)) for cell in counts.index]
    return bool(counts[fitting].sum() >= MOSTLY * max(1, counts.sum()))


def _has_decimal_commas(values: pd.Series) -> bool:
    """Return whether practically all cells of a text column are numbers and some have a decimal comma."""
    if not _is_text(values) or not values.dropna().astype(str).str.contains(COMMA, regex=False).any():
        return False
    return _are_mostly(values, lambda cell: read_number(cell, EXAMPLES[COMMA]) is not None)


def _parse(values: pd.Series) -> pd.Series:
    """Return texts with a decimal comma as numbers; what is no number remains a text."""
    numbers = {name: read_number(str(name), EXAMPLES[COMMA]) for name in pd.unique(values.dropna())}
    converted = {name: name if number is None else number for name, number in numbers.items()}
    parsed = values.astype(object).map(converted, na_action="ignore")
    return parsed if None in numbers.values() else parsed.astype(np.float64)
