"""Multi-layer perceptron for a number: dense layers after built-in preprocessing.

Learns smooth functions of all columns at once (Rumelhart, Hinton and Williams 1986, "Learning
representations by back-propagating errors"). Numeric columns are scaled robustly and by normal quantiles
(Holzmüller et al. 2024, "Better by default", section 3).

Input: one raw scalar per column. Output: the standardized number (B, 1); ``predict`` returns it in the target's units.
Run: ``zoo train regression/mlp diabetes``.
"""

import keras
import keras_tuner

from zoo.networks import Knobs, add_dense_layers, build_table_model
from zoo.spec import Spec


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        units: Width of each hidden layer.
        layers: Number of hidden layers.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "dropout", "weight_decay", "normalization", "scaling"),
        defaults={
            "optimizer": "adamw",
            "learning_rate": 1e-3,
            "weight_decay": 1e-2,
            "dropout": 0.2,
            "activation": "silu",
            "scaling": "robust_quantile",
        },
    )
    units, layers = hp.Int("units", 16, 512, sampling="log", default=256), hp.Int("layers", 1, 4, default=2)
    return build_table_model(spec, knobs, lambda x: add_dense_layers(x, knobs, units=units, layers=layers))
