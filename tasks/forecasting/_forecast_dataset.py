"""Datasets of windows: a long table becomes histories and horizons, split in time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.describe_table import describe_table
from zoo.data.columns.encode import extract_inputs
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.sources.read import Table, compute_frame_digest
from zoo.errors import DataError, join_first
from zoo.jobs.data_options import DataJob
from zoo.spec import ArrayInput, ColumnInput, Input, Spec, Target

from ._columns import Geometry, choose_geometry
from ._preprocessing import FUTURE, HISTORY, PAST
from ._series import Columns, Series, prepare_covariates, read_series
from ._time_axis import TimeAxis
from ._windows import Cuts, Windows, cut_series, list_origins, make_windows, measure_windows

MOST_VALUES = 20_000_000  # numbers in the histories of all training windows
MOST_CALIBRATION = 5_000
OBSERVED = "observed"
LARGEST_WEIGHT = 5.0


@dataclass(frozen=True)
class ForecastDataset(Dataset):
    """A dataset of windows that keeps the series for baselines, which may look back further than the windows do.

    Args:
        values: Values of each series (T,), gaps filled, NaN before the first observed one.
        origins: Of each split, the position of the series and the step of the first forecast of each window (N, 2).
    """

    values: Sequence[np.ndarray] = ()
    origins: Mapping[str, np.ndarray] = field(default_factory=dict)

    def list_histories(self, split: str) -> list[np.ndarray]:
        """Return all values before each forecast of a split, from the first observed one on."""
        histories = [self.values[place][:step] for place, step in self.origins[split]]
        return [history[np.isfinite(history)] for history in histories]


def create_forecast_dataset(table: Table, columns: Columns, job: DataJob, options: Any, task: str) -> Dataset:
    """Return the dataset of a long table.

    Args:
        table: A row for each series and time.
        columns: What its columns are.
        job: Sizes of the splits, fold and name.
        options: Horizon, lookback, season and quantiles, each None for the default.
        task: Name of the task, for the spec.

    Raises:
        DataError: If the table cannot be used.
    """
    series, axis = read_series(table, columns)
    geometry = choose_geometry(series, axis, columns, options)
    cuts = cut_series(series, job, geometry.horizon)
    futures = [prepare_covariates(one, axis, geometry.horizon) for one in series]
    by_split = _make_splits(series, futures, cuts, geometry)
    if "train" not in by_split:
        raise DataError(f"no series has a training window for a horizon of {geometry.horizon}; shorten --horizon")
    train = by_split["train"]
    if not np.isfinite(train.target).any(axis=0).all():
        steps = max(cut.train for cut in cuts if cut is not None)
        message = f"the longest series has {steps} training steps, too few for a horizon of {geometry.horizon}"
        raise DataError(f"{message}; shorten --horizon", where=table.source)
    if not np.isfinite(train.naive_error).any():
        raise DataError(f"column {columns.target} is constant in each series before the test split", where=table.source)
    static = pd.DataFrame([dict(one.static) for one in series], columns=list(columns.static))
    spec, notes = _describe(train, static, series, axis, columns, geometry, task)
    if options.quantiles:
        spec = spec.with_target(quantiles=tuple(options.quantiles))
    splits = {name: _create_split(windows, static, series, spec) for name, windows in by_split.items()}
    # Errors count in errors of the seasonal naive forecast, as in mase.
    weight = np.clip(splits["train"].encoded_target[:, -1], 0, LARGEST_WEIGHT)
    splits["train"] = Split(splits["train"].inputs, splits["train"].target, splits["train"].rows, fit_weight=weight)
    digest = compute_frame_digest(table.frame[columns.names])
    settled = json.dumps([spec.options, [cut and vars(cut) for cut in cuts]], default=str)
    return ForecastDataset(
        name=table.name,
        source=table.source,
        digest=digest,
        split_digest=hashlib.sha256(f"{digest} {settled}".encode()).hexdigest()[:16],
        spec=spec,
        splits=splits,
        notes=(*table.notes, *notes, *_list_notes(series, cuts, by_split, axis, geometry)),
        split_rows=_list_rows(series, cuts),
        folds=int(job.fold.split("/")[1]) if job.fold else 0,
        values=[pd.Series(one.values).ffill().to_numpy() for one in series],
        origins={name: np.stack([windows.series, windows.origin], axis=1) for name, windows in by_split.items()},
    )


def _make_splits(
    series: Sequence[Series], futures: Sequence[np.ndarray], cuts: Sequence[Cuts | None], geometry: Geometry
) -> dict[str, Windows]:
    most = {
        "train": 1 + MOST_VALUES // (geometry.lookback * (2 + len(geometry.channels))),
        "calibration": MOST_CALIBRATION,
    }
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
            n_ahead=geometry.n_ahead,
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
    past = pd.DataFrame(train.past.reshape(-1, train.past.shape[2])[:, 1:])
    mean, std = (values.fillna(0.0).to_numpy() for values in (past.mean(), past.std(ddof=0)))
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
    ahead = geometry.channels[len(geometry.channels) - geometry.n_ahead :]
    if ahead:
        last = slice(len(mean) - geometry.n_ahead, None)
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
        "categories": {name: list(words) for name, words in columns.categories.items()} or None,
        "horizon": geometry.horizon,
        "lookback": geometry.lookback,
        "season": geometry.season,
        **asdict(axis),
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
