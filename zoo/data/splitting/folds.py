"""Folds of a cross-validation: the test and training rows of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.dataset import SPELLINGS
from zoo.data.limits import report_decoding_errors
from zoo.data.sources.npz import check_declared_sizes
from zoo.data.sources.text_encoding import check_bytes
from zoo.data.splitting.splitters import Splitter
from zoo.data.splitting.time_order import find_cut, mask_gap
from zoo.errors import DataError, shorten_value
from zoo.small_files import check_regular_file, read_small_text

MOST_BYTES = 200_000_000  # row numbers of some 20 million rows


def take_fold(splits: np.ndarray, number: int, count: int, splitter: Splitter, *, masks: np.ndarray | None) -> None:
    """Make one fold the test split, in place; all other rows become training rows.

    Rows of the previous test split are left out (``""``), as are, for a split in time, rows later than the fold.

    Args:
        splits: Split of each row (N,), changed in place.
        number: The fold, from 1.
        count: Number of folds.
        splitter: How rows are drawn, and which stay together.
        masks: Test rows of each given fold (K, N); None to draw them.

    Raises:
        DataError: If there are too few rows, classes, groups or time points.
    """
    splitter.check()
    splits[splits == "test"] = ""
    rows = np.flatnonzero(splits != "")
    splits[rows] = "train"
    if count > len(rows):
        raise DataError(f"{count} folds need at least {count} rows; there are {len(rows)}", where="folds")
    if masks is not None:
        splits[masks[number - 1] & (splits != "")] = "test"
    elif splitter.method == "time":
        assert splitter.moments is not None
        _forward(splits, rows, splitter.moments[rows], number, count, splitter.gap)
    elif splitter.method == "order":
        _forward(splits, rows, np.arange(len(rows), dtype=float), number, count, 0.0)
    else:
        splits[rows[_drawn(rows, number, count, splitter)]] = "test"


def group_masks(groups: np.ndarray) -> np.ndarray:
    """Return the test masks (K, N) of leave-one-group-out folds, in the order of group names."""
    return np.stack([groups == name for name in np.unique(groups)])


def read_masks(path: str, rows: int, places: np.ndarray) -> np.ndarray:
    """Read the test masks (K, N) of given folds from a file.

    Args:
        path: ``.npz`` or ``.npy`` with Booleans (K, S) or fold numbers (S,), or a CSV with one column of fold
            numbers or one column of Booleans per fold; S rows of the source.
        rows: Number S of rows of the source.
        places: Source row of each of the N rows that are used.

    Raises:
        DataError: If the file cannot be read, or does not fit the source.
    """
    file = Path(path).expanduser()
    check_regular_file(file, "the folds", most_bytes=MOST_BYTES, kind=DataError)
    with report_decoding_errors(path, "cannot read the folds"):
        values = _fold_values(file)
    if values.ndim == 1 and values.dtype.kind in "iuf" and len(values) == rows:
        masks = np.stack([values == name for name in np.unique(values)])
    elif values.ndim == 2 and values.dtype.kind in "biu" and values.shape[1] == rows and np.isin(values, (0, 1)).all():
        masks = values.astype(bool)
    else:
        description = f"{'×'.join(map(str, values.shape))} values of type {values.dtype}"
        raise DataError(
            f"expected Booleans (folds × {rows} rows) or one fold number per row; received {description}",
            where=path,
        )
    if len(masks) < 2 or not masks.any(axis=1).all() or masks.all(axis=1).any():
        raise DataError("at least two folds are needed, each with test rows and training rows", where=path)
    chosen: np.ndarray = masks[:, places]
    return chosen


def read_splits(path: str, places: np.ndarray) -> np.ndarray:
    """Return the split of each row in use (N,) from the ``split.json`` of a run, which has row numbers by split.

    Raises:
        DataError: If the file cannot be read, or names a row that the source does not have.
    """
    text = read_small_text(Path(path).expanduser(), "the split", most_bytes=MOST_BYTES, kind=DataError)
    try:
        rows_by_split = {SPELLINGS[split]: _row_numbers(rows) for split, rows in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DataError(f"not a split: expected row numbers by split, as in split.json ({error})", where=path) from None
    splits = np.full(int(places.max()) + 1, "", dtype="<U11")
    for split, rows in rows_by_split.items():
        if rows.size and (rows.min() < 0 or rows.max() >= len(splits)):
            wrong = rows.min() if rows.min() < 0 else rows.max()
            message = (
                f"the {split} split has the row number {wrong}; in such a file they are from 0 to {len(splits) - 1}"
            )
            raise DataError(message, where=path)
        if (splits[rows] != "").any():
            other = splits[rows][splits[rows] != ""][0]
            raise DataError(f"a row of the {split} split is also in the {other} split", where=path)
        splits[rows] = split
    chosen = splits[places]
    if not (chosen == "train").any():
        raise DataError("the split leaves no training rows", where=path)
    return chosen


def _row_numbers(values: Any) -> np.ndarray:
    rows = np.asarray(values)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise TypeError(f"received {shorten_value(values, most=40)} instead of a list of integers")
    return rows.astype(np.int64)


def _fold_values(file: Path) -> np.ndarray:
    if file.suffix.lower() == ".csv":
        check_bytes(file)
        values = pd.read_csv(file).to_numpy()
        return values[:, 0] if values.shape[1] == 1 else values.T
    check_declared_sizes(file)
    with file.open("rb") as stream:
        loaded = np.load(stream, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        names = list(loaded)
        if len(names) != 1:
            raise DataError(f"expected one array with the folds; received {', '.join(names)}", where=str(file))
        return np.asarray(loaded[names[0]])


def _forward(splits: np.ndarray, rows: np.ndarray, moments: np.ndarray, number: int, count: int, gap: float) -> None:
    """Test on one of K + 1 blocks of time and train on all earlier ones; the first block is only for training."""
    if len(np.unique(moments)) <= count:
        n_moments = len(np.unique(moments))
        raise DataError(f"{count} folds in time need {count + 1} time points; there are {n_moments}", where="folds")
    cuts = [find_cut(moments, 1 - k / (count + 1)) for k in range(1, count + 1)] + [np.inf]
    first, last = cuts[number - 1], cuts[number]
    tested = (moments >= first) & (moments < last)
    if not tested.any():
        raise DataError(f"fold {number} of {count} has no rows: too many rows share a time point", where="folds")
    splits[rows] = ""
    splits[rows[moments < first]] = "train"
    splits[rows[mask_gap(moments, first, gap)]] = ""
    splits[rows[tested]] = "test"


def _drawn(rows: np.ndarray, number: int, count: int, splitter: Splitter) -> np.ndarray:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    seed = splitter.seed % 2**32
    if splitter.groups is not None:
        groups = splitter.groups[rows]
        n_groups = len(np.unique(groups))
        if n_groups < count:
            raise DataError(f"{count} folds by group need at least {count} groups; there are {n_groups}", where="folds")
        folds = GroupKFold(count, shuffle=True, random_state=seed).split(rows, groups=groups)
    elif splitter.method == "stratified":
        assert splitter.classes is not None
        classes = splitter.classes[rows]
        names, counts = np.unique(classes, return_counts=True)
        if counts.min() < count:
            rare = names[counts.argmin()]
            message = f"{count} folds need {count} rows of each class; class {rare!r} has {counts.min()}"
            raise DataError(message, where="folds")
        folds = StratifiedKFold(count, shuffle=True, random_state=seed).split(rows, classes)
    else:
        folds = KFold(count, shuffle=True, random_state=seed).split(rows)
    return np.asarray(list(folds)[number - 1][1])
