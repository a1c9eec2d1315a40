"""Preprocessing of windows: normalisation by the level and scale of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from zoo.preprocessing.configuration import simplify_config
from zoo.preprocessing.input_preprocessing import InputPreprocessing
from zoo.preprocessing.table import TablePreprocessing, is_column
from zoo.spec import ArrayInput, Spec

from ._windows import SMALLEST_SCALE

HISTORY, PAST, FUTURE = "history", "past", "future"
WINDOW, LEVEL, SCALE = "window", "level", "scale"


@keras.saving.register_keras_serializable("zoo")
class NormalizeWindow(keras.layers.Layer):
    """Subtracts the level of each window and divides by its scale, in 64 bits.

    The level is the mean of the last season, the scale the mean distance from it.

    Args:
        season: Steps in a season.

    Call arguments:
        history: (B, L).
    """

    def __init__(self, season: int, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.season = season

    def call(self, history: Any) -> list[Any]:
        """Return the normalised window (B, L), level (B, 1) and scale (B, 1)."""
        history = ops.cast(history, "float64")
        level = ops.mean(history[:, -self.season :], axis=1, keepdims=True)
        scale = ops.mean(ops.abs(history - level), axis=1, keepdims=True)
        scale = ops.maximum(scale, SMALLEST_SCALE * ops.maximum(ops.abs(level), 1.0))
        return [ops.cast(values, "float32") for values in ((history - level) / scale, level, scale)]

    def compute_output_spec(self, history: Any) -> list[Any]:
        """Return the specs of window, level and scale."""
        batch = history.shape[0]
        return [keras.KerasTensor(shape) for shape in ((batch, history.shape[1]), (batch, 1), (batch, 1))]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "season": self.season}


@keras.saving.register_keras_serializable("zoo")
class StandardizeChannels(keras.layers.Layer):
    """Standardises the last axis; a value that is missing becomes 0, the mean, as all of a constant channel do.

    Args:
        mean: Mean of each channel (C,).
        std: Standard deviation of each channel (C,).

    Call arguments:
        values: (B, T, C).
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.mean, self.std = list(mean), list(std)

    def call(self, values: Any) -> Any:
        """Return standardised values (B, T, C)."""
        std = ops.array([std if std > 0 else math.inf for std in self.std], "float64")
        scaled = (ops.cast(values, "float64") - ops.array(self.mean, "float64")) / std
        return ops.cast(ops.where(ops.isnan(scaled), 0.0, scaled), "float32")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, T, C)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "mean": self.mean, "std": self.std}


@dataclass(frozen=True)
class WindowPreprocessing(InputPreprocessing):
    """Preprocessing of a window of a series, its covariates and its static columns.

    Args:
        spec: The spec of a forecasting task.
    """

    spec: Spec

    def __repr__(self) -> str:
        return f"WindowPreprocessing({self.spec.options.get('season')}, {self.spec.inputs!r})"

    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs: ``window`` (B, L), ``level``, ``scale`` (B, 1), ``past`` (B, L, C), and as the data have
        them ``future`` (B, H, K), ``features`` (B, D) and ``codes`` (B, E)."""
        arrays = self._arrays()
        tensors = {WINDOW: keras.Input(arrays[HISTORY].shape, name=WINDOW)}
        tensors |= {name: keras.Input((1,), name=name) for name in (LEVEL, SCALE)}
        tensors |= {key: keras.Input(arrays[key].shape, name=key) for key in (PAST, FUTURE) if key in arrays}
        return {**tensors, **(self._table().tensors() if self._has_table() else {})}

    def raw_tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the raw values: ``history`` (B, L) in 64 bits, covariates and static columns."""
        raw = {key: keras.Input(array.shape, dtype="float64", name=key) for key, array in self._arrays().items()}
        return {**raw, **(self._table().raw_tensors() if self._has_table() else {})}

    def outputs(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return the preprocessed tensors by name."""
        arrays = self._arrays()
        normalized = NormalizeWindow(int(self.spec.options["season"]), name="normalize")(raw[HISTORY])
        outputs = dict(zip((WINDOW, LEVEL, SCALE), normalized, strict=True))
        for key in (PAST, FUTURE):
            if key in arrays:
                outputs[key] = StandardizeChannels(arrays[key].mean, arrays[key].std, name=f"{key}_scaled")(raw[key])
        return {**outputs, **(self._table().outputs(raw) if self._has_table() else {})}

    def _arrays(self) -> dict[str, ArrayInput]:
        return {array.key: array for array in self.spec.of_kind(ArrayInput)}

    def _has_table(self) -> bool:
        return any(is_column(input_) for input_ in self.spec.inputs)

    def _table(self) -> TablePreprocessing:
        return TablePreprocessing(self.spec, "standard")
