"""Splitting rows into train, calibration, validation and test."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zoo.data.dataset import SPELLINGS
from zoo.data.limits import find_source_row
from zoo.data.splitting.time_order import mask_gap, require_cut
from zoo.errors import DataError, describe_unknown

# Added to the seed, so that each split has a random draw of its own.
_DRAWS = {"test": 0, "validation": 1, "calibration": 2}


@dataclass(frozen=True)
class Splitter:
    """Assigns rows to splits.

    Args:
        method: ``random``, ``stratified``, ``order`` (the last rows are the test split), ``group`` (rows of a group
            stay together), ``hash`` (as ``group``, but the split of a group depends only on its name) or ``time`` (the
            latest rows are the test split; rows with the same time stay together).
        test_size: Fraction of all rows for the test split.
        validation_size: Fraction of the other rows for the validation split.
        calibration_size: Fraction of the remaining rows for the calibration split.
        seed: Random seed.
        classes: Class of each row (N,), for ``stratified``.
        groups: Group name of each row (N,), for ``group`` and ``hash``.
        moments: Time of each row (N,) as a number, for ``time``.
        gap: Time left out between the end of one split and the beginning of the next.
        where: Name of the source in error messages.
    """

    method: str
    test_size: float = 0.0
    validation_size: float = 0.0
    calibration_size: float = 0.0
    seed: int = 0
    classes: np.ndarray | None = None
    groups: np.ndarray | None = None
    moments: np.ndarray | None = None
    gap: float = 0.0
    where: str | None = None

    def splits(self, rows: int, given: np.ndarray | None = None) -> np.ndarray:
        """Return the split of each row.

        Splits in ``given`` stay as they are; a missing validation split is drawn from its training rows. A test split
        is drawn only if ``given`` is None.

        Args:
            rows: Number of rows N.
            given: Split of each row as given by the source; ``""`` for none.

        Returns:
            ``train``, ``calibration``, ``validation``, ``test`` or ``""`` (left out) for each row (N,).

        Raises:
            DataError: If there are too few rows, groups or time points.

        Example:
            >>> splits = Splitter("random", test_size=0.2, validation_size=0.25).splits(10)
            >>> sorted(splits.tolist()).count("validation")
            2
        """
        self.check()
        splits = np.full(rows, "train", dtype="<U11") if given is None else given.astype("<U11")
        if given is None and self.test_size > 0:
            self.move(splits, "test", self.test_size)
        return self.inner_splits(splits)

    def inner_splits(self, splits: np.ndarray) -> np.ndarray:
        """Draw validation and calibration splits from the training rows, if there are none yet."""
        for name, fraction in (("validation", self.validation_size), ("calibration", self.calibration_size)):
            if fraction > 0 and not np.any(splits == name):
                self.move(splits, name, fraction)
        if not np.any(splits == "train"):
            raise DataError("the split leaves no training rows", where=self.where)
        return splits

    def check(self) -> None:
        """Raise DataError if the method lacks the classes or groups that it needs."""
        if self.method == "stratified" and self.classes is None:
            raise DataError("a stratified split needs a target with classes; use --split random", where=self.where)
        if self.groups is not None and len(np.unique(self.groups)) < 2:
            message = f"a split by group needs at least two groups; all rows belong to {self.groups[0]!r}"
            raise DataError(message, where=self.where)

    def move(self, splits: np.ndarray, to: str, fraction: float) -> None:
        """Move a fraction of the training rows to another split."""
        train = np.flatnonzero(splits == "train")
        if len(train) < 2:
            needed = len({*splits.tolist(), "train"}) + 1
            rows = "1 row is" if len(splits) == 1 else f"{len(splits):,} rows are"
            left = f"{rows} too few for a {to} split: at least {needed} are needed"
            if len(splits) >= needed:  # the source gives splits
                left = f"a {to} split needs at least 2 training rows; there are {len(train)}"
            if self.gap:
                left = f"the gap leaves too few rows for a {to} split: {len(train)} of {len(splits)} rows are before it"
            raise DataError(f"{left}; --{to}-size 0 leaves this split out", where=self.where)
        if self.method == "order":
            moved = train[len(train) - max(1, round(fraction * len(train))) :]
        elif self.method == "time":
            moved = self._latest(splits, train, to, fraction)
        elif self.groups is not None:
            moved = self._groups(train, to, fraction)
        else:
            moved = self._drawn(train, to, fraction)
        if len(moved) == 0 or len(moved) == len(train):
            raise DataError(f"cannot take a {to} split of {fraction:g} from {len(train)} rows", where=self.where)
        splits[moved] = to

    def _latest(self, splits: np.ndarray, train: np.ndarray, to: str, fraction: float) -> np.ndarray:
        assert self.moments is not None
        moments = self.moments[train]
        first = require_cut(moments, fraction, to)
        splits[train[mask_gap(moments, first, self.gap)]] = ""
        return train[moments >= first]

    def _groups(self, train: np.ndarray, to: str, fraction: float) -> np.ndarray:
        assert self.groups is not None
        names, codes, counts = np.unique(self.groups[train], return_inverse=True, return_counts=True)
        if len(names) < 2:
            message = f"{len(names)} group is too few for a {to} split; a group is never divided"
            raise DataError(f"{message}; --{to}-size 0 leaves this split out", where=self.where)
        places = np.array([hash_to_fraction(name, f"{self.seed} {to}") for name in names])
        if self.method == "hash":
            return train[(places < fraction)[codes]]
        chosen: list[int] = []
        wanted, taken = fraction * len(train), 0
        for index in np.argsort(places):  # skip a group of which more than half would exceed the size
            if taken + counts[index] / 2 <= wanted and len(chosen) < len(names) - 1:
                chosen.append(int(index))
                taken += counts[index]
        return train[np.isin(codes, chosen or [int(counts.argmin())])]

    def _drawn(self, train: np.ndarray, to: str, fraction: float) -> np.ndarray:
        from sklearn.model_selection import train_test_split

        strata = None
        if self.method == "stratified":
            assert self.classes is not None
            names, counts = np.unique(self.classes[train], return_counts=True)
            # A class with a single row stays in training, since it cannot be divided.
            train = train[np.isin(self.classes[train], names[counts > 1])]
            strata = self.classes[train]
        seed = (self.seed + _DRAWS[to]) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                _, moved = train_test_split(train, test_size=fraction, stratify=strata, random_state=seed)
            except ValueError as error:
                message = f"cannot take a {to} split of {fraction:g} from {len(train)} rows: {error}"
                raise DataError(message, where=self.where) from None
        return np.asarray(moved)


def hash_to_fraction(name: object, salt: str) -> float:
    """Hash a name and a salt to a number in [0, 1), the same on every machine.

    Example:
        >>> hash_to_fraction("a", "0") == hash_to_fraction("a", "0") != hash_to_fraction("b", "0")
        True
    """
    digest = hashlib.sha256(f"{salt}\x1f{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def read_split_column(values: pd.Series, *, where: str) -> np.ndarray:
    """Return the split of each row from a column of the table.

    Raises:
        DataError: If a value is not train, validation (or valid, val), calibration or test.
    """
    splits = values.astype(str).str.strip().str.lower().map(SPELLINGS)
    if splits.isna().any():
        row = int(np.flatnonzero(splits.isna())[0])
        error = describe_unknown("split", str(values.iloc[row]), SPELLINGS)
        place = f"{where}, column {values.name}, row {find_source_row(values, row)}"
        raise DataError(error.message, where=place, nearest=error.nearest)
    return splits.to_numpy(dtype="<U11")


# --- suggested sizes ---

_TEST_ROWS = 10_000
_ROWS_A_HYPERPARAMETER = 500


def suggest_sizes(
    rows: int,
    hyperparameters: int,
    splits: Collection[str] = ("test", "validation"),
    *,
    classes: bool = True,
    unit: str = "rows",
) -> tuple[float, float, str]:
    """Return suggested sizes of the test and validation splits for a number of rows, and the reason in words.

    With 10,000 test rows, accuracy is known to within one percentage point, and more rows are better used for
    training. The validation split selects hyperparameters: with few of them it may be small. Without any it only
    selects the number of epochs, by early stopping; training for a fixed number of epochs needs no validation split.

    Args:
        rows: Number of rows.
        hyperparameters: Number of hyperparameters to tune; 500 rows for each, and as many for early stopping, are
            enough.
        splits: The splits that the reason describes.
        classes: Whether each row has a class, so that the reason says how well accuracy is known.
        unit: What a row is, in the reason.

    Example:
        >>> suggest_sizes(1_000_000, 0)[:2]
        (0.01, 0.01)
    """
    test = min(0.2, _TEST_ROWS / rows)
    rest = rows * (1 - test)
    wanted = _ROWS_A_HYPERPARAMETER * (hyperparameters + 1)
    validation = min(0.25 if hyperparameters else 0.15, max(wanted / rest, 0.01))
    test, validation = round(max(test, 0.01), 3), round(validation, 3)
    sides = 196 * np.sqrt(0.25 / (rows * test))
    choice = "is enough for early stopping (none is needed for a fixed number of epochs: --validation-size 0)"
    if hyperparameters:
        tuned = f"{hyperparameters} hyperparameter{'s' if hyperparameters > 1 else ''}"
        choice = f"is enough to tune {tuned}"
        if round(rest * validation) < round(0.99 * wanted):
            choice = f"is less than the {wanted:,} {unit} that it takes to tune {tuned}"
    precision = f" give accuracy to within {sides:.2g} percentage points" if classes else ""
    reasons = {
        "test": f"test {test:g}: {round(rows * test):,} {unit}{precision}",
        "validation": f"validation {validation:g} of the rest, which {choice}",
    }
    words = [reason for split, reason in reasons.items() if split in splits]
    if words and rows < 1000:
        words.append(f"with so few {unit}, consider --cv 5")
    return test, validation, "; ".join(words)
