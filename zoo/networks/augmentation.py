"""Random changes of images in training: shift, zoom, flip, rotation, blur, brightness and contrast."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from zoo.errors import UsageError
from zoo.networks.convolutional import Augment

BLUR_SIDE = 3  # pixels of the kernel
LIMITS = {"rotation": 180, "blur": 1, "brightness": 2, "contrast": 1}
UNLIMITED = 1e9  # standardised values are not clipped


@keras.saving.register_keras_serializable("zoo")
class ChangeColors(keras.layers.Layer):
    """Randomly changes brightness and contrast of standardised images in training; does nothing in inference.

    Keras' layers take values of a fixed range, which standardised images do not have. The values of a channel have mean
    0 and standard deviation 1, so that contrast is a factor, and brightness a number that is added.

    Args:
        brightness: Maximum change, in standard deviations.
        contrast: Maximum change, as a fraction.
        seed: Random seed; by default from Keras.

    Call arguments:
        images: (B, H, W, C).
        training: Whether to change them.
    """

    def __init__(self, brightness: float, contrast: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.brightness, self.contrast, self.seed = brightness, contrast, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """Return images (B, H, W, C)."""
        if not training:
            return images
        shape = (2, ops.shape(images)[0], 1, 1, 1)
        drawn = keras.random.uniform(shape, -1, 1, dtype=images.dtype, seed=self.seed_generator)
        return images * (1 + self.contrast * drawn[0]) + self.brightness * drawn[1]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the images."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        arguments = {"brightness": self.brightness, "contrast": self.contrast, "seed": self.seed}
        return {**super().get_config(), **arguments}


@keras.saving.register_keras_serializable("zoo")
class Rotate(keras.layers.RandomRotation):
    """Random rotation that does nothing unless ``training`` is true; Keras' own is on by default."""

    def call(self, data: Any, training: bool = False) -> Any:
        """Return images (B, H, W, C)."""
        return super().call(data, training=training)


@keras.saving.register_keras_serializable("zoo")
class Blur(keras.layers.RandomGaussianBlur):
    """Random blur that does nothing unless ``training`` is true; Keras' own is on by default."""

    def call(self, data: Any, training: bool = False) -> Any:
        """Return images (B, H, W, C)."""
        return super().call(data, training=training)


def add_augmentation(
    x: Any,
    *,
    shift: float = 0.0,
    zoom: float = 0.0,
    flip: bool = False,
    rotation: float = 0.0,
    blur: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
) -> Any:
    """Return images that are randomly changed in training; what is 0 adds no layer.

    Args:
        x: Standardised images (B, H, W, C).
        shift: Maximum shift, as a fraction of the side.
        zoom: Maximum change of size, as a fraction.
        flip: Whether to flip images horizontally with probability 0.5.
        rotation: Maximum rotation to either side, in degrees.
        blur: Fraction of the images that are blurred.
        brightness: Maximum change of brightness, in standard deviations of the pixels.
        contrast: Maximum change of contrast, as a fraction.

    Raises:
        UsageError: If a value is outside of its limits.

    Example:
        >>> add_augmentation(keras.Input((8, 8, 1)), rotation=10, blur=0.2).shape
        (None, 8, 8, 1)
    """
    values = {"rotation": rotation, "blur": blur, "brightness": brightness, "contrast": contrast}
    for name, value in values.items():
        if not 0 <= value <= LIMITS[name]:
            raise UsageError(f"received {value:g}; it must be a number from 0 to {LIMITS[name]}", where=name)
    if shift or zoom or flip:
        x = Augment(shift, zoom, flip, name="augment")(x)
    if rotation:
        x = Rotate(rotation / 360, fill_mode="nearest", name="rotate")(x)
    if blur:
        limits = (-UNLIMITED, UNLIMITED)
        x = Blur((blur, blur), BLUR_SIDE, (0.5, 1.0), value_range=limits, name="blur")(x)
    if brightness or contrast:
        x = ChangeColors(brightness, contrast, name="change_colors")(x)
    return x
