"""Transfer learning: a network trained on ImageNet gets a new output layer, and is then fine-tuned.

Chollet 2020, "Transfer learning & fine-tuning" (Keras guide); Yosinski, Clune, Bengio and Lipson 2014, "How
transferable are features in deep neural networks?". The backbone is any of ``keras.applications``; the default is
MobileNetV3Large (Howard et al. 2019). First the output layer is trained on the frozen backbone, then also the upper
layers of the backbone, or all, with a lower learning rate; batch normalization keeps the statistics of ImageNet.

Input: a raw image of any size (H, W, C), in colour or grey; small ones are enlarged to what the backbone takes. Output:
probability of the second of two classes (B, 1), or of each of several (B, K).
Weights: ``imagenet`` are downloaded once, by Keras, into ``~/.keras/models``. Without a network, give a file:
``--set weights=FILE``. ``--set weights=none`` trains the whole backbone from random weights.
Run: ``zoo train image/finetune photos/``.
An image of 224 x 224 takes 13 ms of one CPU core forward, and 54 ms forward and back (MobileNetV3Small 4 and 20,
EfficientNetV2B0 26 and 87).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner

from zoo.errors import UsageError
from zoo.networks import Knobs, build_image_model
from zoo.networks.dropout import Dropout
from zoo.spec import ImageInput, Spec

from ._backbones import (
    IMAGENET,
    NONE,
    InferenceMode,
    check_imagenet,
    choose_side,
    create_backbone,
    describe_weights,
    find_least_side,
    map_to_pixels,
)
from ._image_defaults import choose_epochs, choose_training, declare_augmentation, has_few_images
from ._transfer_phases import create_phases

BACKBONE = "MobileNetV3Large"
HEAD_EPOCHS = 5


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        backbone: Name of a function of keras.applications, such as MobileNetV3Small, EfficientNetV2B0 or ResNet50.
        weights: Weights of the backbone: imagenet, none (random), or a file of this backbone without its output layer.
        alpha: Width of the backbone relative to its published one, for MobileNet, MobileNetV2 and MobileNetV3.
        side: Pixels of the shorter side that images are resized to; 0 for their own, if the backbone takes it.
        head_epochs: Number of first epochs in which only the output layer is trained.
        unfrozen: Fraction of the backbone's layers, from the top, that are trained in the epochs after them.
        backbone_rate: Learning rate in those epochs, as a fraction of learning_rate.
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
    check_data(spec)
    name, weights = hp.Fixed("backbone", BACKBONE), hp.Fixed("weights", IMAGENET)
    alpha, side = hp.Fixed("alpha", 1.0), hp.Fixed("side", 0)
    size = choose_side(spec, side or find_least_side(name), exactly=side > 0)
    backbone = create_backbone(name, weights, size, alpha)
    trained = weights != NONE
    head_epochs = hp.Int("head_epochs", 0, 20, default=HEAD_EPOCHS if trained else 0)
    unfrozen = hp.Float("unfrozen", 0.0, 1.0, default=1.0)
    rate = hp.Float("backbone_rate", 0.01, 1.0, sampling="log", default=0.1 if trained else 1.0)
    recipe = choose_training(spec, 800_000, 12, 100) | {
        "optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.01, "dropout": 0.2,
        "label_smoothing": 0.1 if has_few_images(spec) else 0.0,
    }  # fmt: skip
    if trained:
        recipe["epochs"] = recipe["patience"] = HEAD_EPOCHS + choose_epochs(spec, 20_000, 5, 20)
    knobs = Knobs(hp, vary=("learning_rate", "dropout", "weight_decay"), defaults=recipe)
    augmentation = declare_augmentation(hp, spec, shift=0.08, zoom=0.1)

    title = f"{name} with {describe_weights(weights)}"
    phases = create_phases(backbone, title, head_epochs=head_epochs, unfrozen=unfrozen, rate=rate)

    def hidden(x: Any) -> Any:
        if x.shape[1:3] != size:
            x = keras.layers.Resizing(*size, name="resized")(x)
        x = map_to_pixels(spec, name)(x)
        x = InferenceMode(backbone, name="inference_mode")(x) if trained else backbone(x)
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
        dropout = knobs.get("dropout")
        return Dropout(dropout, name="dropout")(x) if dropout else x

    return build_image_model(spec, knobs, hidden, augmentation=augmentation, phases=phases)


def check_data(spec: Spec) -> None:
    """Raise if the images have neither one channel nor three."""
    channels = len(spec.only(ImageInput).mean)
    if channels not in (1, 3):
        raise UsageError(f"a backbone takes images with 1 or 3 channels; these have {channels}", where="image/finetune")


def check_files(hyperparameters: Mapping[str, Any]) -> None:
    """Raise if the weights are those of ImageNet and cannot be downloaded."""
    if hyperparameters.get("weights", IMAGENET) == IMAGENET:
        check_imagenet(hyperparameters.get("backbone", BACKBONE), float(hyperparameters.get("alpha", 1)))
