"""Build a dataset from a job's data options: read, split, describe, encode."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.columns.column_kinds import LEAST_IDS
from zoo.data.columns.encode import (
    MISSING,
    Values,
    encode_targets,
    extract_inputs,
    find_text_columns,
    name_categories,
)
from zoo.data.columns.unreadable_cells import clear_unreadable_cells
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.examples.array_columns import find_array_columns
from zoo.data.label_cells import find_unknown_labels
from zoo.data.layout import COLUMNS, Layout
from zoo.data.reading_options import apply_reading_options
from zoo.data.sources.read import Table, compute_frame_digest
from zoo.data.splitting.sample_table import sample_table
from zoo.data.splitting.sample_weights import SampledRows, describe_weights, read_weights, repeat_rows, sample_rows
from zoo.data.splitting.split_table import RowSplits, find_given_splits, split_table
from zoo.data.target_columns import TargetColumns, drop_rows_without_target, read_targets
from zoo.data.written_targets import read_target, restore_classes
from zoo.errors import MOST_NAMES, DataError, UsageError, find_nearest_name, join_first
from zoo.jobs.data_options import DataJob
from zoo.spec import CategoryInput, NumberInput, Spec


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
    with apply_reading_options(job):
        table = layout.read(job.source, ())
    if job.weight is None and table.weight is not None:
        job = job.model_copy(update={"weight": table.weight})
    source_rows = len(table.frame)
    table = sample_table(table, job)
    given = find_given_splits(table, job)  # before the target, so that errors of the split come first
    if target_kind == "none":
        if labels is not None and labels in table.frame:
            table = read_target(table, job, labels)[0]
        target_columns = _labelled(table, job, labels)
    else:
        table, given, target_columns = read_targets(table, given, job, target_kind)
    weight = read_weights(table.frame, job.weight, where=table.source)
    split = split_table(table, job, target_columns.names, given, source_rows=source_rows)
    train = np.flatnonzero(split.splits == "train")
    described, choosing = _described_rows(job, split, weight)
    targets = target_columns.describe(table, described, choosing)
    features = table.frame.drop(columns=_not_features(table, job, target_columns.columns))
    spec, notes = layout.describe(features.iloc[described], targets, task)
    codes = encode_targets(table.frame, spec, where=table.source) if targets else target_columns.codes
    kept = sample_rows(job, train, codes, targets[0] if len(targets) == 1 else None, weight)
    spec = _complete(spec, table, job, options=dict(options or {}), rows=len(kept.rows))
    is_train = split.splits == "train"
    frame, unreadable = clear_unreadable_cells(table.frame, spec, is_train, where=table.source)
    inputs = extract_inputs(frame, spec, where=table.source, train=is_train)
    places = table.frame.index.to_numpy()
    splits = _parts(split, kept, inputs, codes, weight, places)
    notes = [*table.notes, *target_columns.notes, *split.notes, *notes, *unreadable]
    notes += [kept.note] if kept.note else []
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


def _complete(spec: Spec, table: Table, job: DataJob, **facts: Any) -> Spec:
    """Return a spec with further facts, and how the numbers of a file are written, as rows to predict will be."""
    inputs = [
        dataclasses.replace(input_, notation=table.notations[input_.name])
        if isinstance(input_, NumberInput) and input_.name in table.notations
        else input_
        for input_ in spec.inputs
    ]
    return dataclasses.replace(spec, inputs=tuple(inputs), weight=job.weight, weight_kind=job.weight_kind, **facts)


def _described_rows(job: DataJob, split: RowSplits, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that statistics are computed on, and those that choose the positive class."""
    frequency = weight if job.weight_kind == "frequency" else None
    train = np.flatnonzero(split.splits == "train")
    # Folds share their positive class, or else scores of different classes would be averaged.
    choosing = train if job.fold is None else np.flatnonzero(split.splits != "")
    return repeat_rows(train, frequency), repeat_rows(choosing, frequency)


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


def _labelled(table: Table, job: DataJob, labels: str | None) -> TargetColumns:
    columns = [str(column) for column in table.frame.columns]
    if labels is None:
        target_columns = [table.target] if table.target is not None and table.target not in job.drop else []
        notes = tuple(
            f"column {name} is left out: it is the source's target; use --labels {shlex.quote(name)} to score with it"
            for name in target_columns
        )
        return TargetColumns(target_columns, notes=notes)
    if labels not in columns:
        raise DataError(
            f"there is no column {labels!r} of labels; columns: {join_first(columns, MOST_NAMES)}",
            where=table.source,
            nearest=find_nearest_name(labels, columns),
        )
    names = name_categories(table.frame[labels])
    classes = np.unique(names[names != MISSING])
    if len(classes) < 2:
        raise DataError(f"the labels {labels!r} are constant", where=table.source)
    rows = int((names != MISSING).sum())
    if len(classes) > max(rows / 2, LEAST_IDS) and not job.positive:
        raise DataError(
            f"the labels {labels!r} have {len(classes):,} distinct values in {rows:,} rows, like an id: they "
            "cannot tell a good result from a bad one; name another column",
            where=table.source,
        )
    labelled = TargetColumns([labels], codes=_label_codes(names, classes), labels=tuple(map(str, classes)))
    _check_no_label_inside(table, job, labelled, names)
    return labelled


def _label_codes(names: np.ndarray, labels: Collection[str]) -> np.ndarray:
    """Return the code of each label (N,), -1 if missing."""
    code = {name: index for index, name in enumerate(labels)}
    return np.array([code.get(name, -1) for name in names], np.int64)


def _check_no_label_inside(table: Table, job: DataJob, labelled: TargetColumns, names: np.ndarray) -> None:
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
    table = restore_classes(layout.read(frame, find_text_columns(spec)), spec.targets)
    inputs = extract_inputs(table.frame, spec, where=table.source)
    has_targets = bool(spec.targets) and {target.name for target in spec.targets} <= set(table.frame.columns)
    return inputs, encode_targets(table.frame, spec, where=table.source) if has_targets else None, None


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
    job: DataJob, trained: Table, target_columns: TargetColumns, spec: Spec, layout: Layout
) -> tuple[Split, str, list[str]]:
    """Return the test split from a separate source, its digest, and notes on how it differs from training."""
    with apply_reading_options(job):
        table = layout.read(job.test, find_text_columns(spec))
    unknown = find_unknown_labels(table, spec.targets)
    table = restore_classes(table, spec.targets)
    needed = [*target_columns.columns] if spec.targets or target_columns.codes is not None else []
    needed += [job.weight] if job.weight is not None else []
    absent = [name for name in needed if name not in table.frame.columns]
    if absent:
        raise DataError(f"the test source has no column {', '.join(map(repr, absent))}", where=table.source)
    codes = None
    if spec.targets:
        table = drop_rows_without_target(table, None, [target.name for target in spec.targets])[0]
        codes = encode_targets(table.frame, spec, where=table.source)
    elif target_columns.codes is not None:
        codes = _label_codes(name_categories(table.frame[target_columns.columns[0]]), target_columns.labels)
    frame, notes = clear_unreadable_cells(table.frame, spec, where=table.source)
    inputs = extract_inputs(frame, spec, where=table.source)
    weight = read_weights(table.frame, job.weight, where=table.source)
    column = job.split_by("group") or job.split_by("hash")
    group = name_categories(table.frame[column]).astype(str) if column in table.frame.columns else None
    split = Split(inputs, codes, table.frame.index.to_numpy(), weight, group=group)
    notes = [f"the test source: {note}" for note in (*table.notes, *unknown, *notes)]
    return split, compute_frame_digest(table.frame), notes + _differences(trained, table, spec, inputs)


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
