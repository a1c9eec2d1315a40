"""Split the rows of a table: splits given by the source, requested by a job, or drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.data.columns.encode import MISSING, name_categories
from zoo.data.dataset import SPLITS
from zoo.data.limits import find_source_row
from zoo.data.sources.read import Table
from zoo.data.splitting.folds import group_masks, read_masks, read_splits, take_fold
from zoo.data.splitting.splitters import Splitter, read_split_column, suggest_sizes
from zoo.data.splitting.time_order import parse_gap, parse_times
from zoo.errors import DataError, UsageError, find_nearest_name
from zoo.jobs.data_options import LEAVE_ONE_GROUP_OUT, SUGGESTED, DataJob


@dataclass(frozen=True)
class RowSplits:
    """The split of each row.

    Args:
        splits: ``train``, ``calibration``, ``validation``, ``test`` or ``""`` (N,).
        folds: Number of folds, if one of them is the test split.
        notes: Notes for the user.
        groups: Group name of each row (N,), if groups stay together.
    """

    splits: np.ndarray
    folds: int
    notes: tuple[str, ...]
    groups: np.ndarray | None = None


def find_given_splits(table: Table, job: DataJob) -> np.ndarray | None:
    """Return the split of each row as given by the source, a column or a file; None if not given.

    Raises:
        UsageError: If it is given twice, or the column does not exist.
    """
    column, file = job.split_column, job.split_by("file")
    if column is not None:
        _check_column(table, column, "split")
        if job.test is not None:
            raise UsageError("a test source cannot be combined with a split column", where="test")
        return read_split_column(table.frame[column], where=table.source)
    if file is not None:
        splits = read_splits(file, table.frame.index.to_numpy())
        if job.test is not None:
            splits[splits == "test"] = ""
        return splits
    if table.split is not None and job.test is not None:
        raise UsageError(f"{table.source} already has a test split", where="test")
    return table.split


def split_table(
    table: Table, job: DataJob, classes: np.ndarray | None, given: np.ndarray | None, *, source_rows: int
) -> RowSplits:
    """Split the rows of a table.

    Args:
        table: The rows that have a target.
        job: How to split them.
        classes: Class of each row (N,), or None.
        given: From :func:`find_given_splits`.
        source_rows: Number of rows of the source, including those without a target.

    Raises:
        DataError, UsageError: If there are too few rows, classes, groups or time points, or a column does not exist.
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
        raise UsageError(f"received {job.fold!r}, but there are {count} folds", where="fold")
    take_fold(splits, number, count, splitter, masks=masks)
    return RowSplits(splitter.inner_splits(splits), count, notes, splitter.groups)


def _when(table: Table, job: DataJob, splitter: Splitter, splits: np.ndarray) -> list[str]:
    """Return a note on when each split begins in time, and on how many rows the gap leaves out."""
    if splitter.moments is None:
        return []
    values = table.frame[job.split_by("time") or ""]
    begins = []
    for split in SPLITS:
        rows = np.flatnonzero(splits == split)
        if len(rows):
            begins.append(f"{split} {values.iloc[rows[np.argmin(splitter.moments[rows])]]}")
    n_gap = int((splits == "").sum())
    gap = f"; the gap leaves out {n_gap:,} rows" if n_gap else ""
    return [f"the splits begin at: {', '.join(begins)}{gap}"]


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
        groups = name_categories(table.frame[column])
        if (groups == MISSING).any():
            row = find_source_row(table.frame[column], int(np.flatnonzero(groups == MISSING)[0]))
            raise DataError("the group is missing", where=f"{where}, column {column}, row {row}")
        notes.append(f"column {column} defines the groups that stay together, and is not a feature")
    time = job.split_by("time")
    if time is not None:
        _check_column(table, time, "split")
        moments, dates = parse_times(table.frame[time], where=where)
        gap = parse_gap(job.gap, dates)
        if len(np.unique(moments)) < len(moments):
            notes.append(f"several rows share a time in column {time}: they stay in the same split")
    if method in ("", "column", "file"):
        method = "stratified" if classes is not None else "random"
    drawn = {"test": job.test is None and given is None, "validation": given is None or "validation" not in given}
    asked = {"test": job.test_size == SUGGESTED, "validation": job.validation_size == SUGGESTED}
    suggested = [split for split in drawn if drawn[split] and asked[split]]
    test, validation, reason = suggest_sizes(len(table.frame), job.searched, suggested)
    notes += [reason] if reason else []
    splitter = Splitter(
        method,
        test_size=0.0 if job.test is not None else test if job.test_size == SUGGESTED else float(job.test_size),
        validation_size=validation if job.validation_size == SUGGESTED else float(job.validation_size),
        calibration_size=job.calibration_fraction,
        seed=job.seed_of_split,
        classes=classes,
        groups=groups,
        moments=moments,
        gap=gap,
        where=where,
    )
    return splitter, tuple(notes)


def _check_column(table: Table, column: str, option: str) -> None:
    columns = [str(name) for name in table.frame.columns]
    if column not in columns:
        message = f"there is no column {column!r} to {option} by"
        raise UsageError(message, where=table.source, nearest=find_nearest_name(column, columns))
