"""Linear forecast: one linear map from a normalised window to all steps of the horizon.

The map adds to the seasonal naive forecast. Zeng et al. 2023, "Are Transformers Effective for Time Series
Forecasting?", section 4 (NLinear).

Run: ``zoo train forecasting/linear air_passengers``.
"""

import keras
import keras_tuner

from zoo.networks import Knobs
from zoo.spec import Spec

from ._network import assemble_forecaster, count_outputs, join_covariates
from ._preprocessing import WINDOW, WindowPreprocessing


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        residual: Whether the map adds to the seasonal naive forecast.
    """
    knobs = Knobs(
        hp, vary=("learning_rate", "l2", "batch_size"), defaults={"learning_rate": 3e-3, "epochs": 100, "patience": 10}
    )
    preprocessing = WindowPreprocessing(spec)
    inputs = preprocessing.tensors()
    covariates = join_covariates(inputs, spec)
    x = inputs[WINDOW] if covariates is None else keras.layers.Concatenate()([inputs[WINDOW], covariates])
    forecasts = keras.layers.Dense(
        count_outputs(spec), kernel_initializer="zeros", kernel_regularizer=knobs.regularizer(), name="output"
    )(x)
    residual = hp.Boolean("residual", default=True)
    return assemble_forecaster(preprocessing, inputs, forecasts, spec, knobs, residual=residual)
