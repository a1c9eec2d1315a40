"""Splits in time: times as numbers, cut points, and gaps."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd

from zoo.data.columns.number_notation import LEADING_ZERO, PLAIN_INTEGER
from zoo.data.limits import find_source_row
from zoo.errors import DataError, UsageError


def read_moments(values: pd.Series) -> pd.Series:
    """Parse times in text, with any UTC offset, as UTC; missing where they cannot be parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pandas, about mixed formats
        return pd.to_datetime(values, errors="coerce", utc=True)


def read_counts(values: pd.Series) -> pd.Series:
    """Return times that are integers with leading zeros, such as 007, as numbers, and other times as they are.

    Example:
        >>> read_counts(pd.Series(["007", 12])).tolist()
        [7, 12]
    """
    texts = [cell for cell in values if isinstance(cell, str)]
    if not texts or not all(LEADING_ZERO.fullmatch(text) or PLAIN_INTEGER.fullmatch(text) for text in texts):
        return values
    return pd.to_numeric(values) if any(map(LEADING_ZERO.fullmatch, texts)) else values


def parse_times(values: pd.Series, *, where: str) -> tuple[np.ndarray, bool]:
    """Return a column of times as numbers (N,), and whether they are dates, which are in seconds.

    Raises:
        DataError: If one is missing, or cannot be parsed as a date; the message names the row.
    """
    values = read_counts(values)
    dates = not pd.api.types.is_numeric_dtype(values.dtype)
    if dates:
        numbers = (
            (read_moments(values) - pd.Timestamp(0, tz="UTC"))
            .dt.total_seconds()
            .to_numpy(dtype=np.float64, na_value=np.nan)
        )
    else:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = f"{where}, column {values.name}, row {find_source_row(values, row)}"
        expected = "a date such as 2024-01-31 13:00" if dates else "a number"
        raise DataError(f"{values.iloc[row]!r} is not a time; expected {expected}", where=place)
    if len(numbers) and numbers.min() == numbers.max():
        raise DataError(f"all rows have the same time {values.iloc[0]}", where=f"{where}, column {values.name}")
    return numbers, dates


def parse_gap(text: str | None, dates: bool) -> float:
    """Return a gap in the column's units: seconds for dates, else the number itself.

    Raises:
        UsageError: If it cannot be parsed, or is negative.

    Example:
        >>> parse_gap("1d", True), parse_gap("3", False)
        (86400.0, 3.0)
    """
    if text is None:
        return 0.0
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        if not dates:
            return float(text)
        raise UsageError(f"received {text!r}; for dates a unit is needed, such as {text}d or {text}h", where="gap")
    try:
        seconds = pd.Timedelta(re.sub("d$", "D", text)).total_seconds() if dates else -1.0
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        expected = "a duration such as 7d, 12h or 30min" if dates else "a number in the column's units, such as 7"
        raise UsageError(f"received {text!r}; expected {expected}", where="gap")
    return seconds


def find_cut(moments: np.ndarray, fraction: float) -> float:
    """Return the time at which the latest ``fraction`` of rows begins; rows with the same time stay together."""
    distinct, counts = np.unique(moments, return_counts=True)
    later = np.cumsum(counts[::-1])[::-1] / len(moments)  # fraction of the rows from each time on
    return float(distinct[1:][np.argmin(np.abs(later[1:] - fraction))])


def require_cut(moments: np.ndarray, fraction: float, split: str) -> float:
    """Return :func:`find_cut`, or raise DataError if all rows have the same time."""
    if moments.min() == moments.max():
        raise DataError(f"a {split} split needs at least two different times: rows with the same time stay together")
    return find_cut(moments, fraction)


def mask_gap(moments: np.ndarray, first: float, gap: float) -> np.ndarray:
    """Return a mask (N,) of the rows in the gap before a split that begins at the time ``first``."""
    return (moments < first) & (moments >= first - gap) if gap > 0 else np.zeros(len(moments), bool)
