"""From a job's data options to a dataset: read, split, describe, encode."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.dataset import PARTS, Dataset, Part
from zoo.data.describe import describe_classes, describe_numbers, describe_table
from zoo.data.inputs import encode_target, level_names, raw_inputs, text_columns
from zoo.data.read import Table, frame_digest, read_table
from zoo.data.split import parts_of_column, split_rows
from zoo.errors import DataError, UsageError, nearest_name
from zoo.job import DataJob
from zoo.spec import Spec, Target

_LIKELY_TARGETS = ("target", "label", "labels", "class", "y", "outcome", "price", "survived", "income")


def table_dataset(job: DataJob, *, task: str, target_kind: str) -> Dataset:
    """Return the dataset of a table with a target.

    Args:
        job: Says which source, target, columns and split.
        task: Name of the task, for the spec.
        target_kind: ``class`` or ``number``.

    Raises:
        DataError: When the data cannot be used; the message names file, column and row.
        UsageError: When the job asks for a column or a split that is not there.
    """
    table = read_table(job.source)
    if job.positive is not None and target_kind != "class":
        raise UsageError("a positive class is for classes, and the target is a number", where="positive")
    name = _target_name(table, job)
    table, dropped_note = _with_target(table, name)
    given = _given_parts(table, job)
    numbers = None
    if target_kind == "number":
        numbers = _target_numbers(table, name)
        target = None
    else:
        target = describe_classes(table.frame[name], positive=job.positive, where=table.source)
    parts = split_rows(
        len(table.frame),
        method=_method(job, target_kind),
        classes=level_names(table.frame[name]) if target is not None else None,
        test_size=0 if job.test is not None else job.test_size,
        validation_size=job.validation_size,
        seed=job.seed,
        given=given,
    )
    train = np.flatnonzero(parts == "train")
    if numbers is not None:
        target = describe_numbers(numbers[train], name=name, where=table.source)
    assert target is not None
    if target.kind == "class":
        counts = np.bincount(encode_target(table.frame[name].iloc[train], target), minlength=len(target.classes))
        target = dataclasses.replace(target, counts=tuple(counts.tolist()))
    features = table.frame.drop(columns=_not_features(table, job, name))
    spec, notes = describe_table(features.iloc[train], target, task)
    rows = {part: np.flatnonzero(parts == part) for part in PARTS}
    made = {part: _part(table.frame, index, spec, table.source) for part, index in rows.items() if len(index)}
    digest = frame_digest(table.frame)
    if job.test is not None:
        test = _test_table(job, name, spec)
        made["test"] = _part(test.frame, np.arange(len(test.frame)), spec, test.source)
        digest = hashlib.sha256((digest + frame_digest(test.frame)).encode()).hexdigest()[:16]
    split = hashlib.sha256(f"{digest} {name} {sorted(known.name for known in spec.inputs)}".encode())
    split.update(parts.astype("S10").tobytes())
    return Dataset(
        name=table.name,
        source=table.source,
        digest=digest,
        split_digest=split.hexdigest()[:16],
        spec=spec,
        parts=made,
        notes=(*table.notes, *dropped_note, *notes),
    )


def table_arrays(frame: Any, spec: Spec) -> tuple[dict[str, np.ndarray], np.ndarray | None, np.ndarray | None]:
    """Return inputs by key, encoded target (None where the frame lacks it) and weight of raw rows."""
    table = read_table(frame, text=text_columns(spec))
    inputs = raw_inputs(table.frame, spec, where=table.source)
    target = None
    if spec.target is not None and spec.target.name in table.frame.columns:
        target = encode_target(table.frame[spec.target.name], spec.target, where=table.source)
    return inputs, target, None


def _target_name(table: Table, job: DataJob) -> str:
    columns = [str(column) for column in table.frame.columns]
    name = job.target if job.target is not None else table.target
    if name is None:
        listed = ", ".join(columns[:30]) + (" …" if len(columns) > 30 else "")
        likely = next((c for known in _LIKELY_TARGETS for c in columns if c.lower() == known), columns[-1])
        raise DataError(
            f"which column is to be predicted? Say --target COLUMN; columns: {listed}; most likely: {likely}",
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


def _with_target(table: Table, name: str) -> tuple[Table, tuple[str, ...]]:
    """Leave out rows that have no target: they can neither teach nor test."""
    missing = (table.frame[name].isna() | (table.frame[name].astype(str).str.strip() == "")).to_numpy()
    if missing.all():
        raise DataError(f"the target {name!r} is missing in every row", where=table.source)
    if not missing.any():
        return table, ()
    kept = Table(
        table.frame[~missing].reset_index(drop=True),
        table.name,
        table.source,
        table.target,
        table.part[~missing] if table.part is not None else None,
        table.notes,
    )
    return kept, (f"{int(missing.sum())} rows without a target are left out",)


def _target_numbers(table: Table, name: str) -> np.ndarray:
    """The target as numbers, or an error that says which row is none."""
    return encode_target(table.frame[name], Target(name, "number"), where=table.source)


def _given_parts(table: Table, job: DataJob) -> np.ndarray | None:
    if job.split is not None and job.split.startswith("column="):
        column = job.split.removeprefix("column=")
        if column not in table.frame.columns:
            raise UsageError(
                f"there is no column {column!r} to split by",
                where=table.source,
                nearest=nearest_name(column, [str(c) for c in table.frame.columns]),
            )
        if job.test is not None:
            raise UsageError("a test source and a column that names the test part exclude each other", where="test")
        return parts_of_column(table.frame[column], where=table.source)
    if table.part is not None and job.test is not None:
        raise UsageError(f"{table.source} holds a test part of its own", where="test")
    return table.part


def _method(job: DataJob, target_kind: str) -> str:
    if job.split in ("random", "stratified"):
        return job.split
    return "stratified" if target_kind == "class" else "random"


def _not_features(table: Table, job: DataJob, target: str) -> list[str]:
    columns = [str(column) for column in table.frame.columns]
    for name in job.drop:
        if name not in columns:
            raise UsageError(
                f"there is no column {name!r} to drop",
                where=table.source,
                nearest=nearest_name(name, columns),
            )
    split = [job.split.removeprefix("column=")] if job.split and job.split.startswith("column=") else []
    return list(dict.fromkeys([target, *job.drop, *split]))


def _test_table(job: DataJob, target: str, spec: Spec) -> Table:
    table = read_table(job.test, text=text_columns(spec))
    if target not in table.frame.columns:
        raise DataError(f"the test source has no column {target!r}", where=table.source)
    return _with_target(table, target)[0]


def _part(frame: pd.DataFrame, rows: np.ndarray, spec: Spec, where: str) -> Part:
    chosen = frame.iloc[rows]
    assert spec.target is not None
    return Part(
        raw_inputs(chosen, spec, where=where),
        encode_target(chosen[spec.target.name], spec.target, where=where),
        rows,
    )
