"""Blocks of convolutions over steps, which padding has no effect on, and how networks of them are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras import ops

from zoo.networks import Knobs, build_sequence_model
from zoo.networks.dropout import Dropout
from zoo.networks.recurrent import PoolSteps
from zoo.spec import SequenceInput, Spec

from ._augmentation import add_augmentation, declare_augmentation
from ._summary import MOMENTUM, declare_inputs, join_statistics

UPDATES, FEWEST_EPOCHS, MOST_EPOCHS = 1_500, 20, 150
BATCH_SIZE = 16


def build_convolutional_model(
    hp: keras_tuner.HyperParameters, spec: Spec, knobs: Knobs, add_layers: Callable[[Any, Any], Any]
) -> keras.Model:
    """Return the compiled model; the models that call this describe their own hyperparameters.

    Args:
        hp: KerasTuner's hyperparameters; here ``statistics``, augmentation and, for texts, ``embedding``.
        spec: Spec with a sequence or a text.
        knobs: From :func:`declare_training`.
        add_layers: Function from steps (B, T, F) and the mask of real steps (B, T) to a summary (B, D).
    """
    embedding, statistics = declare_inputs(hp, spec)
    dropout, augmentation = knobs.get("dropout"), declare_augmentation(hp, spec)

    def add_hidden(steps: Any, real: Any) -> Any:
        steps, real = add_augmentation(steps, real, augmentation, spec)
        hidden = add_layers(steps, real)
        if statistics:
            hidden = join_statistics(hidden, steps, real)
        return Dropout(dropout)(hidden) if dropout else hidden

    return build_sequence_model(spec, knobs, add_hidden, embedding=embedding)


def declare_training(hp: keras_tuner.HyperParameters, spec: Spec, **defaults: Any) -> Knobs:
    """Return the shared hyperparameters: AdamW, and a rate that falls over epochs of some 1,500 updates in all."""
    epochs = UPDATES * BATCH_SIZE // max(1, spec.rows)
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs))
    training = {
        "learning_rate": 3e-3,
        "optimizer": "adamw",
        "weight_decay": 1e-2,
        "schedule": "one_cycle",
        "batch_size": BATCH_SIZE if spec.rows < UPDATES else 64,
        "epochs": epochs,
        "patience": epochs,
        "clip_norm": 1.0,
        "dropout": 0.2,
    }
    return Knobs(hp, vary=("learning_rate", "dropout"), defaults=training | defaults)


def limit_size(size: int, spec: Spec) -> int:
    """Return a kernel's size, at most the mean length of the sequences."""
    lengths = [
        spec.options.get("max_length") or np.inf,
        *(input_.mean_length for input_ in spec.of_kind(SequenceInput)),
    ]
    return int(max(1, min(size, *lengths)))


@keras.saving.register_keras_serializable("zoo")
class ClearPadding(keras.layers.Layer):
    """Sets the steps behind the end of a sequence to zero, as convolutions pad.

    Call arguments:
        steps: (B, T, F).
        real: Mask of real steps (B, T).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True  # the mask of a normalization equals ``real``

    def compute_mask(self, steps: Any, mask: Any = None) -> None:
        """Return None, since layers that need the mask are given it."""

    def call(self, steps: Any, real: Any) -> Any:
        """Return the steps (B, T, F)."""
        return ops.where(real[..., None], steps, ops.zeros((), steps.dtype))

    def compute_output_spec(self, steps: Any, real: Any) -> Any:
        """Return the spec of the steps."""
        return keras.KerasTensor(steps.shape, dtype=steps.dtype)


def add_convolution(
    steps: Any, real: Any, filters: int, size: int, *, dilation: int = 1, separable: bool = False, name: str
) -> Any:
    """Return a convolution over steps whose padding is zero, standardised and rectified (B, T, filters)."""
    kind = keras.layers.SeparableConv1D if separable else keras.layers.Conv1D
    steps = kind(filters, size, padding="same", dilation_rate=dilation, use_bias=False, name=name)(steps)
    return standardize_steps(steps, real, name=name)


def create_branches(steps: Any, filters: int, kernel: int, *, name: str) -> list[Any]:
    """Return convolutions with kernels of the given length, a half and a quarter of it (B, T, filters) each."""
    layers = [
        keras.layers.Conv1D(filters, max(1, kernel // part), padding="same", use_bias=False, name=f"{name}_{part}")
        for part in (1, 2, 4)
    ]
    return [layer(steps) for layer in layers]


def standardize_steps(steps: Any, real: Any, *, name: str, rectify: bool = True) -> Any:
    """Return steps standardised over the real steps of the batch, and rectified; padding is zero."""
    steps = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_normalized")(steps, mask=real)
    steps = keras.layers.ReLU(name=f"{name}_rectified")(steps) if rectify else steps
    return ClearPadding(name=f"{name}_cleared")(steps, real)


def add_fully_convolutional_layers(steps: Any, real: Any, filters: Sequence[int], sizes: Sequence[int]) -> Any:
    """Return the mean over the steps of a chain of convolutions (B, filters).

    Wang, Yan and Oates 2017, "Time series classification from scratch with deep neural networks", section II.B.
    """
    steps = ClearPadding(name="real_values")(steps, real)
    for number, (width, size) in enumerate(zip(filters, sizes, strict=True)):
        steps = add_convolution(steps, real, width, size, name=f"convolution_{number}")
    return PoolSteps("mean", name="mean_step")(steps, real)
