"""U-Net: a convolutional network that contracts and expands again, with skip connections at each resolution.

Ronneberger, Fischer and Brox 2015, "U-Net: Convolutional networks for biomedical image segmentation"; here with padded
convolutions, so that the mask has the size of the image, and batch normalization (Ioffe and Szegedy 2015). It is fully
convolutional: training is on crops, prediction on whole images of any size. In training, images are randomly flipped.

Input: a raw image of any size (H, W, C). Output: probability of each class of each pixel (B, H, W, K).
Run: ``zoo train segmentation/unet digit_scenes``.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
import numpy as np

from zoo.models.activations import ACTIVATIONS
from zoo.networks import Knobs, assemble
from zoo.networks.convolutional import standardize_images
from zoo.networks.dropout import Dropout
from zoo.preprocessing.images import ImagePreprocessing
from zoo.spec import Spec

from ._mask_network import FLIPS, LOSSES, CropTo, DrawFlips, Flip, MaskLoss, PadToMultiple

# Pixels that are trained on in all epochs together, within limits on the epochs.
TRAINED_PIXELS, FEWEST_EPOCHS, MOST_EPOCHS = 20_000_000, 20, 120
MOMENTUM = 0.9  # of the statistics for inference: few images are few steps, in which Keras' 0.99 lags behind


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        filters: Number of filters at full resolution; each further level has twice as many.
        depth: Number of times that the resolution is halved.
        flip: How images are randomly flipped in training; use none if a class differs between left and right.
        loss: Cross-entropy, Dice loss, or their sum.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "dropout", "loss"),
        defaults={"loss": "crossentropy_dice", "normalization": "batch", **choose_training(spec)},
    )
    filters, depth = hp.Int("filters", 8, 64, sampling="log", default=16), hp.Int("depth", 1, 5, default=3)
    flip = hp.Choice("flip", list(FLIPS), default="horizontal")
    preprocessing = ImagePreprocessing(spec)
    inputs = preprocessing.tensors()
    images = standardize_images(inputs, spec)
    x = images
    if flip != "none":
        flips = DrawFlips(flip, name="flips")(images)
        x = Flip(name="flip")(images, flips)
    x = _contract_and_expand(PadToMultiple(2**depth, name="padded")(x), knobs, filters, depth)
    x = keras.layers.Conv2D(len(spec.target.classes), 1, name="logits")(x)
    x = CropTo(name="cropped")(x, images)
    x = Flip(name="flip_back")(x, flips) if flip != "none" else x
    # float32 under any precision policy, since probabilities are scored and compared.
    output = keras.layers.Softmax(dtype="float32", name="probability")(x)
    loss = MaskLoss(knobs.get("loss", choices=LOSSES))
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, output, loss, knobs)


def choose_training(spec: Spec) -> dict[str, Any]:
    """Return the defaults of training for the crops of an epoch: few crops take more epochs, in smaller batches."""
    crops, side = spec.options["crops"], spec.options["crop"]
    epochs = int(np.clip(TRAINED_PIXELS / (crops * side**2), FEWEST_EPOCHS, MOST_EPOCHS))
    batch = 2 ** int(np.clip(np.log2(crops / 16), 2, 4))
    return {"learning_rate": 5e-3, "schedule": "cosine", "warmup": 1, "epochs": epochs, "patience": epochs // 3,
            "batch_size": batch}  # fmt: skip


def _contract_and_expand(x: Any, knobs: Knobs, filters: int, depth: int) -> Any:
    """Return features (B, H, W, F) of images (B, H, W, C) whose sides are multiples of 2 to the depth."""
    skipped, dropout = [], knobs.get("dropout")
    for level in range(depth):
        x = _convolve(x, knobs, filters * 2**level, level)
        skipped.append(x)
        x = keras.layers.MaxPooling2D(2, name=f"pooling_{level}")(x)
    x = _convolve(x, knobs, filters * 2**depth, depth)
    x = Dropout(dropout, name="dropout")(x) if dropout else x
    for level in reversed(range(depth)):
        x = keras.layers.UpSampling2D(2, name=f"upsampling_{level}")(x)
        x = keras.layers.Conv2D(filters * 2**level, 2, padding="same", name=f"up_convolution_{level}")(x)
        x = keras.layers.Concatenate(name=f"skip_{level}")([skipped[level], x])
        x = _convolve(x, knobs, filters * 2**level, 2 * depth - level)
    return x


def _convolve(x: Any, knobs: Knobs, filters: int, block: int) -> Any:
    """Return the output of a block of two convolutions, each with normalization and activation."""
    normalization, activation = knobs.get("normalization"), ACTIVATIONS[knobs.get("activation")]
    initializer, regularizer = knobs.get("initializer"), knobs.regularizer()
    for place in (0, 1):
        name = f"{block}_{place}"
        layer = keras.layers.Conv2D(
            filters, 3, padding="same", kernel_initializer=initializer, kernel_regularizer=regularizer,
            name=f"convolution_{name}",
        )  # fmt: skip
        x = layer(x)
        if normalization == "batch":
            x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"normalization_{name}")(x)
        elif normalization == "layer":
            x = keras.layers.LayerNormalization(name=f"normalization_{name}")(x)
        x = keras.layers.Activation(activation, name=f"activation_{name}")(x)
    return x
