"""Preprocessing of images: resizing to one size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from zoo.models.built_model import PREPROCESSING
from zoo.spec import Input, Spec


@keras.saving.register_keras_serializable("zoo", name="ResizePictures")  # the name in saved models
class ResizeImages(keras.layers.Layer):
    """Resizes images to one size by bilinear interpolation.

    Args:
        height: Target height H.
        width: Target width W.
        whole: Whether values are integers from 0 to 255 and stay bytes, which needs a quarter of the memory.

    Call arguments:
        images: (B, H', W', C).
    """

    def __init__(self, height: int, width: int, whole: bool, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.height, self.width, self.whole = height, width, whole

    def call(self, images: Any) -> Any:
        """Return images (B, H, W, C), uint8 or float32."""
        shape, size = tf.shape(images), (self.height, self.width)
        images = tf.cast(images, tf.float32)
        same = tf.reduce_all(shape[1:3] == tf.constant(size))
        images = tf.cond(same, lambda: images, lambda: tf.image.resize(images, size, antialias=True))
        images = tf.reshape(images, [shape[0], *size, images.shape[-1]])
        return tf.cast(tf.clip_by_value(tf.round(images), 0, 255), tf.uint8) if self.whole else images

    def compute_output_spec(self, images: Any) -> Any:
        """Return the spec of the output (B, H, W, C)."""
        shape = (images.shape[0], self.height, self.width, images.shape[-1])
        return keras.KerasTensor(shape, dtype="uint8" if self.whole else "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        for name in ("dtype", "trainable"):
            config.pop(name, None)
        return {**config, "height": self.height, "width": self.width, "whole": self.whole}


@dataclass(frozen=True)
class ImagePreprocessing:
    """Preprocessing of images as a Keras model.

    Args:
        spec: Spec with an image as its only input.
    """

    spec: Spec

    @property
    def input_(self) -> Input:
        """The only input of the spec."""
        return self.spec.inputs[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of preprocessed images."""
        return self.input_.statistics["height"], self.input_.statistics["width"]

    @property
    def digest(self) -> str:
        """Digest of everything that determines the preprocessed tensors, given the raw ones."""
        return hashlib.sha256(f"{type(self).__name__} {self.input_!r}".encode()).hexdigest()[:16]

    def tensors(self) -> dict[str, Any]:
        """Return the Keras input of preprocessed images: ``images`` (B, H, W, C)."""
        dtype = "uint8" if self.input_.statistics["whole"] else "float32"
        return {"images": keras.Input((*self.size, self.input_.shape[-1]), dtype=dtype, name="images")}

    def raw_tensors(self) -> dict[str, Any]:
        """Return the Keras input of raw images: ``image`` (B, H', W', C) of any size."""
        return {self.input_.key: keras.Input(self.input_.shape, name=self.input_.key)}

    def model(self) -> keras.Model:
        """Return the Keras model from raw to preprocessed images, without trainable weights."""
        raw = self.raw_tensors()
        resized = ResizeImages(*self.size, self.input_.statistics["whole"], name="resized")(raw[self.input_.key])
        return keras.Model(raw, {"images": resized}, name=PREPROCESSING)
