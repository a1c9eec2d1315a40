"""The parts of a table's rows: what its source says of them, what a job asks for, and what is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.data.columns.encode import MISSING, level_names
from zoo.data.dataset import SPLITS
from zoo.data.sources.read import Table
from zoo.data.splitting.folds import group_masks, read_masks, read_parts, take_fold
from zoo.data.splitting.splitters import Splitter, parts_of_column, suggested_sizes
from zoo.data.splitting.time_order import gap_of, moments_of
from zoo.errors import DataError, UsageError, nearest_name
from zoo.jobs.data_options import LEAVE_ONE_GROUP_OUT, SUGGESTED, DataJob

# What a search chooses among by default, where sizes are suggested.
_SEARCHED = 5


@dataclass(frozen=True)
class RowSplits:
    """Which part each row belongs to.

    Args:
        parts: ``train``, ``calibration``, ``validation``, ``test`` or ``""`` (N,).
        folds: Number of folds, where one of them is the test part.
        notes: What a person should know.
        groups: Group of each row (N,) by name, where rows of one stay together.
    """

    splits: np.ndarray
    folds: int
    notes: tuple[str, ...]
    groups: np.ndarray | None = None


def given_parts(table: Table, job: DataJob) -> np.ndarray | None:
    """Return the part of each row as the source, a column of it or a file has it; None where nothing says it.

    Raises:
        UsageError: When two things say it, or the column is not there.
    """
    column, file = job.split_column, job.split_by("file")
    if column is not None:
        _check_column(table, column, "split")
        if job.test is not None:
            raise UsageError("a test source and a column that names the test part exclude each other", where="test")
        return parts_of_column(table.frame[column], where=table.source)
    if file is not None:
        splits = read_parts(file, table.frame.index.to_numpy())
        if job.test is not None:
            splits[splits == "test"] = ""
        return splits
    if table.split is not None and job.test is not None:
        raise UsageError(f"{table.source} holds a test part of its own", where="test")
    return table.split


def split_table(
    table: Table, job: DataJob, classes: np.ndarray | None, given: np.ndarray | None, *, source_rows: int
) -> RowSplits:
    """Return the part of each row of a table.

    Args:
        table: The rows that have a target.
        job: Says how they are split.
        classes: Class of each row (N,), or None.
        given: From :func:`given_parts`.
        source_rows: Rows of the source, those without a target among them.

    Raises:
        DataError, UsageError: When rows, classes, groups or moments are too few, or a column is not there.
    """
    splitter, notes = _splitter(table, job, classes, given)
    rows = len(table.frame)
    if job.fold is None:
        splits = splitter.splits(rows, given)
        return RowSplits(splits, 0, (*notes, *_when(table, job, splitter, splits)), splitter.groups)
    splits = np.full(rows, "train", dtype="<U11") if given is None else given.astype("<U11")
    if job.aside and job.test is None and given is None:
        splitter.check()
        splitter.move(splits, "test", splitter.test_size)
    masks = _masks(table, job, splitter, source_rows)
    number, count = (int(text) for text in job.fold.split("/"))
    count = count if masks is None else len(masks)
    if number > count:
        raise UsageError(f"received {job.fold!r}, and there are {count} folds", where="fold")
    take_fold(splits, number, count, splitter, masks=masks)
    return RowSplits(splitter.inner_parts(splits), count, notes, splitter.groups)


def _when(table: Table, job: DataJob, splitter: Splitter, splits: np.ndarray) -> list[str]:
    """A note on when each part of a split in time begins, and how many rows the gap leaves out."""
    if splitter.moments is None:
        return []
    values = table.frame[job.split_by("time") or ""]
    begins = []
    for split in SPLITS:
        own = np.flatnonzero(splits == split)
        if len(own):
            begins.append(f"{split} {values.iloc[own[np.argmin(splitter.moments[own])]]}")
    left = int((splits == "").sum())
    gap = f"; the gap leaves out {left:,} rows" if left else ""
    return [f"in time the parts begin: {', '.join(begins)}{gap}"]


def _masks(table: Table, job: DataJob, splitter: Splitter, source_rows: int) -> np.ndarray | None:
    if job.folds is None:
        return None
    if job.folds == LEAVE_ONE_GROUP_OUT:
        assert splitter.groups is not None
        return group_masks(splitter.groups)
    return read_masks(job.folds.removeprefix("file="), source_rows, table.frame.index.to_numpy())


def _splitter(
    table: Table, job: DataJob, classes: np.ndarray | None, given: np.ndarray | None
) -> tuple[Splitter, tuple[str, ...]]:
    where, notes = table.source, []
    groups, moments, gap = None, None, 0.0
    method = (job.split or "").split("=")[0]
    column = job.split_by("group") or job.split_by("hash")
    if column is not None:
        _check_column(table, column, "split")
        groups = level_names(table.frame[column])
        if (groups == MISSING).any():
            row = int(np.flatnonzero(groups == MISSING)[0])
            raise DataError("the group is missing", where=f"{where}, column {column}, row {row + 1}")
        notes.append(f"column {column} says what stays together, and is no feature")
    time = job.split_by("time")
    if time is not None:
        _check_column(table, time, "split")
        moments, dates = moments_of(table.frame[time], where=where)
        gap = gap_of(job.gap, dates)
        if len(np.unique(moments)) < len(moments):
            notes.append(f"several rows share a moment of column {time}: they stay on one side")
    if method in ("", "column", "file"):
        method = "stratified" if classes is not None else "random"
    drawn = {"test": job.test is None and given is None, "validation": given is None or "validation" not in given}
    asked = {"test": job.test_size == SUGGESTED, "validation": job.validation_size == SUGGESTED}
    told = [split for split in drawn if drawn[split] and asked[split]]
    test, validation, reason = suggested_sizes(len(table.frame), _SEARCHED if _searches(job) else 0, told)
    notes += [reason] if reason else []
    splitter = Splitter(
        method,
        test_size=0.0 if job.test is not None else test if job.test_size == SUGGESTED else float(job.test_size),
        validation_size=validation if job.validation_size == SUGGESTED else float(job.validation_size),
        calibration_size=job.calibration_share,
        seed=job.seed if job.split_seed is None else job.split_seed,
        classes=classes,
        groups=groups,
        moments=moments,
        gap=gap,
    )
    return splitter, tuple(notes)


def _searches(job: DataJob) -> bool:
    return getattr(job, "command", "") == "tune"


def _check_column(table: Table, column: str, option: str) -> None:
    known = [str(name) for name in table.frame.columns]
    if column not in known:
        message = f"there is no column {column!r} to {option} by"
        raise UsageError(message, where=table.source, nearest=nearest_name(column, known))
