"""Rows in the order of time: moments as numbers, cuts between them, and gaps."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd

from zoo.data.limits import row_in_source
from zoo.errors import DataError, UsageError


def read_moments(values: pd.Series) -> pd.Series:
    """Return moments in text, of any offset from UTC, as moments of UTC; missing where they cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas': that it guesses each form by itself
        return pd.to_datetime(values, errors="coerce", utc=True)


def moments_of(values: pd.Series, *, where: str) -> tuple[np.ndarray, bool]:
    """Return a column of moments as numbers (N,), and whether they are dates, which count in seconds.

    Raises:
        DataError: When one is missing, or cannot be read as a date; the message names the row.
    """
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
        place = f"{where}, column {values.name}, row {row_in_source(values, row)}"
        known = "a date such as 2024-01-31 13:00" if dates else "a number"
        raise DataError(f"{values.iloc[row]!r} is no moment; it must be {known}", where=place)
    if len(numbers) and numbers.min() == numbers.max():
        raise DataError(f"all rows have the same moment {values.iloc[0]}", where=f"{where}, column {values.name}")
    return numbers, dates


def gap_of(text: str | None, dates: bool) -> float:
    """Return a gap as a number of the column's units: seconds between dates, else as it stands.

    Raises:
        UsageError: When it is none, or negative.

    Example:
        >>> gap_of("1d", True), gap_of("3", False)
        (86400.0, 3.0)
    """
    if text is None:
        return 0.0
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        if not dates:
            return float(text)
        raise UsageError(f"received {text!r}; between dates it needs a unit, such as {text}d or {text}h", where="gap")
    try:
        seconds = pd.Timedelta(re.sub("d$", "D", text)).total_seconds() if dates else -1.0
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        known = "a time such as 7d, 12h or 30min" if dates else "a number in the column's units, such as 7"
        raise UsageError(f"received {text!r}; it must be {known}", where="gap")
    return seconds


def cut_before(moments: np.ndarray, share: float) -> float:
    """Return the moment that the latest ``share`` of rows begins with, as near as moments allow: they stay whole."""
    known, counts = np.unique(moments, return_counts=True)
    later = np.cumsum(counts[::-1])[::-1] / len(moments)  # share of the rows from each moment on
    return float(known[1:][np.argmin(np.abs(later[1:] - share))])


def latest_moment(moments: np.ndarray, share: float, split: str) -> float:
    """Return :func:`cut_before`, or say that there is but one moment."""
    if moments.min() == moments.max():
        raise DataError(f"one moment is too few for a {split} part: rows of a moment stay together")
    return cut_before(moments, share)


def without_gap(moments: np.ndarray, first: float, gap: float) -> np.ndarray:
    """Return which rows (N,) lie in the gap before a part that begins with the moment ``first``."""
    return (moments < first) & (moments >= first - gap) if gap > 0 else np.zeros(len(moments), bool)
