"""Columns of a long table and sizes of windows: as the user says, or as the data suggest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import name_categories, parse_numbers
from zoo.data.columns.number_notation import find_numbers
from zoo.data.sources.read import Table
from zoo.errors import DataError, UsageError, join_first
from zoo.jobs.data_options import DataJob

from ._series import Columns, Series, fill_gaps
from ._time_axis import TimeAxis

NAMES_OF_TIMES = ("time", "date", "datetime", "timestamp", "ds", "t", "month", "week", "day", "year", "quarter", "hour")
NAIVE_SEASONS, LOOKBACK_HORIZONS = 2, 5
SEASONS = (4, 7, 12, 24, 52)  # lengths of a season that are tried where the times are numbers
LEAST_SEASONS, LEAST_CORRELATION = 3, 0.3
MOST_CATEGORIES = 50  # of a column that is known ahead or in the past
LEARNT = 0.6  # part of each series that the season is found in, which is before any test split
PREDICTION = "prediction"
RESERVED = ("history", "past", "future", "times", "series")
SPLIT_METHODS = (None, "order")
REFUSED = {
    "test": "the test split is what follows the training rows of each series; name it with --split column=NAME",
    "weight": "windows have equal weights",
    "sample": "that is for classes",
    "class_weight": "that is for classes",
    "positive": "that is for classes",
    "calibrate": "that is for probabilities",
    "threshold": "that is for probabilities",
    "conformal": "that is for classes",
    "stream": "series are held in memory",
    "column": "the columns of a forecast are --series, --time, --target, --known, --past and --static",
    "missing": "a missing value of a series is the last one before it",
    "folds": "folds are the last horizons of each series; give their number with --cv",
    "gap": "a forecast begins with the step after the last value",
}


def refuse_options(job: DataJob) -> None:
    """Raise an error if a job has options that do not apply to forecasts.

    Raises:
        UsageError: With the option and the reason.
    """
    for name, reason in REFUSED.items():
        if getattr(job, name, None):
            raise UsageError(f"forecasting has no use for it: {reason}", where=name)
    if job.split not in SPLIT_METHODS and job.split_column is None and job.split_by("time") is None:
        message = f"received {job.split}; forecasts are split in time: leave it out, or use column=NAME"
        raise UsageError(message, where="split")
    if len(job.target) > 1:
        raise UsageError("forecasting predicts one column; give the others as --past", where="target")


def choose_columns(table: Table, job: DataJob, options: Any) -> Columns:
    """Return the columns of a table: those that are given, else those that can be only one.

    Raises:
        UsageError: If time or target could be several columns, with the columns to choose from.
    """
    frame = table.frame
    dropped = {*job.drop, *options.known, *options.past, *options.static, options.series, job.split_column}
    time = options.time or job.split_by("time") or _find_time(frame, dropped)
    if time is None:
        names = join_first([str(name) for name in frame.columns], 10)
        raise UsageError(f"which column has the times? Use --time COLUMN; columns: {names}", where="time")
    target = job.target[0] if job.target else table.target
    if target is None:
        numeric = [
            str(name)
            for name in frame.columns
            if str(name) not in {*dropped, time} and pd.api.types.is_numeric_dtype(frame[name].dtype)
        ]
        if len(numeric) != 1:
            raise DataError(
                f"which column is forecast? Use --target COLUMN; numbers are in {join_first(numeric, 10) or 'none'}",
                where=table.source,
            )
        target = numeric[0]
    if PREDICTION in (time, options.series):
        message = f"a column of series or times cannot be called {PREDICTION}, as that of the forecasts is; rename it"
        raise UsageError(message, where="time" if time == PREDICTION else "series")
    reserved = sorted({*options.static} & {*RESERVED})
    if reserved:
        message = f"a static column cannot be called {reserved[0]}, as a part of the model's input is; rename it"
        raise UsageError(message, where="static")
    categories = _find_categories(table, (*options.past, *options.known))
    return Columns(
        target, time, options.series, options.past, options.known, options.static, job.split_column, categories
    )


def _find_categories(table: Table, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the categories of each column that has words, other than yes and no, instead of numbers.

    Raises:
        DataError: If a column has too many.
    """
    categories = {}
    for name in names:
        if name not in table.frame:
            continue
        values = table.frame[name]
        _, wrong = parse_numbers(values, is_answer=True)
        if 2 * wrong.sum() <= values.notna().sum() or find_numbers(values, keep_integers=False) is not None:
            continue
        categories[name] = tuple(sorted({*name_categories(values)} - {""}))
        if len(categories[name]) > MOST_CATEGORIES:
            message = (
                f"column {name} has {len(categories[name]):,} different words; --known and --past take columns of "
            )
            raise DataError(f"{message}numbers, or of up to {MOST_CATEGORIES} words", where=table.source)
    return categories


def _find_time(frame: pd.DataFrame, others: set[Any]) -> str | None:
    """Return the only column of dates, or else the only one with a name of a time."""
    names = [str(name) for name in frame.columns if str(name) not in others]
    dates = [name for name in names if _has_dates(frame[name])]
    if len(dates) == 1:
        return dates[0]
    named = [name for name in names if name.lower() in NAMES_OF_TIMES]
    return named[0] if len(named) == 1 else None


def _has_dates(values: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return True
    sample = values.dropna().iloc[:100]
    if not len(sample) or not sample.map(lambda value: isinstance(value, str)).all():
        return False
    if sample.str.fullmatch(r"[+-]?\d+([.,]\d+)?").any():
        return False
    return bool(pd.to_datetime(sample, errors="coerce", format="mixed", utc=True).notna().all())


@dataclass(frozen=True)
class Geometry:
    """Sizes of windows, and the channels of their covariates.

    Args:
        horizon: Steps that are forecast.
        lookback: Steps of a history.
        season: Steps in a season.
        channels: Names of all covariates: past, known, calendar.
        n_ahead: Number of the last of them that are known ahead.
    """

    horizon: int
    lookback: int
    season: int
    channels: tuple[str, ...]
    n_ahead: int


def choose_geometry(series: Sequence[Series], axis: TimeAxis, columns: Columns, options: Any) -> Geometry:
    """Return the sizes of windows: as requested, else by the unit of time and the lengths of the series.

    Raises:
        DataError: If the season is longer than every series.
    """
    longest = max(one.end for one in series)
    if longest < 2:
        count = f"{longest} value{'s' if longest != 1 else ''}"
        raise DataError(f"column {columns.target} has {count} in the longest series; a forecast needs more")
    if options.lookback is not None and options.lookback > longest:
        raise UsageError(f"received {options.lookback}; the longest series has {longest} steps", where="lookback")
    season = options.period or axis.season or find_season(series)
    if options.period is None and season * NAIVE_SEASONS >= longest:
        season = 1
    if season >= longest:
        raise DataError(
            f"the longest series has {longest} steps, less than a period of {season}; use a smaller --period"
        )
    horizon = options.horizon or (season if season > 1 else max(1, min(6, longest // 5)))
    lookback = options.lookback or max(LOOKBACK_HORIZONS * horizon, NAIVE_SEASONS * season)
    if options.lookback is None:  # steps before the longest series would be padding alone
        lookback = min(lookback, max(longest - horizon, season, 2))
    if lookback < season:
        raise UsageError(f"received {lookback}; it must hold a period of {season} steps", where="lookback")
    calendar = [f"{name} {wave}" for name in axis.calendar for wave in ("sine", "cosine")]
    channels = [name if category is None else f"{name} {category}" for name, category in columns.channels]
    n_ahead = sum(name in columns.known for name, _ in columns.channels) + len(calendar)
    return Geometry(horizon, lookback, season, (*channels, *calendar), n_ahead)


def find_season(series: Sequence[Series]) -> int:
    """Return the number of steps in a season where times are numbers: the lag of the highest autocorrelation.

    The autocorrelation is that of the differences, median over the series with several seasons; 1 if none is high.
    Only the first part of each series counts, so that test values choose nothing.

    Example:
        >>> wave = np.tile([0.0, 2.0, 5.0, 1.0], 20)
        >>> find_season([Series("a", 0, wave, np.empty((80, 0)), np.arange(80))])
        4
    """
    best, season = LEAST_CORRELATION, 1
    for lag in SEASONS:
        values = [one.values[: int(LEARNT * one.end)] for one in series]
        correlations = [_correlate(each, lag) for each in values if len(each) >= LEAST_SEASONS * lag + 1]
        if len(correlations) * 2 >= len(series) and correlations and np.nanmedian(correlations) > best:
            best, season = float(np.nanmedian(correlations)), lag
    return season


def _correlate(values: np.ndarray, lag: int) -> float:
    changes = np.diff(fill_gaps(values))
    changes = changes - np.nanmean(changes)
    variance = float((changes**2).sum())
    return float((changes[lag:] * changes[:-lag]).sum() / variance) if variance > 0 else np.nan
