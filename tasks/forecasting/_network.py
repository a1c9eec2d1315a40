"""The parts of forecasting networks: loss, members, covariates as one vector, and the forecast in units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.models.shared_hyperparameters import Knobs
from zoo.networks import assemble, join_features
from zoo.networks.members import MedianMember
from zoo.preprocessing.table import TablePreprocessing
from zoo.spec import Spec

from ._preprocessing import FUTURE, LEVEL, PAST, SCALE, WINDOW, WindowPreprocessing

LARGEST_ERROR = 30.0  # in scales of the window; a larger one is an outlier or a constant history


@keras.saving.register_keras_serializable("zoo")
class ForecastError(keras.losses.Loss):
    """Mean absolute error of normalised forecasts, or pinball loss of quantiles, over the steps that have a value.

    The pinball loss (Koenker and Bassett 1978) counts twice, so that of the median it is the absolute error.

    Args:
        members: Number of forecasts that are trained side by side, each on its own error.
        levels: Probabilities of the Q quantiles of each step.

    Call arguments:
        y_true: Normalised values of the horizon, NaN where missing, and last the scale of the window in errors of the
            seasonal naive forecast (B, H + 1).
        y_pred: Normalised forecasts (B, members * H * Q).
    """

    def __init__(
        self,
        members: int = 1,
        levels: Sequence[float] = (0.5,),
        reduction: str = "sum_over_batch_size",
        name: str = "forecast_error",
        **options: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.members, self.levels = members, [float(level) for level in levels]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the error of each window (B,)."""
        truth = ops.cast(y_true[:, :-1], y_pred.dtype)
        forecasts = ops.reshape(y_pred, (-1, self.members, truth.shape[1], len(self.levels)))
        present = ops.logical_not(ops.isnan(truth))
        clipped = ops.clip(ops.where(present, truth, 0.0), -LARGEST_ERROR, LARGEST_ERROR)
        present = ops.cast(present, y_pred.dtype)
        levels = ops.convert_to_tensor(self.levels, y_pred.dtype)
        rest = clipped[:, None, :, None] - forecasts
        errors = 2 * ops.mean(ops.maximum(levels * rest, (levels - 1) * rest), axis=(1, 3)) * present
        return ops.sum(errors, axis=1) / ops.maximum(ops.sum(present, axis=1), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "members": self.members, "levels": self.levels}


@keras.saving.register_keras_serializable("zoo")
class RepeatSeason(keras.layers.Layer):
    """The seasonal naive forecast: the last season of each window, repeated over the horizon.

    Args:
        season: Steps in a season.
        horizon: Steps of the forecast.
        quantiles: Number of quantiles Q of each step, which are all equal.

    Call arguments:
        window: (B, L).
    """

    def __init__(self, season: int, horizon: int, quantiles: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.season, self.horizon, self.quantiles = season, horizon, quantiles

    def call(self, window: Any) -> Any:
        """Return (B, H * Q)."""
        last = window[:, -self.season :]
        steps = ops.tile(last, (1, -(-self.horizon // self.season)))[:, : self.horizon]
        return ops.repeat(steps, self.quantiles, axis=1) if self.quantiles > 1 else steps

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, H * Q)."""
        return (input_shape[0], self.horizon * self.quantiles)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "season": self.season,
            "horizon": self.horizon,
            "quantiles": self.quantiles,
        }


@keras.saving.register_keras_serializable("zoo")
class SortQuantiles(keras.layers.Layer):
    """The quantiles of each step in ascending order, so that they do not cross.

    Args:
        quantiles: Number of quantiles Q of each step.

    Call arguments:
        forecasts: (B, H * Q).
    """

    def __init__(self, quantiles: int, **options: Any) -> None:
        super().__init__(**options)
        self.quantiles = quantiles

    def call(self, forecasts: Any) -> Any:
        """Return (B, H * Q)."""
        by_step = ops.reshape(forecasts, (-1, forecasts.shape[1] // self.quantiles, self.quantiles))
        return ops.reshape(ops.sort(by_step, axis=2), (-1, forecasts.shape[1]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, H * Q)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "quantiles": self.quantiles}


@keras.saving.register_keras_serializable("zoo")
class KeepLast(keras.layers.Layer):
    """A window of its own length for each member: the steps before it become 0.

    Args:
        lengths: Number of steps that each member sees.

    Call arguments:
        window: (B, L).
    """

    def __init__(self, lengths: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.lengths = list(lengths)

    def call(self, window: Any) -> Any:
        """Return (B, members, L)."""
        steps = window.shape[1]
        visible = np.arange(steps) >= steps - np.array(self.lengths)[:, None]
        return window[:, None] * ops.convert_to_tensor(visible.astype("float32"), window.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, members, L)."""
        return (input_shape[0], len(self.lengths), input_shape[1])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "lengths": self.lengths}


def join_covariates(inputs: dict[str, Any], spec: Spec) -> Any:
    """Return everything besides the window as one vector (B, D); None if there is nothing.

    Args:
        inputs: The preprocessing's tensors.
        spec: The spec.
    """
    parts = []
    if len(spec.options.get("past_channels", ())) or spec.options.get("gaps"):
        parts.append(keras.layers.Flatten(name="past_flat")(inputs[PAST]))
    if FUTURE in inputs:
        parts.append(keras.layers.Flatten(name="future_flat")(inputs[FUTURE]))
    if "features" in inputs or "codes" in inputs:
        parts.append(join_features(inputs, TablePreprocessing(spec, "standard")))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="covariates")(parts)


def count_outputs(spec: Spec) -> int:
    """Return the number of normalised forecasts of a member: the steps of the horizon, or their quantiles."""
    return int(spec.options["horizon"]) * max(1, len(spec.target.quantiles))


def assemble_forecaster(
    preprocessing: WindowPreprocessing,
    inputs: dict[str, Any],
    forecasts: Any,
    spec: Spec,
    knobs: Knobs,
    *,
    members: int = 1,
    residual: bool = True,
) -> keras.Model:
    """Return the compiled model of normalised forecasts.

    Args:
        preprocessing: The preprocessing.
        inputs: Its tensors.
        forecasts: Normalised forecasts (B, members * H * Q), or what they add to the seasonal naive one.
        spec: The spec.
        knobs: The shared hyperparameters.
        members: Number of forecasts, whose median is the model's.
        residual: Whether the forecasts are added to the seasonal naive one.
    """
    levels = spec.target.quantiles or (0.5,)
    if residual:
        season, horizon = spec.options["season"], spec.options["horizon"]
        naive = RepeatSeason(season, horizon, len(levels), name="seasonal_naive")(inputs[WINDOW])
        naive = keras.layers.Concatenate(name="naive_members")([naive] * members) if members > 1 else naive
        forecasts = keras.layers.Add(name="forecasts")([forecasts, naive])
    forecast = MedianMember(members, name="median")(forecasts) if members > 1 else forecasts
    forecast = SortQuantiles(len(levels), name="in_order")(forecast) if len(levels) > 1 else forecast
    scaled = keras.layers.Multiply(name="in_scale")([forecast, inputs[SCALE]])
    in_units = keras.layers.Add(name="in_units")([scaled, inputs[LEVEL]])
    output = keras.layers.Concatenate(name="forecast_and_scale")([in_units, inputs[SCALE]])
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, forecasts, ForecastError(members, levels), knobs, inference_output=output)
