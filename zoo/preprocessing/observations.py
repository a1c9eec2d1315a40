"""Preprocessing of observations of an environment: scaling of bounded numbers, one-hot encoding of integers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from zoo.models.built_model import PREPROCESSING
from zoo.spec import Input, Spec

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
        pairs = [
            (a, b) if a is not None and b is not None and 0 < b - a < MOST_BOUND else (-1.0, 1.0)
            for a, b in zip(self.low, self.high, strict=True)
        ]
        middle = ops.array([(a + b) / 2 for a, b in pairs], "float32")
        half = ops.array([(b - a) / 2 for a, b in pairs], "float32")
        return (ops.cast(observations, "float32") - middle) / half

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, F)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        for name in ("dtype", "trainable"):
            config.pop(name, None)
        return {**config, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class ObservationPreprocessing:
    """Preprocessing of observations as a Keras model.

    Args:
        spec: Spec with an observation as its only input: F numbers, or one of ``n`` integers.
    """

    spec: Spec

    @property
    def input_(self) -> Input:
        """The only input of the spec."""
        return self.spec.inputs[0]

    @property
    def digest(self) -> str:
        """Digest of everything that determines the preprocessed tensors, given the raw ones."""
        return hashlib.sha256(f"{type(self).__name__} {self.input_!r}".encode()).hexdigest()[:16]

    def tensors(self) -> dict[str, Any]:
        """Return the Keras input of preprocessed observations: ``observations`` (B, F')."""
        width = self.input_.statistics["n"] if not self.input_.shape else self.input_.shape[0]
        return {"observations": keras.Input((width,), name="observations")}

    def raw_tensors(self) -> dict[str, Any]:
        """Return the Keras input of raw observations: ``observation`` (B, F), or (B,) of integers."""
        return {self.input_.key: keras.Input(self.input_.shape, name=self.input_.key)}

    def model(self) -> keras.Model:
        """Return the Keras model from raw to preprocessed observations, without trainable weights."""
        raw, facts = self.raw_tensors(), self.input_.statistics
        if self.input_.shape:
            prepared = ScaleObservation(facts["low"], facts["high"], name="scaled")(raw[self.input_.key])
        else:
            from_zero = keras.layers.Rescaling(1.0, -facts["start"], name="from_zero")(raw[self.input_.key])
            column = keras.layers.Reshape((1,), name="one")(from_zero)
            prepared = keras.layers.CategoryEncoding(facts["n"], output_mode="one_hot", name="indicators")(column)
        return keras.Model(raw, {"observations": prepared}, name=PREPROCESSING)
