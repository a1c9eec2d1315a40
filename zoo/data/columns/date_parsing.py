"""Dates: the format that a column has them in, seconds since 1970, and the parts of the calendar."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

PRACTICALLY_ALL = 0.99
SAMPLE, GUESSES = 200, 20
# Seconds from the first to the last year that a calendar of four digits has.
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0
PARTS = ("year", "month", "day", "weekday", "hour", "season_sin", "season_cos", "elapsed")
DAYS_A_YEAR = 365.25
_DATE = re.compile(r"\d.*[-/. ,]\s*\w|\w+ \d{1,2},? \d{4}")
_DAY_FIRST, _MONTH_FIRST = re.compile(r"^%d.%m"), re.compile(r"^%m.%d")


@dataclass(frozen=True)
class DateFormat:
    """How a column spells its dates.

    Args:
        format: The format in the words of ``strptime``.
        remark: What was decided and might be otherwise; empty when nothing was.
    """

    format: str
    remark: str = ""


def find_date_format(texts: np.ndarray) -> DateFormat | None:
    """Return the one format that practically all texts are dates in; None where there is none.

    Whether ``3/4/2020`` is in March or in April the column decides: a 13 can only be a day. Where both fit, the month
    is first with slashes and the day with anything else, and the remark says so.

    Args:
        texts: N texts of a column, each once is enough.

    Example:
        >>> find_date_format(np.array(["13/04/2020", "01/02/2021"])).format
        '%d/%m/%Y'
    """
    sample = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
    first = [str(text).strip() for text in sample[:GUESSES]]
    if not first or sum(bool(_DATE.search(text)) for text in first) < 0.9 * len(first):
        return None
    fitting = [form for form in _guesses(first) if _share(sample, form) >= PRACTICALLY_ALL]
    shares = {form: _share(texts, form) for form in fitting}
    best = max(shares.values(), default=0.0)
    fitting = [form for form, share in shares.items() if share >= PRACTICALLY_ALL and share == best]
    if not fitting:
        return None
    slashes = "/" in str(first[0])
    wanted = _MONTH_FIRST if slashes else _DAY_FIRST
    chosen = next((form for form in fitting if wanted.match(form)), fitting[0])
    other = next((form for form in fitting if form != chosen), None)
    if other is None:
        return DateFormat(chosen)
    order = "month before day" if _MONTH_FIRST.match(chosen) else "day before month"
    return DateFormat(chosen, f"the dates are read {order}, and none tells; the other way is date:{other}")


def seconds_of(values: pd.Series, form: str | None) -> np.ndarray:
    """Return moments as seconds since 1970 in UTC, 64-bit floats (N,); not a number where it is none.

    A moment without a time zone is one of UTC.

    Args:
        values: N dates: of a type of dates, or as text (or numbers such as 20240131) in the format.
        form: The format of text; None for what ISO 8601 spells.
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        values = values.astype("Int64").astype("string")
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = values.astype(object).map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moments = pd.to_datetime(values, format=form or "ISO8601", errors="coerce", utc=True)
    stamps = moments.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")  # of nanoseconds 1677 is the first year
    made = np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 1e6)
    return np.clip(made, EARLIEST, LATEST)


def calendar_parts(seconds: np.ndarray) -> dict[str, np.ndarray]:
    """Return the parts of the calendar of N moments, each (N,), by the names of ``PARTS``.

    The season is the day of the year on a circle, so that December is beside January; what has elapsed is in days.

    Args:
        seconds: (N,) since 1970 in UTC, none missing.

    Example:
        >>> {name: part[0] for name, part in calendar_parts(np.array([0.0])).items() if name in ("year", "weekday")}
        {'year': 1970.0, 'weekday': 3.0}
    """
    days = np.floor(seconds).astype("datetime64[s]").astype("datetime64[D]")
    months, years = days.astype("datetime64[M]"), days.astype("datetime64[Y]")
    angle = 2 * np.pi * (days - years.astype("datetime64[D]")).astype(np.float64) / DAYS_A_YEAR
    parts = (
        years.astype(np.int64) + 1970,
        months.astype(np.int64) % 12 + 1,
        (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
        (days.astype(np.int64) + 3) % 7,  # 1970 began on a Thursday; Monday is 0
        (seconds % 86_400) / 3600,
        np.sin(angle),
        np.cos(angle),
        seconds / 86_400,
    )
    return {name: np.asarray(part, np.float64) for name, part in zip(PARTS, parts, strict=True)}


def spelled(seconds: float) -> str:
    """Return a moment as ISO 8601 spells it, without a time of midnight."""
    text = str(np.datetime64(int(np.floor(seconds)), "s")).replace("T", " ")
    return text.removesuffix(" 00:00:00")


def _guesses(texts: list[str]) -> list[str]:
    """Formats that may be meant, in the order of the texts: those that name a year, a month and a day."""
    found: dict[str, None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in texts:
            for day_first in (False, True):
                form = guess_datetime_format(text, dayfirst=day_first)
                if form is not None and _whole(form):
                    found[form] = None
                    if _DAY_FIRST.match(form) or _MONTH_FIRST.match(form):  # what pandas cannot take otherwise
                        found[f"%{'m' if form[1] == 'd' else 'd'}{form[2]}%{form[1]}{form[5:]}"] = None
    return list(found)


def _whole(form: str) -> bool:
    """Whether a format names year, month and day; after the year nobody writes the day before the month."""
    named = all(any(part in form for part in parts) for parts in (("%Y", "%y"), ("%m", "%b", "%B"), ("%d",)))
    return named and not re.match(r"%Y.?%d", form)


def _share(texts: np.ndarray, form: str) -> float:
    return float(np.isfinite(seconds_of(pd.Series(texts, dtype=object), form)).mean())
