"""Build a dataset from a job's data options: read, split, describe, encode."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.describe_table import choose_positive, describe_classes, describe_numbers
from zoo.data.columns.encode import (
    MISSING,
    Values,
    encode_target,
    encode_targets,
    extract_inputs,
    find_text_columns,
    has_value,
    name_categories,
)
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.examples.array_columns import find_array_columns
from zoo.data.layout import COLUMNS, Layout
from zoo.data.sources.public_sets import set_dataset_folder
from zoo.data.sources.read import Table, compute_frame_digest
from zoo.data.splitting.sample_weights import SampledRows, describe_weights, read_weights, sample_rows
from zoo.data.splitting.split_table import RowSplits, find_given_splits, split_table
from zoo.errors import DataError, UsageError, find_nearest_name, join_first
from zoo.jobs.data_options import DataJob
from zoo.spec import CategoryInput, Spec, Target

_LIKELY_TARGETS = ("target", "label", "labels", "class", "y", "outcome", "price", "survived", "income")


def create_table_dataset(
    job: DataJob,
    *,
    task: str,
    target_kind: str,
    layout: Layout = COLUMNS,
    options: Mapping[str, Any] | None = None,
    labels: str | None = None,
) -> Dataset:
    """Return the dataset of a table: each row is an example, with feature columns and a target column.

    Args:
        job: Data options: source, target, columns and split.
        task: Name of the task, for the spec.
        target_kind: ``class``, ``number``, ``either`` (inferred from the column) or ``none``.
        layout: How the source is read and described; by default each column is an input of its own.
        options: Options of the task to store in the spec, as plain values.
        labels: Column of labels used only for scoring, if there is no target.

    Raises:
        DataError: If the data cannot be used; the message names file, column and row.
        UsageError: If the job names a column or a split that does not exist.
    """
    with set_dataset_folder(job.data_dir):
        table = layout.read(job.source, ())
    if job.weight is None and table.weight is not None:
        job = job.model_copy(update={"weight": table.weight})
    source_rows = len(table.frame)
    given = find_given_splits(table, job)  # before the target, so that errors of the split come first
    if target_kind == "none":
        target_columns = _labelled(table, job, labels)
    else:
        names = _target_names(table, job)
        table, given, dropped_note = _with_targets(table, given, names)
        target_columns = _joined([_described_values(table, job, name, target_kind) for name in names], dropped_note)
    weight = read_weights(table.frame, job.weight, where=table.source)
    split = split_table(table, job, target_columns.names, given, source_rows=source_rows)
    train = np.flatnonzero(split.splits == "train")
    # Folds share their positive class, or else scores of different classes would be averaged.
    choosing = train if job.fold is None else np.flatnonzero(split.splits != "")
    targets = target_columns.described(table, train, choosing)
    features = table.frame.drop(columns=_not_features(table, job, target_columns.columns))
    spec, notes = layout.describe(features.iloc[train], targets, task)
    codes = encode_targets(table.frame, spec, where=table.source) if targets else target_columns.codes
    kept = sample_rows(job, train, codes, targets[0] if len(targets) == 1 else None, weight)
    spec = dataclasses.replace(
        spec, options=dict(options or {}), rows=len(kept.rows), weight=job.weight, weight_kind=job.weight_kind
    )
    inputs = extract_inputs(table.frame, spec, where=table.source, train=split.splits == "train")
    places = table.frame.index.to_numpy()
    splits = _parts(split, kept, inputs, codes, weight, places)
    notes = [*table.notes, *target_columns.notes, *split.notes, *notes, *([kept.note] if kept.note else [])]
    notes += [describe_weights(job, weight)] if job.weight is not None else []
    digest = compute_frame_digest(table.frame)
    if job.fold is not None and (job.test is not None or "" in split.splits):
        notes.append("the test split is not used: each fold has its own")
    elif job.test is not None:
        splits["test"], test_digest, more = _test_part(job, table, target_columns, spec, layout)
        digest = hashlib.sha256((digest + test_digest).encode()).hexdigest()[:16]
        notes += more
    return Dataset(
        name=table.name,
        source=table.source,
        digest=digest,
        split_digest=_split_digest(digest, spec, split.splits, kept, job),
        spec=spec,
        splits=splits,
        notes=tuple(notes),
        labels=target_columns.labels,
        split_rows={name: places[split.splits == name] for name in SPLITS if (split.splits == name).any()},
        folds=split.folds,
    )


def _parts(
    split: RowSplits,
    kept: SampledRows,
    inputs: Mapping[str, Values],
    codes: np.ndarray | None,
    weight: np.ndarray | None,
    places: np.ndarray,
) -> dict[str, Split]:
    """Return the splits that have rows; the training split after sampling."""
    splits = {}
    for name in SPLITS:
        rows = np.flatnonzero(split.splits == name)
        if name == "train":
            splits[name] = _part(inputs, codes, kept.rows, places, kept.weight, kept.fit_weight)
        elif len(rows):
            splits[name] = _part(inputs, codes, rows, places, None if weight is None else weight[rows])
        if name != "train" and name in splits and split.groups is not None:  # the sample of calibration and intervals
            splits[name] = dataclasses.replace(splits[name], group=split.groups[rows].astype(str))
    return splits


def _split_digest(digest: str, spec: Spec, splits: np.ndarray, kept: SampledRows, job: DataJob) -> str:
    names = f"{digest} {spec.target_names} {sorted(input_.name for input_ in spec.inputs)}"
    hasher = hashlib.sha256(names.encode())
    hasher.update(splits.astype("S10").tobytes())
    if job.sample is not None:  # the seed also draws the sample of a given split
        hasher.update(kept.rows.tobytes())
    for name in ("weight", "sample", "class_weight", "column", "missing"):
        value = getattr(job, name)
        if value:
            hasher.update(f" {name} {value} {job.weight_kind if name == 'weight' else ''}".encode())
    return hasher.hexdigest()[:16]


@dataclass(frozen=True)
class _TargetColumns:
    """The targets of a table, or labels used only for scoring: their columns, which are not features, and values."""

    columns: list[str]
    classes: Target | None = None
    numbers: np.ndarray | None = None
    names: np.ndarray | None = None
    codes: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    each: tuple[_TargetColumns, ...] = ()

    def described(self, table: Table, train: np.ndarray, choosing: np.ndarray) -> tuple[Target, ...]:
        """Return the targets with the statistics of the training rows, and the positive class that some rows choose."""
        if self.each:
            return tuple(target for column in self.each for target in column.described(table, train, choosing))
        if self.numbers is not None:
            return (describe_numbers(self.numbers[train], name=self.columns[0], where=table.source),)
        if self.classes is None:
            return ()
        codes = encode_target(table.frame[self.classes.name], self.classes)
        counts, chosen = (
            np.bincount(codes[r], minlength=len(self.classes.classes)).tolist() for r in (train, choosing)
        )
        return (dataclasses.replace(choose_positive(self.classes, chosen), counts=tuple(counts)),)


def _joined(columns: Sequence[_TargetColumns], notes: tuple[str, ...]) -> _TargetColumns:
    """Return several targets as one; rows are stratified by the classes of a single target only."""
    notes += tuple(note for column in columns for note in column.notes)
    if len(columns) == 1:
        return dataclasses.replace(columns[0], notes=notes)
    names = [name for column in columns for name in column.columns]
    return _TargetColumns(names, notes=notes, each=tuple(columns))


def _described_values(table: Table, job: DataJob, name: str, kind: str) -> _TargetColumns:
    values = table.frame[name]
    notes: tuple[str, ...] = ()
    if kind == "either":
        kind = "number" if find_array_columns(table.frame[[name]]) or is_measured(values) else "class"
        integers = kind == "number" and pd.api.types.is_integer_dtype(values.dtype)
        notes += (
            (f"the target {name} is treated as a number; if its values are codes, use --kind class",)
            if integers
            else ()
        )
    if job.positive is not None and kind != "class":
        raise UsageError("a positive class needs a target with classes; the target is a number", where="positive")
    if kind == "number":
        return _TargetColumns([name], numbers=_target_numbers(table, name), notes=notes)
    classes = describe_classes(values, positive=job.positive, where=table.source)
    return _TargetColumns([name], classes=classes, names=name_categories(values), notes=notes)


def is_measured(values: pd.Series, most_classes: int | None = None) -> bool:
    """Return whether a target is a number, not classes: it has fractions or many distinct values.

    Args:
        values: The target.
        most_classes: Maximum number of classes; by default 20, or 5 % of the rows if that is more.
    """
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return False
    numbers = values.dropna().to_numpy(dtype=np.float64)
    most = max(20, len(numbers) // 20) if most_classes is None else most_classes
    return bool((numbers != np.floor(numbers)).any()) or len(np.unique(numbers)) > most


def _labelled(table: Table, job: DataJob, labels: str | None) -> _TargetColumns:
    columns = [str(column) for column in table.frame.columns]
    if labels is None:
        target_columns = [table.target] if table.target is not None and table.target not in job.drop else []
        notes = tuple(
            f"column {name} is left out: it is the source's target; use --labels {shlex.quote(name)} to score with it"
            for name in target_columns
        )
        return _TargetColumns(target_columns, notes=notes)
    if labels not in columns:
        raise DataError(
            f"there is no column {labels!r} of labels; columns: {', '.join(columns[:30])}",
            where=table.source,
            nearest=find_nearest_name(labels, columns),
        )
    names = name_categories(table.frame[labels])
    classes = np.unique(names[names != MISSING])
    if len(classes) < 2:
        raise DataError(f"the labels {labels!r} are constant", where=table.source)
    labelled = _TargetColumns([labels], codes=_label_codes(names, classes), labels=tuple(map(str, classes)))
    _check_no_label_inside(table, job, labelled, names)
    return labelled


def _label_codes(names: np.ndarray, labels: Collection[str]) -> np.ndarray:
    """Return the code of each label (N,), -1 if missing."""
    code = {name: index for index, name in enumerate(labels)}
    return np.array([code.get(name, -1) for name in names], np.int64)


def _check_no_label_inside(table: Table, job: DataJob, labelled: _TargetColumns, names: np.ndarray) -> None:
    """Raise an error if a feature is equivalent to the labels, which would leak them to the model."""
    kinds = len(np.unique(names))
    for column in table.frame.columns:
        if str(column) in (*labelled.columns, *job.drop) or str(column) in find_array_columns(table.frame[[column]]):
            continue
        categories = name_categories(table.frame[column])
        if len(np.unique(categories)) != kinds:
            continue
        if len(set(zip(categories.tolist(), names.tolist(), strict=True))) == kinds:
            raise DataError(
                f"column {column} is equivalent to the labels {labelled.columns[0]} and would leak them; "
                f"use --drop {shlex.quote(str(column))}",
                where=table.source,
            )


def encode_table(
    frame: Any, spec: Spec, layout: Layout = COLUMNS
) -> tuple[dict[str, Values], np.ndarray | None, np.ndarray | None]:
    """Return inputs by key, encoded target (None if the frame has none) and weight of raw rows."""
    table = layout.read(frame, find_text_columns(spec))
    inputs = extract_inputs(table.frame, spec, where=table.source)
    has_targets = bool(spec.targets) and {target.name for target in spec.targets} <= set(table.frame.columns)
    return inputs, encode_targets(table.frame, spec, where=table.source) if has_targets else None, None


def _target_names(table: Table, job: DataJob) -> tuple[str, ...]:
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


def _with_targets(
    table: Table, given: np.ndarray | None, names: Sequence[str]
) -> tuple[Table, np.ndarray | None, tuple[str, ...]]:
    """Leave out rows that lack a target."""
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
    return kept, left, (f"{int(missing.sum())} rows without a target are left out",)


def _target_numbers(table: Table, name: str) -> np.ndarray:
    """Return the target as numbers (N,), or (N, …) of arrays; the error for one that cannot be parsed names the row."""
    cells = find_array_columns(table.frame[[name]])
    if cells:
        target = Target(name, "number", shape=cells[name].iloc[0].shape)
        return encode_target(table.frame[name], target, where=table.source)
    return encode_target(table.frame[name], Target(name, "number"), where=table.source)


def _not_features(table: Table, job: DataJob, targets: Sequence[str]) -> list[str]:
    columns = [str(column) for column in table.frame.columns]
    for name in job.drop:
        if name not in columns:
            raise UsageError(
                f"there is no column {name!r} to drop",
                where=table.source,
                nearest=find_nearest_name(name, columns),
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


def _test_part(
    job: DataJob, trained: Table, target_columns: _TargetColumns, spec: Spec, layout: Layout
) -> tuple[Split, str, list[str]]:
    """Return the test split from a separate source, its digest, and notes on how it differs from training."""
    with set_dataset_folder(job.data_dir):
        table = layout.read(job.test, find_text_columns(spec))
    needed = [*target_columns.columns] if spec.targets or target_columns.codes is not None else []
    needed += [job.weight] if job.weight is not None else []
    absent = [name for name in needed if name not in table.frame.columns]
    if absent:
        raise DataError(f"the test source has no column {', '.join(map(repr, absent))}", where=table.source)
    codes = None
    if spec.targets:
        table = _with_targets(table, None, [target.name for target in spec.targets])[0]
        codes = encode_targets(table.frame, spec, where=table.source)
    elif target_columns.codes is not None:
        codes = _label_codes(name_categories(table.frame[target_columns.columns[0]]), target_columns.labels)
    inputs = extract_inputs(table.frame, spec, where=table.source)
    weight = read_weights(table.frame, job.weight, where=table.source)
    column = job.split_by("group") or job.split_by("hash")
    group = name_categories(table.frame[column]).astype(str) if column in table.frame.columns else None
    split = Split(inputs, codes, table.frame.index.to_numpy(), weight, group=group)
    return split, compute_frame_digest(table.frame), _differences(trained, table, spec, inputs)


def _differences(trained: Table, table: Table, spec: Spec, inputs: Mapping[str, Values]) -> list[str]:
    """Return notes on columns and categories that only the test source has."""
    notes = []
    extra = [str(name) for name in table.frame.columns if name not in trained.frame.columns]
    if extra:
        notes.append(f"the test source has columns that the training data lack: {', '.join(extra[:10])}")
    for input_ in spec.of_kind(CategoryInput):
        unseen = sorted(set(np.unique(np.asarray(inputs[input_.key])).tolist()) - {MISSING, *input_.categories})
        if unseen:
            notes.append(
                f"column {input_.name} of the test source has categories unseen in training: {join_first(unseen, 5)}"
            )
    return notes
