"""Temporal convolutional network: convolutions over earlier steps, at distances that double with each block.

Bai, Kolter and Koltun 2018, "An empirical evaluation of generic convolutional and recurrent networks for sequence
modeling", section 3, with layer normalization in place of weight normalization.

Input: a raw sequence of numbers (T, F) with its length, or a raw text. Output: probability of the second of two
classes (B, 1) or of each of several (B, K), or the standardized number (B, 1). Padding has no effect.
Run: ``zoo train sequence/tcn japanese_vowels``.
"""

from typing import Any

import keras
import keras_tuner

from zoo.networks.recurrent import PoolSteps
from zoo.spec import Spec

from ._convolutional import ClearPadding, build_convolutional_model, declare_training


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        filters: Number of filters of each convolution.
        depth: Number of blocks of two convolutions; the distance between the steps that they see doubles with each.
        kernel: Number of steps that a convolution sees.
        summary: Input of the output layer: mean, maximum or both over all steps.
        statistics: Whether the output layer also sees statistics of the values, for numbers only.
        slicing: Largest fraction of a sequence's steps that are left out in training, for numbers only.
        jitter: Standard deviation of noise in training, in standard deviations of the values, for numbers only.
        scaling: Standard deviation of a random factor of each column in training, for numbers only.
        embedding: Width of the embedding of each character or word, for texts only.
    """
    knobs = declare_training(hp, spec)
    filters, depth = hp.Int("filters", 8, 128, sampling="log", default=32), hp.Int("depth", 1, 8, default=4)
    kernel = hp.Int("kernel", 2, 16, sampling="log", default=5)
    summary = hp.Choice("summary", ["mean", "max", "mean_max"], default="mean_max")
    dropout = knobs.get("dropout")

    def add_layers(steps: Any, real: Any) -> Any:
        steps = ClearPadding(name="real_values")(steps, real)
        for number in range(depth):
            around = steps
            for half in ("first", "second"):
                name = f"block_{number}_{half}"
                steps = keras.layers.Conv1D(filters, kernel, padding="causal", dilation_rate=2**number, name=name)(
                    steps
                )
                steps = keras.layers.LayerNormalization(name=f"{name}_normalized")(steps)
                steps = keras.layers.ReLU(name=f"{name}_rectified")(steps)
                steps = keras.layers.SpatialDropout1D(dropout)(steps) if dropout else steps
            if around.shape[-1] != filters:
                around = keras.layers.Conv1D(filters, 1, name=f"block_{number}_shortcut")(around)
            steps = keras.layers.ReLU(name=f"block_{number}")(keras.layers.Add()([steps, around]))
        return PoolSteps(summary, name="pooled")(steps, real)

    return build_convolutional_model(hp, spec, knobs, add_layers)
