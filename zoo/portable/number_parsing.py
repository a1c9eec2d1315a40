"""Read numbers as people write them in tables: thousands separators, a decimal comma, a currency, per cent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from zoo.portable.answers import FALSE_WORDS, TRUE_WORDS

POINT, COMMA = ".", ","
PER_CENT = "%"
LONGEST = 60  # characters of a number
# Examples that stand for the two ways of writing a number; a unit may follow.
EXAMPLES = {POINT: "1,234.5", COMMA: "1.234,5"}
_CODES = (
    "USD|EUR|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|RUB|UAH|TRY|ILS|ZAR|AUD|CAD|NZD|SGD|HKD|KRW|BRL|MXN"
    "|ARS|CLP|COP|THB|IDR|MYR|PHP|VND|AED|SAR|EGP|NGN|KES"
)
_UNIT = rf"(?:US|AU|CA|NZ|HK|A|C|R|S)?\$|[€£¥₹₽₩₺₴₪₫฿₦₱¢]|kr\.?|zł|Kč|Ft|Rs\.?|Fr\.|{_CODES}"
_AFFIXED = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+−-])?\s*(?P<before>{_UNIT})?\s*(?P<inner>[+−-])?\s*"
    rf"(?P<body>[0-9.,][0-9.,' ]*(?:[eE][+-]?[0-9]+)?)\s*(?P<after>{_UNIT}|%)?\s*(?P<close>\))?"
)
# No-break, figure, thin and narrow no-break spaces, and the apostrophes that Swiss tables use.
_SPELLINGS = str.maketrans({"\u00a0": " ", "\u2007": " ", "\u2009": " ", "\u202f": " ", "’": "'", "´": "'"})


@dataclass(frozen=True)
class WrittenNumber:
    """The parts of a number in a text.

    Args:
        body: Its digits and separators.
        unit: The currency or ``%``; empty if there is none.
        negative: Whether it is below zero.
    """

    body: str
    unit: str = ""
    negative: bool = False


def split_number(text: str) -> WrittenNumber | None:
    """Return the parts of a number in a text; None if the text is no number with at most one sign and one unit.

    Example:
        >>> split_number("-$3,188.60")
        WrittenNumber(body='3,188.60', unit='$', negative=True)
    """
    text = " ".join(text.translate(_SPELLINGS).split())  # runs of spaces would take the expression very long
    parts = _AFFIXED.fullmatch(text) if len(text) <= LONGEST else None
    if parts is None or (parts["before"] and parts["after"]) or bool(parts["open"]) != bool(parts["close"]):
        return None
    signs = [sign for sign in (parts["open"], parts["sign"], parts["inner"]) if sign]
    if len(signs) > 1:
        return None
    return WrittenNumber(parts["body"].strip(), parts["before"] or parts["after"] or "", signs not in ([], ["+"]))


def read_body(body: str, decimal: str) -> float | None:
    """Return the value of digits with separators, given the decimal separator; None if they do not fit it.

    Spaces, apostrophes, or the other of comma and point may separate groups of three digits (in India also of two).

    Example:
        >>> read_body("1.234,5", ","), read_body("3.188", "."), read_body("3.188", ","), read_body("0.188", ",")
        (1234.5, 3.188, 3188.0, None)
    """
    if not _pattern(decimal).fullmatch(body):
        return None
    digits = body.replace(COMMA if decimal == POINT else POINT, "").replace(" ", "").replace("'", "")
    return float(digits.replace(COMMA, POINT))


@cache
def _pattern(decimal: str) -> re.Pattern[str]:
    point = re.escape(decimal)
    comma = re.escape(COMMA if decimal == POINT else POINT)
    groups = "|".join(rf"[1-9][0-9]{{0,2}}(?:{sign}[0-9]{{3}})+" for sign in (comma, " ", "'"))
    indian = r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}" if decimal == POINT else r"(?!)"
    return re.compile(rf"(?:(?:{groups}|{indian}|[0-9]+)(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?")


@cache
def split_notation(notation: str) -> tuple[str, str]:
    """Return the decimal separator and the unit of a notation, such as ``1.234,5 €``.

    Raises:
        ValueError: If it is no example of a notation.

    Example:
        >>> split_notation("1.234,5 €")
        (',', '€')
    """
    number = split_number(notation)
    if number is not None:
        for decimal in EXAMPLES:
            if read_body(number.body, decimal) in (1234.5, 12345.0) and decimal in number.body:
                return decimal, number.unit
    raise ValueError(
        f"{notation!r} is not an example of a number; expected 1,234.5 or 1.234,5, and a unit if there is one"
    )


def read_number(text: str, notation: str = "") -> float | None:
    """Return the number of a text; None if it is none.

    Args:
        text: The text.
        notation: How numbers are written: an example such as ``1.234,5 €``; by default as in Python, such as 1234.5.

    Example:
        >>> read_number("3.188,60 €", "1.234,5 €"), read_number("3.188"), read_number("3.188", "1.234,5")
        (3188.6, 3.188, 3188.0)
    """
    if not notation:
        try:
            return None if "_" in text else float(text)
        except ValueError:
            return None
    decimal, unit = split_notation(notation)
    number = split_number(text)
    if number is None or number.unit not in (unit, "" if unit != PER_CENT else unit):
        return None
    value = read_body(number.body, decimal)
    return -value if value is not None and number.negative else value


def read_number_cells(
    cells: Iterable[Any], notation: str = "", *, is_answer: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return cells as float64 (N,), NaN where one is empty, infinite or no number, and a mask (N,) of the last ones.

    If not all texts are written as expected, but all are as in Python, they are read so: a model that was trained on a
    file with decimal commas also predicts rows of a file with decimal points.

    Args:
        cells: N numbers, texts, or None.
        notation: As in :func:`read_number`.
        is_answer: Whether 0 and 1 stand for no and yes, so that these words are read too.

    Example:
        >>> read_number_cells(["3.188", None, "x"], "1.234,5")[0].tolist()
        [3188.0, nan, nan]
    """
    cells = list(cells)
    values = [_read_cell(cell, notation, is_answer) for cell in cells]
    if notation and None in values:
        plain = [_read_cell(cell, "", is_answer) for cell in cells]
        values = plain if None not in plain else values
    wrong = np.array([value is None for value in values], bool)
    numbers = np.array([math.nan if value is None else value for value in values], np.float64)
    return np.where(np.isinf(numbers), np.nan, numbers), wrong


def _read_cell(cell: Any, notation: str, is_answer: bool) -> float | None:
    if cell is None:
        return math.nan
    if not isinstance(cell, str):
        try:
            return float(cell)
        except (TypeError, ValueError):
            return None
    if not cell.strip():
        return math.nan
    word = cell.strip().lower()
    if is_answer and (word in TRUE_WORDS or word in FALSE_WORDS):
        return float(word in TRUE_WORDS)
    return read_number(cell, notation)
