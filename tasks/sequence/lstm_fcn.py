"""A recurrent layer (LSTM) beside a chain of convolutions, which find patterns wherever they are.

Karim et al. 2018, "LSTM fully convolutional networks for time series classification", section III. The recurrent
layer reads windows of steps, since sequences may differ in length; in the paper it reads each column as one step.

Input: a raw sequence of numbers (T, F) with its length, or a raw text. Output: probability of the second of two
classes (B, 1) or of each of several (B, K), or the standardized number (B, 1). Padding has no effect.
Run: ``zoo train sequence/lstm_fcn japanese_vowels``.
"""

import keras
import keras_tuner

from zoo.spec import Spec

from ._recurrent_and_convolutional import build_recurrent_and_convolutional_model


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        filters: Number of filters of the first and last convolution; the one between has twice as many.
        units: Width of the recurrent layer.
        window: Steps that are joined to one before the recurrent layer, for numbers only; by default so many that some
            64 are left on average.
        statistics: Whether the output layer also sees statistics of the values, for numbers only.
        slicing: Largest fraction of a sequence's steps that are left out in training, for numbers only.
        jitter: Standard deviation of noise in training, in standard deviations of the values, for numbers only.
        scaling: Standard deviation of a random factor of each column in training, for numbers only.
        embedding: Width of the embedding of each character or word, for texts only.
    """
    return build_recurrent_and_convolutional_model(hp, spec, keras.layers.LSTM)
