"""Observations of an environment inside the model: bounded ones get a scale, whole numbers become indicators."""

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
    """Brings bounded numbers to -1 to 1; numbers without bounds stay as they are.

    Args:
        low: Least value of each number (F,); None where it has no bound.
        high: Greatest value of each (F,).

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
    """How observations are prepared; makes the Keras model that does it.

    Args:
        spec: Its only input is an observation: F numbers, or one whole number of ``n``.
    """

    spec: Spec

    @property
    def known(self) -> Input:
        """The input."""
        return self.spec.inputs[0]

    @property
    def digest(self) -> str:
        """Digest of all that decides what the prepared tensors hold, given the raw ones."""
        return hashlib.sha256(f"{type(self).__name__} {self.known!r}".encode()).hexdigest()[:16]

    def tensors(self) -> dict[str, Any]:
        """Return the Keras input of prepared observations: ``observations`` (B, F')."""
        width = self.known.statistics["n"] if not self.known.shape else self.known.shape[0]
        return {"observations": keras.Input((width,), name="observations")}

    def raw_tensors(self) -> dict[str, Any]:
        """Return the Keras input of raw observations: ``observation`` (B, F), or (B,) of whole numbers."""
        return {self.known.key: keras.Input(self.known.shape, name=self.known.key)}

    def model(self) -> keras.Model:
        """Return the Keras model from raw observations to prepared ones; it has no weight that trains."""
        raw, facts = self.raw_tensors(), self.known.statistics
        if self.known.shape:
            made = ScaleObservation(facts["low"], facts["high"], name="scaled")(raw[self.known.key])
        else:
            counted = keras.layers.Rescaling(1.0, -facts["start"], name="from_zero")(raw[self.known.key])
            whole = keras.layers.Reshape((1,), name="one")(counted)
            made = keras.layers.CategoryEncoding(facts["n"], output_mode="one_hot", name="indicators")(whole)
        return keras.Model(raw, {"observations": made}, name=PREPROCESSING)
