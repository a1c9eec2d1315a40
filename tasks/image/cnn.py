"""Convolutional network: blocks of convolution and pooling, then fully connected layers.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", section II; stacked
small filters after Simonyan and Zisserman 2015. During training, each image is randomly shifted and zoomed a little.

Input: a raw image of any size (H, W, C). Output: probability of the second of two classes (B, 1), or of each of
several (B, K).
Run: ``zoo train image/cnn digits``.
"""

import keras
import keras_tuner

from zoo.models.shared_hyperparameters import choose_batch_size
from zoo.networks import Knobs, add_augmentation, add_convolutional_blocks, add_dense_layers, build_image_model
from zoo.networks.convolutional import POOLINGS
from zoo.spec import Spec

from ._image_defaults import choose_blocks, choose_epochs, choose_flip, choose_stride


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
    epochs = choose_epochs(spec, 400_000, fewest=12, most=40)
    knobs = Knobs(
        hp,
        vary=("learning_rate", "dropout", "normalization"),
        defaults={
            "dropout": 0.1, "batch_size": min(64, choose_batch_size(spec.rows)), "normalization": "batch", "learning_rate": 3e-3, "epochs": epochs, "patience": 8,
            "schedule": "one_cycle",
        },
    )  # fmt: skip
    filters = hp.Int("filters", 8, 128, sampling="log", default=32)
    blocks = hp.Int("blocks", 1, 5, default=choose_blocks(spec, 2, 5))
    convolutions, kernel = hp.Fixed("convolutions", 1), hp.Fixed("kernel", 3)
    pooling = hp.Choice("pooling", list(POOLINGS), default="max")
    units, layers = hp.Int("units", 32, 512, sampling="log", default=128), hp.Fixed("layers", 0)
    summary = hp.Fixed("summary", "flat")
    shift, zoom, flip = hp.Float("shift", 0.0, 0.2, default=0.08), hp.Fixed("zoom", 0.1), hp.Fixed("flip", choose_flip(spec))
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
            x, knobs, filters=filters, blocks=blocks, convolutions=convolutions, kernel=kernel, pooling=pooling,
            pool_first=True, momentum=0.9, stride=choose_stride(spec), most_filters=4*filters)
        kinds = {"max": keras.layers.GlobalMaxPooling2D, "average": keras.layers.GlobalAveragePooling2D, "flat": keras.layers.Flatten}
        return add_dense_layers(kinds[summary](name="flat")(x), knobs, units=units, layers=layers)

    return build_image_model(spec, knobs, hidden)
