"""Long short-term memory: a recurrent network with a separate cell state that gates control.

Hochreiter and Schmidhuber 1997, "Long short-term memory"; with the forget gate of Gers, Schmidhuber and Cummins 2000,
whose bias is initialized to one.

Input: a raw sequence of numbers (T, F) with its length, or a raw text. Output: probability of the second of two
classes (B, 1) or of each of several (B, K), or the standardized number (B, 1). Padding has no effect.
Run: ``zoo train sequence/lstm japanese_vowels``.
"""

import keras
import keras_tuner

from zoo.spec import Spec

from ._recurrent import build_recurrent_model


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        units: Width of each recurrent layer, per direction.
        layers: Number of stacked recurrent layers.
        bidirectional: Whether sequences are read in both directions.
        summary: Input of the output layer: the last state, or the mean, maximum or both over all steps.
        window: Steps that are joined to one before the recurrent layers, for numbers only; by default so many that
            some 64 are left on average.
        statistics: Whether the output layer also sees statistics of the values, for numbers only.
        slicing: Largest fraction of a sequence's steps that are left out in training, for numbers only.
        jitter: Standard deviation of noise in training, in standard deviations of the values, for numbers only.
        scaling: Standard deviation of a random factor of each column in training, for numbers only.
        embedding: Width of the embedding of each character or word, for texts only.
    """
    return build_recurrent_model(hp, spec, keras.layers.LSTM)
