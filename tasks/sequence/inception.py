"""Inception network: convolutions of several lengths side by side, with shortcuts around three blocks each.

Ismail-Fawaz et al. 2020, "InceptionTime: finding AlexNet for time series classification", section 3; one network of the
five that the paper averages, which an ensemble of a search's best trials does.

Input: a raw sequence of numbers (T, F) with its length, or a raw text. Output: probability of the second of two
classes (B, 1) or of each of several (B, K), or the standardized number (B, 1). Padding has no effect.
Run: ``zoo train sequence/inception japanese_vowels``.
"""

from typing import Any

import keras
import keras_tuner

from zoo.networks.recurrent import PoolSteps
from zoo.spec import Spec

from ._convolutional import (
    ClearPadding,
    build_convolutional_model,
    create_branches,
    declare_training,
    limit_size,
    standardize_steps,
)

SHORTCUT_EVERY = 3


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        filters: Number of filters of each of the four branches of a block.
        depth: Number of blocks; a shortcut leads around each three.
        kernel: Length of the longest kernel in steps; two others have a half and a quarter of it.
        statistics: Whether the output layer also sees statistics of the values, for numbers only.
        slicing: Largest fraction of a sequence's steps that are left out in training, for numbers only.
        jitter: Standard deviation of noise in training, in standard deviations of the values, for numbers only.
        scaling: Standard deviation of a random factor of each column in training, for numbers only.
        embedding: Width of the embedding of each character or word, for texts only.
    """
    knobs = declare_training(hp, spec)
    filters, depth = hp.Int("filters", 8, 64, sampling="log", default=16), hp.Int("depth", 1, 9, default=3)
    kernel = limit_size(hp.Int("kernel", 8, 64, sampling="log", default=40), spec)

    def add_layers(steps: Any, real: Any) -> Any:
        shortcut = steps = ClearPadding(name="real_values")(steps, real)
        for number in range(depth):
            steps = _add_block(steps, real, filters, kernel, name=f"block_{number}")
            if number % SHORTCUT_EVERY == SHORTCUT_EVERY - 1:
                around = keras.layers.Conv1D(4 * filters, 1, use_bias=False, name=f"shortcut_{number}")(shortcut)
                around = standardize_steps(around, real, name=f"shortcut_{number}", rectify=False)
                shortcut = steps = keras.layers.ReLU(name=f"joined_{number}")(keras.layers.Add()([steps, around]))
        return PoolSteps("mean", name="mean_step")(steps, real)

    return build_convolutional_model(hp, spec, knobs, add_layers)


def _add_block(steps: Any, real: Any, filters: int, kernel: int, *, name: str) -> Any:
    """Return three convolutions of a bottleneck, and one of the greatest of three steps (B, T, 4 filters)."""
    narrow = steps
    if steps.shape[-1] > filters:
        narrow = keras.layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_bottleneck")(steps)
    branches = create_branches(narrow, filters, kernel, name=name)
    # Pooling by itself would leave out what is beyond the end of the array, so that its end differed from padding.
    around = keras.layers.ZeroPadding1D(1, name=f"{name}_ends")(steps)
    greatest = keras.layers.MaxPooling1D(3, strides=1, name=f"{name}_greatest")(around)
    branches.append(keras.layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_pooled")(greatest))
    return standardize_steps(keras.layers.Concatenate(name=name)(branches), real, name=name)
