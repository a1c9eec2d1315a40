"""Metrics, predictions and intervals of forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.calibration.conformal import ConformalQuantiles, compute_quantiles, look_up_quantile, measure_intervals
from zoo.data.dataset import Split
from zoo.metrics.intervals import ERROR
from zoo.metrics.metric import Metric
from zoo.metrics.weighting import weighted_mean
from zoo.supervised.targets import ConformalRules

from ._preprocessing import HISTORY
from ._windows import measure_windows, repeat_season

TINY = 1e-12
PLACE_OF_90 = 899  # of 90 % among conformal quantiles
VALUE, PRESENT, NAIVE_ERROR, NAIVE = range(4)  # channels of a truth (N, H, 4)


def _mean_steps(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of values (N, H) over the steps that have a truth (N,)."""
    present = truth[..., PRESENT]
    return np.asarray((values * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1))


def _errors(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return np.abs(truth[..., VALUE] - prediction)


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of values (N,), without those that are undefined, for each row of weights (R, N)."""
    defined = np.isfinite(values)
    if not defined.any():
        return np.full(len(weights), np.nan)
    return np.asarray(weighted_mean(values[defined], weights[:, defined]))


def _mase(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean error in errors of the seasonal naive forecast before the split (Hyndman and Koehler 2006).

    Args:
        truth: Values, presence, naive error, seasonal naive forecast (N, H, 4).
        prediction: Forecasts (N, H).
        weights: Weights of the windows (R, N).
    """
    naive = truth[:, 0, NAIVE_ERROR]
    errors = _mean_steps(truth, _errors(truth, prediction))
    return _weighted(np.where(naive > 0, errors / np.maximum(naive, TINY), np.nan), weights)


def _relative_mase(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the geometric mean of the errors relative to those of the seasonal naive forecast of the same windows."""
    naive = _mean_steps(truth, np.abs(truth[..., VALUE] - truth[..., NAIVE]))
    errors = _mean_steps(truth, _errors(truth, prediction))
    ratios = np.where((naive > 0) & (errors > 0), errors / np.maximum(naive, TINY), np.nan)
    return np.asarray(np.exp(_weighted(np.log(ratios), weights)))


def _smape(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of 200 |y - f| / (|y| + |f|), as in the M3 competition (Makridakis and Hibon 2000)."""
    sizes = np.abs(truth[..., VALUE]) + np.abs(prediction)
    return _weighted(_mean_steps(truth, 200 * _errors(truth, prediction) / np.maximum(sizes, TINY)), weights)


def _mape(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean error in per cent of the value; NaN if a value is 0."""
    values = np.where(truth[..., PRESENT] > 0, np.abs(truth[..., VALUE]), 1.0)
    if (values == 0).any():
        return np.full(len(weights), np.nan)
    return _weighted(_mean_steps(truth, 100 * _errors(truth, prediction) / values), weights)


def _rmse(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the root of the mean squared error, in units of the target."""
    return np.sqrt(_weighted(_mean_steps(truth, _errors(truth, prediction) ** 2), weights))


class ForecastRules(ConformalRules):
    """Forecasts of all steps of the horizon; the last column of an output is the scale of the window."""

    @property
    def horizon(self) -> int:
        """Steps that are forecast."""
        return int(self.spec.options["horizon"])

    def metrics(self) -> Sequence[Metric]:
        """Return mase, by which a search ranks, relative_mase, smape, mape and rmse."""
        functions = {"mase": _mase, "relative_mase": _relative_mase, "smape": _smape, "mape": _mape, "rmse": _rmse}
        return tuple(Metric(name, "min", function, limits=ERROR) for name, function in functions.items())

    def output_width(self) -> int:
        """Return the number of steps, and one for the scale."""
        return self.horizon + 1

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return forecasts (N, H) in units of the target."""
        return np.asarray(output, np.float64)[:, :-1]

    def truth(self, target: np.ndarray) -> np.ndarray:
        """Return normalised values (N, H)."""
        return np.asarray(target, np.float64)[:, :-1]

    def truth_of(self, rows: Split) -> np.ndarray:
        """Return values, presence, naive error and seasonal naive forecast of each step (N, H, 4)."""
        history, target = np.asarray(rows.inputs[HISTORY]), np.asarray(rows.encoded_target, np.float64)
        level, scale = measure_windows(history, self.spec.options["season"])
        values = target[:, :-1] * scale + level
        present = np.isfinite(values)
        share = target[:, -1:]
        naive_error = np.divide(scale, share, out=np.zeros_like(scale), where=share > 0)
        naive = repeat_season(history, self.spec.options["season"], self.horizon)
        channels = [np.where(present, values, 0.0), present.astype(float), np.broadcast_to(naive_error, values.shape)]
        return np.stack([*channels, naive], axis=-1)

    def held_out(self, rows: Split, output: Any) -> pd.DataFrame:
        """Return ``row`` of the last step before the forecast, ``series``, ``step``, ``truth`` and ``prediction``."""
        truth, prediction = self.truth_of(rows), self.decode(output)
        steps = prediction.shape[1]
        names = {} if rows.group is None else {"series": np.repeat(np.asarray(rows.group), steps)}
        values = np.where(truth[..., PRESENT] > 0, truth[..., VALUE], np.nan)
        return pd.DataFrame(
            {
                "row": np.repeat(rows.rows, steps),
                **names,
                "step": np.tile(np.arange(1, steps + 1), len(rows)),
                "truth": values.ravel(),
                "prediction": prediction.ravel(),
            }
        )

    def decoding(self) -> Mapping[str, Any]:
        """Return the names of the steps, and ``scale``: exports give a row for each window."""
        columns = [f"prediction_{step}" for step in range(1, self.horizon + 1)]
        return {"kind": "numbers", "of": "output", "columns": [*columns, "scale"], "mean": 0.0, "std": 1.0}

    def nonconformity(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return the errors (N, H), NaN where there is no value."""
        return np.where(truth[..., PRESENT] > 0, _errors(truth, prediction), np.nan)

    def compute_quantiles(self, rows: Split, output: np.ndarray) -> tuple[ConformalQuantiles, tuple[str, ...]]:
        """Return the conformal quantiles of each step, of errors in scales of the window, and notes."""
        errors = self.nonconformity(self.truth_of(rows), self.decode(output)) / output[:, -1:]
        quantiles = [compute_quantiles(step[np.isfinite(step)], None, counts=False) for step in errors.T]
        few = sum(step[PLACE_OF_90] is None for step in quantiles)
        note = f"{few} of {len(quantiles)} steps have fewer than 9 calibration windows, too few for intervals of "
        note += "90 %; increase --calibration-size"
        return quantiles, (note,) if few else ()

    def intervals_at(self, output: np.ndarray, limit: Any, percent: float) -> pd.DataFrame:
        """Return ``lower_<percent>`` and ``upper_<percent>`` of each step of each window, one row each."""
        low, high = self._bounds(output, limit)
        return pd.DataFrame({f"lower_{percent:g}": low.ravel(), f"upper_{percent:g}": high.ravel()})

    def interval_metrics(
        self, truth: np.ndarray, prediction: np.ndarray, limit: Any, percent: float, weight: np.ndarray
    ) -> dict[str, float]:
        """Return coverage, width and interval score of bounds (N, H, 2) at the steps that have a value."""
        present = truth[..., PRESENT] > 0
        low, high = prediction[..., 0][present], prediction[..., 1][present]
        return measure_intervals(truth[..., VALUE][present], low, high, percent, np.ones(int(present.sum())))

    def _interval_scores(
        self, rows: Split, output: Any, conformal_quantiles: ConformalQuantiles, percents: Sequence[float]
    ) -> list[dict[str, float]]:
        truth, scores = self.truth_of(rows), []
        for percent in percents:
            limit = look_up_quantile(conformal_quantiles, percent)
            bounds = np.stack(self._bounds(output, limit), axis=-1)
            scores.append(self.interval_metrics(truth, bounds, limit, percent, np.ones(len(rows))))
        return scores

    def _bounds(self, output: np.ndarray, limit: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper bounds (N, h): the errors of each step, in scales of the window."""
        values, scale = self.decode(output), np.asarray(output, np.float64)[:, -1:]
        width = scale * np.asarray(limit)[: values.shape[1]]
        return values - width, values + width

    def draw(self, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return a figure of the error by step of the horizon."""
        from ._forecast_figures import draw_errors_by_step

        naive = truth[..., NAIVE]
        return {"error_by_horizon": draw_errors_by_step(truth, prediction, naive, name=self.spec.target.name)}
