"""Defaults of image models that depend on the images: safe augmentation, training length and resolution."""

from __future__ import annotations

import math
from typing import Any

import keras_tuner

from zoo.models.shared_hyperparameters import choose_batch_size
from zoo.spec import ImageInput, Spec

FEW_IMAGES = 1_000  # training images; fewer are augmented and regularised more
FEW_EPOCHS = (40_000, 40, 200)  # of few images: examples that a network is shown, fewest and most epochs
LARGEST_BATCH = 64
MOMENTUM = 0.9  # of the statistics for inference: few images are few steps, in which Keras' 0.99 lags behind
SMALL_SIDE = 72  # pixels; a larger image is convolved in steps of 2, one twice as large in steps of 4
MOST_STRIDE = 4
LAST_SIDE_BITS = 2  # an image is halved until it has about 4 pixels


def declare_augmentation(hp: keras_tuner.HyperParameters, spec: Spec, *, shift: float, zoom: float) -> dict[str, Any]:
    """Declare the hyperparameters of augmentation and return what ``build_image_model`` takes.

    Fewer than 1,000 images are changed more, also in brightness and contrast.

    Args:
        hp: KerasTuner's hyperparameters.
        spec: Spec of the images.
        shift: Default shift of many images, as a fraction of the side.
        zoom: Default zoom of many images, as a fraction.
    """
    few = has_few_images(spec)
    return {
        "shift": hp.Float("shift", 0.0, 0.2, default=0.12 if few else shift),
        "zoom": hp.Fixed("zoom", 0.25 if few else zoom),
        "flip": hp.Fixed("flip", choose_flip(spec)),
        "rotation": hp.Fixed("rotation", 0.0),
        "blur": hp.Fixed("blur", 0.0),
        "brightness": hp.Fixed("brightness", 0.3 if few else 0.0),
        "contrast": hp.Fixed("contrast", 0.4 if few else 0.0),
        "noise": hp.Fixed("noise", 0.0),
        "cutout": hp.Fixed("cutout", 0.0),
        "mixup": hp.Fixed("mixup", 0.0),
        "cutmix": hp.Fixed("cutmix", 0.0),
    }


def has_few_images(spec: Spec) -> bool:
    """Return whether there are so few training images that they are augmented and regularised more."""
    return spec.rows < FEW_IMAGES


def choose_training(spec: Spec, examples: int, fewest: int, most: int) -> dict[str, Any]:
    """Return the defaults of training that image models share: one cycle of the rate, over a fixed number of epochs.

    Args:
        spec: Spec of the images.
        examples: Examples that a network is shown in training, unless images are few.
        fewest: Fewest epochs then.
        most: Most epochs then.
    """
    few = has_few_images(spec)
    epochs = choose_epochs(spec, *(FEW_EPOCHS if few else (examples, fewest, most)))
    return {
        "schedule": "one_cycle",
        "epochs": epochs,
        "patience": epochs,
        "keep": "last" if few else "best",
        "batch_size": min(LARGEST_BATCH, choose_batch_size(spec.rows)),
        "normalization": "batch",
    }


def choose_flip(spec: Spec) -> bool:
    """Return whether images may be flipped horizontally: those in colour, for grey ones may be letters or digits."""
    image = spec.only(ImageInput)
    grey = len(image.mean) < 3 or max(image.mean) - min(image.mean) < 1e-3 * max(image.std)
    return not grey


def choose_stride(spec: Spec) -> int:
    """Return the step of the first convolution, by which large images take as long as small ones."""
    stride = 1
    while _shorter_side(spec) >= SMALL_SIDE * stride and stride < MOST_STRIDE:
        stride *= 2
    return stride


def choose_blocks(spec: Spec, fewest: int, most: int) -> int:
    """Return the number of times that an image is halved until its shorter side has about 4 pixels."""
    side = _shorter_side(spec) / choose_stride(spec)
    return min(most, max(fewest, math.ceil(math.log2(side) - LAST_SIDE_BITS)))


def choose_epochs(spec: Spec, examples: int, fewest: int, most: int) -> int:
    """Return the number of epochs that show a network about so many examples, within limits."""
    return min(most, max(fewest, round(examples / max(spec.rows, 1))))


def _shorter_side(spec: Spec) -> int:
    image = spec.only(ImageInput)
    return min(image.height, image.width) or SMALL_SIDE
