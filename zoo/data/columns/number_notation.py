"""Find how the numbers of a text column are written: separators and unit, decided by the whole column."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd

from zoo.portable.number_parsing import (
    COMMA,
    EXAMPLES,
    PER_CENT,
    POINT,
    read_body,
    read_number,
    read_number_cells,
    split_notation,
    split_number,
)

# Digits only, and the first of them is a zero: a code such as a zip code, not a number.
LEADING_ZERO = re.compile(r"0[0-9]+")
PLAIN_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class NumberNotation:
    """How the numbers of a column are written.

    Args:
        notation: As in :func:`zoo.portable.number_parsing.read_number`.
        ambiguous: A number that could be read in two ways; empty if there is none.
    """

    notation: str = ""
    ambiguous: str = ""

    def describe(self, column: str) -> str:
        """Return a note on an ambiguous notation; empty if it is not ambiguous.

        Example:
            >>> NumberNotation("1,234.5", "3,188").describe("price")[:72]
            "the numbers of column price are ambiguous: '3,188' is read as 3188; for "
        """
        if not self.ambiguous:
            return ""
        number = split_number(self.ambiguous)
        assert number is not None
        unit = f" {number.unit}" if number.unit else ""
        decimal = split_notation(self.notation)[0] if self.notation else POINT
        other = POINT if decimal == COMMA else COMMA
        values = [read_body(number.body, sign) for sign in (decimal, other)]
        option = shlex.quote(f"{column}=number:{EXAMPLES[other]}{unit}")
        return (
            f"the numbers of column {column} are ambiguous: {self.ambiguous!r} is read as {values[0]:.15g}; for "
            f"{values[1]:.15g} use --column {option}"
        )


def find_numbers(
    values: pd.Series, notation: str | None = None, *, keep_integers: bool = True
) -> tuple[pd.Series, NumberNotation] | None:
    """Return a column of objects or texts as numbers, and how they are written; None if a cell is no number.

    Args:
        values: N cells.
        notation: How the texts are written, if the user said so.
        keep_integers: Whether texts that are all plain integers stay texts: a source with types that has them as text
            has said that they are names.

    Example:
        >>> find_numbers(pd.Series(["1,5", "2"]))[0].tolist()
        [1.5, 2.0]
    """
    if not (pd.api.types.is_object_dtype(values.dtype) or isinstance(values.dtype, pd.StringDtype)):
        return None
    cells = values.to_numpy(object)
    try:
        codes, distinct = pd.factorize(cells)
    except TypeError:  # a cell that cannot be hashed, such as a list
        return None
    present = [cell for cell in distinct if not (isinstance(cell, str) and not cell.strip())]
    texts = [cell for cell in present if isinstance(cell, str)]
    if not present or any(isinstance(cell, bool) or not isinstance(cell, (str, Real)) for cell in present):
        return None
    if keep_integers and len(texts) == len(present) and all(PLAIN_INTEGER.fullmatch(text.strip()) for text in texts):
        return None
    written = NumberNotation(notation or "") if notation is not None or not texts else find_notation(texts)
    if written is None:
        return None
    numbers, wrong = read_number_cells(distinct, written.notation)
    if wrong.any():
        return None
    return pd.Series(np.append(numbers, np.nan)[codes], index=values.index, name=values.name), written


def find_notation(texts: Iterable[str]) -> NumberNotation | None:
    """Return how all of these texts are written as numbers; None if one is none, or if they have several units.

    Where every separator is followed by three digits, it could separate decimals or thousands: a comma and the
    separator of an amount of money are read as separating thousands, a point as separating decimals, as in Python.

    Args:
        texts: The distinct texts of a column.

    Example:
        >>> find_notation(["3.188,60 €", "947,00 €"])
        NumberNotation(notation='1.234,5 €', ambiguous='')
        >>> find_notation(["007", "42"]) is None
        True
    """
    texts = [str(text) for text in texts]
    if not texts or any(LEADING_ZERO.fullmatch(text.strip()) for text in texts):
        return None
    if all(read_number(text) is not None for text in texts):
        return NumberNotation()
    numbers = []
    for text in texts:
        number = split_number(text)
        if number is None:
            return None
        numbers.append(number)
    units = {number.unit for number in numbers}
    if len(units - {""}) > 1 or (PER_CENT in units and "" in units):
        return None
    unit = next(iter(units - {""}), "")
    bodies = [number.body for number in numbers]
    values = {decimal: [read_body(body, decimal) for body in bodies] for decimal in EXAMPLES}
    fitting = [decimal for decimal in EXAMPLES if None not in values[decimal]]
    if not fitting:
        return None
    differing = [place for place, pair in enumerate(zip(*values.values(), strict=True)) if pair[0] != pair[1]]
    is_ambiguous = len(fitting) > 1 and bool(differing)
    decimal = fitting[0]
    if is_ambiguous and unit and any(POINT in body for body in bodies):
        decimal = COMMA  # the cents of an amount have two digits
    notation = EXAMPLES[decimal] + (f" {unit}" if unit else "")
    return NumberNotation(notation, texts[differing[0]] if is_ambiguous else "")
