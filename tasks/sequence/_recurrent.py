"""The network that the recurrent models share: recurrent layers beside statistics of the values."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from zoo.networks import Knobs, add_recurrent_layers, build_sequence_model
from zoo.networks.recurrent import GroupSteps
from zoo.networks.rocket import SequenceStatistics
from zoo.spec import SequenceInput, Spec, TextInput

MOST_STEPS, WIDEST_WINDOW = 64, 32  # of a recurrent layer by default, on average
MOMENTUM = 0.9  # of the running statistics of a batch, since a few hundred sequences are few batches


def build_recurrent_model(hp: keras_tuner.HyperParameters, spec: Spec, kind: type[keras.layers.Layer]) -> keras.Model:
    """Return the compiled model; the models that call this describe the hyperparameters.

    Args:
        hp: KerasTuner's hyperparameters.
        spec: Spec with a sequence or a text.
        kind: ``SimpleRNN``, ``LSTM`` or ``GRU`` of Keras.
    """
    text = bool(spec.of_kind(TextInput))
    knobs = Knobs(
        hp,
        vary=("learning_rate", "dropout"),
        defaults={"learning_rate": 2e-3, "dropout": 0.2, "clip_norm": 1.0, "epochs": 100, "patience": 15},
    )
    units, layers = hp.Int("units", 16, 256, sampling="log", default=64), hp.Int("layers", 1, 3, default=1)
    bidirectional = hp.Boolean("bidirectional", default=True)
    summary = hp.Choice("summary", ["last", "mean", "max", "mean_max"], default="last")
    if text:
        embedding = hp.Int("embedding", 8, 256, sampling="log", default=32)
        statistics = hp.Fixed("statistics", False)
    else:
        embedding = hp.Fixed("embedding", 32)
        statistics = hp.Boolean("statistics", default=True)
    window = declare_window(hp, spec)

    def add_hidden(steps: Any, real: Any) -> Any:
        inputs, mask = GroupSteps(window, name="windows")(steps, real) if window > 1 else (steps, real)
        hidden = add_recurrent_layers(
            inputs, mask, knobs, kind=kind, units=units, layers=layers, bidirectional=bidirectional, summary=summary
        )
        if not statistics:
            return hidden
        scale = keras.layers.BatchNormalization(momentum=MOMENTUM, name="scaled_statistics")
        values = scale(SequenceStatistics(name="statistics")(steps, real))
        return keras.layers.Concatenate(name="summary")([hidden, values])

    return build_sequence_model(spec, knobs, add_hidden, embedding=embedding)


def declare_window(hp: keras_tuner.HyperParameters, spec: Spec) -> int:
    """Declare and return the number of steps to join to one: 1 for texts, else so that some 64 are left on average."""
    if spec.of_kind(TextInput):
        return int(hp.Fixed("window", 1))
    mean = min(spec.only(SequenceInput).mean_length, spec.options.get("max_length") or MOST_STEPS * WIDEST_WINDOW)
    default = min(WIDEST_WINDOW, max(1, round(mean / MOST_STEPS)))
    return int(hp.Int("window", 1, WIDEST_WINDOW, sampling="log", default=default))
