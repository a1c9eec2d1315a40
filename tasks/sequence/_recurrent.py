"""The network that the recurrent models share: recurrent layers beside statistics of the values."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from zoo.networks import Knobs, add_recurrent_layers, build_sequence_model
from zoo.networks.recurrent import GroupSteps
from zoo.spec import SequenceInput, Spec, TextInput

from ._augmentation import add_augmentation, declare_augmentation
from ._summary import declare_inputs, join_statistics

MOST_STEPS, WIDEST_WINDOW = 64, 32  # of a recurrent layer by default, on average


def build_recurrent_model(hp: keras_tuner.HyperParameters, spec: Spec, kind: type[keras.layers.Layer]) -> keras.Model:
    """Return the compiled model; the models that call this describe the hyperparameters.

    Args:
        hp: KerasTuner's hyperparameters.
        spec: Spec with a sequence or a text.
        kind: ``SimpleRNN``, ``LSTM`` or ``GRU`` of Keras.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "dropout"),
        defaults={"learning_rate": 2e-3, "dropout": 0.2, "clip_norm": 1.0, "epochs": 100, "patience": 15},
    )
    units, layers = hp.Int("units", 16, 256, sampling="log", default=64), hp.Int("layers", 1, 3, default=1)
    bidirectional = hp.Boolean("bidirectional", default=True)
    summary = hp.Choice("summary", ["last", "mean", "max", "mean_max"], default="last")
    embedding, statistics = declare_inputs(hp, spec)
    window, augmentation = declare_window(hp, spec), declare_augmentation(hp, spec)

    def add_hidden(steps: Any, real: Any) -> Any:
        steps, real = add_augmentation(steps, real, augmentation, spec)
        inputs, mask = GroupSteps(window, name="windows")(steps, real) if window > 1 else (steps, real)
        hidden = add_recurrent_layers(
            inputs, mask, knobs, kind=kind, units=units, layers=layers, bidirectional=bidirectional, summary=summary
        )
        return join_statistics(hidden, steps, real) if statistics else hidden

    return build_sequence_model(spec, knobs, add_hidden, embedding=embedding)


def declare_window(hp: keras_tuner.HyperParameters, spec: Spec) -> int:
    """Declare and return the number of steps to join to one: 1 for texts, else so that some 64 are left on average."""
    if spec.of_kind(TextInput):
        return int(hp.Fixed("window", 1))
    mean = min(spec.only(SequenceInput).mean_length, spec.options.get("max_length") or MOST_STEPS * WIDEST_WINDOW)
    default = min(WIDEST_WINDOW, max(1, round(mean / MOST_STEPS)))
    return int(hp.Int("window", 1, WIDEST_WINDOW, sampling="log", default=default))
