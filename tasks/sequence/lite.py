"""LITE: convolutions partly set by hand and partly learned, with some 10,000 weights for a single column.

Ismail-Fawaz et al. 2023, "LITE: light inception with boosting techniques for time series classification", section III:
kernels of three lengths beside fixed ones that find rises, falls and peaks, then two dilated separable convolutions.

Input: a raw sequence of numbers (T, F) with its length, or a raw text. Output: probability of the second of two
classes (B, 1) or of each of several (B, K), or the standardized number (B, 1). Padding has no effect.
Run: ``zoo train sequence/lite japanese_vowels``.
"""

from typing import Any

import keras
import keras_tuner

from zoo.networks.recurrent import PoolSteps
from zoo.spec import Spec

from ._convolutional import (
    ClearPadding,
    add_convolution,
    build_convolutional_model,
    create_branches,
    declare_training,
    limit_size,
    standardize_steps,
)
from ._fixed_kernels import FixedKernels


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        filters: Number of filters of each length of kernel.
        kernel: Length of the longest kernel in steps; two others have a half and a quarter of it.
        statistics: Whether the output layer also sees statistics of the values, for numbers only.
        slicing: Largest fraction of a sequence's steps that are left out in training, for numbers only.
        jitter: Standard deviation of noise in training, in standard deviations of the values, for numbers only.
        scaling: Standard deviation of a random factor of each column in training, for numbers only.
        embedding: Width of the embedding of each character or word, for texts only.
    """
    knobs = declare_training(hp, spec)
    filters = hp.Int("filters", 8, 64, sampling="log", default=32)
    kernel = limit_size(hp.Int("kernel", 8, 64, sampling="log", default=40), spec)

    def add_layers(steps: Any, real: Any) -> Any:
        steps = ClearPadding(name="real_values")(steps, real)
        branches = create_branches(steps, filters, kernel, name="kernels")
        branches.append(FixedKernels(max(2, kernel), name="fixed_kernels")(steps))
        steps = standardize_steps(keras.layers.Concatenate(name="kernels")(branches), real, name="kernels")
        for number, (size, dilation) in enumerate(((kernel // 2, 2), (kernel // 4, 4))):
            name = f"separable_{number}"
            steps = add_convolution(steps, real, filters, max(1, size), dilation=dilation, separable=True, name=name)
        return PoolSteps("mean", name="mean_step")(steps, real)

    return build_convolutional_model(hp, spec, knobs, add_layers)
