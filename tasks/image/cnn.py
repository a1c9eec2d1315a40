"""Convolutional network: blocks of convolution and pooling with batch normalization, as many as suit the images.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", section II; stacked
small filters after Simonyan and Zisserman 2015; batch normalization of Ioffe and Szegedy 2015; one cycle of the
learning rate (Smith and Topin 2018) over a fixed number of epochs. During training, each image is randomly shifted and
zoomed, and flipped if it is in colour; fewer than 1,000 images are changed more strongly. Set ``flip=false`` for
letters, digits and signs in colour.

Input: a raw image of any size (H, W, C). Output: probability of the second of two classes (B, 1), or of each of
several (B, K).
Run: ``zoo train image/cnn digits``.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from zoo.networks import Knobs, add_convolutional_blocks, add_dense_layers, build_image_model
from zoo.networks.convolutional import POOLINGS
from zoo.spec import Spec

from ._image_defaults import (
    MOMENTUM,
    choose_blocks,
    choose_stride,
    choose_training,
    declare_augmentation,
    has_few_images,
)


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        filters: Number of filters of the first block; the second has twice as many, further ones four times.
        blocks: Number of blocks; by default until the image has about 4 pixels a side.
        convolutions: Number of convolutions in each block.
        kernel: Side length of each filter.
        pooling: Pooling of each 2 x 2 window; use min with tanh, because the minimum of relu outputs is mostly 0.
        stride: Step of the first convolution; by default 2 or 4 for large images.
        units: Width of each fully connected layer, if there are any.
        layers: Number of fully connected layers between the blocks and the output.
        shift: Maximum random shift of an image in training, as a fraction of its side.
        zoom: Maximum random zoom of an image in training, as a fraction.
        flip: Whether images are randomly flipped horizontally in training; by default those in colour.
        rotation: Maximum random rotation of an image in training, in degrees to either side.
        blur: Fraction of images that are blurred in training.
        brightness: Maximum random change of brightness in training, in standard deviations of the pixels.
        contrast: Maximum random change of contrast in training, as a fraction.
        noise: Standard deviation of Gaussian noise in training, in standard deviations of the pixels.
        cutout: Side of a random rectangle that is erased in training, as a fraction of the image's side.
        mixup: Alpha of mixup, which blends two images and their labels in training; 0 for none, often 0.2.
        cutmix: Alpha of CutMix, which pastes a rectangle of another image in training; 0 for none, often 1.
    """
    few = has_few_images(spec)
    recipe = choose_training(spec, 400_000, 10, 40) | {
        "optimizer": "adamw", "learning_rate": 3e-3, "weight_decay": 0.05,
        "dropout": 0.5 if few else 0.1, "label_smoothing": 0.1 if few else 0.0,
    }  # fmt: skip
    knobs = Knobs(hp, vary=("learning_rate", "dropout", "normalization"), defaults=recipe)
    filters = hp.Int("filters", 8, 128, sampling="log", default=32)
    blocks = hp.Int("blocks", 1, 5, default=choose_blocks(spec, 2, 5))
    convolutions, kernel = hp.Fixed("convolutions", 1), hp.Fixed("kernel", 3)
    stride = hp.Fixed("stride", choose_stride(spec))
    pooling = hp.Choice("pooling", list(POOLINGS), default="max")
    units, layers = hp.Fixed("units", 128), hp.Int("layers", 0, 2, default=0)
    augmentation = declare_augmentation(hp, spec, shift=0.08, zoom=0.1)

    def hidden(x: Any) -> Any:
        x = add_convolutional_blocks(
            x,
            knobs,
            filters=filters,
            blocks=blocks,
            convolutions=convolutions,
            kernel=kernel,
            pooling=pooling,
            most_filters=4 * filters,
            stride=stride,
            pool_first=True,
            momentum=MOMENTUM,
        )
        return add_dense_layers(keras.layers.Flatten(name="flat")(x), knobs, units=units, layers=layers)

    return build_image_model(spec, knobs, hidden, augmentation=augmentation)
