"""Input and output types of the checks of a data report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import Column
from zoo.data.columns.date_parsing import convert_to_seconds
from zoo.data.columns.encode import parse_numbers
from zoo.errors import MOST_LISTED

Level = Literal["ok", "note", "warning"]
OK: Level = "ok"
NOTE: Level = "note"
WARNING: Level = "warning"
MOST_COLUMNS = 300  # maximum number of columns that are checked one by one
MOST_ROWS = 10_000  # sample size of expensive checks
_NUMERIC = ("number", "code", "date")


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Args:
        topic: What was checked, such as ``duplicates``.
        level: ``ok``, ``note`` or ``warning``.
        text: The result in one line.
        advice: What to do about it, as an option to type; may be empty.
        evidence: Supporting figures, one per line.
        more: Number of further lines that were left out.
    """

    topic: str
    level: Level
    text: str
    advice: str = ""
    evidence: tuple[str, ...] = ()
    more: int = 0

    def shown(self, most: int | None = None) -> list[str]:
        """Return the evidence, at most ``most`` lines, and the number of lines left out."""
        lines = list(self.evidence[:most])
        left_out = len(self.evidence) - len(lines) + self.more
        return [*lines, f"and {left_out:,} more"] if left_out else lines

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as a JSON-compatible dict."""
        return {
            "topic": self.topic,
            "level": self.level,
            "text": self.text,
            "advice": self.advice,
            "evidence": list(self.evidence),
            "more": self.more,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Finding:
        """Create a finding from the result of :meth:`as_dict`."""
        return cls(**{**values, "evidence": tuple(values["evidence"])})


@dataclass(frozen=True)
class Facts:
    """A table as input of the checks.

    Args:
        frame: Features of N rows; the index is the row in the source.
        columns: Summary of each column.
        target: The target (N,); None without a target.
        classes: Whether the target has classes.
        split: Split of each row, ``""`` for none.
        seed: Seed of samples.
        test_from: Index of the first row of a separate test source; None without one.
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
        return next((column.kind for column in self.columns if column.name == name), "category")

    @cached_property
    def used(self) -> list[str]:
        """Names of the features, without columns that are left out, such as ids."""
        left_out = {column.name for column in self.columns if column.left_out}
        return [name for name in map(str, self.frame.columns) if name not in left_out]

    def numeric(self, name: str) -> bool:
        """Return whether a column has numbers or dates."""
        return self.kind(name) in _NUMERIC

    def coded(self, name: str) -> np.ndarray:
        """Return a column as numbers (N,): numbers and seconds unchanged, categories as ranks by frequency."""
        if name not in self._coded:
            values = self.frame[name]
            if pd.api.types.is_numeric_dtype(values.dtype):  # a date may be seconds already
                # No copy is made if all values are finite.
                plain = values.dtype == np.float64
                codes = values.to_numpy() if plain else values.to_numpy(dtype=np.float64, na_value=np.nan)
                if np.isinf(codes).any():
                    codes = np.where(np.isinf(codes), np.nan, codes)
            elif self.kind(name) == "date":
                codes = convert_to_seconds(values, self._format(name))
            elif self.kind(name) in _NUMERIC:  # texts, as which some people write numbers
                codes = parse_numbers(values, self._format(name) or "")[0]
            else:
                text = values.astype(object).where(values.notna(), None).astype("string")
                order = text.value_counts().index
                codes = np.asarray(pd.Categorical(text, categories=order).codes, np.float64)
                codes[codes < 0] = np.nan
            self._coded[name] = codes
        return self._coded[name]

    def _format(self, name: str) -> str | None:
        return next((column.format for column in self.columns if column.name == name), None)

    def missing(self, name: str) -> np.ndarray:
        """Return a mask (N,) of missing values."""
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
        """Return row numbers in the source, counted from 1, as text; sorted or in the given order."""
        numbers = np.asarray(self.frame.index[positions])
        shown = ", ".join(map(self._number, (np.sort(numbers) if ordered else numbers)[:most].tolist()))
        return shown + (f" and {len(positions) - most} more" if len(positions) > most else "")


def compute_cramers_v(side: np.ndarray, codes: np.ndarray) -> tuple[float, float]:
    """Return Cramér's V (1946) between categories (N,) and a binary variable (N,), and the p-value.

    Example:
        >>> compute_cramers_v(np.array([0, 0, 1, 1]), np.array([5, 5, 7, 7]))[0]
        1.0
    """
    from scipy import stats

    codes = pd.factorize(codes)[0]
    table = np.zeros((2, codes.max() + 1))
    np.add.at(table, (side.astype(int), codes), 1)
    if table.shape[1] < 2:
        return 0.0, 1.0
    test = stats.chi2_contingency(table, correction=False)
    return float(np.sqrt(test.statistic / table.sum())), float(test.pvalue)


def format_evidence(texts: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], int]:
    """Return one line per column, for the first columns, from pairs of name and text, and the number left out."""
    return tuple(f"{name}: {text}" for name, text in texts[:MOST_LISTED]), max(0, len(texts) - MOST_LISTED)


def format_option(name: str, value: str) -> str:
    """Return an option with its value, quoted for a shell.

    Example:
        >>> format_option("drop", "town name")
        "--drop 'town name'"
    """
    return f"--{name} {shlex.quote(value)}"
