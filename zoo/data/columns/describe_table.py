"""Describing the training part of a table: which columns are what, and their statistics."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import (
    CATEGORY,
    DATE,
    ID_NAMES,
    ORDERED,
    Cells,
    Column,
    check_names,
    told_kind,
)
from zoo.data.columns.describe_column import MOST_LEVELS, Studied, study
from zoo.data.columns.encode import dtype_name, level_names
from zoo.data.columns.missing_values import ALL, check_way
from zoo.data.limits import row_in_source
from zoo.errors import DataError, nearest_name
from zoo.spec import Input, Spec, Target

# Layers that stand beside the inputs, in the whole model and in its preparation.
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
_KINDS_IN_WORDS = {DATE: "a date", ORDERED: "taken as ordered"}


def describe_table(
    frame: pd.DataFrame,
    target: Target | None,
    task: str,
    *,
    column: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
) -> tuple[Spec, list[str]]:
    """Return the spec of a training part and what was noticed about its columns.

    Args:
        frame: Feature columns of the training rows.
        target: The target, already described.
        task: Name of the task.
        column: Kinds that overrule what was found out, by column; see :data:`zoo.data.columns.column_kinds.TELLABLE`.
        missing: What stands for missing values, by column; see :data:`zoo.data.columns.missing_values.WAYS`.

    Raises:
        DataError: When no usable column is left, or cells are not of the kind that was told.
        UsageError: When a column, a kind or a way is not known.
    """
    notes: list[str] = []
    inputs: list[Input] = []
    for cells, studied in _studied(frame, column or {}, missing or {}):
        found = studied.column
        if not (column and found.name in column):
            notes += _half_numbers(cells)
        if found.left_out:
            notes.append(f"column {found.name} is left out: {found.left_out}")
            continue
        inputs += studied.inputs
        notes += _warnings(found, cells, told=bool(column and found.name in column))
        if found.kind in (DATE, ORDERED):
            notes += [f"column {found.name} is {_KINDS_IN_WORDS[found.kind]}: {remark}" for remark in found.remarks]
    if not inputs:
        raise DataError("no column is left to learn from: each has one value only, or is left out")
    return Spec(task, tuple(inputs), target, len(frame)), notes


def describe_columns(
    frame: pd.DataFrame,
    *,
    column: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
) -> list[Column]:
    """Return what each column of a training part is and how it enters a model, for a report.

    Args:
        frame: Feature columns of the training rows.
        column: Kinds that overrule what was found out, by column.
        missing: What stands for missing values, by column.

    Raises:
        DataError: When cells are not of the kind that was told.
        UsageError: When a column, a kind or a way is not known.

    Example:
        >>> [(known.name, known.kind) for known in describe_columns(pd.DataFrame({"age": [20.5, 31.0, 7.25]}))]
        [('age', 'number')]
    """
    made = []
    for cells, studied in _studied(frame, column or {}, missing or {}):
        told = bool(column and cells.name in column)
        seen = (*_half_numbers(cells), *_warnings(studied.column, cells, told=told)) if not told else ()
        remarks = tuple(note.removeprefix(f"column {cells.name} ") for note in seen if not studied.column.left_out)
        made.append(dataclasses.replace(studied.column, remarks=studied.column.remarks + remarks))
    return made


def _studied(
    frame: pd.DataFrame, column: Mapping[str, str], missing: Mapping[str, str]
) -> Iterator[tuple[Cells, Studied]]:
    names = [str(name) for name in frame.columns]
    check_names(column, names, where="column")
    check_names({name: way for name, way in missing.items() if name != ALL}, names, where="missing")
    for way in missing.values():
        check_way(way)
    told = {name: told_kind(kind) for name, kind in column.items()}
    keys: set[str] = set()
    for name, place in zip(names, frame.columns, strict=True):
        cells = Cells(name, frame[place])
        yield cells, study(cells, told.get(name), missing, partial(_key, taken=keys))


def describe_classes(
    values: pd.Series, *, positive: str | None, where: str, counted: Mapping[str, int] | None = None
) -> Target:
    """Return the target for a column of classes; its counts are left empty.

    Args:
        values: All rows of it, or a sample.
        positive: The positive class; by default the rarer of two.
        where: The source, for errors.
        counted: Number of rows of each class, where the values are a sample.

    Raises:
        DataError: A single class, a class with one row, or a positive class that is not there.
    """
    names = level_names(values)
    kind = dtype_name(values)
    classes, counts = np.unique(names, return_counts=True)
    if counted is not None:
        classes, counts = np.array(sorted(counted), dtype=object), np.array([counted[name] for name in sorted(counted)])
    if kind in ("int", "float"):
        order = np.argsort([float(name) for name in classes])
        classes, counts = classes[order], counts[order]
    if len(classes) < 2:
        raise DataError(f"the target {values.name!r} is constant: every row is {classes[0]!r}", where=where)
    if kind == "float" or len(classes) > max(100, int(counts.sum()) // 5):
        raise DataError(
            f"the target {values.name!r} has {len(classes)} different values in {int(counts.sum())} rows: "
            "numbers to predict are a regression's",
            where=where,
        )
    if counts.min() < 2:
        rare = classes[counts.argmin()]
        raise DataError(
            f"class {rare!r} of the target {values.name!r} has one row only; two are needed at least, "
            "so that it can be learnt and tested",
            where=where,
        )
    known = tuple(str(name) for name in classes)
    if positive is not None and positive not in known:
        message = f"the positive class {positive!r} is not among {', '.join(known[:20])}"
        raise DataError(message, where=where, nearest=nearest_name(positive, known))
    if positive is None and len(known) == 2:
        positive = known[int(counts[1] <= counts[0])]
    return Target(str(values.name), "class", known, kind, positive)


def describe_numbers(values: np.ndarray, *, name: str, where: str) -> Target:
    """Return the target for a column of numbers, given those of the training part.

    Raises:
        DataError: When they are all the same.
    """
    if np.ptp(values) == 0:
        raise DataError(f"the target {name!r} is constant: every row is {values[0]:g}", where=where)
    return Target(name, "number", mean=float(values.mean()), std=float(values.std()))


def _key(name: str, taken: set[str]) -> str:
    """A name that Keras accepts for an input: no slash, no control character, no other layer's name; taken now."""
    key = re.sub(r"[/\x00-\x1f]", "_", name) or "_"
    while key in taken or key in _NAMES_OF_LAYERS or re.fullmatch(r"words_[0-9]+", key):
        key += "_"
    taken.add(key)
    return key


def _warnings(found: Column, cells: Cells, *, told: bool) -> list[str]:
    notes = []
    for what, pattern in _SUSPICIOUS.items():
        if not told and pattern.match(found.name):
            quoted = shlex.quote(found.name)
            ways = {"split": f"--split column={quoted}", "weight": f"--weight {quoted}, or --drop {quoted}"}
            advice = ways.get(what, f"--drop {quoted}")
            notes.append(f"column {found.name} looks like {_article(what)} and is used as a feature; {advice}?")
    infinite = np.isinf(cells.raw_numbers) if cells.numeric else np.zeros(0, bool)
    if infinite.any():
        first = row_in_source(cells.values, int(np.flatnonzero(infinite)[0]))
        notes.append(
            f"column {found.name} has {int(infinite.sum())} infinite values, taken as missing; the first is in "
            f"row {first}"
        )
    if found.kind == CATEGORY and found.distinct > MOST_LEVELS // 2 and found.distinct > 0.5 * len(cells):
        notes.append(
            f"column {found.name} has {found.distinct} different values in {len(cells)} rows, like an id or text"
        )
    return notes


def _half_numbers(cells: Cells) -> list[str]:
    """A note on a column that is a category only because some of its cells are no numbers."""
    if cells.numeric or isinstance(cells.values.dtype, pd.CategoricalDtype):
        return []
    names, counts = cells.coded[1], cells.counts
    numbers = pd.to_numeric(pd.Series(names, dtype=object), errors="coerce").notna().to_numpy()
    those, everything = int(counts[numbers].sum()), int(counts.sum())
    if numbers.all() or those < 0.5 * everything or numbers.sum() < 10:
        return []
    odd = str(names[~numbers][0])
    return [
        f"column {cells.name} is taken as a category, though {those} of its {everything} values are numbers: "
        f"{odd!r} is none; --column {cells.name}=number takes it as one once that is mended"
    ]


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
