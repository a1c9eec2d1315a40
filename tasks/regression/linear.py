"""Linear regression: one layer from the preprocessed columns to the number.

Least squares (Legendre 1805), fitted by gradient descent; with ``l1`` it is the lasso (Tibshirani 1996),
with ``l2`` ridge regression (Hoerl and Kennard 1970).

Input: one raw scalar per column. Output: the standardized number (B, 1); ``predict`` returns it in the target's units.
Run: ``zoo train regression/linear diabetes``.

By default, early stopping regularizes too. The solution of scikit-learn's ``Ridge`` or ``Lasso`` on standardized
columns and a standardized target is reached with the whole training split in each step and without a validation split:
``--set scaling=standard --set batch_size=full --set schedule=cosine --set learning_rate=0.3 --epochs 1000
--validation-size 0``. The coefficients of ``Ridge`` then agree to five digits; those of ``Lasso`` to 0.005, because
gradient descent moves a coefficient around 0 instead of setting it to 0.
"""

import keras
import keras_tuner

from zoo.networks import Knobs, build_table_model
from zoo.spec import Spec


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        l1: L1 regularization of weights: 2 alpha in scikit-learn's Lasso, on a standardized target
        l2: L2 regularization of weights: alpha / n in scikit-learn's Ridge, for n training rows
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "l1", "l2", "scaling"),
        defaults={"learning_rate": 1e-2, "l1": 1e-6, "l2": 1e-4, "epochs": 300},
    )
    return build_table_model(spec, knobs)
