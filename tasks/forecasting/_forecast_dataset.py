"""Datasets of windows: a long table becomes histories and horizons, split in time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.describe_table import describe_table
from zoo.data.columns.encode import extract_inputs
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.examples.array_columns import convert_to_cells
from zoo.data.sources.read import Table, compute_frame_digest
from zoo.errors import DataError, UsageError, join_first
from zoo.jobs.data_options import DataJob
from zoo.spec import ArrayInput, ColumnInput, Input, Spec, Target

from ._preprocessing import FUTURE, HISTORY, PAST
from ._series import Columns, Series, fill_gaps, find_season, read_series
from ._time_axis import NUMBER, TimeAxis, format_times
from ._windows import (
    MOST_CALIBRATION,
    MOST_VALUES,
    Cuts,
    Windows,
    cut_series,
    list_origins,
    make_windows,
    measure_windows,
)

OBSERVED = "observed"
NAIVE_SEASONS, LOOKBACK_HORIZONS = 2, 5
TIMES, NAMES = "times", "series"
LARGEST_WEIGHT = 5.0
FIRST_TIME = "2001-01-01"  # a Monday


@dataclass(frozen=True)
class Geometry:
    """Sizes of windows, and the channels of their covariates.

    Args:
        horizon: Steps that are forecast.
        lookback: Steps of a history.
        season: Steps in a season.
        channels: Names of all covariates: past, known, calendar.
        known: Number of the last of them that are known ahead.
    """

    horizon: int
    lookback: int
    season: int
    channels: tuple[str, ...]
    known: int


def create_forecast_dataset(table: Table, columns: Columns, job: DataJob, options: Any, task: str) -> Dataset:
    """Return the dataset of a long table.

    Args:
        table: A row for each series and time.
        columns: What its columns are.
        job: Sizes of the splits, fold and name.
        options: Horizon, lookback and season, each None for the default.
        task: Name of the task, for the spec.

    Raises:
        DataError: If the table cannot be used.
    """
    series, axis = read_series(table, columns)
    geometry = choose_geometry(series, axis, columns, options)
    cuts = cut_series(series, job, geometry.horizon)
    futures = [extend_covariates(one, axis, geometry.horizon) for one in series]
    by_split = _make_splits(series, futures, cuts, geometry)
    train = by_split["train"]
    static = pd.DataFrame([dict(one.static) for one in series], columns=list(columns.static))
    spec, notes = _describe(train, static, series, axis, columns, geometry, task)
    splits = {name: _create_split(windows, static, series, spec) for name, windows in by_split.items()}
    # Errors count in errors of the seasonal naive forecast, as in mase.
    weight = np.clip(splits["train"].encoded_target[:, -1], 0, LARGEST_WEIGHT)
    splits["train"] = Split(splits["train"].inputs, splits["train"].target, splits["train"].rows, fit_weight=weight)
    digest = compute_frame_digest(table.frame[columns.names])
    settled = json.dumps([spec.options, [cut and vars(cut) for cut in cuts]], default=str)
    return Dataset(
        name=table.name,
        source=table.source,
        digest=digest,
        split_digest=hashlib.sha256(f"{digest} {settled}".encode()).hexdigest()[:16],
        spec=spec,
        splits=splits,
        notes=(*table.notes, *notes, *_list_notes(series, cuts, by_split, axis, geometry)),
        split_rows=_list_rows(series, cuts),
        folds=int(job.fold.split("/")[1]) if job.fold else 0,
    )


def choose_geometry(series: Sequence[Series], axis: TimeAxis, columns: Columns, options: Any) -> Geometry:
    """Return the sizes of windows: as requested, else by the unit of time and the lengths of the series.

    Raises:
        DataError: If the season is longer than every series.
    """
    longest = max(one.end for one in series)
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
    return Geometry(
        horizon, lookback, season, (*columns.past, *columns.known, *calendar), len(columns.known) + len(calendar)
    )


def extend_covariates(one: Series, axis: TimeAxis, horizon: int) -> np.ndarray:
    """Return the covariates of a series and of a horizon behind it (T + H, C): its own, gaps filled, and calendar."""
    steps = len(one.values) + horizon
    own = np.concatenate([one.covariates, np.full((horizon, one.covariates.shape[1]), np.nan)])
    calendar = axis.encode_calendar(axis.extend(one.first, np.arange(steps))) if axis.calendar else np.zeros((steps, 0))
    return np.concatenate([fill_gaps(own) if own.shape[1] else own, calendar], axis=1)


def read_windows(source: Table, spec: Spec) -> Table:
    """Return a row for each series to forecast, with its windows in cells, from a long table.

    Rows behind the last value of a series hold the columns that are known ahead.

    Raises:
        DataError: If a column is missing, or a value that is needed ahead.
    """
    options, columns = spec.options, restore_columns(spec)
    if HISTORY in source.frame.columns and columns.time not in source.frame.columns:
        return source  # windows in cells, as the model takes them
    series, axis = read_series(source, columns, TimeAxis(options["unit"], options["step"]))
    geometry = Geometry(
        options["horizon"], options["lookback"], options["season"], (), len(spec.options["future_channels"])
    )
    rows = []
    for one in series:
        if not one.end:
            raise DataError(f"series {one.name} has no value of {columns.target}", where=source.source)
        _check_ahead(one, axis, columns, geometry.horizon, source.source)
        windows = make_windows(
            [one],
            [extend_covariates(one, axis, geometry.horizon)],
            [np.array([one.end])],
            [one.end],
            lookback=geometry.lookback,
            horizon=geometry.horizon,
            known=geometry.known,
            season=geometry.season,
            naive_ends=[one.end],
        )
        times = format_times(axis.extend(one.first, np.arange(one.end, one.end + geometry.horizon)))
        cells = {HISTORY: windows.history[0], PAST: windows.past[0], FUTURE: windows.future[0]}
        rows.append({NAMES: one.name, TIMES: times, **cells, **one.static})
    arrays = (HISTORY, PAST, FUTURE, TIMES)
    frame = pd.DataFrame([{name: cell for name, cell in row.items() if name not in arrays} for row in rows])
    frame = frame.assign(**{name: convert_to_cells([np.asarray(row[name]) for row in rows]) for name in arrays})
    return Table(frame, source.name, source.source, notes=source.notes)


def create_example(split: Split, spec: Spec) -> pd.DataFrame:
    """Return a long table of one series like the first one of a split, with invented times."""
    options, columns = spec.options, restore_columns(spec)
    history, past = (np.asarray(split.inputs[name][0], float) for name in (HISTORY, PAST))
    observed = past[:, 0] > 0
    values, past = np.where(observed, history, np.nan)[observed.argmax() :], past[observed.argmax() :, 1:]
    ahead = options["horizon"] if columns.known else 0
    steps = len(values) + ahead
    axis = TimeAxis(options["unit"], options["step"])
    first = 0.0 if axis.unit == NUMBER else pd.Timestamp(FIRST_TIME)
    table: dict[str, Any] = {columns.series: "example"} if columns.series else {}
    table[columns.time] = format_times(axis.extend(first, np.arange(steps)))
    table[columns.target] = np.append(values, np.full(ahead, np.nan))
    for place, name in enumerate((*columns.past, *columns.known)):
        future = np.asarray(split.inputs[FUTURE][0])[:, place - len(columns.past)] if name in columns.known else np.nan
        table[name] = np.append(past[:, place], np.full(ahead, np.nan) if np.isscalar(future) else future)
    static = Split({key: values[:1] for key, values in split.inputs.items()}, None, split.rows[:1])
    cells = static.frame(spec, columns=columns.static).iloc[0] if columns.static else pd.Series(dtype=object)
    table |= {str(name): cell for name, cell in cells.items()}
    return pd.DataFrame(table)


def restore_columns(spec: Spec) -> Columns:
    """Return the columns that a model was trained on, without the split."""
    options = spec.options
    past, known, static = (tuple(options.get(name, ())) for name in ("past", "known", "static"))
    return Columns(spec.target.name, options["time"], options.get("series"), past, known, static)


def _make_splits(
    series: Sequence[Series], futures: Sequence[np.ndarray], cuts: Sequence[Cuts | None], geometry: Geometry
) -> dict[str, Windows]:
    most = {"train": MOST_VALUES // (geometry.lookback * (2 + len(geometry.channels))), "calibration": MOST_CALIBRATION}
    splits = {}
    for name in SPLITS:
        origins = list_origins(cuts, name, geometry.horizon, most.get(name, 0))
        if not sum(map(len, origins)):
            continue
        splits[name] = make_windows(
            series,
            futures,
            origins,
            [cut.bounds(name)[1] if cut else 0 for cut in cuts],
            lookback=geometry.lookback,
            horizon=geometry.horizon,
            known=geometry.known,
            season=geometry.season,
            naive_ends=[cut.bounds(name)[0] or cut.train if cut else 0 for cut in cuts],
        )
    return {name: _with_values(windows) for name, windows in splits.items()}


def _with_values(windows: Windows) -> Windows:
    """Return the windows with at least one value in the horizon and one in the history."""
    keep = np.isfinite(windows.target).any(axis=1) & windows.past[:, :, 0].any(axis=1)
    return windows if keep.all() else Windows(*(getattr(windows, name)[keep] for name in vars(windows)))


def _describe(
    train: Windows,
    static: pd.DataFrame,
    series: Sequence[Series],
    axis: TimeAxis,
    columns: Columns,
    geometry: Geometry,
    task: str,
) -> tuple[Spec, list[str]]:
    """Return the spec of the training windows, and notes on the static columns."""
    past = train.past.reshape(-1, train.past.shape[2])[:, 1:]
    mean, std = past.mean(axis=0), past.std(axis=0)
    shape = (geometry.lookback, 1 + len(geometry.channels))
    inputs: list[Input] = [
        ArrayInput(HISTORY, HISTORY, (geometry.lookback,), columns=(columns.target,)),
        ArrayInput(
            PAST,
            PAST,
            shape,
            columns=(OBSERVED, *geometry.channels),
            mean=(0.0, *mean.tolist()),
            std=(1.0, *std.tolist()),
        ),
    ]
    ahead = geometry.channels[len(geometry.channels) - geometry.known :]
    if ahead:
        last = slice(len(mean) - geometry.known, None)
        inputs.append(
            ArrayInput(
                FUTURE, FUTURE, (geometry.horizon, len(ahead)), columns=ahead,
                mean=tuple(mean[last].tolist()), std=tuple(std[last].tolist()),
            )
        )  # fmt: skip
    notes: list[str] = []
    if columns.static:
        used = static.iloc[np.unique(train.series)]
        described, notes = describe_table(used, (), task)
        inputs += described.inputs
    gaps = any(np.isnan(series[place].values[: series[place].end]).any() for place in np.unique(train.series))
    options = {
        "series": columns.series,
        "time": columns.time,
        **{name: list(getattr(columns, name)) for name in ("past", "known", "static") if getattr(columns, name)},
        "horizon": geometry.horizon,
        "lookback": geometry.lookback,
        "season": geometry.season,
        "unit": axis.unit,
        "step": axis.step,
        "past_channels": list(geometry.channels),
        "future_channels": list(ahead),
        "gaps": gaps,
    }
    target = Target(columns.target, "number", shape=(geometry.horizon,))
    options = {name: value for name, value in options.items() if value is not None}
    return Spec(task, tuple(inputs), (target,), len(train), options), notes


def _create_split(windows: Windows, static: pd.DataFrame, series: Sequence[Series], spec: Spec) -> Split:
    level, scale = measure_windows(windows.history, spec.options["season"])
    share = np.nan_to_num(scale / windows.naive_error[:, None])  # 0 where the naive error is undefined
    inputs: dict[str, Any] = {HISTORY: windows.history, PAST: windows.past}
    if spec.options["future_channels"]:
        inputs[FUTURE] = windows.future
    if spec.of_kind(ColumnInput):
        columns = Spec(spec.task, spec.of_kind(ColumnInput))
        inputs |= extract_inputs(static.iloc[windows.series].reset_index(drop=True), columns)
    rows = np.array([series[place].rows[min(origin, len(series[place].rows)) - 1] for place, origin in _pairs(windows)])
    names = np.array([str(one.name) for one in series], object)[windows.series].astype(str)
    target = np.concatenate([(windows.target - level) / scale, share], axis=1)
    return Split(inputs, target, rows, group=names if len(series) > 1 else None)


def _pairs(windows: Windows) -> Any:
    return zip(windows.series.tolist(), windows.origin.tolist(), strict=True)


def _list_rows(series: Sequence[Series], cuts: Sequence[Cuts | None]) -> Mapping[str, np.ndarray]:
    """Return the source rows of the steps that each split forecasts."""
    rows = {}
    for name in SPLITS:
        parts = [one.rows[slice(*cut.bounds(name))] for one, cut in zip(series, cuts, strict=True) if cut is not None]
        of_split = np.concatenate(parts)
        if len(of_split := of_split[of_split >= 0]):
            rows[name] = of_split
    return rows


def _list_notes(
    series: Sequence[Series],
    cuts: Sequence[Cuts | None],
    by_split: Mapping[str, Windows],
    axis: TimeAxis,
    geometry: Geometry,
) -> list[str]:
    season = f", a period of {geometry.season}" if geometry.season > 1 else ", no period"
    notes = [
        f"{len(series):,} series with a step of {axis.describe()}{season}; {geometry.horizon} steps are forecast from "
        f"the last {geometry.lookback}"
    ]
    short = [str(one.name) for one, cut in zip(series, cuts, strict=True) if cut is None]
    if short:
        notes.append(f"{len(short):,} series are too short and left out: {join_first(short, 3)}")
    constant = [str(one.name) for one in series if np.nanstd(one.values[: one.end]) == 0]
    if constant:
        notes.append(f"{len(constant):,} series are constant, and mase leaves them out: {join_first(constant, 3)}")
    total = sum(one.end for one in series)
    missing = sum(int(np.isnan(one.values[: one.end]).sum()) for one in series)
    if missing:
        notes.append(f"{missing:,} of {total:,} steps have no value: in a history they are the last one before")
    origins = sum(cut.train - 1 for cut in cuts if cut is not None)
    if len(by_split["train"]) < origins // 2:
        notes.append(f"of {origins:,} training windows, {len(by_split['train']):,} at even distances are used")
    return notes


def _check_ahead(one: Series, axis: TimeAxis, columns: Columns, horizon: int, where: str) -> None:
    """Raise an error if a column that is known ahead has no values behind the last value of the target."""
    if not columns.known:
        return
    place = len(columns.past)
    ahead = one.covariates[one.end : one.end + horizon, place:]
    complete = len(ahead) == horizon
    absent = [
        name for name, values in zip(columns.known, ahead.T, strict=True) if not complete or np.isnan(values).any()
    ]
    if absent:
        steps = horizon - len(ahead) if not complete else int(np.isnan(ahead).any(axis=1).sum())
        time = format_times(axis.extend(one.first, np.array([one.end])))[0]
        message = f"series {one.name} lacks {', '.join(absent)} for {steps} of the {horizon} steps from {time} on"
        raise DataError(f"{message}: give rows for them in which {columns.target} is empty", where=where)
