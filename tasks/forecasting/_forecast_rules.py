"""Metrics, predictions and intervals of forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.calibration.conformal import (
    ConformalQuantiles,
    compute_quantiles,
    look_up_quantile,
    measure_intervals,
    score_bounds,
    widen_bounds,
)
from zoo.data.dataset import Split
from zoo.metrics.metric import Metric
from zoo.metrics.numbers import select_median
from zoo.spec import Spec
from zoo.supervised.targets import ConformalRules

from ._forecast_metrics import NAIVE, PRESENT, VALUE, create_forecast_metrics, create_quantile_metrics
from ._preprocessing import HISTORY
from ._windows import measure_windows, repeat_season

PLACE_OF_90 = 899  # of 90 % among conformal quantiles


class ForecastRules(ConformalRules):
    """Forecasts of all steps of the horizon; the last column of an output is the scale of the window."""

    @property
    def horizon(self) -> int:
        """Steps that are forecast."""
        return int(self.spec.options["horizon"])

    def metrics(self) -> Sequence[Metric]:
        """Return mase, by which a search ranks, relative_mase, smape, mape and rmse."""
        return create_forecast_metrics()

    def output_width(self) -> int:
        """Return the number of steps, and one for the scale."""
        return self.horizon + 1

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return forecasts (N, H) in units of the target."""
        return np.asarray(output, np.float64)[:, :-1]

    def shorten(self, output: np.ndarray, steps: int) -> np.ndarray:
        """Return an output (N, H * Q + 1) without the forecasts of later steps."""
        per_step = (output.shape[1] - 1) // self.horizon
        return np.concatenate([output[:, : steps * per_step], output[:, -1:]], axis=1)

    def middle(self, prediction: np.ndarray) -> np.ndarray:
        """Return the forecast of each step (N, H)."""
        return prediction

    def bounds(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and the upper bound of each step (N, H): the forecast itself, twice."""
        return prediction, prediction

    def name_forecasts(self, prediction: np.ndarray) -> dict[str, np.ndarray]:
        """Return the columns of predictions, a row for each window and step."""
        return {"prediction": prediction.ravel()}

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
        truth, forecasts = self.truth_of(rows), self.name_forecasts(self.decode(output))
        steps = truth.shape[1]
        names = {} if rows.group is None else {"series": np.repeat(np.asarray(rows.group), steps)}
        values = np.where(truth[..., PRESENT] > 0, truth[..., VALUE], np.nan)
        return pd.DataFrame(
            {
                "row": np.repeat(rows.rows, steps),
                **names,
                "step": np.tile(np.arange(1, steps + 1), len(rows)),
                "truth": values.ravel(),
                **forecasts,
            }
        )

    def decoding(self) -> Mapping[str, Any]:
        """Return the names of the steps, and ``scale``: exports give a row for each window."""
        columns = [f"prediction_{step}" for step in range(1, self.horizon + 1)]
        return {"kind": "numbers", "of": "output", "columns": [*columns, "scale"], "mean": 0.0, "std": 1.0}

    def nonconformity(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return the distances of the values from the bounds (N, H), NaN where there is no value."""
        return np.where(truth[..., PRESENT] > 0, score_bounds(truth[..., VALUE], *self.bounds(prediction)), np.nan)

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
        low, high = self.bounds(self.decode(output))
        return widen_bounds(low, high, np.asarray(output, np.float64)[:, -1:] * np.asarray(limit)[: low.shape[1]])

    def draw(self, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return a figure of the error by step of the horizon."""
        from ._forecast_figures import draw_errors_by_step

        forecast, naive = self.middle(prediction), truth[..., NAIVE]
        return {"error_by_horizon": draw_errors_by_step(truth, forecast, naive, name=self.spec.target.name)}

    def draw_windows(self, truth: np.ndarray, prediction: np.ndarray, rows: Split) -> Any:
        """Return a figure of history and forecast of the best, the median and the worst window."""
        return self._draw_windows(truth, prediction, (*self.bounds(prediction), "outermost quantiles"), rows)

    def draw_intervals(self, rows: Split, output: Any, conformal_quantiles: ConformalQuantiles) -> Mapping[str, Any]:
        """Return figures of coverage and width, and history and forecast with the intervals of 90 %."""
        figures = super().draw_intervals(rows, output, conformal_quantiles)
        limit = np.asarray(look_up_quantile(conformal_quantiles, 90.0))
        if not np.isfinite(limit).all():
            return figures
        bounds = (*self._bounds(output, limit), "90 % interval")
        return {**figures, **self._draw_windows(self.truth_of(rows), self.decode(output), bounds, rows)}

    def _draw_windows(
        self, truth: np.ndarray, prediction: np.ndarray, bounds: tuple[np.ndarray, np.ndarray, str], rows: Split
    ) -> Mapping[str, Any]:
        from ._forecast_figures import draw_best_and_worst

        forecast = self.middle(prediction)
        return {"forecasts": draw_best_and_worst(truth, forecast, bounds, rows, name=self.spec.target.name)}


class QuantileForecastRules(ForecastRules):
    """Quantiles of each step of the horizon, ascending; the one nearest to the median is the forecast."""

    @property
    def levels(self) -> tuple[float, ...]:
        """Probabilities of the quantiles."""
        return self.spec.target.quantiles

    def metrics(self) -> Sequence[Metric]:
        """Return scaled_pinball, by which a search ranks, coverage of the outermost quantiles, and the median's."""
        return create_quantile_metrics(self.levels)

    def output_width(self) -> int:
        """Return the number of quantiles of all steps, and one for the scale."""
        return self.horizon * len(self.levels) + 1

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return quantiles (N, H, Q) in units of the target."""
        values = super().decode(output)
        return values.reshape(len(values), -1, len(self.levels))

    def middle(self, prediction: np.ndarray) -> np.ndarray:
        """Return the quantile nearest to the median (N, H)."""
        return prediction[..., select_median(self.levels)]

    def bounds(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the outermost quantiles (N, H), which conformal prediction widens or narrows."""
        return prediction[..., 0], prediction[..., -1]

    def name_forecasts(self, prediction: np.ndarray) -> dict[str, np.ndarray]:
        """Return ``prediction`` and ``quantile_<level>``, a row for each window and step."""
        names = [f"quantile_{level:g}" for level in self.levels]
        quantiles = dict(zip(names, prediction.reshape(-1, len(names)).T, strict=True))
        return {"prediction": self.middle(prediction).ravel(), **quantiles}

    def decoding(self) -> Mapping[str, Any]:
        """Return the names of the quantiles of each step, and ``scale``: exports give a row for each window."""
        steps = range(1, self.horizon + 1)
        columns = [f"quantile_{level:g}_{step}" for step in steps for level in self.levels]
        return {**super().decoding(), "columns": [*columns, "scale"]}


def create_rules(spec: Spec) -> ForecastRules:
    """Return the rules of forecasts, or of their quantiles."""
    return QuantileForecastRules(spec) if spec.target.quantiles else ForecastRules(spec)
