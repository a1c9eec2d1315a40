"""Convolutional network: blocks of convolution and pooling, then fully connected layers.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", section II; stacked
small filters after Simonyan and Zisserman 2015. During training, each image is randomly shifted and zoomed a little.

Input: a raw image of any size (H, W, C). Output: probability of the second of two classes (B, 1), or of each of
several (B, K).
Run: ``zoo train image/cnn digits``.
"""

import keras
import keras_tuner

from zoo.networks import Knobs, add_augmentation, add_convolutional_blocks, add_dense_layers, build_image_model
from zoo.networks.convolutional import POOLINGS
from zoo.spec import Spec


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        filters: Number of filters of the first block; each further block has twice as many.
        blocks: Number of blocks.
        convolutions: Number of convolutions in each block.
        kernel: Side length of each filter.
        pooling: Pooling of each 2 x 2 window; use min with tanh, because the minimum of relu outputs is mostly 0.
        units: Width of each fully connected layer.
        layers: Number of fully connected layers between the blocks and the output.
        shift: Maximum random shift of an image in training, as a fraction of its side.
        zoom: Maximum random zoom of an image in training, as a fraction.
        flip: Whether images are randomly flipped horizontally in training.
        rotation: Maximum random rotation of an image in training, in degrees to either side.
        blur: Fraction of images that are blurred in training.
        brightness: Maximum random change of brightness in training, in standard deviations of the pixels.
        contrast: Maximum random change of contrast in training, as a fraction.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "dropout", "normalization"),
        defaults={
            "dropout": 0.3,
            # With many images, an epoch takes as many steps as several epochs with few.
            "epochs": min(40, max(12, 400_000 // max(spec.rows, 1))),
            "patience": 8,
            "schedule": "cosine",
            "warmup": 1,
        },
    )
    filters, blocks = hp.Int("filters", 8, 128, sampling="log", default=32), hp.Int("blocks", 1, 4, default=2)
    convolutions, kernel = hp.Fixed("convolutions", 1), hp.Fixed("kernel", 3)
    pooling = hp.Choice("pooling", list(POOLINGS), default="max")
    units, layers = hp.Int("units", 32, 512, sampling="log", default=128), hp.Fixed("layers", 1)
    shift, zoom, flip = hp.Float("shift", 0.0, 0.2, default=0.08), hp.Fixed("zoom", 0.1), hp.Fixed("flip", False)
    rotation, blur = hp.Fixed("rotation", 0.0), hp.Fixed("blur", 0.0)
    brightness, contrast = hp.Fixed("brightness", 0.0), hp.Fixed("contrast", 0.0)

    def hidden(x: keras.KerasTensor) -> keras.KerasTensor:
        x = add_augmentation(
            x,
            shift=shift,
            zoom=zoom,
            flip=flip,
            rotation=rotation,
            blur=blur,
            brightness=brightness,
            contrast=contrast,
        )
        x = add_convolutional_blocks(
            x, knobs, filters=filters, blocks=blocks, convolutions=convolutions, kernel=kernel, pooling=pooling
        )
        return add_dense_layers(keras.layers.Flatten(name="flat")(x), knobs, units=units, layers=layers)

    return build_image_model(spec, knobs, hidden)
