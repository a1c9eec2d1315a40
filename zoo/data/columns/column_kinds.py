"""Kinds of table columns: inferred from the training rows, or given by the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from zoo.data.columns.date_parsing import find_date_format
from zoo.data.columns.encode import encode_categories
from zoo.data.columns.number_notation import NumberNotation, find_numbers
from zoo.errors import UsageError, describe_unknown
from zoo.portable.answers import is_yes_or_no
from zoo.portable.number_parsing import split_notation

NUMBER, CODE, CATEGORY, ORDERED, DATE, TEXT = "number", "code", "category", "ordered", "date", "text"
YES_OR_NO, ID, CONSTANT, HASHED, LABELS = "yes or no", "id", "constant", "hashed", "labels"
KINDS = (NUMBER, CODE, CATEGORY, ORDERED, DATE, TEXT, YES_OR_NO, ID, CONSTANT)
TELLABLE = (*KINDS, HASHED, LABELS)
NAMED = (CATEGORY, ORDERED, TEXT, HASHED, DATE, LABELS)  # read as text, so that spelling is kept ("007")
MOST_CODES = 20
LEAST_IDS = 64
MOST_SORTED = 200_000  # enough for quantiles that are right to 0.001 in probability
WORDS_OF_TEXT = 3
MOST_NAMED = 5
ID_NAMES = re.compile(r"^(id|index|uuid|guid|row_?(id|number)|.*_id|unnamed: 0)$", re.IGNORECASE)
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
    """Summary of a column of the training split, for display.

    Args:
        name: The column.
        kind: One of ``KINDS``.
        missing: Rows without a value; infinite numbers count as such.
        distinct: Number of different values.
        range: Minimum and maximum of numbers and dates, formatted; None for other kinds.
        levels: The most frequent categories with their counts; all categories of an ordered column, in order.
        enters: How the column enters the model, in words; empty if it is left out.
        left_out: Why the column is left out; empty if it is used.
        remarks: Further remarks, one sentence each.
        format: ``strptime`` format of dates, None for ISO 8601; notation of numbers that are texts, such as 1.234,5.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    range: tuple[str, str] | None = None
    categories: tuple[tuple[str, int], ...] = ()
    enters: str = ""
    left_out: str = ""
    remarks: tuple[str, ...] = ()
    format: str | None = None


class Cells:
    """The cells of one column of the training split, with cached statistics.

    Args:
        name: The column.
        values: N cells.
        notation: How its numbers are written; by default as in Python.
    """

    def __init__(self, name: str, values: pd.Series, notation: NumberNotation | None = None) -> None:
        self.name, self.values = name, values
        self.notation = notation if notation is not None else NumberNotation()

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def numeric(self) -> bool:
        """Whether the column has a numeric dtype."""
        dtype = self.values.dtype
        return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)

    @cached_property
    def raw_numbers(self) -> np.ndarray:
        """The cells of a numeric column as float64 (N,), infinite values included."""
        return self.values.to_numpy(dtype=np.float64, na_value=np.nan)

    @cached_property
    def present(self) -> np.ndarray:
        """The finite numbers of a numeric column, in row order."""
        finite = np.isfinite(self.raw_numbers)
        return self.raw_numbers if finite.all() else self.raw_numbers[finite]

    @cached_property
    def sorted_numbers(self) -> np.ndarray:
        """The finite numbers of a numeric column, sorted; of very many, an evenly spaced sample with both extremes."""
        return sort_sample(self.present)

    @cached_property
    def coded(self) -> tuple[np.ndarray, np.ndarray]:
        """The code of each cell (N,), -1 where it is missing, and the category of each code."""
        return encode_categories(self.values)

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of rows of each category."""
        codes, names = self.coded
        return np.bincount(codes + 1, minlength=len(names) + 1)[1:]

    @cached_property
    def categories(self) -> np.ndarray:
        """The categories that occur, by decreasing count, then by name."""
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
        """Number of distinct values; for very many numbers, of those in the sample."""
        if self.numeric:
            present = self.sorted_numbers
            return int((present[1:] != present[:-1]).sum()) + bool(len(present))
        return int((self.counts > 0).sum())


def sort_sample(present: np.ndarray) -> np.ndarray:
    """Return numbers (N,) sorted; of more than ``MOST_SORTED``, an evenly spaced sample with both extremes."""
    if len(present) > MOST_SORTED:
        step = -(-len(present) // MOST_SORTED)
        present = np.concatenate([present[::step], [present.min(), present.max()]])
    return np.sort(present)


@dataclass(frozen=True)
class ColumnKind:
    """The kind of a column, given by the user or inferred.

    Args:
        kind: One of ``KINDS``, ``hashed``, or ``labels`` (of a target).
        detail: Text after the colon, or inferred: a date format, a number of buckets, an example of a number, a
            separator of labels.
        order: The categories of an ordered column from low to high.
        explicit: Whether the user gave the kind.
        remarks: Decisions that the user should know of.
    """

    kind: str
    detail: str = ""
    order: tuple[str, ...] = ()
    explicit: bool = False
    remarks: tuple[str, ...] = field(default=())


def parse_kind(text: str) -> ColumnKind:
    """Parse a kind such as ``number``, ``number:1.234,5``, ``hashed``, ``date:%d.%m.%y``, ``ordered:low<high`` or
    ``labels:|``.

    Raises:
        UsageError: If there is no such kind.
    """
    kind, _, detail = text.partition(":")
    kind = kind.strip().lower().replace("_", " ").replace("-", " ")
    if kind not in TELLABLE:
        raise describe_unknown("kind of column", kind, TELLABLE, where="column")
    order = tuple(part.strip() for part in detail.split("<")) if kind == ORDERED and detail else ()
    if order and len(set(order)) < max(2, len(order)):
        message = (
            f"an ordered column needs categories from low to high, as in ordered:small<medium<large; received {text!r}"
        )
        raise UsageError(message, where="column")
    if kind == HASHED and detail and (not detail.isdigit() or int(detail) < 2):
        raise UsageError(f"hashed:BUCKETS takes an integer of at least 2; received {text!r}", where="column")
    if kind == NUMBER and detail:
        try:
            split_notation(detail.strip())
        except ValueError as error:
            raise UsageError(str(error), where="column") from None
        return ColumnKind(kind, detail.strip(), explicit=True)
    if detail and kind not in (ORDERED, DATE, HASHED, LABELS):
        raise UsageError(f"the kind {kind} takes nothing after a colon; received {text!r}", where="column")
    return ColumnKind(kind, "" if order else detail, order, explicit=True)


def check_names(names: Mapping[str, object], columns: list[str], *, where: str) -> None:
    """Check that all names are feature columns.

    Raises:
        UsageError: If a name is unknown; the error suggests the nearest one.
    """
    for name in names:
        if name not in columns:
            raise describe_unknown("feature", name, columns, where=where)


def read_as_numbers(cells: Cells, asked_kind: ColumnKind | None) -> Cells:
    """Return the cells of a text column as numbers if all of them are, and unchanged otherwise.

    The training rows alone decide, so that a bad cell in a test row does not turn a number into a category. Texts that
    are plain integers stay categories: a source with types that has them as text has said that they are names.

    Args:
        cells: The cells of the column in the training rows.
        asked_kind: Kind given by the user, or None to infer it.
    """
    if asked_kind is not None and asked_kind.kind != NUMBER:
        return cells
    notation = (asked_kind.detail or None) if asked_kind is not None else None
    numbers = find_numbers(cells.values, notation, keep_integers=asked_kind is None)
    return Cells(cells.name, *numbers) if numbers is not None else cells


def find_kind(cells: Cells) -> ColumnKind:
    """Return the inferred kind of a column."""
    if cells.distinct == 0 or (cells.distinct == 1 and cells.missing == 0):
        return ColumnKind(CONSTANT)
    if pd.api.types.is_datetime64_any_dtype(cells.values.dtype):
        return ColumnKind(DATE)
    if cells.numeric:
        return _kind_of_numbers(cells)
    dtype = cells.values.dtype
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        occur = set(cells.categories)  # categories of the dtype that occur in the training rows
        return ColumnKind(ORDERED, order=tuple(name for name in cells.coded[1] if name in occur))
    names = cells.categories
    lower = {str(name).lower() for name in names[: MOST_CODES + 1]}
    if is_yes_or_no(map(str, names[: MOST_CODES + 1])):
        return ColumnKind(YES_OR_NO)
    scale = next((known_scale for known_scale in SCALES if len(lower) >= 3 and lower <= set(known_scale)), None)
    if scale is not None and len(lower) == len(names):
        order = tuple(sorted(map(str, names), key=lambda name: scale.index(name.lower())))
        return ColumnKind(ORDERED, order=order, remarks=(f"assumed order: {' < '.join(order)}",))
    date = find_date_format(names)
    if date is not None:
        return ColumnKind(DATE, date.format, remarks=(date.remark,) if date.remark else ())
    if cells.distinct >= 0.5 * (len(cells) - cells.missing) and len(names) > 1 and _words(names) >= WORDS_OF_TEXT:
        return ColumnKind(TEXT)
    if cells.distinct == len(cells) and (cells.distinct > LEAST_IDS or ID_NAMES.match(cells.name)):
        return ColumnKind(ID)
    return ColumnKind(CATEGORY)


def _kind_of_numbers(cells: Cells) -> ColumnKind:
    present = cells.sorted_numbers
    # With very many numbers, the sample usually shows already that some are not integers.
    integers = all(bool((some == np.floor(some)).all()) for some in (present, cells.present))
    if cells.distinct == 2 and present[0] == 0 and present[-1] == 1:
        return ColumnKind(YES_OR_NO)
    if integers and ID_NAMES.match(cells.name) and len(cells) == len(np.unique(cells.present)) > 1:
        return ColumnKind(ID)
    if integers and cells.distinct <= MOST_CODES and 2 * cells.distinct <= len(present):
        remark = f"integers with {cells.distinct} distinct values are used as a number; if they are codes, use category"
        return ColumnKind(CODE, remarks=(remark,))
    return ColumnKind(NUMBER)


def _words(texts: np.ndarray) -> float:
    """Return the mean number of words per text in a sample."""
    sample = texts[:: max(1, len(texts) // 200)][:200]
    return float(np.mean([len(str(text).split()) for text in sample]))
