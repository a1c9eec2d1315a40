"""Targets whose cells list several labels: each label becomes a target of yes and no."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.raw_table import Table
from zoo.errors import DataError, join_first
from zoo.spec import Target

SEPARATORS = ("|", ";", ",")
MOST_LABELS = 1000


def find_label_separator(values: pd.Series) -> str | None:
    """Return the character that separates several labels in the cells of a text column; None if there is none.

    Cells then combine the same labels in many ways: there are fewer labels than combinations.

    Example:
        >>> find_label_separator(pd.Series(["a|b", "b", "a|c", "b|c", "a|b|c", "c"]))
        '|'
    """
    texts = values.dropna().unique() if not has_lists(values) else ()
    if len(texts) < 4 or not all(isinstance(text, str) for text in texts):
        return None
    for separator in SEPARATORS:
        parts = [[part.strip() for part in text.split(separator)] for text in texts]
        labels = {part for several in parts for part in several}
        many = sum(len(several) > 1 for several in parts)
        sets = all(len(set(several)) == len(several) and all(several) for several in parts)
        if sets and many >= len(texts) / 3 and len(labels) < len(texts) and max(map(len, labels)) <= 40:
            return separator
    return None


def has_lists(values: pd.Series) -> bool:
    """Return whether the cells of a column are lists of labels.

    Example:
        >>> has_lists(pd.Series([["a", "b"], [], None]))
        True
    """
    if values.dtype != object:
        return False
    cells = [cell for cell in values if not _is_absent(cell)]
    return bool(cells) and all(_is_list(cell) for cell in cells)


def name_targets(table: Table, name: str, separator: str) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """Return a target, without statistics, for each label in the cells of a column, and a note on those left out.

    Labels that fewer than two rows have, or lack, cannot be learned and tested.

    Args:
        table: A table.
        name: The column.
        separator: Text between the labels of a cell; empty for lists.

    Raises:
        DataError: If there are fewer than two labels, too many, or one has the name of a column.
    """
    where = f"{table.source}, column {name}"
    cells = [labels for labels in split_cells(table.frame[name], separator) if labels is not None]
    empty = len(table.frame) - len(cells)
    counts = Counter(label for labels in cells for label in labels)
    rare = sorted(label for label, count in counts.items() if not 2 <= count <= len(cells) - 2)
    counts = Counter({label: count for label, count in counts.items() if label not in rare})
    if len(counts) < 2:
        message = f"the cells list {len(counts)} labels that some rows have and others lack; at least two are needed"
        raise DataError(message, where=where)
    if len(counts) > MOST_LABELS:
        raise DataError(f"the cells list {len(counts):,} labels; at most {MOST_LABELS:,} are predicted", where=where)
    taken = sorted(counts.keys() & set(map(str, table.frame.columns)))
    if taken:
        raise DataError(f"the label {taken[0]!r} is also the name of a column; rename one of them", where=where)
    notes: tuple[str, ...] = ()
    if rare:
        notes += (f"labels of {name} that hardly any row has, or lacks, are left out: {join_first(rare, 5)}",)
    if empty:
        sign = "[]" if has_lists(table.frame[name]) else repr(separator or ",")
        notes += (f"{empty:,} empty cells of {name} count as unknown; a row without labels needs {sign} in its cell",)
    return tuple(Target(label, "class", cells=name, separator=separator) for label in sorted(counts)), notes


def find_unknown_labels(table: Table, targets: Sequence[Target]) -> tuple[str, ...]:
    """Return a note on each column whose cells list labels that are no targets.

    Args:
        table: Another table than the targets are from.
        targets: Targets, some of them with ``cells``.
    """
    notes = []
    for name in dict.fromkeys(target.cells for target in targets if target.cells and target.cells in table.frame):
        labels = {target.name: target.separator for target in targets if target.cells == name}
        cells = split_cells(table.frame[name], next(iter(labels.values())))
        unknown = sorted(set[str]().union(*(cell or () for cell in cells)) - labels.keys())
        if unknown:
            notes.append(f"labels of {name} that the model does not predict are left out: {join_first(unknown, 5)}")
    return tuple(notes)


def add_label_columns(table: Table, targets: Sequence[Target]) -> Table:
    """Return a table with a column of yes and no for each target that is a label in the cells of a column.

    The column of cells is left out. Where it is empty, so are the new columns; an empty list has no label.

    Args:
        table: A table; without the column of cells it is returned as it is.
        targets: Targets, some of them with ``cells``.
    """
    frame = table.frame
    for name in dict.fromkeys(target.cells for target in targets if target.cells):
        if name not in frame.columns:
            continue
        labels = [target for target in targets if target.cells == name]
        cells = split_cells(frame[name], labels[0].separator)
        columns = {target.name: [None if cell is None else target.name in cell for cell in cells] for target in labels}
        answers = pd.DataFrame(columns, index=frame.index, dtype=object)
        frame = pd.concat([frame.drop(columns=name), answers], axis=1)
    if frame is table.frame:
        return table
    read = table.read_as_written
    sources = {target.name: target.cells for target in targets if target.cells}

    def read_source(column: str) -> pd.Series:
        assert read is not None
        return read(sources.get(column, column))

    return dataclasses.replace(table, frame=frame, read_as_written=None if read is None else read_source)


def split_cells(values: pd.Series, separator: str) -> list[set[str] | None]:
    """Return the labels in each of N cells; None where a cell is empty.

    Example:
        >>> cells = split_cells(pd.Series(["b| a", None]), "|")
        >>> sorted(cells[0]), cells[1]
        (['a', 'b'], None)
    """
    if has_lists(values):
        return [None if _is_absent(cell) else {str(label).strip() for label in cell} for cell in values]
    return [
        None if _is_absent(cell) else {label.strip() for label in str(cell).split(separator or ",")} - {""}
        for cell in values
    ]


def _is_list(cell: Any) -> bool:
    if isinstance(cell, np.ndarray):
        return cell.ndim == 1 and cell.dtype.kind in "OU"
    return isinstance(cell, (list, tuple, set, frozenset)) and all(isinstance(label, str) for label in cell)


def _is_absent(cell: Any) -> bool:
    return not _is_list(cell) and (pd.isna(cell) is True or str(cell).strip() == "")
