"""Layers and losses of segmentation networks: padding to a multiple of a stride, flips, cross-entropy and Dice."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ._mask_dataset import VOID

EPSILON = 1e-7
LOSSES = ("crossentropy", "dice", "crossentropy_dice")
FLIPS = ("none", "horizontal", "both")


@keras.saving.register_keras_serializable("zoo")
class PadToMultiple(keras.layers.Layer):
    """Pads images at the bottom and on the right to a multiple of a stride, by repeating the border.

    Args:
        stride: Height and width become multiples of it.

    Call arguments:
        images: (B, H, W, C) of any size.
    """

    def __init__(self, stride: int, **options: Any) -> None:
        super().__init__(**options)
        self.stride = stride

    def call(self, images: Any) -> Any:
        """Return images (B, H', W', C)."""
        for axis in (1, 2):
            size = ops.shape(images)[axis]
            padded = (size + self.stride - 1) // self.stride * self.stride
            images = ops.take(images, ops.minimum(ops.arange(padded), size - 1), axis=axis)
        return images

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the padded images."""
        sides = (side and -(-side // self.stride) * self.stride for side in input_shape[1:3])
        return (input_shape[0], *sides, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "stride": self.stride}


@keras.saving.register_keras_serializable("zoo")
class CropTo(keras.layers.Layer):
    """Crops padded images to the size of others.

    Call arguments:
        padded: (B, H', W', F).
        images: (B, H, W, C).
    """

    def call(self, padded: Any, images: Any) -> Any:
        """Return images (B, H, W, F)."""
        shape = ops.shape(images)
        return padded[:, : shape[1], : shape[2], :]

    def compute_output_shape(self, padded_shape: Any, images_shape: Any) -> Any:
        """Return the shape of the cropped images."""
        return (*images_shape[:3], padded_shape[3])


@keras.saving.register_keras_serializable("zoo")
class DrawFlips(keras.layers.Layer):
    """Draws for each image of a batch in training whether it is flipped; none is in inference.

    Args:
        kind: ``horizontal`` or ``both``.
        seed: Random seed; by default from Keras.

    Call arguments:
        images: (B, H, W, C).
        training: Whether to flip.
    """

    def __init__(self, kind: str, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.kind, self.seed = kind, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """Return 1 or 0 for upside down and left to right (B, 2)."""
        rows = ops.shape(images)[0]
        if not training:
            return ops.zeros((rows, 2))
        drawn = keras.random.uniform((rows, 2), seed=self.seed_generator)
        return ops.cast(drawn < ops.array([0.5 if self.kind == "both" else 0.0, 0.5]), "float32")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the flips."""
        return (input_shape[0], 2)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "kind": self.kind, "seed": self.seed}


@keras.saving.register_keras_serializable("zoo")
class Flip(keras.layers.Layer):
    """Flips images as drawn in training. Images flipped twice are as before, so a network between two flips learns from
    flipped images with the masks as they are.

    Call arguments:
        images: (B, H, W, C).
        flips: From :class:`DrawFlips`.
        training: Whether to flip.
    """

    def call(self, images: Any, flips: Any, training: bool = False) -> Any:
        """Return images (B, H, W, C)."""
        if not training:
            return images
        for place, axis in enumerate((1, 2)):
            flipped = ops.reshape(flips[:, place] > 0, (-1, 1, 1, 1))
            images = ops.where(flipped, ops.flip(images, axis=axis), images)
        return images

    def compute_output_shape(self, images_shape: Any, flips_shape: Any) -> Any:
        """Return the shape of the images."""
        return images_shape


@keras.saving.register_keras_serializable("zoo")
class MaskLoss(keras.losses.Loss):
    """Loss of class probabilities of pixels; pixels without a class do not count.

    Args:
        kind: ``crossentropy``, the mean over an image's pixels; ``dice``, one minus the mean of the soft Dice
            coefficients of the classes in a batch (Milletari, Navab and Ahmadi 2016, "V-Net", section 3);
            ``crossentropy_dice``, their sum.

    Call arguments:
        y_true: Class of each pixel (B, H, W), ``VOID`` where there is none.
        y_pred: Probabilities (B, H, W, K).
    """

    def __init__(
        self, kind: str, reduction: str = "sum_over_batch_size", name: str = "mask_loss", **options: Any
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.kind = kind

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image (B,)."""
        classes = ops.cast(ops.reshape(y_true, ops.shape(y_pred)[:3]), "int32")
        valid = ops.cast(classes != VOID, y_pred.dtype)
        truth = ops.one_hot(classes, y_pred.shape[-1], dtype=y_pred.dtype) * valid[..., None]
        loss = ops.zeros_like(y_pred[:, 0, 0, 0])
        if self.kind != "dice":
            cost = -ops.sum(truth * ops.log(ops.clip(y_pred, EPSILON, 1.0)), axis=-1)
            loss = loss + ops.sum(cost, axis=(1, 2)) / ops.maximum(ops.sum(valid, axis=(1, 2)), 1.0)
        if self.kind != "crossentropy":
            size = ops.sum(truth, axis=(0, 1, 2))
            both = ops.sum(truth * y_pred, axis=(0, 1, 2))
            dice = 2 * both / (size + ops.sum(y_pred * valid[..., None], axis=(0, 1, 2)) + EPSILON)
            present = ops.cast(size > 0, y_pred.dtype)
            loss = loss + 1 - ops.sum(dice * present) / ops.maximum(ops.sum(present), 1.0)
        return loss

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "kind": self.kind}
