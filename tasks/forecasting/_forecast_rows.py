"""Rows to predict: the last window of each series of a long table."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.dataset import Split
from zoo.data.examples.array_columns import convert_to_cells
from zoo.data.sources.read import Table
from zoo.errors import DataError
from zoo.spec import Spec

from ._columns import Geometry
from ._preprocessing import FUTURE, HISTORY, PAST
from ._series import Columns, Series, prepare_covariates, read_series
from ._time_axis import NUMBER, TimeAxis, format_times
from ._windows import make_windows

TIMES, NAMES = "times", "series"
FIRST_TIME = "2001-01-01"  # a Monday


def read_windows(source: Table, spec: Spec) -> Table:
    """Return a row for each series to forecast, with its windows in cells, from a long table.

    Rows behind the last value of a series hold the columns that are known ahead.

    Raises:
        DataError: If a column is missing, or a value that is needed ahead.
    """
    options, columns = spec.options, restore_columns(spec)
    if HISTORY in source.frame.columns and columns.time not in source.frame.columns:
        return source  # windows in cells, as the model takes them
    series, axis = read_series(source, columns, _restore_axis(spec))
    geometry = Geometry(
        options["horizon"], options["lookback"], options["season"], (), len(spec.options["future_channels"])
    )
    rows = []
    for one in series:
        if not one.end:
            raise DataError(f"{columns.name_series(one.name)} has no value of {columns.target}", where=source.source)
        _check_ahead(one, axis, columns, geometry.horizon, source.source)
        windows = make_windows(
            [one],
            [prepare_covariates(one, axis, geometry.horizon)],
            [np.array([one.end])],
            [one.end],
            lookback=geometry.lookback,
            horizon=geometry.horizon,
            n_ahead=geometry.n_ahead,
            season=geometry.season,
            naive_ends=[one.end],
        )
        steps = np.arange(one.end, one.end + geometry.horizon)
        times = format_times(axis.extend(one.first, steps), in_utc=axis.in_utc)
        cells = {HISTORY: windows.history[0], PAST: windows.past[0], FUTURE: windows.future[0]}
        rows.append({NAMES: one.name, TIMES: times, **cells, **one.static})
    arrays = (HISTORY, PAST, FUTURE, TIMES)
    frame = pd.DataFrame([{name: cell for name, cell in row.items() if name not in arrays} for row in rows])
    frame = frame.assign(**{name: convert_to_cells([np.asarray(row[name]) for row in rows]) for name in arrays})
    return Table(frame, source.name, source.source, notes=source.notes)


def name_steps(frame: pd.DataFrame, spec: Spec, steps: int) -> dict[str, Any]:
    """Return series and time of each forecast, by the columns of the source, for windows of :func:`read_windows`."""
    columns = restore_columns(spec)
    names = {columns.series: np.repeat(frame[NAMES].to_numpy(), steps)} if columns.series is not None else {}
    return {**names, columns.time: [time for times in frame[TIMES] for time in times[:steps]]}


def create_example(split: Split, spec: Spec) -> pd.DataFrame:
    """Return a long table of one series like the first one of a split, with invented times."""
    options, columns = spec.options, restore_columns(spec)
    history, past = (np.asarray(split.inputs[name][0], float) for name in (HISTORY, PAST))
    observed = past[:, 0] > 0
    values, past = np.where(observed, history, np.nan)[observed.argmax() :], past[observed.argmax() :, 1:]
    ahead = options["horizon"] if columns.known else 0
    steps = len(values) + ahead
    axis = _restore_axis(spec)
    first = 0.0 if axis.unit == NUMBER else pd.Timestamp(FIRST_TIME)
    table: dict[str, Any] = {columns.series: "example"} if columns.series else {}
    table[columns.time] = format_times(axis.extend(first, np.arange(steps)), in_utc=axis.in_utc)
    table[columns.target] = np.append(values, np.full(ahead, np.nan))
    n_past = sum(name in columns.past for name, _ in columns.channels)
    for place, (name, category) in enumerate(columns.channels):
        future = np.asarray(split.inputs[FUTURE][0])[:, place - n_past] if place >= n_past else np.full(ahead, np.nan)
        channel = np.append(past[:, place], future)
        words = table.get(name, np.full(steps, None))
        table[name] = channel if category is None else np.where(channel == 1, category, words)
    static = Split({key: values[:1] for key, values in split.inputs.items()}, None, split.rows[:1])
    cells = static.frame(spec, columns=columns.static).iloc[0] if columns.static else pd.Series(dtype=object)
    table |= {str(name): cell for name, cell in cells.items()}
    return pd.DataFrame(table)


def restore_columns(spec: Spec) -> Columns:
    """Return the columns that a model was trained on, without the split."""
    options = spec.options
    past, ahead, static = (tuple(options.get(name, ())) for name in ("past", "known", "static"))
    categories = options.get("categories", {})
    return Columns(spec.target.name, options["time"], options.get("series"), past, ahead, static, categories=categories)


def describe_source(spec: Spec) -> tuple[str, dict[str, str]]:
    """Return what a model forecasts in a sentence, and what each column of its source is."""
    options, columns = spec.options, restore_columns(spec)
    season = f", with a season of {options['season']} steps" if options["season"] > 1 else ""
    text = (
        f"It forecasts {options['horizon']} steps of {_restore_axis(spec).describe()} from the {options['lookback']} "
        f"steps before them{season}."
    )
    uses = {columns.series: "series"} if columns.series is not None else {}
    uses |= {columns.time: "time", columns.target: "target"}
    for names, use in ((columns.known, "known ahead"), (columns.past, "past"), (columns.static, "static")):
        uses |= dict.fromkeys(names, use)
    return text, uses


def _restore_axis(spec: Spec) -> TimeAxis:
    names = [field.name for field in fields(TimeAxis)]
    return TimeAxis(**{name: spec.options[name] for name in names if name in spec.options})


def _check_ahead(one: Series, axis: TimeAxis, columns: Columns, horizon: int, where: str) -> None:
    """Raise an error if a column that is known ahead has no values behind the last value of the target."""
    if not columns.known:
        return
    names = [name for name, _ in columns.channels if name in columns.known]
    ahead = one.covariates[one.end : one.end + horizon, len(columns.channels) - len(names) :]
    complete = len(ahead) == horizon
    absent = dict.fromkeys(
        name for name, values in zip(names, ahead.T, strict=True) if not complete or np.isnan(values).any()
    )
    if absent:
        steps = horizon - len(ahead) if not complete else int(np.isnan(ahead).any(axis=1).sum())
        time = format_times(axis.extend(one.first, np.array([one.end])), in_utc=axis.in_utc)[0]
        message = f"{columns.name_series(one.name)} lacks {', '.join(absent)} for {steps} of the {horizon} steps"
        raise DataError(f"{message} from {time} on: give rows for them in which {columns.target} is empty", where=where)
