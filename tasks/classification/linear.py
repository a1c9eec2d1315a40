"""Logistic regression: one layer from the preprocessed columns to the classes.

The perceptron without a hidden layer (Rosenblatt 1958), with the logistic function of Cox 1958; the boundary between
two classes is a hyperplane.

Input: one raw scalar per column. Output: probability of the second of two classes (B, 1), or of each
of several (B, K).
Run: ``zoo train classification/linear wine``.

By default, early stopping regularizes too. The solution of scikit-learn's ``LogisticRegression`` on standardized
columns is reached with the whole training split in each step and without a validation split:
``--set scaling=standard --set batch_size=full --set schedule=cosine --set learning_rate=0.3 --epochs 1000
--validation-size 0``.
"""

import keras
import keras_tuner

from zoo.networks import Knobs, build_table_model
from zoo.spec import Spec


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        l1: L1 regularization of weights: 1 / (C n) in scikit-learn's LogisticRegression, for n training rows
        l2: L2 regularization of weights: 1 / (2 C n) in scikit-learn's LogisticRegression, for n training rows
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "l1", "l2", "scaling"),
        defaults={"learning_rate": 1e-2, "l1": 1e-6, "l2": 1e-4, "epochs": 300},
    )
    return build_table_model(spec, knobs)
