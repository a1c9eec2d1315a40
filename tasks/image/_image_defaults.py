"""Defaults of image models that depend on the images: safe augmentation, training length and resolution."""

from __future__ import annotations

import math

from zoo.spec import ImageInput, Spec

SMALL_SIDE = 72  # pixels; a larger image is convolved in steps of 2, one twice as large in steps of 4
MOST_STRIDE = 4


def choose_flip(spec: Spec) -> bool:
    """Return whether images may be flipped horizontally: those in colour, for grey ones may be letters or digits."""
    image = spec.only(ImageInput)
    grey = image.shape[-1] < 3 or max(image.mean) - min(image.mean) < 1e-3 * max(image.std, default=0.0)
    return not grey


def choose_stride(spec: Spec) -> int:
    """Return the step of the first convolution, by which large images cost no more than small ones."""
    stride = 1
    while min(_sides(spec)) >= SMALL_SIDE * stride and stride < MOST_STRIDE:
        stride *= 2
    return stride


def choose_blocks(spec: Spec, fewest: int, most: int) -> int:
    """Return the number of times that an image is halved until its shorter side has about 4 pixels."""
    side = min(_sides(spec)) / choose_stride(spec)
    return min(most, max(fewest, math.ceil(math.log2(max(side, 1)) - 2)))


def choose_epochs(spec: Spec, examples: int, fewest: int, most: int) -> int:
    """Return the number of epochs in which about so many examples are trained on."""
    return min(most, max(fewest, round(examples / max(spec.rows, 1))))


def _sides(spec: Spec) -> tuple[int, int]:
    image = spec.only(ImageInput)
    return image.height or SMALL_SIDE, image.width or SMALL_SIDE
