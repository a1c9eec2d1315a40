"""Linear regression: one layer from the preprocessed columns to the number.

Least squares (Legendre 1805), fitted by gradient descent; with ``l1`` it is the lasso (Tibshirani 1996),
with ``l2`` ridge regression (Hoerl and Kennard 1970).

Input: one raw scalar per column. Output: the standardized number (B, 1); ``predict`` returns it in the target's units.
Run: ``zoo train regression/linear diabetes``.
"""

import keras
import keras_tuner

from zoo.networks import Knobs, build_table_model
from zoo.spec import Spec


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters: only those that all networks have in common.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "l1", "l2", "scaling"),
        defaults={"learning_rate": 1e-2, "l1": 1e-6, "l2": 1e-4, "epochs": 300},
    )
    return build_table_model(spec, knobs)
