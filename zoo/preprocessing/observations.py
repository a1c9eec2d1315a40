"""Preprocessing of observations of an environment: scaling of bounded numbers, one-hot encoding of integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from zoo.preprocessing.configuration import simplify_config
from zoo.preprocessing.input_preprocessing import InputPreprocessing
from zoo.spec import ObservationInput, Spec

OBSERVATION = "observation"
MOST_BOUND = 1e4


@keras.saving.register_keras_serializable("zoo")
class ScaleObservation(keras.layers.Layer):
    """Scales bounded numbers to [-1, 1]; unbounded numbers stay unchanged.

    Args:
        low: Minimum of each number (F,); None if it has no bound.
        high: Maximum of each number (F,).

    Call arguments:
        observations: (B, F).
    """

    def __init__(self, low: Sequence[float | None], high: Sequence[float | None], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.low, self.high = list(low), list(high)

    def call(self, observations: Any) -> Any:
        """Return (B, F)."""
        middle, half = (ops.array(values, "float32") for values in self.middle_and_half())
        return (ops.cast(observations, "float32") - middle) / half

    def middle_and_half(self) -> tuple[list[float], list[float]]:
        """Return the middle and half of the range of each number; 0 and 1 if it has no bounds."""
        pairs = [
            (a, b) if a is not None and b is not None and 0 < b - a < MOST_BOUND else (-1.0, 1.0)
            for a, b in zip(self.low, self.high, strict=True)
        ]
        return [(a + b) / 2 for a, b in pairs], [(b - a) / 2 for a, b in pairs]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, F)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "low": self.low, "high": self.high}


class ObservationPreprocessing(InputPreprocessing):
    """Preprocessing of observations.

    Args:
        spec: Spec with an observation: F numbers, or one of ``n`` integers.
        key: Key of the observation, which also names the preprocessed tensor; default the only one, as
            ``observations``.
    """

    def __init__(self, spec: Spec, key: str | None = None) -> None:
        self.input_ = spec.only(ObservationInput, key)
        self.name = key or "observations"

    def __repr__(self) -> str:
        return f"ObservationPreprocessing({self.input_!r}, {self.name!r})"

    def tensors(self) -> dict[str, Any]:
        """Return the Keras input of preprocessed observations (B, F')."""
        width = self.input_.shape[0] if self.input_.shape else self.input_.n
        return {self.name: keras.Input((width,), name=self.name)}

    def raw_tensors(self) -> dict[str, Any]:
        """Return the Keras input of raw observations: ``observation`` (B, F), or (B,) of integers."""
        return {self.input_.key: keras.Input(self.input_.shape, name=self.input_.key)}

    def outputs(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return preprocessed observations by name."""
        input_, values = self.input_, raw[self.input_.key]
        prefix = "" if self.name == "observations" else f"{self.name}_"
        if input_.shape:
            return {self.name: ScaleObservation(input_.low, input_.high, name=f"{prefix}scaled")(values)}
        from_zero = keras.layers.Rescaling(1.0, -input_.start, name=f"{prefix}from_zero")(values)
        column = keras.layers.Reshape((1,), name=f"{prefix}one")(from_zero)
        encoding = keras.layers.CategoryEncoding(input_.n, output_mode="one_hot", name=f"{prefix}indicators")
        return {self.name: encoding(column)}
