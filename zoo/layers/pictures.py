"""Pictures inside the model: resizing, standardising, augmentation, and convolutional blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from zoo.layers.activations import ACTIVATIONS
from zoo.layers.assembly import assemble
from zoo.layers.dropout import Dropout
from zoo.layers.heads import head
from zoo.layers.knobs import Knobs
from zoo.spec import Input, Spec

POOLINGS = ("max", "average", "min")


@keras.saving.register_keras_serializable("zoo")
class ResizePictures(keras.layers.Layer):
    """Brings pictures of any size to one, by bilinear interpolation; those that have it stay as they are.

    Args:
        height: Height H that they get.
        width: Width W that they get.
        whole: Whether values are whole numbers from 0 to 255, and stay bytes: a quarter of the memory.

    Call arguments:
        pictures: (B, H', W', C).
    """

    def __init__(self, height: int, width: int, whole: bool, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.height, self.width, self.whole = height, width, whole

    def call(self, pictures: Any) -> Any:
        """Return pictures (B, H, W, C): bytes, or 32-bit floats."""
        shape, size = tf.shape(pictures), (self.height, self.width)
        pictures = tf.cast(pictures, tf.float32)
        same = tf.reduce_all(shape[1:3] == tf.constant(size))
        pictures = tf.cond(same, lambda: pictures, lambda: tf.image.resize(pictures, size, antialias=True))
        pictures = tf.reshape(pictures, [shape[0], *size, pictures.shape[-1]])
        return tf.cast(tf.clip_by_value(tf.round(pictures), 0, 255), tf.uint8) if self.whole else pictures

    def compute_output_spec(self, pictures: Any) -> Any:
        """Return the form (B, H, W, C)."""
        shape = (pictures.shape[0], self.height, self.width, pictures.shape[-1])
        return keras.KerasTensor(shape, dtype="uint8" if self.whole else "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        for name in ("dtype", "trainable"):
            config.pop(name, None)
        return {**config, "height": self.height, "width": self.width, "whole": self.whole}


@keras.saving.register_keras_serializable("zoo")
class Standardize(keras.layers.Layer):
    """Takes off the mean of each channel and divides by its deviation.

    Args:
        mean: Mean of each channel over the training part (C,).
        std: Standard deviation of each channel (C,).

    Call arguments:
        pictures: (B, H, W, C) of any numbers.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **options: Any) -> None:
        super().__init__(autocast=False, **options)
        self.mean, self.std = list(mean), list(std)

    def call(self, pictures: Any) -> Any:
        """Return (B, H, W, C) in the layer's floats."""
        std = [known if known > 0 else 1.0 for known in self.std]
        scaled = (ops.cast(pictures, "float32") - ops.array(self.mean, "float32")) / ops.array(std, "float32")
        return ops.cast(scaled, self.compute_dtype)

    def compute_output_spec(self, pictures: Any) -> Any:
        """Return the form of the pictures, as floats."""
        return keras.KerasTensor(pictures.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "std": self.std}


@keras.saving.register_keras_serializable("zoo")
class Augment(keras.layers.Layer):
    """Shifts, zooms and flips each picture at random while training, and leaves it alone when predicting.

    All three move rows and columns apart from each other, so that a picture is a product of two small
    matrices, which hold bilinear weights, with what lies between: some 85,000 pictures of 28 x 28 a second
    on two cores, where a batch of Keras' random layers makes 7,200. Beyond the edge the edge goes on.

    Args:
        shift: Greatest shift, as a share of the side.
        zoom: Greatest change of size, as a share.
        flip: Whether left and right are exchanged, every second time.
        seed: Seed; drawn from Keras' own by default.

    Call arguments:
        pictures: (B, H, W, C).
        training: Whether to change anything.
    """

    def __init__(self, shift: float, zoom: float, flip: bool = False, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.shift, self.zoom, self.flip, self.seed = shift, zoom, flip, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, pictures: Any, training: bool = False) -> Any:
        """Return pictures (B, H, W, C)."""
        if not training:
            return pictures
        rows = ops.shape(pictures)[0]
        drawn = keras.random.uniform((rows, 4), -1, 1, dtype=pictures.dtype, seed=self.seed_generator)
        scale = 1 + self.zoom * drawn[:, 0]
        mirrored = ops.where(drawn[:, 1] > 0, -scale, scale) if self.flip else scale
        down = self._weights(pictures.shape[1], scale, drawn[:, 2])
        across = self._weights(pictures.shape[2], mirrored, drawn[:, 3])
        return ops.einsum("bwv,bhvc->bhwc", across, ops.einsum("bhg,bgvc->bhvc", down, pictures))

    def _weights(self, side: int, scale: Any, shift: Any) -> Any:
        """Bilinear weights (B, side, side) of each old row in each new one."""
        middle = (side - 1) / 2
        places = ops.arange(side, dtype=scale.dtype)[None, :]
        from_ = (places - middle) * scale[:, None] + middle + self.shift * side * shift[:, None]
        from_ = ops.clip(from_, 0, side - 1)
        return ops.maximum(0, 1 - ops.abs(from_[:, :, None] - places[:, None, :]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the pictures."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"shift": self.shift, "zoom": self.zoom, "flip": self.flip, "seed": self.seed}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("zoo")
class MinPooling2D(keras.layers.MaxPooling2D):
    """Takes the least value of each window: greatest of the negatives."""

    def call(self, inputs: Any) -> Any:
        """Return (B, H', W', C)."""
        return -super().call(-inputs)


@dataclass(frozen=True)
class PicturePreparation:
    """How pictures are prepared; makes the Keras model that does it.

    Args:
        spec: Its only input is a picture.
    """

    spec: Spec

    @property
    def known(self) -> Input:
        """The input."""
        return self.spec.inputs[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of prepared pictures."""
        return self.known.statistics["height"], self.known.statistics["width"]

    @property
    def digest(self) -> str:
        """Digest of all that decides what the prepared tensors hold, given the raw ones."""
        return hashlib.sha256(f"{type(self).__name__} {self.known!r}".encode()).hexdigest()[:16]

    def tensors(self) -> dict[str, Any]:
        """Return the Keras input of prepared pictures: ``pictures`` (B, H, W, C)."""
        dtype = "uint8" if self.known.statistics["whole"] else "float32"
        return {"pictures": keras.Input((*self.size, self.known.shape[-1]), dtype=dtype, name="pictures")}

    def raw_tensors(self) -> dict[str, Any]:
        """Return the Keras input of raw pictures: ``image`` (B, H', W', C) of any size."""
        return {self.known.key: keras.Input(self.known.shape, name=self.known.key)}

    def model(self) -> keras.Model:
        """Return the Keras model from raw pictures to prepared ones; it has no weight that trains."""
        raw = self.raw_tensors()
        resized = ResizePictures(*self.size, self.known.statistics["whole"], name="resized")(raw[self.known.key])
        return keras.Model(raw, {"pictures": resized}, name="preparation")


def picture_model(spec: Spec, knobs: Knobs, hidden: Callable[[Any], Any]) -> keras.Model:
    """Return the compiled model of pictures, whatever its target.

    Args:
        spec: Its only input is a picture.
        knobs: Give loss, optimizer and how long to train.
        hidden: From standardised pictures (B, H, W, C) to what the head takes (B, D).
    """
    preparation = PicturePreparation(spec)
    inputs = preparation.tensors()
    output, loss = head(hidden(standardized(inputs, spec)), spec, knobs)
    knobs.training(spec.rows)
    return assemble(preparation, inputs, output, loss, knobs)


def standardized(inputs: dict[str, Any], spec: Spec) -> Any:
    """Return prepared pictures as floats with mean 0 and deviation 1 in each channel."""
    facts = spec.inputs[0].statistics
    return Standardize(facts["mean"], facts["std"], name="standardized")(inputs["pictures"])


def convolutional_blocks(
    x: Any, knobs: Knobs, *, filters: int, blocks: int, convolutions: int, kernel: int, pooling: str
) -> Any:
    """Return blocks of convolutions, each ended by pooling that halves the sides and doubles the next one's filters.

    A block that would leave nothing of the picture is left out.

    Args:
        x: Pictures (B, H, W, C).
        knobs: Gives activation, initializer, normalisation, dropout (after pooling) and regularisation.
        filters: Filters of the first block.
        blocks: Number of blocks.
        convolutions: Convolutions in each block.
        kernel: Side of each filter.
        pooling: ``max``, ``average`` or ``min``, over windows of 2 x 2.

    Returns:
        Tensor (B, H', W', F).
    """
    normalization, activation = knobs.get("normalization"), ACTIVATIONS[knobs.get("activation")]
    initializer, dropout, regularizer = knobs.get("initializer"), knobs.get("dropout"), knobs.regularizer()
    kinds = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D, "min": MinPooling2D}
    for block in range(blocks):
        if min(x.shape[1:3]) < 2:
            break
        for index in range(convolutions):
            name = f"{block}_{index}"
            x = keras.layers.Conv2D(
                filters * 2**block,
                kernel,
                padding="same",
                kernel_initializer=initializer,
                kernel_regularizer=regularizer,
                name=f"convolution_{name}",
            )(x)
            if normalization == "batch":
                x = keras.layers.BatchNormalization(name=f"normalization_{name}")(x)
            elif normalization == "layer":
                x = keras.layers.LayerNormalization(name=f"normalization_{name}")(x)
            x = keras.layers.Activation(activation, name=f"activation_{name}")(x)
        x = kinds[pooling](2, name=f"pooling_{block}")(x)
        if dropout:
            x = Dropout(dropout / 2, name=f"block_dropout_{block}")(x)
    return x
