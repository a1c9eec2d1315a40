"""Splitting rows into train, calibration, validation and test."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zoo.data.dataset import SPELLINGS
from zoo.data.splitting.time_order import latest_moment, without_gap
from zoo.errors import DataError, unknown

# The part that a draw takes its rows for, and what the draw's seed is raised by: each part has a draw of its own.
_DRAWS = {"test": 0, "validation": 1, "calibration": 2}


@dataclass(frozen=True)
class Splitter:
    """What decides which part a row belongs to, beside what the source says of itself.

    Args:
        method: ``random``, ``stratified``, ``order`` (the last rows are the test part), ``group`` (rows of a group
            stay together), ``hash`` (as group, and a group's side depends on nothing but its name) or ``time`` (the
            latest are the test part; rows of one moment stay together).
        test_size: Share of all rows that becomes the test part.
        validation_size: Share of the rows that are not test that becomes the validation part.
        calibration_size: Share of the rows left after these that becomes the calibration part.
        seed: Seed of the draws.
        classes: Class of each row (N,), for ``stratified``.
        groups: Group of each row (N,) by name, for ``group`` and ``hash``.
        moments: Moment of each row (N,) as a number, for ``time``.
        gap: What is left out between two moments that a part ends and the next begins with.
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

    def splits(self, rows: int, given: np.ndarray | None = None) -> np.ndarray:
        """Return the part of each row.

        Parts that ``given`` holds stay as they are; a validation or test part that it lacks is drawn
        from its training rows (the test part only where nothing at all is given).

        Args:
            rows: Number of rows N.
            given: Split of each row as the source has it; ``""`` for none.

        Returns:
            ``train``, ``calibration``, ``validation`` or ``test`` for each of N rows, or ``""`` for none of them.

        Raises:
            DataError: When there are too few rows, groups or moments for such a split.

        Example:
            >>> parts = Splitter("random", test_size=0.2, validation_size=0.25).parts(10)
            >>> sorted(parts.tolist()).count("validation")
            2
        """
        self.check()
        splits = np.full(rows, "train", dtype="<U11") if given is None else given.astype("<U11")
        if given is None and self.test_size > 0:
            self.move(splits, "test", self.test_size)
        return self.inner_parts(splits)

    def inner_parts(self, splits: np.ndarray) -> np.ndarray:
        """Draw validation and calibration parts out of the training rows, where there are none yet."""
        for name, share in (("validation", self.validation_size), ("calibration", self.calibration_size)):
            if share > 0 and not np.any(splits == name):
                self.move(splits, name, share)
        if not np.any(splits == "train"):
            raise DataError("the split leaves no training rows")
        return splits

    def check(self) -> None:
        """Raise DataError where the method lacks what it goes by."""
        if self.method == "stratified" and self.classes is None:
            raise DataError("a stratified split needs a target with classes; use --split random")
        if self.groups is not None and len(np.unique(self.groups)) < 2:
            raise DataError(f"a split by group needs two groups at least, and all rows are of {self.groups[0]!r}")

    def move(self, splits: np.ndarray, to: str, share: float) -> None:
        """Move a share of the training rows to another part."""
        train = np.flatnonzero(splits == "train")
        if len(train) < 2:
            left = f"{len(splits)} rows are too few for a {to} part"
            if self.gap:
                left = f"the gap leaves no rows for a {to} part: of {len(splits)} rows {len(train)} are left before it"
            raise DataError(left)
        if self.method == "order":
            moved = train[len(train) - max(1, round(share * len(train))) :]
        elif self.method == "time":
            moved = self._latest(splits, train, to, share)
        elif self.groups is not None:
            moved = self._groups(train, to, share)
        else:
            moved = self._drawn(train, to, share)
        if len(moved) == 0 or len(moved) == len(train):
            raise DataError(f"cannot take a {to} part of {share:g} from {len(train)} rows")
        splits[moved] = to

    def _latest(self, splits: np.ndarray, train: np.ndarray, to: str, share: float) -> np.ndarray:
        assert self.moments is not None
        moments = self.moments[train]
        first = latest_moment(moments, share, to)
        splits[train[without_gap(moments, first, self.gap)]] = ""
        return train[moments >= first]

    def _groups(self, train: np.ndarray, to: str, share: float) -> np.ndarray:
        assert self.groups is not None
        names, codes, counts = np.unique(self.groups[train], return_inverse=True, return_counts=True)
        if len(names) < 2:
            raise DataError(f"{len(names)} group is too few for a {to} part; a group is never on two sides")
        places = np.array([hashed_share(name, f"{self.seed} {to}") for name in names])
        if self.method == "hash":
            return train[(places < share)[codes]]
        chosen: list[int] = []
        wanted, taken = share * len(train), 0
        for index in np.argsort(places):  # a group that would take more than is left, by more than half, is passed over
            if taken + counts[index] / 2 <= wanted and len(chosen) < len(names) - 1:
                chosen.append(int(index))
                taken += counts[index]
        return train[np.isin(codes, chosen or [int(counts.argmin())])]

    def _drawn(self, train: np.ndarray, to: str, share: float) -> np.ndarray:
        from sklearn.model_selection import train_test_split

        strata = None
        if self.method == "stratified":
            assert self.classes is not None
            names, counts = np.unique(self.classes[train], return_counts=True)
            # A class whose only row is left stays in training: it cannot be on both sides.
            train = train[np.isin(self.classes[train], names[counts > 1])]
            strata = self.classes[train]
        seed = (self.seed + _DRAWS[to]) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                _, moved = train_test_split(train, test_size=share, stratify=strata, random_state=seed)
            except ValueError as error:
                raise DataError(f"cannot take a {to} part of {share:g} from {len(train)} rows: {error}") from None
        return np.asarray(moved)


def hashed_share(name: object, salt: str) -> float:
    """Return a number in [0, 1) that depends on a name and a salt alone, the same on every machine.

    Example:
        >>> hashed_share("a", "0") == hashed_share("a", "0") != hashed_share("b", "0")
        True
    """
    digest = hashlib.sha256(f"{salt}\x1f{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def parts_of_column(values: pd.Series, *, where: str) -> np.ndarray:
    """Return the parts that a column of the table names.

    Raises:
        DataError: When a value is none of train, validation (or valid, val), calibration and test.
    """
    splits = values.astype(str).str.strip().str.lower().map(SPELLINGS)
    if splits.isna().any():
        row = int(np.flatnonzero(splits.isna())[0])
        error = unknown("part", str(values.iloc[row]), SPELLINGS)
        raise DataError(error.message, where=f"{where}, column {values.name}, row {row + 1}", nearest=error.nearest)
    return splits.to_numpy(dtype="<U11")


# --- what number of rows asks for ---

_TEST_ROWS = 10_000
_ROWS_A_HYPERPARAMETER = 500


def suggested_sizes(
    rows: int, hyperparameters: int, told: Collection[str] = ("test", "validation")
) -> tuple[float, float, str]:
    """Return the shares of test and validation that a number of rows asks for, and the reason in words.

    Of 10,000 test rows a share of right ones is known to within one percentage point, so that more would be lost to
    training. A validation part chooses hyperparameters: with few of them it may be small, and without any it has
    early stopping to decide alone.

    Args:
        rows: Number of rows.
        hyperparameters: Number of hyperparameters that are to be chosen.
        told: The parts that the reason is about.

    Example:
        >>> suggested_sizes(1_000_000, 0)[:2]
        (0.01, 0.01)
    """
    test = min(0.2, _TEST_ROWS / rows)
    rest = rows * (1 - test)
    wanted = _ROWS_A_HYPERPARAMETER * (hyperparameters + 1)
    validation = min(0.25 if hyperparameters else 0.15, max(wanted / rest, 0.01))
    test, validation = round(max(test, 0.01), 3), round(validation, 3)
    sides = 196 * np.sqrt(0.25 / (rows * test))
    choice = f"chooses among {hyperparameters} hyperparameters" if hyperparameters else "is enough to tell when to stop"
    reasons = {
        "test": f"test {test:g}: its {round(rows * test):,} rows tell a share to within {sides:.2g} percentage points",
        "validation": f"validation {validation:g} of the rest, which {choice}",
    }
    words = [reason for split, reason in reasons.items() if split in told]
    if words and rows < 1000:
        words.append("of so few rows --cv 5 makes more")
    return test, validation, "; ".join(words)
