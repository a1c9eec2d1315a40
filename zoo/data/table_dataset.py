"""From a job's data options to a dataset: read, split, describe, encode."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.describe_table import describe_classes, describe_numbers
from zoo.data.columns.encode import (
    MISSING,
    Values,
    encode_target,
    has_value,
    level_names,
    raw_inputs,
    text_columns,
)
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.examples.array_columns import arrays_of_cells
from zoo.data.layout import COLUMNS, Layout
from zoo.data.sources.public_sets import looking_in
from zoo.data.sources.read import Table, frame_digest
from zoo.data.splitting.sample_weights import Sampled, column_weights, meaning_of_weights, sampled
from zoo.data.splitting.split_table import RowSplits, given_parts, split_table
from zoo.errors import DataError, UsageError, listed, nearest_name
from zoo.jobs.data_options import DataJob
from zoo.spec import Spec, Target

_LIKELY_TARGETS = ("target", "label", "labels", "class", "y", "outcome", "price", "survived", "income")


def table_dataset(
    job: DataJob,
    *,
    task: str,
    target_kind: str,
    layout: Layout = COLUMNS,
    options: Mapping[str, Any] | None = None,
    labels: str | None = None,
) -> Dataset:
    """Return the dataset of a table: a row is an example, an input or more are columns, and another the target.

    Args:
        job: Says which source, target, columns and split.
        task: Name of the task, for the spec.
        target_kind: ``class``, ``number``, ``either`` (the column tells) or ``none``.
        layout: How the source is read and described; by default each column is an input of its own.
        options: The task's options that the spec shall hold, in plain values.
        labels: Without a target, the column of labels that are for scoring only.

    Raises:
        DataError: When the data cannot be used; the message names file, column and row.
        UsageError: When the job asks for a column or a split that is not there.
    """
    with looking_in(job.data_dir):
        table = layout.read(job.source, ())
    if job.weight is None and table.weight is not None:
        job = job.model_copy(update={"weight": table.weight})
    source_rows = len(table.frame)
    given = given_parts(table, job)  # what is wrong with the split is said before what is wrong with the target
    if target_kind == "none":
        found = _labelled(table, job, labels)
    else:
        name = _target_name(table, job)
        table, given, dropped_note = _with_target(table, given, name)
        found = _found_target(table, job, name, target_kind, dropped_note)
    weight = column_weights(table.frame, job.weight, where=table.source)
    split = split_table(table, job, found.names, given, source_rows=source_rows)
    train = np.flatnonzero(split.splits == "train")
    target = found.described(table, train)
    features = table.frame.drop(columns=_not_features(table, job, found.columns))
    spec, notes = layout.describe(features.iloc[train], target, task)
    codes = found.codes if target is None else encode_target(table.frame[target.name], target, where=table.source)
    kept = sampled(job, train, codes, target, weight)
    spec = dataclasses.replace(
        spec, options=dict(options or {}), rows=len(kept.rows), weight=job.weight, weight_kind=job.weight_kind
    )
    inputs = raw_inputs(table.frame, spec, where=table.source, train=split.splits == "train")
    places = table.frame.index.to_numpy()
    made = _parts(split, kept, inputs, codes, weight, places)
    notes = [*table.notes, *found.notes, *split.notes, *notes, *([kept.note] if kept.note else [])]
    notes += [meaning_of_weights(job, weight)] if job.weight is not None else []
    digest = frame_digest(table.frame)
    if job.fold is not None and (job.test is not None or "" in split.splits):
        notes.append("the test part is left alone: each fold has its own")
    elif job.test is not None:
        made["test"], test_digest, more = _test_part(job, table, found, spec, layout)
        digest = hashlib.sha256((digest + test_digest).encode()).hexdigest()[:16]
        notes += more
    return Dataset(
        name=table.name,
        source=table.source,
        digest=digest,
        split_digest=_split_digest(digest, target, spec, split.splits, kept, job),
        spec=spec,
        splits=made,
        notes=tuple(notes),
        labels=found.labels,
        split_rows={name: places[split.splits == name] for name in SPLITS if (split.splits == name).any()},
        folds=split.folds,
    )


def _parts(
    split: RowSplits,
    kept: Sampled,
    inputs: Mapping[str, Values],
    codes: np.ndarray | None,
    weight: np.ndarray | None,
    places: np.ndarray,
) -> dict[str, Split]:
    """The parts that have rows; of the training part those that sampling kept."""
    made = {}
    for name in SPLITS:
        rows = np.flatnonzero(split.splits == name)
        if name == "train":
            made[name] = _part(inputs, codes, kept.rows, places, kept.weight, kept.fit_weight)
        elif len(rows):
            made[name] = _part(inputs, codes, rows, places, None if weight is None else weight[rows])
        if name == "calibration" and name in made and split.groups is not None:
            made[name] = dataclasses.replace(made[name], group=split.groups[rows].astype(str))
    return made


def _split_digest(
    digest: str, target: Target | None, spec: Spec, splits: np.ndarray, kept: Sampled, job: DataJob
) -> str:
    names = f"{digest} {target.name if target else ''} {sorted(known.name for known in spec.inputs)}"
    made = hashlib.sha256(names.encode())
    made.update(splits.astype("S10").tobytes())
    if job.sample is not None:  # the seed draws the rows, also where the split is given
        made.update(kept.rows.tobytes())
    for name in ("weight", "sample", "class_weight", "column", "missing"):
        value = getattr(job, name)
        if value:
            made.update(f" {name} {value} {job.weight_kind if name == 'weight' else ''}".encode())
    return made.hexdigest()[:16]


@dataclass(frozen=True)
class _Found:
    """The target of a table, or the labels of one without: columns that are no features, and what is known of them."""

    columns: list[str]
    classes: Target | None = None
    numbers: np.ndarray | None = None
    names: np.ndarray | None = None
    codes: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def described(self, table: Table, train: np.ndarray) -> Target | None:
        """The target with the statistics of the training rows."""
        if self.numbers is not None:
            return describe_numbers(self.numbers[train], name=self.columns[0], where=table.source)
        if self.classes is None:
            return None
        codes = encode_target(table.frame[self.classes.name].iloc[train], self.classes)
        counts = np.bincount(codes, minlength=len(self.classes.classes))
        return dataclasses.replace(self.classes, counts=tuple(counts.tolist()))


def _found_target(table: Table, job: DataJob, name: str, kind: str, notes: tuple[str, ...]) -> _Found:
    values = table.frame[name]
    if kind == "either":
        kind = "number" if is_measured(values) else "class"
        whole = kind == "number" and pd.api.types.is_integer_dtype(values.dtype)
        notes += (f"the target {name} is taken as a number; --kind class, if its values are names",) if whole else ()
    if job.positive is not None and kind != "class":
        raise UsageError("a positive class is for classes, and the target is a number", where="positive")
    if kind == "number":
        return _Found([name], numbers=_target_numbers(table, name), notes=notes)
    classes = describe_classes(values, positive=job.positive, where=table.source)
    return _Found([name], classes=classes, names=level_names(values), notes=notes)


def is_measured(values: pd.Series, most_classes: int | None = None) -> bool:
    """Whether a target that may be classes or a number is a number: broken, or of many different values.

    Args:
        values: The target.
        most_classes: Most different values of classes; by default 20, or more where there are many rows.
    """
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return False
    numbers = values.dropna().to_numpy(dtype=np.float64)
    most = max(20, len(numbers) // 20) if most_classes is None else most_classes
    return bool((numbers != np.floor(numbers)).any()) or len(np.unique(numbers)) > most


def _labelled(table: Table, job: DataJob, labels: str | None) -> _Found:
    columns = [str(column) for column in table.frame.columns]
    if labels is None:
        own = [table.target] if table.target is not None and table.target not in job.drop else []
        told = tuple(
            f"column {name} is left out: it is the source's target; --labels {shlex.quote(name)} scores by it"
            for name in own
        )
        return _Found(own, notes=told)
    if labels not in columns:
        raise DataError(
            f"there is no column {labels!r} of labels; columns: {', '.join(columns[:30])}",
            where=table.source,
            nearest=nearest_name(labels, columns),
        )
    names = level_names(table.frame[labels])
    known = np.unique(names[names != MISSING])
    if len(known) < 2:
        raise DataError(f"the labels {labels!r} are constant", where=table.source)
    found = _Found([labels], codes=_label_codes(names, known), labels=tuple(map(str, known)))
    _check_no_label_inside(table, job, found, names)
    return found


def _label_codes(names: np.ndarray, known: Collection[str]) -> np.ndarray:
    """Return the code of each label (N,), -1 for none."""
    code = {name: index for index, name in enumerate(known)}
    return np.array([code.get(name, -1) for name in names], np.int64)


def _check_no_label_inside(table: Table, job: DataJob, found: _Found, names: np.ndarray) -> None:
    """Refuse a feature that says the same as the labels: what is scored by them would have seen them."""
    kinds = len(np.unique(names))
    for column in table.frame.columns:
        if str(column) in (*found.columns, *job.drop) or str(column) in arrays_of_cells(table.frame[[column]]):
            continue
        levels = level_names(table.frame[column])
        if len(np.unique(levels)) != kinds:
            continue
        if len(set(zip(levels.tolist(), names.tolist(), strict=True))) == kinds:
            raise DataError(
                f"column {column} says the same as the labels {found.columns[0]}, and would be learnt from; "
                f"leave it out: --drop {shlex.quote(str(column))}",
                where=table.source,
            )


def table_arrays(
    frame: Any, spec: Spec, layout: Layout = COLUMNS
) -> tuple[dict[str, Values], np.ndarray | None, np.ndarray | None]:
    """Return inputs by key, encoded target (None where the frame lacks it) and weight of raw rows."""
    table = layout.read(frame, text_columns(spec))
    inputs = raw_inputs(table.frame, spec, where=table.source)
    target = None
    if spec.target is not None and spec.target.name in table.frame.columns:
        target = encode_target(table.frame[spec.target.name], spec.target, where=table.source)
    return inputs, target, None


def _target_name(table: Table, job: DataJob) -> str:
    columns = [str(column) for column in table.frame.columns]
    name = job.target if job.target is not None else table.target
    if name is None:
        shown = ", ".join(columns[:30]) + (" …" if len(columns) > 30 else "")
        likely = next((c for known in _LIKELY_TARGETS for c in columns if c.lower() == known), columns[-1])
        raise DataError(
            f"which column is to be predicted? Say --target COLUMN; columns: {shown}; most likely: {likely}",
            where=table.source,
        )
    if name not in columns:
        raise DataError(
            f"there is no column {name!r} to predict; columns: {', '.join(columns[:30])}",
            where=table.source,
            nearest=nearest_name(name, columns),
        )
    if name in job.drop:
        raise UsageError(f"the column {name!r} is both the target and dropped", where="drop")
    return name


def _with_target(table: Table, given: np.ndarray | None, name: str) -> tuple[Table, np.ndarray | None, tuple[str, ...]]:
    """Leave out rows that have no target: they can neither teach nor test."""
    missing = ~has_value(table.frame[name])
    if missing.all():
        raise DataError(f"the target {name!r} is missing in every row", where=table.source)
    if not missing.any():
        return table, given, ()
    kept = dataclasses.replace(
        table,
        frame=table.frame[~missing],  # with the source's own numbers of rows
        split=table.split[~missing] if table.split is not None else None,
    )
    left = None if given is None else given[~missing]
    return kept, left, (f"{int(missing.sum())} rows without a target are left out",)


def _target_numbers(table: Table, name: str) -> np.ndarray:
    """The target as numbers, or an error that says which row is none."""
    return encode_target(table.frame[name], Target(name, "number"), where=table.source)


def _not_features(table: Table, job: DataJob, targets: Sequence[str]) -> list[str]:
    columns = [str(column) for column in table.frame.columns]
    for name in job.drop:
        if name not in columns:
            raise UsageError(
                f"there is no column {name!r} to drop",
                where=table.source,
                nearest=nearest_name(name, columns),
            )
    others = (job.split_column, job.split_by("group"), job.split_by("hash"), job.weight)
    return list(dict.fromkeys([*targets, *job.drop, *(name for name in others if name in columns)]))


def _part(
    inputs: Mapping[str, Values],
    codes: np.ndarray | None,
    rows: np.ndarray,
    places: np.ndarray,
    weight: np.ndarray | None,
    fit_weight: np.ndarray | None = None,
) -> Split:
    chosen = {key: values[rows] for key, values in inputs.items()}
    return Split(chosen, codes[rows] if codes is not None else None, places[rows], weight, fit_weight)


def _test_part(job: DataJob, trained: Table, found: _Found, spec: Spec, layout: Layout) -> tuple[Split, str, list[str]]:
    """The test part out of a source of its own, its digest, and how it differs."""
    with looking_in(job.data_dir):
        table = layout.read(job.test, text_columns(spec))
    needed = [*found.columns] if spec.target is not None or found.codes is not None else []
    needed += [job.weight] if job.weight is not None else []
    absent = [name for name in needed if name not in table.frame.columns]
    if absent:
        raise DataError(f"the test source has no column {', '.join(map(repr, absent))}", where=table.source)
    codes = None
    if spec.target is not None:
        table = _with_target(table, None, spec.target.name)[0]
        codes = encode_target(table.frame[spec.target.name], spec.target, where=table.source)
    elif found.codes is not None:
        codes = _label_codes(level_names(table.frame[found.columns[0]]), found.labels)
    inputs = raw_inputs(table.frame, spec, where=table.source)
    weight = column_weights(table.frame, job.weight, where=table.source)
    split = Split(inputs, codes, table.frame.index.to_numpy(), weight)
    return split, frame_digest(table.frame), _differences(trained, table, spec, inputs)


def _differences(trained: Table, table: Table, spec: Spec, inputs: Mapping[str, Values]) -> list[str]:
    """Notes on columns and levels that only the test source has."""
    notes = []
    extra = [str(name) for name in table.frame.columns if name not in trained.frame.columns]
    if extra:
        notes.append(f"the test source has columns that training does not: {', '.join(extra[:10])}")
    for known in spec.of_kind("category"):
        unseen = sorted(set(np.unique(np.asarray(inputs[known.key])).tolist()) - {MISSING, *known.levels})
        if unseen:
            notes.append(f"column {known.name} of the test source has levels unseen in training: {listed(unseen, 5)}")
    return notes
