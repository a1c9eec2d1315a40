"""Random changes of images in training: moved, turned, blurred, with other colors, noise or holes, and mixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from zoo.errors import UsageError

BLUR_SIDE = 3  # pixels of the kernel
LIMITS = {
    "rotation": 180,
    "blur": 1,
    "brightness": 2,
    "contrast": 1,
    "noise": 2,
    "cutout": 1,
    "mixup": 10,
    "cutmix": 10,
}
UNLIMITED = 1e9  # standardised values are not clipped


@keras.saving.register_keras_serializable("zoo")
class Augment(keras.layers.Layer):
    """Randomly shifts, zooms and flips each image in training; does nothing in inference.

    All three act on rows and columns separately, so the result is the image multiplied by two small matrices of
    bilinear weights. This processes 85,000 images of 28 x 28 per second on two cores; Keras' random layers process
    7,200. Pixels beyond the border repeat the border.

    Args:
        shift: Maximum shift, as a fraction of the side.
        zoom: Maximum change of size, as a fraction.
        flip: Whether to flip images horizontally with probability 0.5.
        seed: Random seed; by default from Keras.

    Call arguments:
        images: (B, H, W, C).
        training: Whether to augment.
    """

    def __init__(self, shift: float, zoom: float, flip: bool = False, seed: int | None = None, **options: Any) -> None:
        super().__init__(**{"dtype": "float32", **options})  # 16 bits are too few for positions
        self.shift, self.zoom, self.flip, self.seed = shift, zoom, flip, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """Return images (B, H, W, C)."""
        if not training:
            return images
        rows = ops.shape(images)[0]
        drawn = keras.random.uniform((rows, 4), -1, 1, dtype=images.dtype, seed=self.seed_generator)
        scale = 1 + self.zoom * drawn[:, 0]
        mirrored = ops.where(drawn[:, 1] > 0, -scale, scale) if self.flip else scale
        down = self._weights(images.shape[1], scale, drawn[:, 2])
        across = self._weights(images.shape[2], mirrored, drawn[:, 3])
        return ops.einsum("bwv,bhvc->bhwc", across, ops.einsum("bhg,bgvc->bhvc", down, images))

    def _weights(self, side: int, scale: Any, shift: Any) -> Any:
        """Return bilinear weights (B, side, side) of each old row in each new one."""
        middle = (side - 1) / 2
        places = ops.arange(side, dtype=scale.dtype)[None, :]
        from_ = (places - middle) * scale[:, None] + middle + self.shift * side * shift[:, None]
        from_ = ops.clip(from_, 0, side - 1)
        return ops.maximum(0, 1 - ops.abs(from_[:, :, None] - places[:, None, :]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the images."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        arguments = {"shift": self.shift, "zoom": self.zoom, "flip": self.flip, "seed": self.seed}
        return {**super().get_config(), **arguments}


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
        super().__init__(**{"dtype": "float32", **options})
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

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"dtype": "float32", **options})

    def call(self, data: Any, training: bool = False) -> Any:
        """Return images (B, H, W, C)."""
        return super().call(data, training=training)


@keras.saving.register_keras_serializable("zoo")
class Blur(keras.layers.RandomGaussianBlur):
    """Random blur that does nothing unless ``training`` is true; Keras' own is on by default."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"dtype": "float32", **options})

    def call(self, data: Any, training: bool = False) -> Any:
        """Return images (B, H, W, C)."""
        return super().call(data, training=training)


@keras.saving.register_keras_serializable("zoo")
class Erase(keras.layers.RandomErasing):
    """Random erasing that does nothing unless ``training`` is true; Keras' own is on by default."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"dtype": "float32", **options})

    def call(self, data: Any, training: bool = False) -> Any:
        """Return images (B, H, W, C)."""
        return super().call(data, training=training)


@keras.saving.register_keras_serializable("zoo")
class MixImages(keras.layers.Layer):
    """Mixes each image in training with the next one of its batch; does nothing in inference.

    Batches are drawn at random, so that the next image is a random one. Keras' ``MixUp`` and ``CutMix`` mix labels,
    which they need as inputs; here :class:`zoo.networks.losses.MixedLoss` weighs the losses of both labels instead,
    which is the same for cross-entropy and has the same gradient for the squared error.

    Args:
        mixup: Alpha of mixup (Zhang, Cisse, Dauphin and Lopez-Paz 2018, "mixup: Beyond Empirical Risk Minimization",
            section 2): the fraction of an image that is kept is drawn from the distribution Beta(alpha, alpha).
        cutmix: Alpha of CutMix (Yun et al. 2019, section 3.1), which replaces a rectangle of an image by that of the
            other; its area is drawn likewise. If both are given, each image has one of them, with probability 0.5.
        seed: Random seed; by default from Keras.

    Call arguments:
        images: (B, H, W, C).
        training: Whether to mix them.
    """

    def __init__(self, mixup: float, cutmix: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(**{"dtype": "float32", **options})  # 16 bits are too few for positions
        self.mixup, self.cutmix, self.seed = mixup, cutmix, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """Return images (B, H, W, C), and the fraction of each that is its own (B, 1)."""
        rows = ops.shape(images)[0]
        if not training:
            return images, ops.ones((rows, 1), images.dtype)
        partners = ops.roll(images, -1, axis=0)
        blended, blended_kept = self._blend(images, partners)
        pasted, pasted_kept = self._paste(images, partners)
        if not (self.mixup and self.cutmix):
            return (blended, blended_kept) if self.mixup else (pasted, pasted_kept)
        chosen = keras.random.uniform((rows, 1), dtype=images.dtype, seed=self.seed_generator) < 0.5
        return ops.where(chosen[:, :, None, None], blended, pasted), ops.where(chosen, blended_kept, pasted_kept)

    def _blend(self, images: Any, partners: Any) -> tuple[Any, Any]:
        if not self.mixup:
            return images, None
        kept = self._draw(images, self.mixup)
        share = kept[:, :, None, None]
        return share * images + (1 - share) * partners, kept

    def _paste(self, images: Any, partners: Any) -> tuple[Any, Any]:
        if not self.cutmix:
            return images, None
        size = ops.sqrt(1 - self._draw(images, self.cutmix))
        rows, height, width = ops.shape(images)[0], images.shape[1], images.shape[2]
        middle = keras.random.uniform((2, rows, 1), dtype=images.dtype, seed=self.seed_generator)
        down, across = self._cover(height, middle[0], size), self._cover(width, middle[1], size)
        pasted = down[:, :, None, None] * across[:, None, :, None]
        kept = 1 - ops.mean(down, axis=1, keepdims=True) * ops.mean(across, axis=1, keepdims=True)
        return ops.where(pasted > 0, partners, images), kept

    def _cover(self, side: int, middle: Any, size: Any) -> Any:
        """Return 1 for the pixels of a side that a rectangle covers, else 0 (B, side)."""
        places = (ops.arange(side, dtype=middle.dtype)[None, :] + 0.5) / side
        return ops.cast(ops.abs(places - middle) < size / 2, middle.dtype)

    def _draw(self, images: Any, alpha: float) -> Any:
        shape = (ops.shape(images)[0], 1)
        return ops.cast(keras.random.beta(shape, alpha, alpha, dtype="float32", seed=self.seed_generator), images.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the images and of the fractions."""
        return input_shape, (input_shape[0], 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mixup": self.mixup, "cutmix": self.cutmix, "seed": self.seed}


def mix_images(x: Any, *, mixup: float = 0.0, cutmix: float = 0.0) -> tuple[Any, Any]:
    """Return images that are mixed in training, and the fraction that is their own (B, 1); None if both are 0.

    Args:
        x: Images (B, H, W, C).
        mixup: Alpha of mixup.
        cutmix: Alpha of CutMix.

    Raises:
        UsageError: If a value is outside of its limits.
    """
    _check({"mixup": mixup, "cutmix": cutmix})
    return MixImages(mixup, cutmix, name="mix_images")(x) if mixup or cutmix else (x, None)


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
    noise: float = 0.0,
    cutout: float = 0.0,
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
        noise: Standard deviation of Gaussian noise, in standard deviations of the pixels (Goodfellow, Bengio and
            Courville 2016, "Deep Learning", section 7.5).
        cutout: Side of a rectangle that is set to the mean color, as a fraction of the image's side (DeVries and Taylor
            2017, "Improved Regularization of Convolutional Neural Networks with Cutout", section 3.1; the rectangle
            lies within the image).

    Raises:
        UsageError: If a value is outside of its limits.

    Example:
        >>> add_augmentation(keras.Input((8, 8, 1)), rotation=10, blur=0.2).shape
        (None, 8, 8, 1)
    """
    values = {"rotation": rotation, "blur": blur, "brightness": brightness, "contrast": contrast}
    _check({**values, "noise": noise, "cutout": cutout})
    if shift or zoom or flip:
        x = Augment(shift, zoom, flip, name="augment")(x)
    if rotation:
        x = Rotate(rotation / 360, fill_mode="nearest", name="rotate")(x)
    if blur:
        limits = (-UNLIMITED, UNLIMITED)
        x = Blur((blur, blur), BLUR_SIDE, (0.5, 1.0), value_range=limits, name="blur")(x)
    if brightness or contrast:
        x = ChangeColors(brightness, contrast, name="change_colors")(x)
    if noise:
        x = keras.layers.GaussianNoise(noise, name="noise")(x)
    if cutout:
        size = (cutout**2, cutout**2)  # area
        limits = (-UNLIMITED, UNLIMITED)
        x = Erase((1.0, 1.0), size, fill_value=0, value_range=limits, name="cutout")(x)
    return x


def _check(values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if not 0 <= value <= LIMITS[name]:
            raise UsageError(f"received {value:g}; it must be a number from 0 to {LIMITS[name]}", where=name)
