"""What the checks of a report are given, and what they give back."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import Column
from zoo.data.columns.date_parsing import seconds_of
from zoo.errors import MOST_LISTED

Level = Literal["ok", "note", "warning"]
OK: Level = "ok"
NOTE: Level = "note"
WARNING: Level = "warning"
MOST_COLUMNS = 300  # that are looked at one by one
MOST_ROWS = 10_000  # of which the expensive checks take a sample
_NUMERIC = ("number", "code", "date")


@dataclass(frozen=True)
class Finding:
    """A verdict of one check.

    Args:
        topic: What was checked, such as ``duplicates``.
        level: ``ok``, ``note`` or ``warning``.
        text: The verdict in a line.
        advice: What to do about it, as an option to type; empty for nothing.
        evidence: Figures behind it, a line each.
    """

    topic: str
    level: Level
    text: str
    advice: str = ""
    evidence: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON has it."""
        return {
            "topic": self.topic,
            "level": self.level,
            "text": self.text,
            "advice": self.advice,
            "evidence": list(self.evidence),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Finding:
        """Return the finding that :meth:`as_dict` described."""
        return cls(**{**values, "evidence": tuple(values["evidence"])})


@dataclass(frozen=True)
class Facts:
    """A table as the checks see it.

    Args:
        frame: Features of N rows, the index is the row in the source.
        columns: What is known of each column.
        target: The target of N rows; None without.
        classes: Whether the target is classes.
        part: Split of each row, ``""`` for none.
        seed: Seed of samples.
        test_from: Number that the first row of a test source of its own has here; None without one.
    """

    frame: pd.DataFrame
    columns: Sequence[Column]
    target: pd.Series | None
    classes: bool
    split: np.ndarray
    seed: int = 0
    test_from: int | None = None
    _coded: dict[str, np.ndarray] = field(default_factory=dict)

    def kind(self, name: str) -> str:
        """Return the kind of a column."""
        return next((known.kind for known in self.columns if known.name == name), "category")

    def numeric(self, name: str) -> bool:
        """Tell whether a column holds numbers or dates."""
        return self.kind(name) in _NUMERIC

    def coded(self, name: str) -> np.ndarray:
        """Return a column as numbers (N,): numbers and seconds as they are, levels by how frequent they are."""
        if name not in self._coded:
            values = self.frame[name]
            if pd.api.types.is_numeric_dtype(values.dtype):  # a date may be seconds already
                # Where all are finite it is the frame's own memory, and no copy of it.
                plain = values.dtype == np.float64
                made = values.to_numpy() if plain else values.to_numpy(dtype=np.float64, na_value=np.nan)
                if np.isinf(made).any():
                    made = np.where(np.isinf(made), np.nan, made)
            elif self.kind(name) == "date":
                made = seconds_of(values, next((known.format for known in self.columns if known.name == name), None))
            else:
                text = values.astype(object).where(values.notna(), None).astype("string")
                order = text.value_counts().index
                made = np.asarray(pd.Categorical(text, categories=order).codes, np.float64)
                made[made < 0] = np.nan
            self._coded[name] = made
        return self._coded[name]

    def missing(self, name: str) -> np.ndarray:
        """Return which rows lack a value (N,)."""
        return np.asarray(self.frame[name].isna())

    @cached_property
    def target_codes(self) -> np.ndarray:
        """The target as numbers (N,): class index or the number itself."""
        assert self.target is not None
        if self.classes:
            return np.asarray(pd.factorize(self.target.astype(str), sort=True)[0], np.int64)
        return pd.to_numeric(self.target, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)

    @cached_property
    def sample(self) -> np.ndarray:
        """Positions of at most ``MOST_ROWS`` rows, in order."""
        rows = len(self.frame)
        if rows <= MOST_ROWS:
            return np.arange(rows)
        return np.sort(np.random.default_rng(self.seed).choice(rows, MOST_ROWS, replace=False))

    def _number(self, row: int) -> str:
        if self.test_from is not None and row >= self.test_from:
            return f"{row - self.test_from + 1} of the test source"
        return str(row + 1)

    def rows(self, positions: np.ndarray, most: int = 5, *, ordered: bool = True) -> str:
        """Return rows by their number in the source, for people: from 1 on, in order or as they are given."""
        numbers = np.asarray(self.frame.index[positions])
        shown = ", ".join(map(self._number, (np.sort(numbers) if ordered else numbers)[:most].tolist()))
        return shown + (f" and {len(positions) - most} more" if len(positions) > most else "")


def cramers_v(side: np.ndarray, codes: np.ndarray) -> tuple[float, float]:
    """Return how far levels (N,) go with one of two sides (N,), from 0 to 1 (Cramér 1946), and the p-value.

    Example:
        >>> cramers_v(np.array([0, 0, 1, 1]), np.array([5, 5, 7, 7]))[0]
        1.0
    """
    from scipy import stats

    codes = pd.factorize(codes)[0]
    table = np.zeros((2, codes.max() + 1))
    np.add.at(table, (side.astype(int), codes), 1)
    if table.shape[1] < 2:
        return 0.0, 1.0
    found = stats.chi2_contingency(table, correction=False)
    return float(np.sqrt(found.statistic / table.sum())), float(found.pvalue)


def evidence_of(found: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return a line for each of the first columns, out of its name and what was found."""
    return tuple(f"{name}: {text}" for name, text in found[:MOST_LISTED])


def option(name: str, value: str) -> str:
    """Return an option as it is typed in a shell.

    Example:
        >>> option("drop", "town name")
        "--drop 'town name'"
    """
    return f"--{name} {shlex.quote(value)}"


def share(value: float) -> str:
    """Return a share as a percentage for people.

    Example:
        >>> share(0.0312)
        '3.1 %'
    """
    if 0.995 < value < 1:  # all is all
        return f"{100 * min(value, 0.99999):.5g} %"
    return f"{100 * value:.2g} %" if value < 0.0995 else f"{100 * value:.0f} %"
