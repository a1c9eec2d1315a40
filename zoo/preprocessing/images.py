"""Preprocessing of images: resizing to one size, unless each keeps its own."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.preprocessing.configuration import simplify_config
from zoo.preprocessing.input_preprocessing import InputPreprocessing
from zoo.spec import ImageInput, Spec


@keras.saving.register_keras_serializable("zoo", name="ResizePictures")  # the name in saved models
class ResizeImages(keras.layers.Layer):
    """Resizes images to one size by bilinear interpolation.

    Args:
        height: Target height H; 0 if images keep their size.
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
        if not self.height:
            return tf.cast(images, tf.uint8 if self.whole else tf.float32)
        shape, size = tf.shape(images), (self.height, self.width)
        images = tf.cast(images, tf.float32)
        same = tf.reduce_all(shape[1:3] == tf.constant(size))
        images = tf.cond(same, lambda: images, lambda: tf.image.resize(images, size, antialias=True))
        images = tf.reshape(images, [shape[0], *size, images.shape[-1]])
        return tf.cast(tf.clip_by_value(tf.round(images), 0, 255), tf.uint8) if self.whole else images

    def compute_output_spec(self, images: Any) -> Any:
        """Return the spec of the output (B, H, W, C)."""
        shape = (images.shape[0], self.height or None, self.width or None, images.shape[-1])
        return keras.KerasTensor(shape, dtype="uint8" if self.whole else "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **simplify_config(super().get_config()),
            "height": self.height,
            "width": self.width,
            "whole": self.whole,
        }


class ImagePreprocessing(InputPreprocessing):
    """Preprocessing of images.

    Args:
        spec: Spec with an image.
        key: Key of the image, which also names the preprocessed tensor; default the only one, as ``images``.
    """

    def __init__(self, spec: Spec, key: str | None = None) -> None:
        self.input_ = spec.only(ImageInput, key)
        self.name = key or "images"

    def __repr__(self) -> str:
        return f"ImagePreprocessing({self.input_!r}, {self.name!r})"

    def tensors(self) -> dict[str, Any]:
        """Return the Keras input of preprocessed images (B, H, W, C)."""
        image = self.input_
        dtype = "uint8" if image.integer else "float32"
        shape = (image.height or None, image.width or None, image.shape[-1])
        return {self.name: keras.Input(shape, dtype=dtype, name=self.name)}

    def raw_tensors(self) -> dict[str, Any]:
        """Return the Keras input of raw images: ``image`` (B, H', W', C) of any size."""
        return {self.input_.key: keras.Input(self.input_.shape, name=self.input_.key)}

    def outputs(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return preprocessed images by name."""
        image, prefix = self.input_, "" if self.name == "images" else f"{self.name}_"
        layer = ResizeImages(image.height, image.width, image.integer, name=f"{prefix}resized")
        return {self.name: layer(raw[image.key])}
