"""Describe the training split of a table: the kind and the statistics of each column."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import (
    CATEGORY,
    DATE,
    ID_NAMES,
    LABELS,
    LEAST_IDS,
    ORDERED,
    Cells,
    Column,
    check_names,
    parse_kind,
    read_as_numbers,
)
from zoo.data.columns.describe_column import DescribedColumn, describe_column
from zoo.data.columns.encode import name_categories, name_dtype
from zoo.data.columns.missing_values import ALL, check_method
from zoo.data.limits import find_source_row
from zoo.errors import DataError, UsageError, find_nearest_name, join_first
from zoo.portable.rows import ABSENT
from zoo.spec import Input, Spec, Target

# Names of other layers of the model and of its preprocessing, which an input must not have.
_NAMES_OF_LAYERS = frozenset(
    {
        "preprocessing",
        "preparation",
        "network",
        "numbers",
        "levels",
        "few_levels",
        "many_levels",
        "one_hot",
        "features",
        "codes",
    }
    | {"ordered_levels", "steps_of_order", "hashed", "missing_levels", "dates"}
)
SPLIT_NAMES = re.compile(r"^(split|fold|part|subset|is_?(train|test|valid))$", re.IGNORECASE)
_SUSPICIOUS = {
    "split": SPLIT_NAMES,
    "id": ID_NAMES,
    "weight": re.compile(r"^(weights?|sample_?weights?|fnlwgt|.*_weight)$", re.IGNORECASE),
}
_KINDS_IN_WORDS = {DATE: "a date", ORDERED: "treated as ordered"}


def describe_table(
    frame: pd.DataFrame,
    targets: tuple[Target, ...],
    task: str,
    *,
    column: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
) -> tuple[Spec, list[str]]:
    """Return the spec of a training split, and notes on its columns.

    Args:
        frame: Feature columns of the training rows.
        targets: The described targets.
        task: Name of the task.
        column: Kinds that override the inferred ones, by column; see :data:`zoo.data.columns.column_kinds.TELLABLE`.
        missing: Imputation of missing values, by column; see :data:`zoo.data.columns.missing_values.WAYS`.

    Raises:
        DataError: If no usable column is left, or cells do not have the given kind.
        UsageError: If a column, a kind or an imputation method is unknown.
    """
    notes: list[str] = []
    inputs: list[Input] = []
    # The options of targets are read with them.
    named = {name for target in targets for name in target.columns}
    column, missing = ({k: v for k, v in (way or {}).items() if k not in named} for way in (column, missing))
    for cells, described in _described_columns(frame, column, missing):
        described_column = described.column
        if not (column and described_column.name in column):
            notes += _half_numbers(cells)
            notes += _ambiguous(cells)
        if described_column.left_out:
            notes.append(f"column {described_column.name} is left out: {described_column.left_out}")
            continue
        inputs += described.inputs
        notes += _warnings(described_column, cells, kind_given=bool(column and described_column.name in column))
        notes += _describe_infinite(described_column, cells)
        if described_column.kind in (DATE, ORDERED):
            notes += [
                f"column {described_column.name} is {_KINDS_IN_WORDS[described_column.kind]}: {remark}"
                for remark in described_column.remarks
            ]
    if not inputs:
        raise DataError("no usable feature: every column is constant or left out")
    return Spec(task, tuple(inputs), targets, len(frame)), notes


def describe_columns(
    frame: pd.DataFrame,
    *,
    column: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
) -> list[Column]:
    """Return the summary of each column of a training split, for a report.

    Args:
        frame: Feature columns of the training rows.
        column: Kinds that override the inferred ones, by column.
        missing: Imputation of missing values, by column.

    Raises:
        DataError: If cells do not have the given kind.
        UsageError: If a column, a kind or an imputation method is unknown.

    Example:
        >>> [(column.name, column.kind) for column in describe_columns(pd.DataFrame({"age": [20.5, 31.0, 7.25]}))]
        [('age', 'number')]
    """
    columns = []
    for cells, described in _described_columns(frame, column or {}, missing or {}):
        kind_given = bool(column and cells.name in column)
        warnings = (
            (*_half_numbers(cells), *_warnings(described.column, cells, kind_given=kind_given), *_ambiguous(cells))
            if not kind_given
            else ()
        )
        remarks = tuple(
            note.removeprefix(f"column {cells.name} ") for note in warnings if not described.column.left_out
        )
        columns.append(dataclasses.replace(described.column, remarks=described.column.remarks + remarks))
    return columns


def _described_columns(
    frame: pd.DataFrame, column: Mapping[str, str], missing: Mapping[str, str]
) -> Iterator[tuple[Cells, DescribedColumn]]:
    names = [str(name) for name in frame.columns]
    check_names(column, names, where="column")
    check_names({name: method for name, method in missing.items() if name != ALL}, names, where="missing")
    for method in missing.values():
        check_method(method)
    kinds = {name: parse_kind(kind) for name, kind in column.items()}
    of_labels = next((name for name, kind in kinds.items() if kind.kind == LABELS), None)
    if of_labels is not None:
        raise UsageError(f"{of_labels} is a feature; only a target has the kind labels", where="column")
    keys: set[str] = set()
    for name, place in zip(names, frame.columns, strict=True):
        cells = read_as_numbers(Cells(name, frame[place]), kinds.get(name))
        yield cells, describe_column(cells, kinds.get(name), missing, partial(_key, taken=keys))


def describe_classes(
    values: pd.Series,
    *,
    positive: str | None,
    where: str,
    order: Sequence[str] = (),
    counted: Mapping[str, int] | None = None,
) -> Target:
    """Return the target for a column of classes, without counts.

    Args:
        values: All rows of the column, or a sample.
        positive: The positive class; None for that of :func:`choose_positive`, once the training rows are counted.
        where: Name of the source in error messages.
        order: All classes from low to high, if they are ordered.
        counted: Number of rows of each class, if ``values`` is a sample.

    Raises:
        DataError: If there is a single class, a class with one row, or the positive class or the order does not fit.
    """
    names = name_categories(values)
    kind = name_dtype(values)
    classes, counts = np.unique(names, return_counts=True)
    if counted is not None:
        classes, counts = np.array(sorted(counted), dtype=object), np.array([counted[name] for name in sorted(counted)])
    if kind in ("int", "float"):
        places = np.argsort([float(name) for name in classes])
        classes, counts = classes[places], counts[places]
    if len(classes) < 2:
        raise DataError(f"the target {values.name!r} is constant: every row is {classes[0]!r}", where=where)
    if kind == "float" or len(classes) > max(100, int(counts.sum()) // 5):
        raise DataError(
            f"the target {values.name!r} has {len(classes)} different values in {int(counts.sum())} rows: "
            "to predict numbers, use a regression model",
            where=where,
        )
    if counts.min() < 2:
        rare = classes[counts.argmin()]
        option = f"--missing {shlex.quote(f'{values.name}=drop')}"
        cure = f"; {option} leaves it out if it stands for a missing value" if rare in ABSENT else ""
        raise DataError(
            f"class {rare!r} of the target {values.name!r} has only one row; at least two are needed, "
            f"one for training and one for testing{cure}",
            where=where,
        )
    class_names = tuple(str(name) for name in classes)
    if positive is not None and positive not in class_names:
        message = f"the positive class {positive!r} is not among {', '.join(class_names[:20])}"
        raise DataError(message, where=where, nearest=find_nearest_name(positive, class_names))
    if order:
        _check_order(order, class_names, f"{where}, column {values.name}")
    return Target(str(values.name), "class", tuple(order) or class_names, kind, positive, ordered=bool(order))


def _check_order(order: Sequence[str], classes: Sequence[str], where: str) -> None:
    absent = next((name for name in order if name not in classes), None)
    if absent is not None:
        message = f"the ordered class {absent!r} does not occur; the classes are {join_first(classes, 20)}"
        raise DataError(message, where=where, nearest=find_nearest_name(absent, classes))
    unplaced = [name for name in classes if name not in order]
    if unplaced:
        several = "classes" if len(unplaced) > 1 else "class"
        raise DataError(f"the order lacks the {several} {join_first(list(map(repr, unplaced)), 5)}", where=where)
    if len(classes) < 3:
        message = f"an order needs three or more classes; the column has {join_first(list(map(repr, classes)))}"
        raise DataError(message, where=where)


def choose_positive(target: Target, counts: Sequence[int]) -> Target:
    """Return the target with the rarer of two classes as the positive one, unless one was given.

    Args:
        target: The target, with classes.
        counts: Number of rows of each class, among rows that may choose.

    Example:
        >>> choose_positive(Target("ill", "class", ("no", "yes")), [3, 9]).positive
        'no'
    """
    if target.positive is not None or len(target.classes) != 2:
        return target
    return dataclasses.replace(target, positive=target.classes[int(counts[1] <= counts[0])])


def describe_numbers(values: np.ndarray, *, name: str, where: str) -> Target:
    """Return the target for a column of numbers, with the statistics of the training split.

    Raises:
        DataError: If all values are equal.
    """
    if np.ptp(values) == 0:
        raise DataError(f"the target {name!r} is constant: every row is {values.flat[0]:g}", where=where)
    return Target(name, "number", mean=float(values.mean()), std=float(values.std()), shape=values.shape[1:])


def _key(name: str, taken: set[str]) -> str:
    """Return a unique input name that Keras accepts (no slash, no control character), and add it to ``taken``."""
    key = re.sub(r"[/\x00-\x1f]", "_", name) or "_"
    while key in taken or key in _NAMES_OF_LAYERS or re.fullmatch(r"words_[0-9]+", key):
        key += "_"
    taken.add(key)
    return key


def _warnings(column: Column, cells: Cells, *, kind_given: bool) -> list[str]:
    notes = []
    for what, pattern in _SUSPICIOUS.items():
        if not kind_given and pattern.match(column.name):
            quoted = shlex.quote(column.name)
            methods = {"split": f"--split column={quoted}", "weight": f"--weight {quoted}, or --drop {quoted}"}
            advice = methods.get(what, f"--drop {quoted}")
            notes.append(f"column {column.name} looks like {_article(what)} and is used as a feature; {advice}?")
    if is_like_id(column, len(cells)):
        quoted = shlex.quote(column.name)
        notes.append(
            f"column {column.name} has {column.distinct} distinct values in {len(cells)} rows, like an id or text: "
            f"--drop {quoted}, --column {quoted}=text, or --split group={quoted} if equal values belong together"
        )
    return notes


def is_like_id(column: Column, rows: int) -> bool:
    """Return whether a category has so many values that it is more like an id or a text.

    Args:
        column: Summary of the column.
        rows: Number of training rows.
    """
    return column.kind == CATEGORY and column.distinct > LEAST_IDS and column.distinct > 0.5 * rows


def _describe_infinite(column: Column, cells: Cells) -> list[str]:
    infinite = np.isinf(cells.raw_numbers) if cells.numeric else np.zeros(0, bool)
    if not infinite.any():
        return []
    first = find_source_row(cells.values, int(np.flatnonzero(infinite)[0]))
    return [
        f"column {column.name} has {int(infinite.sum())} infinite values in the training rows, treated as missing; the "
        f"first is in row {first}"
    ]


def _ambiguous(cells: Cells) -> tuple[str, ...]:
    remark = cells.notation.describe(cells.name)
    return (remark,) if remark else ()


def _half_numbers(cells: Cells) -> list[str]:
    """Return a note if a column is a category only because a few of its cells are not numbers."""
    if cells.numeric or isinstance(cells.values.dtype, pd.CategoricalDtype):
        return []
    names, counts = cells.coded[1], cells.counts
    numbers = pd.to_numeric(pd.Series(names, dtype=object), errors="coerce").notna().to_numpy()
    n_numbers, n_values = int(counts[numbers].sum()), int(counts.sum())
    if numbers.all() or n_numbers < 0.5 * n_values or numbers.sum() < 10:
        return []
    odd = str(names[~numbers][0])
    return [
        f"column {cells.name} is treated as a category, although {n_numbers} of its {n_values} values are numbers: "
        f"{odd!r} is not; correct it and use --column {cells.name}=number"
    ]


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
