"""The time axis of a set of series: its regular step, and the calendar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zoo.data.limits import find_source_row
from zoo.data.splitting.time_order import read_counts, read_moments
from zoo.errors import DataError

NUMBER, SECONDS, MONTHS = "number", "seconds", "months"
DAY_S = 86_400
UNITS_S = {DAY_S: "day", 3600: "hour", 60: "minute", 1: "second"}
SHORTEST_MONTH_S = 27.5 * DAY_S
# A step this many times smaller than the usual one is that of irregular times, not of regular ones with gaps.
MOST_FINER = 10
# Length of the season by step in seconds, and by step in months.
SEASONS_S = {3600: 24, DAY_S: 7, 7 * DAY_S: 52}
SEASONS_MONTHS = {1: 12, 3: 4}
CALENDAR = {"hour": 24, "weekday": 7, "month": 12}


@dataclass(frozen=True)
class TimeAxis:
    """The regular step of all series.

    Args:
        unit: ``number``, ``seconds`` or ``months``.
        step: Length of a step in that unit.
        at_month_end: Whether all dates are the last of their month.

    Example:
        >>> TimeAxis("seconds", 3600).describe(), TimeAxis("months", 3).describe()
        ('1 hour', '3 months')
        >>> TimeAxis("months", 3).season, TimeAxis("seconds", 3600).season, TimeAxis("number", 1).season
        (4, 24, None)
    """

    unit: str
    step: float
    at_month_end: bool = False

    @property
    def season(self) -> int | None:
        """The usual number of steps in a season; None if the unit does not say."""
        if self.unit == MONTHS:
            return SEASONS_MONTHS.get(int(self.step), 1)
        if self.unit == SECONDS:
            return SEASONS_S.get(int(self.step)) or (round(DAY_S / self.step) if self.step < DAY_S / 2 else 1)
        return None

    @property
    def calendar(self) -> tuple[str, ...]:
        """The features of the calendar that differ between steps."""
        if self.unit == NUMBER:
            return ()
        if self.unit == MONTHS:
            return ("month",) if self.step < 12 else ()
        names = ("hour", "weekday", "month") if self.step < DAY_S else ("weekday", "month")
        return ("month",) if self.step > DAY_S else names

    def describe(self) -> str:
        """Return the step in words, such as ``1 month``."""
        count, unit = self.step, self.unit.removesuffix("s")
        if self.unit == NUMBER:
            return f"{count:g}"
        if self.unit == SECONDS:
            size, unit = next((size, name) for size, name in UNITS_S.items() if count % size == 0 or size == 1)
            count = count / size
        return f"{count:g} {unit}{'s' if count != 1 else ''}"

    def places(self, times: pd.Series) -> np.ndarray:
        """Return the step of each of a series' sorted times (N,), from its first; fractions lie between steps."""
        return _distances(times, self.unit) / self.step

    def extend(self, first: object, places: np.ndarray) -> pd.Series:
        """Return the times that lie so many steps after the first one of a series."""
        if self.unit == NUMBER:
            return pd.Series(np.asarray(first, float) + places * self.step)
        moment = pd.Timestamp(first)  # type: ignore[arg-type]
        if self.unit == SECONDS:
            return pd.Series(moment + pd.to_timedelta(places * self.step, unit="s"))
        months = [moment + pd.DateOffset(months=int(place * self.step)) for place in places]
        return pd.Series([month + pd.offsets.MonthEnd(0) if self.at_month_end else month for month in months])

    def encode_calendar(self, times: pd.Series) -> np.ndarray:
        """Return sine and cosine of each feature of the calendar (N, 2 * features)."""
        parts = {"hour": lambda t: t.dt.hour + t.dt.minute / 60, "weekday": lambda t: t.dt.day_of_week}
        parts["month"] = lambda t: t.dt.month - 1 + (t.dt.day - 1) / 31
        angles = [2 * np.pi * parts[name](times).to_numpy(float) / CALENDAR[name] for name in self.calendar]
        columns = [function(angle) for angle in angles for function in (np.sin, np.cos)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(times), 0))


def read_times(values: pd.Series, where: str) -> pd.Series:
    """Return times as numbers, or as moments in UTC without a zone.

    Raises:
        DataError: If one is missing or cannot be read, or only some have an offset from UTC.
    """
    counts = _read_written_dates(read_counts(values))
    if pd.api.types.is_numeric_dtype(counts.dtype):
        times = counts.astype(float)
    else:
        _check_zones(values, where)
        times = read_moments(counts).dt.tz_localize(None)
    wrong = times.isna().to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = f"{where}, column {values.name}, row {find_source_row(values, row)}"
        raise DataError(
            f"{values.iloc[row]!r} is not a time; expected a date such as 2024-01-31 or a number", where=place
        )
    return times


def find_axis(groups: Sequence[pd.Series], where: str) -> TimeAxis:
    """Return the time axis of series, from the distances between their times.

    Args:
        groups: Sorted times of each series.
        where: Name of the source in error messages.

    Raises:
        DataError: If the times have no regular step.
    """
    numeric = all(pd.api.types.is_numeric_dtype(times.dtype) for times in groups)
    unit = NUMBER if numeric else SECONDS
    gaps = _list_gaps(groups, unit)
    if not numeric and gaps.min() >= SHORTEST_MONTH_S and all(_on_one_day(times) for times in groups):
        unit = MONTHS
        gaps = _list_gaps(groups, unit)
    scale = 1.0 if unit != NUMBER else float(gaps.min())
    whole = np.rint(gaps / scale)
    step = float(np.gcd.reduce(whole.astype(np.int64))) * scale
    if not np.allclose(whole * scale, gaps, rtol=1e-6) or step * MOST_FINER < np.median(gaps):
        shown = ", ".join(TimeAxis(unit, float(gap)).describe() for gap in np.unique(gaps)[:3])
        message = f"the times are irregular, with steps of {shown}, …; forecasting needs one regular step"
        raise DataError(f"{message}: aggregate the rows, for example by day", where=where)
    return TimeAxis(unit, step, unit == MONTHS and all(times.dt.is_month_end.all() for times in groups))


def format_times(times: pd.Series) -> list[object]:
    """Return times as the table of predictions shows them: integers, numbers, dates or moments."""
    if pd.api.types.is_numeric_dtype(times.dtype):
        whole = np.allclose(times, np.rint(times))
        return [round(value) for value in times] if whole else times.tolist()
    midnight = (times == times.dt.normalize()).all()
    return list(times.dt.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M:%S"))


def _read_written_dates(values: pd.Series) -> pd.Series:
    """Return integers such as 20240131 or 202401 as dates, if all are, and other times as they are."""
    if not pd.api.types.is_integer_dtype(values.dtype) or not len(values):
        return values
    for form, low, high in (("%Y%m%d", 19_000_101, 21_001_231), ("%Y%m", 190_001, 210_012)):
        if values.between(low, high).all():
            dates = pd.to_datetime(values.astype(str), format=form, errors="coerce")
            return dates if dates.notna().all() else values
    return values


def _distances(times: pd.Series, unit: str) -> np.ndarray:
    """Return the distance of each time from the first, in a unit."""
    if unit == NUMBER:
        return np.asarray(times - times.iloc[0], float)
    if unit == SECONDS:
        return np.asarray((times - times.iloc[0]).dt.total_seconds(), float)
    months = times.dt.year * 12 + times.dt.month
    return np.asarray(months - months.iloc[0], float)


def _list_gaps(groups: Sequence[pd.Series], unit: str) -> np.ndarray:
    gaps = [np.diff(_distances(times, unit)) for times in groups if len(times) > 1]
    return np.concatenate(gaps) if gaps else np.ones(1)


def _on_one_day(times: pd.Series) -> bool:
    """Return whether all dates lie on one day of the month, or on its end."""
    return times.dt.day.nunique() == 1 or bool(times.dt.is_month_end.all())


def _check_zones(values: pd.Series, where: str) -> None:
    texts = values[values.map(lambda value: isinstance(value, str))]
    if not len(texts):
        return
    has_offset = texts.str.contains(r":\d\d.*(?:Z|[+-]\d\d:?\d\d)\s*$", regex=True)
    if has_offset.any() and not has_offset.all():
        row = int(np.flatnonzero(~has_offset.to_numpy())[0])
        place = f"{where}, column {values.name}, row {find_source_row(texts, row)}"
        raise DataError(f"{texts.iloc[row]!r} has no offset from UTC, but other times have; use one form", where=place)
