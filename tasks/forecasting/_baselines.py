"""Classical forecasts: naive, seasonal naive, drift; gradient boosting on lags; exponential smoothing and Theta."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.metrics.metric import evaluate
from zoo.spec import Spec
from zoo.task import Baseline

from ._forecast_dataset import ForecastDataset
from ._forecast_rules import create_rules
from ._preprocessing import FUTURE, HISTORY, PAST
from ._windows import measure_windows, repeat_season

Forecast = Callable[[Spec, Split], np.ndarray]
MOST_FITTED = 200_000  # rows that boosting is fitted on: one for each window and step
MOST_LAGS = 48
STATISTICAL = {"auto_ets": "AutoETS", "auto_theta": "AutoTheta"}  # classes of statsforecast.models
MOST_ETS_SEASON = 24  # longer ones take minutes for one series
MOST_STATISTICAL = {"auto_ets": 500_000, "auto_theta": 5_000_000}  # values of all histories: some ten minutes
LEAST_STATISTICAL = 4


def choose_baselines(level: Literal["quick", "all", "none"]) -> list[Baseline]:
    """Return the baselines of a level; the first is the dummy that skill is measured against."""
    if level == "none":
        return []
    simple: dict[str, Forecast] = {"seasonal_naive": _repeat_season, "naive": _repeat_last, "drift": _extend_drift}
    baselines = [
        Baseline(name, partial(_run_simple, forecast), is_dummy=not place)
        for place, (name, forecast) in enumerate(simple.items())
    ]
    if level == "all":
        baselines.append(Baseline("boosting_on_lags", _run_boosting))
        needs = (["statsforecast"], "forecasting")
        baselines += [Baseline(name, partial(_run_statistical, name), needs=needs) for name in STATISTICAL]
    return baselines


def _run_simple(forecast: Forecast, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    return _score(forecast, dataset)


def _score(forecast: Forecast, dataset: Dataset) -> Mapping[str, Mapping[str, float]]:
    """Return the scores of a forecast, from spec and windows to values (N, H), on each split.

    Quantiles are the forecast plus quantiles of its validation errors, in scales of the window.
    """
    spec = dataset.spec
    rules = create_rules(spec)
    splits = {name: rows for name, rows in dataset.splits.items() if name != "calibration"}
    forecasts = {name: forecast(spec, rows) for name, rows in splits.items()}
    if spec.target.quantiles:
        forecasts = _add_quantiles(forecasts, splits, spec)
    return {
        name: evaluate(rules.metrics(), rules.truth_of(rows), forecasts[name], resamples=0)[0]
        for name, rows in splits.items()
    }


def _add_quantiles(
    forecasts: Mapping[str, np.ndarray], splits: Mapping[str, Split], spec: Spec
) -> dict[str, np.ndarray]:
    """Return quantiles (N, H, Q) of each split: forecasts (N, H) plus the quantiles of their validation errors.

    The errors of boosting in training windows are far too small.
    """
    reference = "validation" if "validation" in splits else "train"
    measures = {
        name: measure_windows(np.asarray(rows.inputs[HISTORY]), spec.options["season"]) for name, rows in splits.items()
    }
    level, scale = measures[reference]
    errors = np.asarray(splits[reference].encoded_target)[:, :-1] - (forecasts[reference] - level) / scale
    spread = np.nanquantile(errors, spec.target.quantiles, axis=0).T  # (H, Q), in scales of the window
    return {name: values[..., None] + measures[name][1][..., None] * spread for name, values in forecasts.items()}


def _repeat_season(spec: Spec, rows: Split) -> np.ndarray:
    return repeat_season(np.asarray(rows.inputs[HISTORY]), spec.options["season"], spec.options["horizon"])


def _repeat_last(spec: Spec, rows: Split) -> np.ndarray:
    return repeat_season(np.asarray(rows.inputs[HISTORY]), 1, spec.options["horizon"])


def _extend_drift(spec: Spec, rows: Split) -> np.ndarray:
    """Return the line through the first and the last observed value of each history."""
    history, observed = np.asarray(rows.inputs[HISTORY]), np.asarray(rows.inputs[PAST])[..., 0] > 0
    first = observed.argmax(axis=1)
    steps = np.maximum(history.shape[1] - 1 - first, 1)
    slope = (history[:, -1] - history[np.arange(len(history)), first]) / steps
    return history[:, -1:] + slope[:, None] * np.arange(1, spec.options["horizon"] + 1)


def _run_boosting(dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    """Fit one gradient boosting for all steps: lags, step and its covariates, normalised by the window."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    train, options = dataset.splits["train"], dataset.spec.options
    horizon = options["horizon"]
    generator = np.random.default_rng(seed)
    rows = generator.permutation(len(train))[: max(1, MOST_FITTED // horizon)]
    x = _tabulate(dataset.spec, train, rows)
    y = np.asarray(train.encoded_target)[rows, :-1].ravel()
    keep = np.flatnonzero(np.isfinite(y))
    model = HistGradientBoostingRegressor(loss="absolute_error", random_state=seed).fit(x[keep], y[keep])

    def forecast(spec: Spec, split: Split) -> np.ndarray:
        level, scale = measure_windows(np.asarray(split.inputs[HISTORY]), options["season"])
        values = model.predict(_tabulate(spec, split, np.arange(len(split)))).reshape(len(split), horizon)
        return np.asarray(values * scale + level)

    return _score(forecast, dataset)


def _run_statistical(name: str, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    """Fit a model of statsforecast to each history by itself; training windows are not scored, which would take hours.

    Hyndman et al. 2002, "A state space framework for automatic forecasting using exponential smoothing methods";
    Fiorucci et al. 2016, "Models for optimising the theta method and their relationship to state space models".

    Raises:
        ValueError: If there are too many histories.
    """
    from statsforecast import models

    assert isinstance(dataset, ForecastDataset)
    season = dataset.spec.options["season"]
    histories = {split: dataset.list_histories(split) for split in ("validation", "test") if split in dataset.splits}
    total, most = sum(len(history) for split in histories.values() for history in split), MOST_STATISTICAL[name]
    if total > most:
        raise ValueError(f"the histories have {total:,} values; it is limited to {most:,}")
    is_too_long = name == "auto_ets" and season > MOST_ETS_SEASON
    model = getattr(models, STATISTICAL[name])(season_length=1 if is_too_long else season)
    rules, scores = create_rules(dataset.spec), {}
    levels = dataset.spec.target.quantiles
    for split, of_split in histories.items():
        rows = dataset.splits[split]
        naive = _repeat_season(dataset.spec, rows)
        values = [_forecast_history(model, *pair, levels) for pair in zip(of_split, naive, strict=True)]
        scores[split] = evaluate(rules.metrics(), rules.truth_of(rows), np.stack(values), resamples=0)[0]
    return scores


def _forecast_history(model: Any, history: np.ndarray, naive: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return the forecast after one history (T,), or its quantiles (H, Q).

    Where the model cannot be fitted, it is the seasonal naive one (H,).
    """
    default = np.repeat(naive[:, None], len(levels), axis=1) if levels else naive
    if len(history) < LEAST_STATISTICAL or np.ptp(history) == 0:  # smoothing divides by the variance
        return default
    percents = {level: round(100 * abs(1 - 2 * level), 6) for level in levels if level != 0.5}
    intervals = {"level": sorted(set(percents.values()))} if percents else {}
    try:
        forecast = model.forecast(y=history.astype(np.float64), h=len(naive), **intervals)
    except Exception:  # statsforecast raises a bare Exception if no model can be fitted
        return default
    sides = {level: f"{'lo' if level < 0.5 else 'hi'}-{percent}" for level, percent in percents.items()}
    columns = [np.asarray(forecast[sides.get(level, "mean")]) for level in levels]
    values = np.stack(columns, axis=1) if levels else np.asarray(forecast["mean"])
    return np.where(np.isfinite(values), values, default)


def _tabulate(spec: Spec, split: Split, rows: np.ndarray) -> np.ndarray:
    """Return a row for each window and step (len(rows) * H, D): lags, covariates of the last step and of the step."""
    horizon, season = spec.options["horizon"], spec.options["season"]
    history = np.asarray(split.inputs[HISTORY])[rows]
    level, scale = measure_windows(history, season)
    lags = ((history - level) / scale)[:, -MOST_LAGS:]
    naive = (repeat_season(history, season, horizon) - level) / scale
    shared = [lags, np.asarray(split.inputs[PAST])[rows, -1]]
    table = [np.repeat(values, horizon, axis=0) for values in shared]
    table += [naive.reshape(-1, 1), np.tile(np.arange(horizon), len(rows))[:, None]]
    if FUTURE in split.inputs:
        table.append(np.asarray(split.inputs[FUTURE])[rows].reshape(len(rows) * horizon, -1))
    return np.concatenate(table, axis=1)
