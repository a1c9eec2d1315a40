"""N-BEATS: blocks that each explain a part of the window and add to the forecast; median of several members.

Oreshkin et al. 2020, "N-BEATS: Neural basis expansion analysis for interpretable time series forecasting", sections 3.1
and 3.4: generic blocks with doubly residual stacking, and an ensemble whose members see windows of several lengths.

Run: ``zoo train forecasting/nbeats air_passengers``.
"""

import keras
import keras_tuner
import numpy as np

from zoo.networks import Knobs
from zoo.networks.members import MemberDense
from zoo.spec import Spec

from ._network import KeepLast, assemble_forecaster, count_outputs, join_covariates
from ._preprocessing import WINDOW, WindowPreprocessing

# Training windows of all epochs together, within limits on the epochs. More fits the years that the training steps come
# from, and forecasts of later ones become worse: with the last training steps of M3's yearly and quarterly series held
# out, 60 epochs have 3 % more error than 10.
WINDOWS, FEWEST_EPOCHS, MOST_EPOCHS = 60_000, 10, 60


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        members: Number of members, whose median is the forecast.
        blocks: Number of blocks of each member.
        layers: Number of hidden layers of each block.
        units: Width of the hidden layers.
        residual: Whether the blocks add to the seasonal naive forecast.
    """
    epochs = int(min(max(WINDOWS / spec.rows, FEWEST_EPOCHS), MOST_EPOCHS))
    defaults = {"learning_rate": 1e-3, "schedule": "cosine", "epochs": epochs, "patience": 12}
    knobs = Knobs(hp, vary=("learning_rate", "batch_size"), defaults=defaults)
    preprocessing = WindowPreprocessing(spec)
    inputs = preprocessing.tensors()
    # Many small members have less error than a few large ones: with the last training steps held out, 16 of 2 blocks
    # and 64 units have 1 to 2 % less on M3's monthly, quarterly and yearly series than 6 of 3 blocks and 128 units.
    members, blocks = hp.Int("members", 1, 32, default=16), hp.Int("blocks", 1, 8, default=2)
    layers, units = hp.Int("layers", 1, 4, default=2), hp.Int("units", 32, 512, sampling="log", default=64)
    residual = hp.Boolean("residual", default=False)
    horizon, lookback, outputs = spec.options["horizon"], spec.options["lookback"], count_outputs(spec)
    # Each member sees a window of its own length, from one horizon to the longest.
    shortest = min(max(horizon, 2), lookback)
    lengths = np.linspace(shortest, lookback, members).round().astype(int).tolist()
    x = KeepLast(lengths, name="windows")(inputs[WINDOW])  # (B, members, L)
    covariates = join_covariates(inputs, spec)
    if covariates is not None:
        covariates = keras.layers.RepeatVector(members, name="covariates_of_members")(covariates)
    forecasts = []
    for block in range(blocks):
        hidden = x if covariates is None else keras.layers.Concatenate(name=f"block_{block}_input")([x, covariates])
        for layer in range(layers):
            hidden = MemberDense(units, activation="relu", name=f"block_{block}_hidden_{layer}")(hidden)
        forecasts.append(MemberDense(outputs, name=f"block_{block}_forecast")(hidden))
        if block < blocks - 1:
            backcast = MemberDense(lookback, name=f"block_{block}_backcast")(hidden)
            x = keras.layers.Subtract(name=f"block_{block}_rest")([x, backcast])
    total = keras.layers.Add(name="total")(forecasts) if len(forecasts) > 1 else forecasts[0]
    output = keras.layers.Reshape((members * outputs,), name="output")(total)
    return assemble_forecaster(preprocessing, inputs, output, spec, knobs, members=members, residual=residual)
