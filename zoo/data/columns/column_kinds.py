"""Kinds of columns: what a column of a table is, found out by its training rows or told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from zoo.data.columns.date_parsing import find_date_format
from zoo.data.columns.encode import coded_levels
from zoo.errors import UsageError, unknown

NUMBER, CODE, CATEGORY, ORDERED, DATE, TEXT = "number", "code", "category", "ordered", "date", "text"
YES_OR_NO, ID, CONSTANT, HASHED = "yes or no", "id", "constant", "hashed"
KINDS = (NUMBER, CODE, CATEGORY, ORDERED, DATE, TEXT, YES_OR_NO, ID, CONSTANT)
TELLABLE = (*KINDS, HASHED)
NAMED = (CATEGORY, ORDERED, TEXT, HASHED, DATE)  # what a file spells is kept as it is spelled
MOST_CODES = 20
LEAST_IDS = 64
MOST_SORTED = 200_000  # their quantiles are those of a million to a thousandth in probability
WORDS_OF_TEXT = 3
MOST_NAMED = 5
ID_NAMES = re.compile(r"^(id|index|uuid|guid|row_?(id|number)|.*_id|unnamed: 0)$", re.IGNORECASE)
_ANSWERS = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"0", "1"})
SCALES = (
    ("very low", "low", "medium", "high", "very high"),
    ("low", "moderate", "high"),
    ("low", "normal", "high"),
    ("small", "medium", "large"),
    ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("none", "mild", "moderate", "severe"),
    ("very bad", "bad", "fair", "good", "very good", "excellent"),
    ("poor", "fair", "good", "very good", "excellent"),
    ("poor", "average", "good", "excellent"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("primary", "secondary", "tertiary"),
    ("beginner", "intermediate", "advanced"),
    ("cold", "warm", "hot"),
    ("low", "mid", "high"),
)


@dataclass(frozen=True)
class Column:
    """What is known of a column of the training part, for people.

    Args:
        name: The column.
        kind: One of ``KINDS``.
        missing: Rows without a value; infinite numbers count as such.
        distinct: Number of different values.
        range: Least and greatest value in words, of numbers and dates; None for others.
        levels: The most frequent values with their counts, of others; all of an ordered column's, in order.
        enters: How it enters the model, in words; empty where it does not.
        left_out: Why it does not enter; empty where it does.
        remarks: What else was noticed, a sentence each.
        format: How dates are spelled, in the words of ``strptime``; None for ISO 8601, and for others.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    range: tuple[str, str] | None = None
    levels: tuple[tuple[str, int], ...] = ()
    enters: str = ""
    left_out: str = ""
    remarks: tuple[str, ...] = ()
    format: str | None = None


class Cells:
    """The cells of one column of the training part; what is asked of them is worked out once.

    Args:
        name: The column.
        values: N cells.
    """

    def __init__(self, name: str, values: pd.Series) -> None:
        self.name, self.values = name, values

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def numeric(self) -> bool:
        """Whether the cells are numbers, by their type."""
        dtype = self.values.dtype
        return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)

    @cached_property
    def raw_numbers(self) -> np.ndarray:
        """The cells as 64-bit floats (N,), of a numeric column; infinite ones as they are."""
        return self.values.to_numpy(dtype=np.float64, na_value=np.nan)

    @cached_property
    def present(self) -> np.ndarray:
        """The finite numbers of a numeric column, as they come."""
        finite = np.isfinite(self.raw_numbers)
        return self.raw_numbers if finite.all() else self.raw_numbers[finite]

    @cached_property
    def sorted_numbers(self) -> np.ndarray:
        """The finite numbers of a numeric column in order; of very many an even sample, with the least and greatest."""
        return in_order(self.present)

    @cached_property
    def coded(self) -> tuple[np.ndarray, np.ndarray]:
        """The code of each cell (N,), -1 where it is missing, and the level that each code stands for."""
        return coded_levels(self.values)

    @cached_property
    def counts(self) -> np.ndarray:
        """Rows of each level."""
        codes, names = self.coded
        return np.bincount(codes + 1, minlength=len(names) + 1)[1:]

    @cached_property
    def levels(self) -> np.ndarray:
        """The levels that occur, the most frequent first; of equally many rows by their names."""
        names, counts = self.coded[1], self.counts
        order = np.argsort(names.astype(str), kind="stable")
        order = order[np.argsort(-counts[order], kind="stable")]
        return names[order[counts[order] > 0]]

    @cached_property
    def missing(self) -> int:
        """Rows without a value."""
        if self.numeric:
            return len(self) - len(self.present)
        return int((self.coded[0] < 0).sum())

    @cached_property
    def distinct(self) -> int:
        """Number of different values; of very many numbers those of the sample."""
        if self.numeric:
            present = self.sorted_numbers
            return int((present[1:] != present[:-1]).sum()) + bool(len(present))
        return int((self.counts > 0).sum())


def in_order(present: np.ndarray) -> np.ndarray:
    """Return numbers (N,) in order; of more than ``MOST_SORTED`` an even sample, with the least and the greatest."""
    if len(present) > MOST_SORTED:
        step = -(-len(present) // MOST_SORTED)
        present = np.concatenate([present[::step], [present.min(), present.max()]])
    return np.sort(present)


@dataclass(frozen=True)
class Told:
    """The kind of a column, told or found out.

    Args:
        kind: One of ``KINDS``, or ``hashed``.
        detail: What stands behind the colon, or was found out: a format, a number of buckets.
        order: The levels of an ordered column from low to high.
        told: Whether somebody said so.
        remarks: What was decided.
    """

    kind: str
    detail: str = ""
    order: tuple[str, ...] = ()
    told: bool = False
    remarks: tuple[str, ...] = field(default=())


def told_kind(text: str) -> Told:
    """Return the kind that was told, such as ``number``, ``hashed``, ``date:%d.%m.%y`` or ``ordered:low<high``.

    Raises:
        UsageError: When there is no such kind.
    """
    kind, _, detail = text.partition(":")
    kind = kind.strip().lower().replace("_", " ").replace("-", " ")
    if kind not in TELLABLE:
        raise unknown("kind of column", kind, TELLABLE, where="column")
    order = tuple(part.strip() for part in detail.split("<")) if kind == ORDERED and detail else ()
    if order and len(set(order)) < max(2, len(order)):
        message = f"an ordered column has levels from low to high, as in ordered:small<medium<large; received {text!r}"
        raise UsageError(message, where="column")
    if kind == HASHED and detail and (not detail.isdigit() or int(detail) < 2):
        raise UsageError(f"hashed:BUCKETS takes a whole number from 2 upwards; received {text!r}", where="column")
    if detail and kind not in (ORDERED, DATE, HASHED):
        raise UsageError(f"a column that is {kind} takes nothing behind the colon; received {text!r}", where="column")
    return Told(kind, "" if order else detail, order, told=True)


def check_names(names: Mapping[str, object], columns: list[str], *, where: str) -> None:
    """Refuse the name of a column that there is not among the features.

    Raises:
        UsageError: With the nearest one.
    """
    for name in names:
        if name not in columns:
            raise unknown("feature", name, columns, where=where)


def find_kind(cells: Cells) -> Told:
    """Return the kind that a column seems to be."""
    if cells.distinct == 0 or (cells.distinct == 1 and cells.missing == 0):
        return Told(CONSTANT)
    if pd.api.types.is_datetime64_any_dtype(cells.values.dtype):
        return Told(DATE)
    if cells.numeric:
        return _kind_of_numbers(cells)
    dtype = cells.values.dtype
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        occur = set(cells.levels)  # and none that other rows alone have
        return Told(ORDERED, order=tuple(name for name in cells.coded[1] if name in occur))
    names = cells.levels
    lower = {str(name).lower() for name in names[: MOST_CODES + 1]}
    if any(lower <= answers for answers in _ANSWERS):
        return Told(YES_OR_NO)
    scale = next((known for known in SCALES if len(lower) >= 3 and lower <= set(known)), None)
    if scale is not None and len(lower) == len(names):
        order = tuple(sorted(map(str, names), key=lambda name: scale.index(name.lower())))
        return Told(ORDERED, order=order, remarks=(f"its order is taken to be {' < '.join(order)}",))
    date = find_date_format(names)
    if date is not None:
        return Told(DATE, date.format, remarks=(date.remark,) if date.remark else ())
    if cells.distinct >= 0.5 * (len(cells) - cells.missing) and len(names) > 1 and _words(names) >= WORDS_OF_TEXT:
        return Told(TEXT)
    if cells.distinct == len(cells) and (cells.distinct > LEAST_IDS or ID_NAMES.match(cells.name)):
        return Told(ID)
    return Told(CATEGORY)


def _kind_of_numbers(cells: Cells) -> Told:
    present = cells.sorted_numbers
    # Of very many numbers the sample mostly tells already that they are broken.
    whole = all(bool((some == np.floor(some)).all()) for some in (present, cells.present))
    if cells.distinct == 2 and present[0] == 0 and present[-1] == 1:
        return Told(YES_OR_NO)
    if whole and ID_NAMES.match(cells.name) and len(cells) == len(np.unique(cells.present)) > 1:
        return Told(ID)
    if whole and cells.distinct <= MOST_CODES and 2 * cells.distinct <= len(present):
        remark = f"whole numbers with {cells.distinct} values enter as a number; if they are names, say category"
        return Told(CODE, remarks=(remark,))
    return Told(NUMBER)


def _words(texts: np.ndarray) -> float:
    """Words of a text, in the mean of a sample."""
    sample = texts[:: max(1, len(texts) // 200)][:200]
    return float(np.mean([len(str(text).split()) for text in sample]))
