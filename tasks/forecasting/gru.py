"""Encoder and decoder of gated recurrent units: the encoder reads the window, the decoder writes the horizon.

Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation".

Run: ``zoo train forecasting/gru air_passengers``.
"""

import keras
import keras_tuner

from zoo.networks import Knobs, join_features
from zoo.preprocessing.table import TablePreprocessing
from zoo.spec import Spec

from ._network import assemble_forecaster, count_outputs
from ._preprocessing import FUTURE, PAST, WINDOW, WindowPreprocessing


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        units: Width of encoder and decoder.
        residual: Whether the decoder adds to the seasonal naive forecast.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "dropout"),
        defaults={"learning_rate": 3e-3, "epochs": 40, "patience": 6, "clip_norm": 1.0},
    )
    preprocessing = WindowPreprocessing(spec)
    inputs = preprocessing.tensors()
    units, horizon = hp.Int("units", 16, 256, sampling="log", default=64), spec.options["horizon"]
    residual = hp.Boolean("residual", default=True)
    steps = keras.layers.Reshape((-1, 1), name="steps")(inputs[WINDOW])
    steps = keras.layers.Concatenate(name="steps_and_past")([steps, inputs[PAST]])
    state = keras.layers.GRU(units, name="encoder")(steps)
    state = keras.layers.Dropout(knobs.get("dropout"), name="dropout")(state)
    if "features" in inputs or "codes" in inputs:
        static = join_features(inputs, TablePreprocessing(spec, "standard"))
        together = keras.layers.Concatenate(name="state_and_static")([state, static])
        state = keras.layers.Dense(units, activation="tanh", name="with_static")(together)
    ahead = keras.layers.RepeatVector(horizon, name="state_of_each_step")(state)
    if FUTURE in inputs:
        ahead = keras.layers.Concatenate(name="with_future")([ahead, inputs[FUTURE]])
    decoded = keras.layers.GRU(units, return_sequences=True, name="decoder")(ahead, initial_state=state)
    forecasts = keras.layers.Dense(count_outputs(spec) // horizon, kernel_initializer="zeros", name="step")(decoded)
    forecasts = keras.layers.Reshape((count_outputs(spec),), name="output")(forecasts)
    return assemble_forecaster(preprocessing, inputs, forecasts, spec, knobs, residual=residual)
