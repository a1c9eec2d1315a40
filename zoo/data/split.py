"""Splitting rows into train, validation and test."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from zoo.errors import DataError, unknown

SPELLINGS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


def split_rows(
    rows: int,
    *,
    method: str,
    classes: np.ndarray | None,
    test_size: float,
    validation_size: float,
    seed: int,
    given: np.ndarray | None = None,
    fold: str | None = None,
) -> np.ndarray:
    """Return the part of each row.

    Parts that ``given`` holds stay as they are; a validation or test part that it lacks is drawn
    from its training rows (the test part only where nothing at all is given).

    Args:
        rows: Number of rows N.
        method: ``random`` or ``stratified``.
        classes: Class of each row, for ``stratified``.
        test_size: Share of all rows that becomes the test part.
        validation_size: Share of the rows that are not test that becomes the validation part.
        seed: Seed of the draw.
        given: Part of each row as the source has it.
        fold: ``k/n``: of n folds of the rows the k-th is the test part; rows that ``given`` holds as test are
            then left out.

    Returns:
        ``train``, ``validation`` or ``test`` for each of N rows, or ``""`` for none of them.

    Raises:
        DataError: When there are too few rows for such a split.

    Example:
        >>> parts = split_rows(10, method="random", classes=None, test_size=0.2, validation_size=0.25, seed=0)
        >>> sorted(parts.tolist()).count("validation")
        2
    """
    if method == "stratified" and classes is None:
        raise DataError("a stratified split needs a target with classes; use --split random")
    parts = np.full(rows, "train", dtype="<U10") if given is None else given.astype("<U10")
    if fold is not None:
        _take_fold(parts, fold, method, classes, seed)
    elif given is None and test_size > 0:
        _move(parts, "test", test_size, method, classes, seed)
    if validation_size > 0 and not np.any(parts == "validation"):
        _move(parts, "validation", validation_size, method, classes, seed + 1)
    if not np.any(parts == "train"):
        raise DataError("the split leaves no training rows")
    return parts


def parts_of_column(values: pd.Series, *, where: str) -> np.ndarray:
    """Return the parts that a column of the table names.

    Raises:
        DataError: When a value is none of train, validation (or valid, val) and test.
    """
    parts = values.astype(str).str.strip().str.lower().map(SPELLINGS)
    if parts.isna().any():
        row = int(np.flatnonzero(parts.isna())[0])
        error = unknown("part", str(values.iloc[row]), SPELLINGS)
        raise DataError(error.message, where=f"{where}, column {values.name}, row {row + 1}", nearest=error.nearest)
    return parts.to_numpy(dtype="<U10")


def _take_fold(parts: np.ndarray, fold: str, method: str, classes: np.ndarray | None, seed: int) -> None:
    """Make one fold of the rows that are not test the test part; the others train, and validate."""
    from sklearn.model_selection import KFold, StratifiedKFold

    number, count = (int(text) for text in fold.split("/"))
    parts[parts == "test"] = ""
    rows = np.flatnonzero(parts != "")
    parts[rows] = "train"
    if count > len(rows):
        raise DataError(f"{count} folds need at least as many rows, and there are {len(rows)}", where="folds")
    made = KFold(count, shuffle=True, random_state=seed % 2**32).split(rows)
    if method == "stratified":
        assert classes is not None
        names, counts = np.unique(classes[rows], return_counts=True)
        if counts.min() < count:
            rare = names[counts.argmin()]
            message = f"{count} folds need {count} rows of each class, and class {rare!r} has {counts.min()}"
            raise DataError(message, where="folds")
        made = StratifiedKFold(count, shuffle=True, random_state=seed % 2**32).split(rows, classes[rows])
    parts[rows[list(made)[number - 1][1]]] = "test"


def _move(parts: np.ndarray, to: str, share: float, method: str, classes: np.ndarray | None, seed: int) -> None:
    """Move a share of the training rows to another part."""
    from sklearn.model_selection import train_test_split

    train = np.flatnonzero(parts == "train")
    strata = None
    if method == "stratified":
        assert classes is not None
        names, counts = np.unique(classes[train], return_counts=True)
        # A class whose only row is left stays in training: it cannot be on both sides.
        train = train[np.isin(classes[train], names[counts > 1])]
        strata = classes[train]
    if len(train) < 2:
        raise DataError(f"{len(parts)} rows are too few for a {to} part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _, moved = train_test_split(train, test_size=share, stratify=strata, random_state=seed % 2**32)
        except ValueError as error:
            raise DataError(f"cannot take a {to} part of {share:g} from {len(train)} rows: {error}") from None
    parts[moved] = to
