"""Two recurrent layers, over the history and over what is known ahead.

Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder".

Run: ``zoo train forecast/gru sales.csv``.
"""

import keras

from zoo.networks import Knobs, assemble
from zoo.networks.heads import add_head
from zoo.networks.recurrent import RealSteps
from zoo.preprocessing.compose import compose


def build(hp, spec):
    """Return the compiled model.

    Hyperparameters:
        units: Width of each recurrent layer.
    """
    knobs = Knobs(hp, vary=("learning_rate",), defaults={"learning_rate": 1e-2, "epochs": 12, "patience": 12})
    preprocessing = compose(spec)
    inputs, units = preprocessing.tensors(), hp.Int("units", 8, 32, default=16)
    states = [inputs["features"]]
    for name in ("history", "future"):
        real = RealSteps(name=f"{name}_real")(inputs[name], inputs[f"{name}_length"])
        states.append(keras.layers.GRU(units, name=name + "_state")(inputs[name], mask=real))
    output, loss = add_head(keras.layers.Concatenate()(states), spec, knobs)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, output, loss, knobs)
