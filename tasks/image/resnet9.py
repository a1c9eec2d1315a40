"""Residual network of nine layers, trained by one cycle of the learning rate on shifted images.

Page 2018, "How to Train Your ResNet"; shortcuts after He, Zhang, Ren and Sun 2016, "Deep Residual Learning for Image
Recognition". 

Run: ``zoo train image/resnet9 digits``.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from zoo.networks import Knobs, add_augmentation, build_image_model
from zoo.networks.convolutional import add_convolution
from zoo.networks.dropout import Dropout
from zoo.spec import Spec

from ._image_defaults import choose_epochs, choose_flip, choose_stride

MOMENTUM = 0.9


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        filters: f
        shift: s
        zoom: z
        flip: f
    """
    epochs = choose_epochs(spec, 500_000, fewest=8, most=100)
    knobs = Knobs(
        hp,
        vary=("learning_rate", "weight_decay", "label_smoothing"),
        defaults={
            "optimizer": "nesterov", "learning_rate": 0.2, "weight_decay": 5e-3, "normalization": "batch",
            "initializer": "he_normal",
            "label_smoothing": 0.05, "schedule": "one_cycle", "epochs": epochs, "patience": epochs,
        },
    )  # fmt: skip
    filters = hp.Int("filters", 8, 64, sampling="log", default=16)
    shift, zoom = hp.Float("shift", 0.0, 0.2, default=0.1), hp.Fixed("zoom", 0.0)
    flip = hp.Fixed("flip", choose_flip(spec))
    early = hp.Fixed("early", False)
    top = hp.Fixed("top", 6)
    summary = hp.Fixed("summary", "max")
    scale = hp.Fixed("scale", 1.0)

    def hidden(x: Any) -> Any:
        x = add_augmentation(x, shift=shift, zoom=zoom, flip=flip)
        x = add_convolution(x, knobs, filters=filters, name="0", stride=choose_stride(spec), momentum=MOMENTUM, pooling=_pool(x, "0") if early else None)
        x = _residual(_pooled(x, knobs, 2 * filters, "1"), knobs, 2 * filters, "1")
        x = _pooled(x, knobs, 4 * filters, "2")
        x = add_convolution(x, knobs, filters=top * filters, name="3", momentum=MOMENTUM) if early else _pooled(x, knobs, top * filters, "3")
        x = _residual(x, knobs, top * filters, "3")
        kinds = {"max": keras.layers.GlobalMaxPooling2D, "average": keras.layers.GlobalAveragePooling2D, "flat": keras.layers.Flatten}
        x = kinds[summary](name="summary")(x)
        if scale != 1.0:
            x = keras.layers.Rescaling(scale, name="scale")(x)
        dropout = knobs.get("dropout")
        return Dropout(dropout, name="dropout")(x) if dropout else x

    return build_image_model(spec, knobs, hidden)


def _pool(x: Any, name: str) -> Any:
    return keras.layers.MaxPooling2D(2, name=f"pooling_{name}") if min(x.shape[1:3]) >= 2 else None


def _pooled(x: Any, knobs: Knobs, filters: int, name: str) -> Any:
    return add_convolution(x, knobs, filters=filters, name=name, pooling=_pool(x, name), momentum=MOMENTUM)


def _residual(x: Any, knobs: Knobs, filters: int, name: str) -> Any:
    inner = x
    for index in range(2):
        inner = add_convolution(inner, knobs, filters=filters, name=f"{name}_{index}", momentum=MOMENTUM)
    return keras.layers.Add(name=f"residual_{name}")([x, inner])
