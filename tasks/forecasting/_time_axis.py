"""The time axis of a set of series: its regular step, and the calendar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zoo.data.limits import find_source_row
from zoo.data.splitting.time_order import read_counts, read_moments
from zoo.errors import DataError

NUMBER, SECONDS, BUSINESS_DAYS, MONTHS = "number", "seconds", "business days", "months"
DAY_S = 86_400
UNITS_S = {DAY_S: "day", 3600: "hour", 60: "minute", 1: "second"}
SHORTEST_MONTH_S = 27.5 * DAY_S
# A step this many times smaller than the usual one is that of irregular times, not of regular ones with gaps.
MOST_FINER = 10
LEAST_BUSINESS_DAYS = 10  # times of a series from which on the lack of weekends is no chance
OFFSET = re.compile(r"(:\d\d.*?)\s*(?:Z|[+-]\d\d:?\d\d)\s*$")  # from UTC, after a time of day
# Length of the season by step in seconds, and by step in months.
SEASONS_S = {3600: 24, DAY_S: 7, 7 * DAY_S: 52}
SEASONS_MONTHS = {1: 12, 3: 4}
CALENDAR = {"hour": 24, "weekday": 7, "month": 12}


@dataclass(frozen=True)
class TimeAxis:
    """The regular step of all series.

    Args:
        unit: ``number``, ``seconds``, ``business days`` or ``months``.
        step: Length of a step in that unit.
        at_month_end: Whether all dates are the last of their month.
        in_utc: Whether times have an offset from UTC and count in UTC, not as a clock shows them.

    Example:
        >>> TimeAxis("seconds", 3600).describe(), TimeAxis("months", 3).describe()
        ('1 hour', '3 months')
        >>> TimeAxis("months", 3).season, TimeAxis("seconds", 3600).season, TimeAxis("number", 1).season
        (4, 24, None)
    """

    unit: str
    step: float
    at_month_end: bool = False
    in_utc: bool = False

    @property
    def season(self) -> int | None:
        """The usual number of steps in a season; None if the unit does not say."""
        if self.unit == MONTHS:
            return SEASONS_MONTHS.get(int(self.step), 1)
        if self.unit == BUSINESS_DAYS:
            return 5
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
        if self.unit == BUSINESS_DAYS:
            return ("weekday", "month")
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
        if self.unit == BUSINESS_DAYS:
            days = np.busday_offset(np.datetime64(moment, "D"), np.asarray(places, np.int64), roll="forward")
            return pd.Series(pd.to_datetime(days) + (moment - moment.normalize()))
        months = [moment + pd.DateOffset(months=int(place * self.step)) for place in places]
        return pd.Series([month + pd.offsets.MonthEnd(0) if self.at_month_end else month for month in months])

    def encode_calendar(self, times: pd.Series) -> np.ndarray:
        """Return sine and cosine of each feature of the calendar (N, 2 * features)."""
        parts = {"hour": lambda t: t.dt.hour + t.dt.minute / 60, "weekday": lambda t: t.dt.day_of_week}
        parts["month"] = lambda t: t.dt.month - 1 + (t.dt.day - 1) / 31
        angles = [2 * np.pi * parts[name](times).to_numpy(float) / CALENDAR[name] for name in self.calendar]
        columns = [function(angle) for angle in angles for function in (np.sin, np.cos)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(times), 0))


def read_times(values: pd.Series, where: str, *, in_utc: bool | None = None) -> tuple[pd.Series, bool]:
    """Return times as numbers or as moments without a zone, and whether these are in UTC.

    Times with an offset from UTC count as the clock shows them if all show one time of day, such as midnight of each
    day: a day of a change to summer time has 23 hours. Others count in UTC.

    Args:
        values: Numbers, dates or moments.
        where: Name of the source in error messages.
        in_utc: Whether times with an offset count in UTC; by default as above.

    Raises:
        DataError: If one is missing or cannot be read, or an offset is missing.
    """
    counts = _read_written_dates(read_counts(values))
    if pd.api.types.is_numeric_dtype(counts.dtype):
        times, in_utc = counts.astype(float), False
    else:
        has_offset = _have_offsets(values, where)
        if in_utc and not has_offset:
            message = "the model was trained on times with an offset from UTC, such as 2024-01-31T12:00+01:00"
            raise DataError(f"{message}; these have none", where=f"{where}, column {values.name}")
        times = read_moments(counts).dt.tz_localize(None)
        if has_offset and not in_utc:
            clock = read_moments(_drop_offsets(values)).dt.tz_localize(None)
            if in_utc is False or (clock - clock.dt.normalize()).nunique() == 1:
                times, has_offset = clock, False
        in_utc = has_offset
    wrong = times.isna().to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        message = f"{values.iloc[row]!r} is not a time; expected a date such as 2024-01-31 or a number"
        raise DataError(message, where=f"{where}, column {values.name}, row {find_source_row(values, row)}")
    return times, bool(in_utc)


def find_axis(groups: Sequence[pd.Series], where: str, *, in_utc: bool = False) -> TimeAxis:
    """Return the time axis of series, from the distances between their times.

    Args:
        groups: Sorted times of each series.
        where: Name of the source in error messages.
        in_utc: Whether the times had an offset and count in UTC.

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
    if unit == SECONDS and step == DAY_S and np.median(gaps) == DAY_S and _are_business_days(groups):
        unit, step = BUSINESS_DAYS, 1.0
    at_month_end = unit == MONTHS and all(times.dt.is_month_end.all() for times in groups)
    return TimeAxis(unit, step, at_month_end, in_utc)


def format_times(times: pd.Series, *, in_utc: bool = False) -> list[object]:
    """Return times as the table of predictions shows them: integers, numbers, dates or moments."""
    if pd.api.types.is_numeric_dtype(times.dtype):
        whole = np.allclose(times, np.rint(times))
        return [round(value) for value in times] if whole else times.tolist()
    if in_utc:
        return list(times.dt.strftime("%Y-%m-%d %H:%M:%S+00:00"))
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
    if unit == BUSINESS_DAYS:  # a weekend lies between two of them
        days = times.to_numpy().astype("datetime64[D]")
        return np.busday_count(days[0], days) + 0.5 * ~np.is_busday(days)
    months = times.dt.year * 12 + times.dt.month
    return np.asarray(months - months.iloc[0], float)


def _list_gaps(groups: Sequence[pd.Series], unit: str) -> np.ndarray:
    gaps = [np.diff(_distances(times, unit)) for times in groups if len(times) > 1]
    return np.concatenate(gaps) if gaps else np.ones(1)


def _on_one_day(times: pd.Series) -> bool:
    """Return whether all dates lie on one day of the month, or on its end."""
    return times.dt.day.nunique() == 1 or bool(times.dt.is_month_end.all())


def _have_offsets(values: pd.Series, where: str) -> bool:
    """Return whether times have an offset from UTC: all or none."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.dt.tz is not None
    present = values[values.notna()]
    has_offset = present.map(
        lambda cell: bool(OFFSET.search(cell)) if isinstance(cell, str) else getattr(cell, "tzinfo", None) is not None
    ).to_numpy(bool)
    if has_offset.any() and not has_offset.all():
        row = int(np.flatnonzero(~has_offset)[0])
        place = f"{where}, column {values.name}, row {find_source_row(present, row)}"
        message = f"{str(present.iloc[row])!r} has no offset from UTC, but other times have; use one form"
        raise DataError(message, where=place)
    return bool(has_offset.any())


def _drop_offsets(values: pd.Series) -> pd.Series:
    """Return times as the clock of their place shows them."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.dt.tz_localize(None)
    written = isinstance(values.dropna().iloc[0], str)
    return values.map(lambda t: OFFSET.sub(r"\1", t) if written else t.replace(tzinfo=None), na_action="ignore")


def _are_business_days(groups: Sequence[pd.Series]) -> bool:
    """Return whether no time lies on a weekend, in series long enough for that to mean something."""
    days = [times.to_numpy().astype("datetime64[D]") for times in groups]
    return max(map(len, days)) >= LEAST_BUSINESS_DAYS and bool(np.is_busday(np.concatenate(days)).all())
