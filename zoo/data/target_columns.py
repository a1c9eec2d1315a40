"""The target columns of a table: which they are, whether they are classes or numbers, and rows that lack them."""

from __future__ import annotations

import dataclasses
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import LABELS, NUMBER
from zoo.data.columns.describe_table import choose_positive, describe_classes, describe_numbers
from zoo.data.columns.encode import encode_target, has_value, name_categories
from zoo.data.columns.number_notation import NumberNotation, find_numbers
from zoo.data.columns.spellings import describe_spellings, find_spellings
from zoo.data.examples.array_columns import find_array_columns
from zoo.data.label_cells import add_label_columns, find_label_separator, has_lists, name_targets
from zoo.data.limits import find_source_row
from zoo.data.raw_table import Table
from zoo.data.unsupported_targets import LABELS_NEEDED, check_targets
from zoo.data.written_targets import find_asked_kind, read_target, read_written_cells
from zoo.errors import MOST_NAMES, DataError, UsageError, find_nearest_name, join_first
from zoo.jobs.data_options import DataJob
from zoo.spec import Target

MOST_NUMBER = 1e30  # squares of errors must not overflow, also in 32-bit float
_LIKELY_TARGETS = ("target", "label", "labels", "class", "y", "outcome", "price", "survived", "income")


@dataclass(frozen=True)
class TargetColumns:
    """The targets of a table, or labels used only for scoring: their columns, which are not features, and values.

    ``each`` has several targets, one by one; rows may lack some of them.
    """

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
            target = describe_numbers(self._present(table, train), name=self.columns[0], where=table.source)
            return (dataclasses.replace(target, notation=self.notation),)
        if self.classes is None:
            return ()
        codes, classes = self._present(table, train), len(self.classes.classes)
        counts = np.bincount(codes, minlength=classes).tolist()
        chosen = np.bincount(self._present(table, choosing), minlength=classes).tolist()
        return (dataclasses.replace(choose_positive(self.classes, chosen), counts=tuple(counts)),)

    def _present(self, table: Table, rows: np.ndarray) -> np.ndarray:
        """Return the numbers or codes of the rows that have this target."""
        values = table.frame[self.columns[0]].iloc[rows]
        present = has_value(values) if not find_array_columns(values.to_frame()) else np.ones(len(rows), bool)
        if not present.any():
            raise DataError(f"the target {self.columns[0]!r} is missing in every training row", where=table.source)
        if self.numbers is not None:
            return np.asarray(self.numbers[rows][present])
        assert self.classes is not None
        return encode_target(values[present], self.classes)


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
    table, labels, notes = _expand_label_cells(table, job, names, kind)
    names = tuple(target for name in names for target in labels.get(name, (name,)))
    for name in names:
        table, more_notes = read_target(table, job, name)
        notes += more_notes
    table, given, dropped = drop_rows_without_target(table, given, names)
    if len(names) > 1:
        for option in ("positive", "ordered"):
            if getattr(job, option):
                raise UsageError("that is of one target; the job has several", where=option)
    columns = [describe_target(table, job, name, _kind_of(table, job, name, kind, len(names))) for name in names]
    expanded = {target: label for several in labels.values() for target, label in several.items()}
    for index, column in enumerate(columns):
        if column.classes is not None and column.columns[0] in expanded:
            label = expanded[column.columns[0]]
            classes = dataclasses.replace(column.classes, cells=label.cells, separator=label.separator)
            columns[index] = dataclasses.replace(column, classes=classes)
    return table, given, join_targets(columns, notes + dropped)


def _expand_label_cells(
    table: Table, job: DataJob, names: Sequence[str], kind: str
) -> tuple[Table, dict[str, dict[str, Target]], tuple[str, ...]]:
    """Return a table with a column of yes and no for each label in the cells of targets, those labels, and notes."""
    labels: dict[str, dict[str, Target]] = {}
    notes: tuple[str, ...] = ()
    for name in names:
        asked = find_asked_kind(job, name)
        if asked is not None and asked.kind == LABELS and kind == "number":
            raise UsageError(f"the target {name} must be a number for this task; received labels", where="column")
        if (asked is not None and asked.kind == LABELS) or (asked is None and has_lists(table.frame[name])):
            separator = (asked.detail if asked is not None else "") or find_label_separator(table.frame[name]) or ""
            targets, more_notes = name_targets(table, name, separator)
            labels[name], notes = {target.name: target for target in targets}, notes + more_notes
    added = add_label_columns(table, [target for several in labels.values() for target in several.values()])
    return added, labels, notes


def _kind_of(table: Table, job: DataJob, name: str, kind: str, count: int) -> str:
    """Return the kind of one of several targets, some of which may not have the task's kind."""
    if count == 1 or kind == "either":
        return kind
    asked, values = find_asked_kind(job, name), table.frame[name]
    if asked is not None:
        return "number" if asked.kind == NUMBER else "class"
    if kind == "class":
        return "number" if is_measured(values) else "class"
    is_number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    is_text = not is_number and find_numbers(values.dropna(), keep_integers=False) is None
    return "class" if is_text and not find_array_columns(table.frame[[name]]) else "number"


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
    values, asked = table.frame[name], find_asked_kind(job, name)
    notes: tuple[str, ...] = ()
    if kind == "either" and asked is not None:
        kind = "number" if asked.kind == NUMBER else "class"
    elif kind == "either":
        kind = "number" if find_array_columns(table.frame[[name]]) or is_measured(values) else "class"
        if kind == "number" and pd.api.types.is_integer_dtype(values.dtype):
            notes += (f"the target {name} is treated as a number; if its values are codes, use --kind class",)
    if asked is not None and kind == "number" and asked.kind != NUMBER:
        raise UsageError(f"the target {name} must be a number for this task; received {asked.kind}", where="column")
    if job.positive is not None and kind != "class":
        raise UsageError("a positive class needs a target with classes; the target is a number", where="positive")
    if job.ordered and kind != "class":
        raise UsageError("an order needs a target with classes; the target is a number", where="ordered")
    if kind == "number":
        return _describe_numbers(table, name, asked.detail if asked is not None else "", notes)
    separator = find_label_separator(values)
    order = job.ordered or (asked.order if asked is not None else ())
    present = values[has_value(values)]
    try:
        classes = describe_classes(present, positive=job.positive, order=order, where=table.source)
    except DataError as error:
        if separator is None:
            raise
        raise DataError(f"{error.message}; {LABELS_NEEDED}", where=error.where) from None
    if separator is not None:
        option = f"--column {shlex.quote(f'{name}=labels:{separator}')}"
        notes += (
            f"column {name}, the target, has labels separated by {separator!r}, and each combination is a class; "
            f"{option} predicts each label",
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
    present = has_value(values)
    numbers = np.full(len(values), np.nan)  # one of several targets may be missing
    target = Target(name, "number", notation=notation.notation)
    numbers[present] = encode_target(values[present], target, where=table.source)
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
        shown = join_first(columns, MOST_NAMES)
        likely = next((c for likely_name in _LIKELY_TARGETS for c in columns if c.lower() == likely_name), columns[-1])
        raise DataError(
            f"which column is the target? Use --target COLUMN; columns: {shown}; most likely: {likely}",
            where=table.source,
        )
    for name in names:
        if name not in columns:
            raise DataError(
                f"there is no column {name!r} to predict; columns: {join_first(columns, MOST_NAMES)}",
                where=table.source,
                nearest=find_nearest_name(name, columns),
            )
        if name in job.drop:
            raise UsageError(f"the column {name!r} is both the target and dropped", where="drop")
    return names


def drop_rows_without_target(
    table: Table, given: np.ndarray | None, names: Sequence[str]
) -> tuple[Table, np.ndarray | None, tuple[str, ...]]:
    """Return a table without the rows that lack all targets, their given splits, and notes.

    Args:
        table: A table.
        given: The split of each row, if the data define it.
        names: The targets.

    Raises:
        DataError: If a target is missing in every row.
    """
    absent = {name: ~has_value(table.frame[name]) for name in names}
    missing = np.logical_and.reduce(list(absent.values()))
    notes: tuple[str, ...] = ()
    for name, lacks in absent.items():
        if lacks.all():
            raise DataError(f"the target {name!r} is missing in every row", where=table.source)
        if count := int((lacks & ~missing).sum()):
            notes += (f"{count:,} rows lack the target {name}; they are used for the others",)
    if not missing.any():
        return table, given, notes
    kept = dataclasses.replace(
        table,
        frame=table.frame[~missing],  # keeps the source's row numbers
        split=table.split[~missing] if table.split is not None else None,
    )
    left = None if given is None else given[~missing]
    words = _quote_missing(table, names, missing)
    return kept, left, (*notes, f"{int(missing.sum())} rows without a target are left out{words}")


def _quote_missing(table: Table, names: Sequence[str], missing: np.ndarray) -> str:
    """Return what stands in the cells of targets that were read as missing, in words; empty if they are empty."""
    words: Counter[str] = Counter()
    for name in names if table.read_as_written is not None else ():
        words.update(read_written_cells(table, name)[missing & ~has_value(table.frame[name])].str.strip())
    words.pop("", None)
    shown = [f"{count:,} {'reads' if count == 1 else 'read'} {word!r}" for word, count in words.most_common()]
    return f"; {join_first(shown)}" if shown else ""
