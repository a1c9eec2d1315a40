"""Dates: detect a column's format, and convert to seconds since 1970."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from zoo.portable.rows import EARLIEST, LATEST

PRACTICALLY_ALL = 0.99
SAMPLE, GUESSES = 200, 20
_DATE = re.compile(r"\d.*[-/. ,]\s*\w|\w+ \d{1,2},? \d{4}")
_DAY_FIRST, _MONTH_FIRST = re.compile(r"^%d.%m"), re.compile(r"^%m.%d")


@dataclass(frozen=True)
class DateFormat:
    """The date format of a column.

    Args:
        format: The ``strptime`` format.
        remark: Note on an ambiguous format; empty if there is no ambiguity.
    """

    format: str
    remark: str = ""


def find_date_format(texts: np.ndarray) -> DateFormat | None:
    """Return the date format that practically all texts have; None if there is none.

    The whole column decides whether ``3/4/2020`` is in March or in April: a 13 can only be a day. If both fit, the
    month is first with slashes and the day with any other separator, and the remark says so.

    Args:
        texts: N texts of a column; duplicates are not needed.

    Example:
        >>> find_date_format(np.array(["13/04/2020", "01/02/2021"])).format
        '%d/%m/%Y'
    """
    sample = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
    first = [str(text).strip() for text in sample[:GUESSES]]
    if not first or sum(bool(_DATE.search(text)) for text in first) < 0.9 * len(first):
        return None
    fitting = [form for form in _guesses(first) if _share(sample, form) >= PRACTICALLY_ALL]
    fractions = {form: _share(texts, form) for form in fitting}
    best = max(fractions.values(), default=0.0)
    fitting = [form for form, fraction in fractions.items() if fraction >= PRACTICALLY_ALL and fraction == best]
    if not fitting:
        return None
    slashes = "/" in str(first[0])
    wanted = _MONTH_FIRST if slashes else _DAY_FIRST
    chosen = next((form for form in fitting if wanted.match(form)), fitting[0])
    other = next((form for form in fitting if form != chosen), None)
    if other is None:
        return DateFormat(chosen)
    order = "month before day" if _MONTH_FIRST.match(chosen) else "day before month"
    return DateFormat(chosen, f"the dates are ambiguous and are read {order}; for the other order use date:{other}")


def convert_to_seconds(values: pd.Series, form: str | None) -> np.ndarray:
    """Return dates as seconds since 1970 in UTC, float64 (N,), NaN where a value is not a date.

    A date without a time zone is in UTC.

    Args:
        values: N dates of a date dtype, or text (or numbers such as 20240131) in the format.
        form: The date format; None for ISO 8601.
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        values = values.astype("Int64").astype("string")
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = values.astype(object).map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moments = pd.to_datetime(values, format=form or "ISO8601", errors="coerce", utc=True)
    stamps = moments.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")  # nanoseconds would begin in 1677
    seconds = np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 1e6)
    return np.clip(seconds, EARLIEST, LATEST)


def format_date(seconds: float) -> str:
    """Return a date in ISO 8601, without the time if it is midnight."""
    text = str(np.datetime64(int(np.floor(seconds)), "s")).replace("T", " ")
    return text.removesuffix(" 00:00:00")


def _guesses(texts: list[str]) -> list[str]:
    """Return candidate formats that have a year, a month and a day, in order of first appearance."""
    formats: dict[str, None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in texts:
            for day_first in (False, True):
                form = guess_datetime_format(text, dayfirst=day_first)
                if form is not None and _whole(form):
                    formats[form] = None
                    if _DAY_FIRST.match(form) or _MONTH_FIRST.match(form):  # pandas does not offer the swapped order
                        formats[f"%{'m' if form[1] == 'd' else 'd'}{form[2]}%{form[1]}{form[5:]}"] = None
    return list(formats)


def _whole(form: str) -> bool:
    """Return whether a format has year, month and day; year-day-month is not a format that people use."""
    named = all(any(part in form for part in parts) for parts in (("%Y", "%y"), ("%m", "%b", "%B"), ("%d",)))
    return named and not re.match(r"%Y.?%d", form)


def _share(texts: np.ndarray, form: str) -> float:
    return float(np.isfinite(convert_to_seconds(pd.Series(texts, dtype=object), form)).mean())
