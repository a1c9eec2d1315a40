"""The parts of forecasting networks: loss, members, covariates as one vector, and the forecast in units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.models.shared_hyperparameters import Knobs
from zoo.networks import assemble, join_features
from zoo.preprocessing.table import TablePreprocessing
from zoo.spec import Spec

from ._preprocessing import FUTURE, LEVEL, PAST, SCALE, WINDOW, WindowPreprocessing

LARGEST_ERROR = 30.0  # in scales of the window; a larger one is an outlier or a constant history


@keras.saving.register_keras_serializable("zoo")
class ForecastError(keras.losses.Loss):
    """Mean absolute error of normalised forecasts, over the steps that have a value.

    Args:
        members: Number of forecasts that are trained side by side, each on its own error.

    Call arguments:
        y_true: Normalised values of the horizon, NaN where missing, and last the scale of the window in errors of the
            seasonal naive forecast (B, H + 1).
        y_pred: Normalised forecasts (B, members * H).
    """

    def __init__(
        self, members: int = 1, reduction: str = "sum_over_batch_size", name: str = "forecast_error", **options: Any
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.members = members

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the error of each window (B,)."""
        truth = ops.cast(y_true[:, :-1], y_pred.dtype)
        forecasts = ops.reshape(y_pred, (-1, self.members, truth.shape[1]))
        present = ops.logical_not(ops.isnan(truth))
        clipped = ops.clip(ops.where(present, truth, 0.0), -LARGEST_ERROR, LARGEST_ERROR)
        present = ops.cast(present, y_pred.dtype)
        errors = ops.mean(ops.abs(forecasts - clipped[:, None]), axis=1) * present
        return ops.sum(errors, axis=1) / ops.maximum(ops.sum(present, axis=1), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "members": self.members}


@keras.saving.register_keras_serializable("zoo")
class MedianMember(keras.layers.Layer):
    """Median of the forecasts of several members.

    Args:
        members: Number of members.

    Call arguments:
        forecasts: (B, members * H).
    """

    def __init__(self, members: int, **options: Any) -> None:
        super().__init__(**options)
        self.members = members

    def call(self, forecasts: Any) -> Any:
        """Return the median (B, H)."""
        by_member = ops.reshape(forecasts, (-1, self.members, forecasts.shape[1] // self.members))
        ordered, middle = ops.sort(by_member, axis=1), self.members // 2
        return ordered[:, middle] if self.members % 2 else (ordered[:, middle - 1] + ordered[:, middle]) / 2

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, H)."""
        return (input_shape[0], input_shape[1] // self.members)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "members": self.members}


@keras.saving.register_keras_serializable("zoo")
class RepeatSeason(keras.layers.Layer):
    """The seasonal naive forecast: the last season of each window, repeated over the horizon.

    Args:
        season: Steps in a season.
        horizon: Steps of the forecast.

    Call arguments:
        window: (B, L).
    """

    def __init__(self, season: int, horizon: int, **options: Any) -> None:
        super().__init__(**options)
        self.season, self.horizon = season, horizon

    def call(self, window: Any) -> Any:
        """Return (B, H)."""
        last = window[:, -self.season :]
        return ops.tile(last, (1, -(-self.horizon // self.season)))[:, : self.horizon]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, H)."""
        return (input_shape[0], self.horizon)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "season": self.season, "horizon": self.horizon}


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


@keras.saving.register_keras_serializable("zoo")
class MemberDense(keras.layers.Layer):
    """A dense layer of each member, in one batched product.

    Args:
        units: Width of the output.
        activation: Activation function; None for none.

    Call arguments:
        x: (B, members, F).
    """

    def __init__(self, units: int, activation: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.activation = units, activation

    def build(self, input_shape: Any) -> None:
        """Create the weights (members, F, units) and biases (members, units)."""
        _, members, features = input_shape
        limit = float(np.sqrt(6 / (features + self.units)))  # Glorot and Bengio 2010, equation 16
        initializer = keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight(shape=(members, features, self.units), initializer=initializer, name="kernel")
        self.bias = self.add_weight(shape=(members, self.units), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        """Return (B, members, units)."""
        x = ops.transpose(ops.matmul(ops.transpose(x, (1, 0, 2)), self.kernel), (1, 0, 2)) + self.bias
        return x if self.activation is None else keras.activations.get(self.activation)(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, members, units)."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "activation": self.activation}


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
        forecasts: Normalised forecasts (B, members * H), or what they add to the seasonal naive one.
        spec: The spec.
        knobs: The shared hyperparameters.
        members: Number of forecasts, whose median is the model's.
        residual: Whether the forecasts are added to the seasonal naive one.
    """
    horizon = spec.options["horizon"]
    if residual:
        naive = RepeatSeason(spec.options["season"], horizon, name="seasonal_naive")(inputs[WINDOW])
        naive = keras.layers.Concatenate(name="naive_members")([naive] * members) if members > 1 else naive
        forecasts = keras.layers.Add(name="forecasts")([forecasts, naive])
    forecast = MedianMember(members, name="median")(forecasts) if members > 1 else forecasts
    scaled = keras.layers.Multiply(name="in_scale")([forecast, inputs[SCALE]])
    in_units = keras.layers.Add(name="in_units")([scaled, inputs[LEVEL]])
    output = keras.layers.Concatenate(name="forecast_and_scale")([in_units, inputs[SCALE]])
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, forecasts, ForecastError(members), knobs, inference_output=output)
