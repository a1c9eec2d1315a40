"""The network that the models of a recurrent layer beside convolutions share."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from zoo.networks.recurrent import GroupSteps
from zoo.spec import Spec

from ._convolutional import add_fully_convolutional_layers, build_convolutional_model, declare_training, limit_size
from ._recurrent import declare_window

SIZES = (8, 5, 3)


def build_recurrent_and_convolutional_model(
    hp: keras_tuner.HyperParameters, spec: Spec, kind: type[keras.layers.Layer]
) -> keras.Model:
    """Return the compiled model; the models that call this describe the hyperparameters.

    Args:
        hp: KerasTuner's hyperparameters.
        spec: Spec with a sequence or a text.
        kind: ``LSTM`` or ``GRU`` of Keras.
    """
    knobs = declare_training(hp, spec)
    filters = hp.Int("filters", 16, 128, sampling="log", default=64)
    units = hp.Int("units", 4, 128, sampling="log", default=16)
    window = declare_window(hp, spec)
    sizes = [limit_size(size, spec) for size in SIZES]

    def add_layers(steps: Any, real: Any) -> Any:
        windows, mask = GroupSteps(window, name="windows")(steps, real) if window > 1 else (steps, real)
        state = kind(units, name="recurrent")(windows, mask=mask)
        anywhere = add_fully_convolutional_layers(steps, real, (filters, 2 * filters, filters), sizes)
        return keras.layers.Concatenate(name="state_and_mean")([state, anywhere])

    return build_convolutional_model(hp, spec, knobs, add_layers)
