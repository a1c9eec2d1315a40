"""Windows of series: history and horizon of each origin, and the splits of origins in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from zoo.data.dataset import SPLITS
from zoo.errors import DataError
from zoo.jobs.data_options import DataJob

from ._series import Series, fill_gaps

LEAST_HISTORY = 3  # observed steps before the first origin
ENOUGH_WINDOWS = 100  # from which one horizon of each series is enough to score
SMALLEST_SCALE = 1e-6


@dataclass(frozen=True)
class Cuts:
    """The steps of one series at which its splits end; each split forecasts the steps after the one before it.

    Args:
        train: End of the training steps.
        calibration: End of the calibration steps; equal to ``train`` without.
        validation: End of the validation steps; equal to ``calibration`` without.
        test: End of the test steps; equal to ``validation`` without.
    """

    train: int
    calibration: int
    validation: int
    test: int

    def bounds(self, split: str) -> tuple[int, int]:
        """Return the first and the last step, exclusive, that a split forecasts."""
        begin = {"train": 0, "calibration": self.train, "validation": self.calibration, "test": self.validation}
        return begin[split], getattr(self, split)


@dataclass(frozen=True)
class Windows:
    """N windows of series.

    Args:
        history: Values before the origin (N, L), the latest last; gaps are filled.
        past: Whether each value was observed, then the covariates (N, L, 1 + C).
        future: Columns that are known ahead, of the horizon (N, H, K).
        target: Values of the horizon (N, H), NaN where there is none.
        series: Position of the series (N,).
        origin: Step of the first forecast in its series (N,).
        naive_error: Mean absolute error of the seasonal naive forecast before the split (N,), NaN where undefined.
    """

    history: np.ndarray
    past: np.ndarray
    future: np.ndarray
    target: np.ndarray
    series: np.ndarray
    origin: np.ndarray
    naive_error: np.ndarray

    def __len__(self) -> int:
        return len(self.history)


def measure_windows(history: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the level and the scale (N, 1) of histories (N, L), by which forecasts are normalised.

    The level is the mean of the last season; the scale is the mean distance from it. The layer ``NormalizeWindow``
    computes the same.

    Example:
        >>> level, scale = measure_windows(np.array([[1.0, 5.0, 2.0, 4.0]]), season=2)
        >>> level.item(), scale.item()
        (3.0, 1.5)
    """
    level = history[:, -season:].mean(axis=1, keepdims=True)
    scale = np.abs(history - level).mean(axis=1, keepdims=True)
    return level, np.maximum(scale, SMALLEST_SCALE * np.maximum(np.abs(level), 1.0))


def repeat_season(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Return the seasonal naive forecast (N, H): the last season of histories (N, L), repeated.

    Example:
        >>> repeat_season(np.array([[1.0, 2.0, 3.0]]), season=2, horizon=3).tolist()
        [[2.0, 3.0, 2.0]]
    """
    return history[:, -season:][:, np.arange(horizon) % season]


def cut_series(series: Sequence[Series], job: DataJob, horizon: int, least: int = LEAST_HISTORY) -> list[Cuts | None]:
    """Return the cuts of each series; None for one that is too short.

    Args:
        series: The series.
        job: Sizes of the splits, or a fold: the k-th of n is the k-th last horizon, and what follows it is not used.
        horizon: Steps that are forecast.
        least: Observed steps before the first origin.

    Raises:
        DataError: If all are too short, or given splits are not in the order train, validation, test.
    """
    cuts = [_cut(one, job, horizon, math.ceil(ENOUGH_WINDOWS / len(series)), least) for one in series]
    if all(cut is None for cut in cuts):
        if any(one.split is not None for one in series):
            raise DataError(f"no series has more than {least} training rows before its first test row")
        folds = f" and {job.fold.split('/')[1]} folds" if job.fold else ""
        advice = "; shorten --horizon" if horizon > 1 else ""
        message = f"the longest series has {max(one.end for one in series)} steps, too few for a horizon of {horizon}"
        raise DataError(f"{message}{folds}{advice}")
    return cuts


def _cut(one: Series, job: DataJob, horizon: int, several: int, least: int) -> Cuts | None:
    end = one.end
    first = int(np.flatnonzero(np.isfinite(one.values))[0]) if end else 0
    test, validation = end, None
    if one.split is not None:
        test, validation = _given_cuts(one)
    elif job.fold is None or job.aside:
        test = end - _steps(job.test_size, end - first, horizon, several)
    if job.fold is not None:  # folds come before a test split that is given, or that a search sets aside
        fold, folds = map(int, job.fold.split("/"))
        end = test - (folds - fold) * horizon
        test, validation = end - horizon, None
    if test - first <= least:
        return None
    if validation is None:
        size = _steps(job.validation_size, test - first, horizon, several)
        validation = test - size if test - size - first > least else test
    calibration = 0
    if job.calibration_size:
        calibration = max(horizon, round(job.calibration_size * (validation - first)))
    train = validation - calibration
    return Cuts(train, validation, test, end) if train - first > least else None


def _steps(fraction: object, steps: int, horizon: int, several: int) -> int:
    """Return the steps of a split: as many horizons as the fraction holds, from one to ``several``."""
    if not fraction:
        return 0
    fraction = float(fraction) if isinstance(fraction, (int, float)) else 0.2
    return horizon * min(max(int(fraction * steps / horizon), 1), several)


def _given_cuts(one: Series) -> tuple[int, int | None]:
    """Return where the test split begins, and where the validation split begins if it is given."""
    assert one.split is not None
    order = np.array([SPLITS.index(name) for name in one.split[: one.end]])
    if (np.diff(order) < 0).any():
        step = int(np.flatnonzero(np.diff(order) < 0)[0]) + 1
        message = f"series {one.name} has a row of {one.split[step]} after one of {one.split[step - 1]}"
        raise DataError(f"{message}: a forecast is tested on what follows its training rows")
    test = int((order < SPLITS.index("test")).sum())
    validation = int((order < SPLITS.index("validation")).sum())
    return test, validation if validation < test else None


def list_origins(cuts: Sequence[Cuts | None], split: str, horizon: int, most: int) -> list[np.ndarray]:
    """Return the origins of each series in a split: every step in training, else each horizon once.

    Args:
        cuts: Of each series.
        split: The split.
        horizon: Steps that are forecast.
        most: Maximum number of windows; of more, each n-th origin is taken, counted from the end.
    """
    every = split in ("train", "calibration")
    origins = []
    for cut in cuts:
        begin, end = cut.bounds(split) if cut is not None else (0, 0)
        begin = max(begin, LEAST_HISTORY)
        last = end - horizon + 1 if split == "calibration" else end
        origins.append(np.arange(begin, max(last, begin), 1 if every else horizon))
    stride = -(-sum(map(len, origins)) // most) if most else 1
    return [of_series[::-1][::stride][::-1] for of_series in origins] if every and stride > 1 else origins


def make_windows(
    series: Sequence[Series],
    futures: Sequence[np.ndarray],
    origins: Sequence[np.ndarray],
    ends: Sequence[int],
    *,
    lookback: int,
    horizon: int,
    n_ahead: int,
    season: int,
    naive_ends: Sequence[int],
) -> Windows:
    """Return the windows of series at their origins.

    Args:
        series: The series.
        futures: All covariates of each series, up to a horizon behind its end (T + H, C), gaps filled.
        origins: Origins of each series.
        ends: Step of each series from which on values are not used as targets.
        lookback: Length L of a history.
        horizon: Length H of a forecast.
        n_ahead: Number K of covariates, the last ones, that are known ahead.
        season: Steps in a season.
        naive_ends: Step of each series before which the error of the seasonal naive forecast is taken.
    """
    parts = []
    for place, (one, covariates, starts) in enumerate(zip(series, futures, origins, strict=True)):
        if not len(starts):
            continue
        steps = len(one.values)
        filled = np.concatenate([np.full(lookback, np.nan), one.values, np.full(horizon, np.nan)])
        observed = np.isfinite(filled).astype(float)
        filled = fill_gaps(filled)
        channels = np.concatenate([np.full((lookback, covariates.shape[1]), np.nan), covariates[: steps + horizon]])
        channels = np.concatenate([observed[:, None], channels], axis=1)
        target = np.concatenate([one.values[: ends[place]], np.full(steps - ends[place] + horizon, np.nan)])
        parts.append(
            (
                sliding_window_view(filled, lookback)[starts],
                sliding_window_view(channels, lookback, axis=0)[starts].transpose(0, 2, 1),
                sliding_window_view(channels[lookback:, channels.shape[1] - n_ahead :], horizon, axis=0)[
                    starts
                ].transpose(0, 2, 1),
                sliding_window_view(target, horizon)[starts],
                np.full(len(starts), place),
                starts,
                np.full(len(starts), measure_naive_error(one.values[: naive_ends[place]], season)),
            )
        )
    return Windows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def measure_naive_error(values: np.ndarray, season: int) -> float:
    """Return the mean absolute error of the seasonal naive forecast in values (T,); NaN if it is undefined or 0.

    Hyndman and Koehler 2006, "Another look at measures of forecast accuracy", section 3.

    Example:
        >>> measure_naive_error(np.array([1.0, 2.0, 4.0, 3.0]), season=2)
        2.0
    """
    season = season if len(values) > season else 1
    errors = np.abs(values[season:] - values[:-season])
    errors = errors[np.isfinite(errors)]
    error = float(errors.mean()) if len(errors) else np.nan
    return error if error > 0 else np.nan
