"""Residual network of nine layers, trained by one cycle of the learning rate on shifted images.

Page 2018, "How to Train Your ResNet"; shortcuts after He, Zhang, Ren and Sun 2016, "Deep Residual Learning for Image
Recognition". The recipe is Page's, and that of Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", for a
CPU: 16 filters at first, pooling from the first convolution on and before normalization, stochastic gradient descent
with Nesterov momentum and decoupled weight decay, label smoothing, and a fixed number of epochs. In training, images
are randomly shifted, and flipped if they are in colour. Set ``flip=false`` for letters, digits and signs in colour.

Input: a raw image of any size (H, W, C). Output: probability of the second of two classes (B, 1), or of each of
several (B, K).
Run: ``zoo train image/resnet9 digits``.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from zoo.networks import Knobs, build_image_model
from zoo.networks.convolutional import add_convolution
from zoo.networks.dropout import Dropout
from zoo.spec import Spec

from ._image_defaults import MOMENTUM, choose_stride, choose_training, declare_augmentation, has_few_images

WIDTHS = (1, 2, 4, 6)  # of the four stages, in multiples of the first; Page's last is 8
# Pixels of a side from which images are pooled, by the first convolution and by the others.
FIRST_POOLED, POOLED = 24, 6


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        filters: Number of filters of the first convolution; the three stages have 2, 4 and 6 times as many.
        stride: Step of the first convolution; by default 2 or 4 for large images.
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
    recipe = choose_training(spec, 800_000, 12, 100) | {
        "optimizer": "nesterov", "learning_rate": 0.03, "weight_decay": 5e-4, "initializer": "he_normal",
        "dropout": 0.3 if few else 0.0, "label_smoothing": 0.1 if few else 0.05,
    }  # fmt: skip
    knobs = Knobs(hp, vary=("learning_rate", "weight_decay", "label_smoothing"), defaults=recipe)
    filters, stride = hp.Int("filters", 8, 64, sampling="log", default=16), hp.Fixed("stride", choose_stride(spec))
    augmentation = declare_augmentation(hp, spec, shift=0.1, zoom=0.0)
    widths = [filters * width for width in WIDTHS]

    def hidden(x: Any) -> Any:
        x = _convolve(x, knobs, widths[0], "0", least=FIRST_POOLED, stride=stride)
        x = _add_residual(_convolve(x, knobs, widths[1], "1", least=POOLED), knobs, "1")
        x = _convolve(x, knobs, widths[2], "2", least=POOLED)
        x = _add_residual(_convolve(x, knobs, widths[3], "3", least=POOLED), knobs, "3")
        x = keras.layers.GlobalMaxPooling2D(name="pooling")(x)
        dropout = knobs.get("dropout")
        return Dropout(dropout, name="dropout")(x) if dropout else x

    return build_image_model(spec, knobs, hidden, augmentation=augmentation)


def _convolve(x: Any, knobs: Knobs, filters: int, name: str, *, least: int, stride: int = 1) -> Any:
    """Return a convolution with pooling, if the images then have at least so many pixels a side."""
    pooled = min(x.shape[1:3]) >= least * stride
    pooling = keras.layers.MaxPooling2D(2, name=f"pooling_{name}") if pooled else None
    return add_convolution(x, knobs, filters=filters, name=name, stride=stride, pooling=pooling, momentum=MOMENTUM)


def _add_residual(x: Any, knobs: Knobs, name: str) -> Any:
    """Return images plus two convolutions of them."""
    inner = x
    for index in range(2):
        inner = add_convolution(inner, knobs, filters=x.shape[-1], name=f"{name}_{index}", momentum=MOMENTUM)
    return keras.layers.Add(name=f"residual_{name}")([x, inner])
