"""Random changes of sequences of numbers in training: a window of their steps, noise, and another scale."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
from keras import ops

from zoo.errors import UsageError
from zoo.spec import SequenceInput, Spec, TextInput

LIMITS = {"slicing": 0.9, "jitter": 2.0, "scaling": 2.0}


def declare_augmentation(hp: keras_tuner.HyperParameters, spec: Spec) -> dict[str, float]:
    """Declare the hyperparameters of augmentation and return them; texts have none.

    Raises:
        UsageError: If a value is negative or too large.
    """
    names = () if spec.of_kind(TextInput) else LIMITS
    amounts = {name: hp.Fixed(name, 0.0) for name in names}
    for name, amount in amounts.items():
        if not 0 <= amount <= LIMITS[name]:
            raise UsageError(f"received {amount}; it must be from 0 to {LIMITS[name]:g}", where=name)
    return amounts


def add_augmentation(steps: Any, real: Any, amounts: dict[str, float], spec: Spec) -> tuple[Any, Any]:
    """Return steps (B, T, F) that are changed in training, and the mask of real steps (B, T).

    Args:
        steps: (B, T, F).
        real: Mask of real steps (B, T).
        amounts: From :func:`declare_augmentation`.
        spec: Spec of the sequences.
    """
    if not any(amounts.values()):
        return steps, real
    columns = len(spec.only(SequenceInput).mean)
    layer = AugmentSteps(amounts["slicing"], amounts["jitter"], amounts["scaling"], columns=columns, name="augment")
    return layer(steps, real)


@keras.saving.register_keras_serializable("zoo")
class AugmentSteps(keras.layers.Layer):
    """Randomly changes standardised sequences in training; does nothing in inference.

    Window slicing is of Le Guennec, Malinowski and Tavenard 2016, "Data augmentation for time series classification
    using convolutional neural networks", section 3.1; jittering and scaling are of Um et al. 2017, "Data augmentation
    of wearable sensor data for Parkinson's disease monitoring using convolutional neural networks", section 3.2.

    Args:
        slicing: Largest fraction of the steps that are left out, at the beginning and the end together.
        jitter: Standard deviation of the noise that each value gets, in standard deviations of its column.
        scaling: Standard deviation of the factor around 1 that all values of a column are multiplied by.
        columns: Number of columns of values, from the first; others say which values are missing, and get neither
            noise nor another scale. None for all.
        seed: Random seed; by default from Keras.

    Call arguments:
        steps: (B, T, F).
        real: Mask of real steps (B, T), which come before padding.
        training: Whether to change them.
    """

    def __init__(
        self,
        slicing: float = 0.0,
        jitter: float = 0.0,
        scaling: float = 0.0,
        columns: int | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **options})  # 16 bits are too few for positions
        self.slicing, self.jitter, self.scaling, self.columns = slicing, jitter, scaling, columns
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, steps: Any, real: Any, training: bool = False) -> tuple[Any, Any]:
        """Return steps (B, T, F) and mask (B, T)."""
        if not training:
            return steps, real
        rows, length, width = ops.shape(steps)[0], ops.shape(steps)[1], self.columns or steps.shape[-1]
        if self.slicing:
            steps, real = self._slice(steps, real, rows, length)
        values, indicators = steps[..., :width], steps[..., width:]
        if self.scaling:
            values = values * (1 + self.scaling * keras.random.normal((rows, 1, width), seed=self.seed_generator))
        if self.jitter:
            values = values + self.jitter * keras.random.normal((rows, length, width), seed=self.seed_generator)
        return ops.concatenate([values, indicators], axis=-1), real

    def _slice(self, steps: Any, real: Any, rows: Any, length: Any) -> tuple[Any, Any]:
        """Return a random window of each sequence, of at least one step."""
        count = ops.sum(ops.cast(real, "float32"), axis=1)
        drawn = keras.random.uniform((rows, 2), seed=self.seed_generator)
        kept = ops.maximum(ops.ceil(count * (1 - self.slicing * drawn[:, 0])), 1)
        first = ops.floor((count - kept + 1) * drawn[:, 1])
        places = ops.arange(length, dtype="int32")[None]
        chosen = ops.minimum(places + ops.cast(first, "int32")[:, None], length - 1)
        steps = ops.take_along_axis(steps, chosen[:, :, None], axis=1)
        return steps, places < ops.cast(kept, "int32")[:, None]

    def compute_output_spec(self, steps: Any, real: Any, training: bool = False) -> tuple[Any, Any]:
        """Return the specs of steps and mask."""
        return keras.KerasTensor(steps.shape, dtype=steps.dtype), keras.KerasTensor(real.shape, dtype="bool")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        amounts = {name: getattr(self, name) for name in LIMITS}
        return {**super().get_config(), **amounts, "columns": self.columns, "seed": self.seed}
