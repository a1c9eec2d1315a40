"""The cells of targets as they were written: words such as None and NA are classes, not missing values."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import CATEGORY, LABELS, NUMBER, ColumnKind, parse_kind
from zoo.data.columns.encode import has_value, read_numbers
from zoo.data.columns.missing_values import CONSTANT, DROP
from zoo.data.columns.number_notation import find_numbers
from zoo.data.examples.array_columns import find_array_columns
from zoo.data.label_cells import add_label_columns
from zoo.data.raw_table import Table
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.spec import Target

# Words that files have both for a missing value and as the name of a class; NaN and #N/A are of programs.
CLASSES_LIKE_MISSING = frozenset({"None", "NA", "N/A", "n/a", "NULL", "null"})


def find_asked_kind(job: DataJob, name: str) -> ColumnKind | None:
    """Return the kind that the user gave a target, if any."""
    if name not in job.column:
        return None
    kind = parse_kind(job.column[name])
    if kind.kind not in (CATEGORY, NUMBER, LABELS) and not kind.order:
        raise UsageError(
            f"the target {name} can be category, number, labels or ordered:low<high; received {kind.kind}",
            where="column",
        )
    return kind


def read_target(table: Table, job: DataJob, name: str) -> tuple[Table, tuple[str, ...]]:
    """Return a table whose target has the classes that a reader took for missing values, such as None and NA.

    In a target that is text, these words are classes: ``--missing TARGET=drop`` leaves out their rows, and
    ``--missing TARGET=constant:CLASS`` makes a class of empty cells. In a target of numbers they are missing.

    Args:
        table: A table.
        job: Data options.
        name: The target.

    Returns:
        The table, and notes that quote the words.

    Raises:
        UsageError: If the option for missing values does not fit a target.
    """
    method, asked = job.missing.get(name), find_asked_kind(job, name)
    if method is not None and method != DROP and not method.startswith(f"{CONSTANT}:"):
        message = f"rows without the target {name} can be left out ({DROP}) or get a class ({CONSTANT}:CLASS)"
        raise UsageError(f"{message}; received {method!r}", where="missing")
    values = table.frame[name]
    notes: tuple[str, ...] = ()
    if asked is not None and asked.kind == NUMBER and not find_array_columns(table.frame[[name]]):
        numbers = find_numbers(values, asked.detail or None, keep_integers=False)
        if numbers is None:
            values = pd.Series(read_numbers(values, table.source, asked.detail), index=values.index, name=name)
        else:
            values = numbers[0]
    elif method == DROP:
        is_word = _find_words(values)
        values = values.mask(is_word) if is_word.any() else values
    elif find_numbers(values.dropna(), keep_integers=False) is None:
        values = _restore_classes(table, name, CLASSES_LIKE_MISSING if asked is None else None)
        notes = _describe_words(values) if asked is None else ()
    if method is not None and method != DROP:
        values = values.astype(object).where(has_value(values), method.partition(":")[2])
    return _with_column(table, name, values), notes


def _describe_words(values: pd.Series) -> tuple[str, ...]:
    """Return a note on each class that is also a word for a missing value."""
    option = f"--missing {shlex.quote(f'{values.name}={DROP}')}"
    return tuple(
        f"{count:,} {'row has' if count == 1 else 'rows have'} the class {word!r} of the target {values.name}; if it "
        f"stands for a missing value, use {option}"
        for word, count in values[_find_words(values)].value_counts().items()
    )


def _find_words(values: pd.Series) -> np.ndarray:
    """Return a mask (N,) of cells that are words for a missing value."""
    return np.array([isinstance(cell, str) and cell in CLASSES_LIKE_MISSING for cell in values], bool)


def restore_classes(table: Table, targets: Sequence[Target]) -> Table:
    """Return a table whose targets are as in training: labels in columns of their own, words for missing as classes."""
    table = add_label_columns(table, targets)
    for target in targets:
        if target.kind == "class" and target.name in table.frame:
            table = _with_column(table, target.name, _restore_classes(table, target.name, target.classes))
    return table


def _with_column(table: Table, name: str, values: pd.Series) -> Table:
    if values is table.frame[name]:
        return table
    return dataclasses.replace(table, frame=table.frame.assign(**{name: values}))


def _restore_classes(table: Table, name: str, words: Collection[str] | None) -> pd.Series:
    """Return a text column of a file with some words that were read as missing, all if None."""
    values = table.frame[name]
    is_text = values.isna().all() or pd.api.types.infer_dtype(values, skipna=True) in ("string", "mixed-integer")
    if table.read_as_written is None or not is_text or not values.isna().any():
        return values
    written = read_written_cells(table, name).str.strip()
    restored = values.isna() & (written != "") & (written.isin(list(words)) if words is not None else True)
    return values.astype(object).where(~restored, written)


def read_written_cells(table: Table, name: str) -> pd.Series:
    """Return the cells (N,) of a column as texts, as they stand in the file."""
    assert table.read_as_written is not None
    written = table.read_as_written(name)
    return written.loc[table.frame.index]
