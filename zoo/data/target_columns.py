"""The target columns of a table: which they are, whether they are classes or numbers, and rows that lack them."""

from __future__ import annotations

import dataclasses
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import CATEGORY, NUMBER, ColumnKind, parse_kind
from zoo.data.columns.describe_table import choose_positive, describe_classes, describe_numbers
from zoo.data.columns.encode import encode_target, has_value, name_categories, read_numbers
from zoo.data.columns.missing_values import CONSTANT, DROP
from zoo.data.columns.number_notation import NumberNotation, find_numbers
from zoo.data.columns.spellings import describe_spellings, find_spellings
from zoo.data.examples.array_columns import find_array_columns
from zoo.data.limits import find_source_row
from zoo.data.raw_table import Table
from zoo.data.unsupported_targets import ONE_CLASS, check_targets, find_label_separator
from zoo.errors import DataError, UsageError, find_nearest_name, join_first
from zoo.jobs.data_options import DataJob
from zoo.spec import Target

# Words that files have both for a missing value and as the name of a class; NaN and #N/A are of programs.
CLASSES_LIKE_MISSING = frozenset({"None", "NA", "N/A", "n/a", "NULL", "null"})
MOST_NUMBER = 1e30  # squares of errors must not overflow, also in 32-bit float
_LIKELY_TARGETS = ("target", "label", "labels", "class", "y", "outcome", "price", "survived", "income")


@dataclass(frozen=True)
class TargetColumns:
    """The targets of a table, or labels used only for scoring: their columns, which are not features, and values."""

    columns: list[str]
    classes: Target | None = None
    numbers: np.ndarray | None = None
    names: np.ndarray | None = None
    codes: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    each: tuple[TargetColumns, ...] = ()
    notation: str = ""

    def describe(self, table: Table, train: np.ndarray, choosing: np.ndarray) -> tuple[Target, ...]:
        """Return the targets with the statistics of the training rows, and the positive class that some rows choose."""
        if self.each:
            return tuple(target for column in self.each for target in column.describe(table, train, choosing))
        if self.numbers is not None:
            target = describe_numbers(self.numbers[train], name=self.columns[0], where=table.source)
            return (dataclasses.replace(target, notation=self.notation),)
        if self.classes is None:
            return ()
        codes, classes = encode_target(table.frame[self.classes.name], self.classes), len(self.classes.classes)
        counts, chosen = (np.bincount(codes[rows], minlength=classes).tolist() for rows in (train, choosing))
        return (dataclasses.replace(choose_positive(self.classes, chosen), counts=tuple(counts)),)


def read_targets(
    table: Table, given: np.ndarray | None, job: DataJob, kind: str
) -> tuple[Table, np.ndarray | None, TargetColumns]:
    """Return the rows that have all targets, their given splits, and the target columns.

    Args:
        table: A table.
        given: The split of each row, if the data define it.
        job: Data options.
        kind: ``class``, ``number``, or ``either``, which depends on the column.

    Raises:
        UsageError: If an option does not fit the targets.
        DataError: If a target does not exist, has no values, cannot be read, or is constant.
    """
    names = find_target_names(table, job)
    check_targets(table, names, kind)
    notes: tuple[str, ...] = ()
    for name in names:
        table, more_notes = read_target(table, job, name)
        notes += more_notes
    table, given, dropped = drop_rows_without_target(table, given, names)
    columns = [describe_target(table, job, name, kind) for name in names]
    with_classes = [name for name, column in zip(names, columns, strict=True) if column.classes is not None]
    if len(names) > 1 and with_classes:
        message = f"several targets must be numbers, and {with_classes[0]} has classes; train a model for each"
        raise UsageError(message, where="target")
    return table, given, join_targets(columns, notes + dropped)


def join_targets(columns: Sequence[TargetColumns], notes: tuple[str, ...]) -> TargetColumns:
    """Return several targets as one; rows are stratified by the classes of a single target only.

    Args:
        columns: The targets.
        notes: Notes that come before theirs.
    """
    notes += tuple(note for column in columns for note in column.notes)
    if len(columns) == 1:
        return dataclasses.replace(columns[0], notes=notes)
    names = [name for column in columns for name in column.columns]
    return TargetColumns(names, notes=notes, each=tuple(columns))


def describe_target(table: Table, job: DataJob, name: str, kind: str) -> TargetColumns:
    """Return a target column and what it holds.

    Args:
        table: The rows that have the target.
        job: Data options.
        name: The column.
        kind: ``class``, ``number``, or ``either``, which depends on the column.

    Raises:
        UsageError: If the options ask for another kind.
        DataError: If a number cannot be read, or the target is constant.
    """
    values, asked = table.frame[name], _asked_kind(job, name)
    notes: tuple[str, ...] = ()
    if kind == "either" and asked is not None:
        kind = "class" if asked.kind == CATEGORY else "number"
    elif kind == "either":
        kind = "number" if find_array_columns(table.frame[[name]]) or is_measured(values) else "class"
        if kind == "number" and pd.api.types.is_integer_dtype(values.dtype):
            notes += (f"the target {name} is treated as a number; if its values are codes, use --kind class",)
    if asked is not None and kind == "number" and asked.kind == CATEGORY:
        raise UsageError(f"the target {name} must be a number for this task; received category", where="column")
    if job.positive is not None and kind != "class":
        raise UsageError("a positive class needs a target with classes; the target is a number", where="positive")
    if kind == "number":
        return _describe_numbers(table, name, asked.detail if asked is not None else "", notes)
    separator = find_label_separator(values)
    try:
        classes = describe_classes(values, positive=job.positive, where=table.source)
    except DataError as error:
        if separator is None:
            raise
        raise DataError(f"{error.message}; {ONE_CLASS}", where=error.where) from None
    if separator is not None:
        notes += (
            f"column {name}, the target, has labels separated by {separator!r}, and each combination is a class: "
            f"{ONE_CLASS}",
        )
    if spellings := find_spellings(classes.classes):
        shown = join_first([describe_spellings(several) for several in spellings])
        notes += (f"column {name}, the target, has several spellings of {len(spellings)} classes: {shown}",)
    return TargetColumns([name], classes=classes, names=name_categories(values), notes=notes)


def _describe_numbers(table: Table, name: str, asked: str, notes: tuple[str, ...]) -> TargetColumns:
    values = table.frame[name]
    cells = find_array_columns(table.frame[[name]])
    if cells:
        target = Target(name, "number", shape=cells[name].iloc[0].shape)
        return TargetColumns([name], numbers=encode_target(values, target, where=table.source), notes=notes)
    texts = find_numbers(values, asked or None, keep_integers=False)
    notation = texts[1] if texts is not None else NumberNotation(asked or table.notations.get(name, ""))
    numbers = encode_target(values, Target(name, "number", notation=notation.notation), where=table.source)
    _check_size(numbers, values, table.source)
    if remark := notation.describe(name):
        notes += (remark,)
    return TargetColumns([name], numbers=numbers, notes=notes, notation=notation.notation)


def _check_size(numbers: np.ndarray, values: pd.Series, where: str) -> None:
    wrong = np.abs(numbers) > MOST_NUMBER
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = f"{where}, column {values.name}, row {find_source_row(values, row)}"
        raise DataError(f"{numbers[row]:g} is too large; a target has numbers up to {MOST_NUMBER:g}", where=place)


def _asked_kind(job: DataJob, name: str) -> ColumnKind | None:
    """Return the kind that the user gave a target, if any."""
    if name not in job.column:
        return None
    kind = parse_kind(job.column[name])
    if kind.kind not in (CATEGORY, NUMBER):
        raise UsageError(f"the target {name} can be category or number; received {kind.kind}", where="column")
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
    method, asked = job.missing.get(name), _asked_kind(job, name)
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
    """Return a table whose targets have the classes of training that a reader took for missing values."""
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
    written = _written_cells(table, name).str.strip()
    restored = values.isna() & (written != "") & (written.isin(list(words)) if words is not None else True)
    return values.astype(object).where(~restored, written)


def _written_cells(table: Table, name: str) -> pd.Series:
    assert table.read_as_written is not None
    written = table.read_as_written(name)
    return written.loc[table.frame.index]


def is_measured(values: pd.Series, most_classes: int | None = None) -> bool:
    """Return whether a target is a number, not classes: it has fractions or many distinct values.

    Args:
        values: The target.
        most_classes: Maximum number of classes; by default 20, or 5 % of the rows if that is more.
    """
    texts = find_numbers(values)
    values = texts[0] if texts is not None else values
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return False
    numbers = values.dropna().to_numpy(dtype=np.float64)
    most = max(20, len(numbers) // 20) if most_classes is None else most_classes
    return bool((numbers != np.floor(numbers)).any()) or len(np.unique(numbers)) > most


def find_target_names(table: Table, job: DataJob) -> tuple[str, ...]:
    """Return the columns to predict.

    Raises:
        DataError: If none is given, or there is no such column.
        UsageError: If a target is also dropped.
    """
    columns = [str(column) for column in table.frame.columns]
    names = job.target or ((table.target,) if table.target is not None else ())
    if not names:
        shown = ", ".join(columns[:30]) + (" …" if len(columns) > 30 else "")
        likely = next((c for likely_name in _LIKELY_TARGETS for c in columns if c.lower() == likely_name), columns[-1])
        raise DataError(
            f"which column is the target? Use --target COLUMN; columns: {shown}; most likely: {likely}",
            where=table.source,
        )
    for name in names:
        if name not in columns:
            raise DataError(
                f"there is no column {name!r} to predict; columns: {', '.join(columns[:30])}",
                where=table.source,
                nearest=find_nearest_name(name, columns),
            )
        if name in job.drop:
            raise UsageError(f"the column {name!r} is both the target and dropped", where="drop")
    return names


def drop_rows_without_target(
    table: Table, given: np.ndarray | None, names: Sequence[str]
) -> tuple[Table, np.ndarray | None, tuple[str, ...]]:
    """Return a table without the rows that lack a target, their given splits, and a note.

    Args:
        table: A table.
        given: The split of each row, if the data define it.
        names: The targets.

    Raises:
        DataError: If a target is missing in every row.
    """
    missing = np.zeros(len(table.frame), bool)
    for name in names:
        absent = ~has_value(table.frame[name])
        if absent.all():
            raise DataError(f"the target {name!r} is missing in every row", where=table.source)
        missing |= absent
    if not missing.any():
        return table, given, ()
    kept = dataclasses.replace(
        table,
        frame=table.frame[~missing],  # keeps the source's row numbers
        split=table.split[~missing] if table.split is not None else None,
    )
    left = None if given is None else given[~missing]
    words = _quote_missing(table, names, missing)
    return kept, left, (f"{int(missing.sum())} rows without a target are left out{words}",)


def _quote_missing(table: Table, names: Sequence[str], missing: np.ndarray) -> str:
    """Return what stands in the cells of targets that were read as missing, in words; empty if they are empty."""
    words: Counter[str] = Counter()
    for name in names if table.read_as_written is not None else ():
        words.update(_written_cells(table, name)[missing & ~has_value(table.frame[name])].str.strip())
    words.pop("", None)
    shown = [f"{count:,} {'reads' if count == 1 else 'read'} {word!r}" for word, count in words.most_common()]
    return f"; {join_first(shown)}" if shown else ""
