"""Preprocessing of images: one size, one range."""

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
    """Brings images of any size to one, by bilinear interpolation; those that have it stay as they are.

    Args:
        height: Height H that they get.
        width: Width W that they get.
        whole: Whether values are whole numbers from 0 to 255, and stay bytes: a quarter of the memory.

    Call arguments:
        images: (B, H', W', C).
    """

    def __init__(self, height: int, width: int, whole: bool, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.height, self.width, self.whole = height, width, whole

    def call(self, images: Any) -> Any:
        """Return images (B, H, W, C): bytes, or 32-bit floats."""
        shape, size = tf.shape(images), (self.height, self.width)
        images = tf.cast(images, tf.float32)
        same = tf.reduce_all(shape[1:3] == tf.constant(size))
        images = tf.cond(same, lambda: images, lambda: tf.image.resize(images, size, antialias=True))
        images = tf.reshape(images, [shape[0], *size, images.shape[-1]])
        return tf.cast(tf.clip_by_value(tf.round(images), 0, 255), tf.uint8) if self.whole else images

    def compute_output_spec(self, images: Any) -> Any:
        """Return the form (B, H, W, C)."""
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
    """How images are prepared; makes the Keras model that does it.

    Args:
        spec: Its only input is an image.
    """

    spec: Spec

    @property
    def known(self) -> Input:
        """The input."""
        return self.spec.inputs[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of prepared images."""
        return self.known.statistics["height"], self.known.statistics["width"]

    @property
    def digest(self) -> str:
        """Digest of all that decides what the prepared tensors hold, given the raw ones."""
        return hashlib.sha256(f"{type(self).__name__} {self.known!r}".encode()).hexdigest()[:16]

    def tensors(self) -> dict[str, Any]:
        """Return the Keras input of prepared images: ``images`` (B, H, W, C)."""
        dtype = "uint8" if self.known.statistics["whole"] else "float32"
        return {"images": keras.Input((*self.size, self.known.shape[-1]), dtype=dtype, name="images")}

    def raw_tensors(self) -> dict[str, Any]:
        """Return the Keras input of raw images: ``image`` (B, H', W', C) of any size."""
        return {self.known.key: keras.Input(self.known.shape, name=self.known.key)}

    def model(self) -> keras.Model:
        """Return the Keras model from raw images to prepared ones; it has no weight that trains."""
        raw = self.raw_tensors()
        resized = ResizeImages(*self.size, self.known.statistics["whole"], name="resized")(raw[self.known.key])
        return keras.Model(raw, {"images": resized}, name=PREPROCESSING)
