"""Layers for images: standardisation and convolutional blocks, and the whole model of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from zoo.models.activations import ACTIVATIONS
from zoo.models.built_model import assemble
from zoo.models.phases import Phase
from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.augmentation import add_augmentation, mix_images
from zoo.networks.dropout import Dropout
from zoo.networks.heads import add_head
from zoo.networks.losses import MixedLoss
from zoo.preprocessing.images import ImagePreprocessing
from zoo.spec import ImageInput, Spec

POOLINGS = ("max", "average", "min")


@keras.saving.register_keras_serializable("zoo")
class Standardize(keras.layers.Layer):
    """Standardises each channel: subtracts its mean and divides by its standard deviation.

    Args:
        mean: Mean of each channel over the training split (C,).
        std: Standard deviation of each channel (C,).

    Call arguments:
        images: (B, H, W, C) of any numeric dtype.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **options: Any) -> None:
        super().__init__(autocast=False, **options)
        self.mean, self.std = list(mean), list(std)

    def call(self, images: Any) -> Any:
        """Return (B, H, W, C) in the layer's compute dtype."""
        std = [value if value > 0 else 1.0 for value in self.std]
        scaled = (ops.cast(images, "float32") - ops.array(self.mean, "float32")) / ops.array(std, "float32")
        return ops.cast(scaled, self.compute_dtype)

    def compute_output_spec(self, images: Any) -> Any:
        """Return the spec of the output."""
        return keras.KerasTensor(images.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "std": self.std}


@keras.saving.register_keras_serializable("zoo")
class MinPooling2D(keras.layers.MaxPooling2D):
    """Minimum pooling."""

    def call(self, inputs: Any) -> Any:
        """Return (B, H', W', C)."""
        return -super().call(-inputs)


@keras.saving.register_keras_serializable("zoo", name="FusedBatchNormalization")
class BatchNormalization(keras.layers.BatchNormalization):
    """Normalises each channel over the batch (Ioffe and Szegedy 2015), in training by one fused operation.

    Weights, configuration and predictions are those of Keras' layer. For images of 28 x 28 on a CPU, the fused
    operation takes a third of the time forward and back. Inputs for which there is none take Keras' own.

    Call arguments:
        inputs: (B, H, W, C), or any shape that Keras' layer takes.
        training: Whether to normalise by the batch instead of the moving statistics.
        mask: Passed on to Keras' layer.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the normalised inputs."""
        image = len(inputs.shape) == 4 and self.axis in (-1, 3) and inputs.dtype == "float32"
        plain = self.scale and self.center and not self.renorm and mask is None
        if not (training and self.trainable and image and plain) or isinstance(inputs, keras.KerasTensor):
            return super().call(inputs, training=training, mask=mask)
        output, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return output


def build_image_model(
    spec: Spec,
    knobs: Knobs,
    hidden: Callable[[Any], Any],
    *,
    augmentation: Mapping[str, Any] | None = None,
    phases: Sequence[Phase] = (),
) -> keras.Model:
    """Return the compiled model of images for any target.

    Args:
        spec: Spec with an image as its only input.
        knobs: Provide loss, optimizer and training length.
        hidden: Function from standardised images (B, H, W, C) to the input of the head (B, D).
        augmentation: What :func:`add_augmentation` and :func:`mix_images` take.
        phases: Parts of training in which some layers are frozen.
    """
    preprocessing, changes = ImagePreprocessing(spec), dict(augmentation or {})
    mixing = {name: changes.pop(name, 0.0) for name in ("mixup", "cutmix")}
    inputs = preprocessing.tensors()
    images, kept = mix_images(add_augmentation(standardize_images(inputs, spec), **changes), **mixing)
    output, loss = add_head(hidden(images), spec, knobs)
    knobs.training(spec.rows)
    if kept is None:
        return assemble(preprocessing, inputs, output, loss, knobs, phases=phases)
    trained = keras.layers.Concatenate(dtype="float32", name="output_and_fraction")([output, kept])
    loss = MixedLoss(loss, output.shape[-1])
    return assemble(preprocessing, inputs, trained, loss, knobs, inference_output=output, phases=phases)


def standardize_images(inputs: dict[str, Any], spec: Spec) -> Any:
    """Return preprocessed images with mean 0 and standard deviation 1 in each channel."""
    image = spec.only(ImageInput)
    return Standardize(image.mean, image.std, name="standardized")(inputs["images"])


def add_convolutional_blocks(
    x: Any,
    knobs: Knobs,
    *,
    filters: int,
    blocks: int,
    convolutions: int,
    kernel: int,
    pooling: str,
    most_filters: int | None = None,
    stride: int = 1,
    pool_first: bool = False,
    momentum: float = 0.99,
) -> Any:
    """Return convolutional blocks, each with pooling; the number of filters doubles with each block.

    Blocks for which the image is already too small are left out.

    Args:
        x: Images (B, H, W, C).
        knobs: Provide activation, initializer, normalisation, dropout (after pooling) and regularisation.
        filters: Filters of the first block.
        blocks: Number of blocks.
        convolutions: Convolutions in each block.
        kernel: Side of each filter.
        pooling: ``max``, ``average`` or ``min``, over windows of 2 x 2.
        most_filters: Number of filters that no block exceeds.
        stride: Stride of the first convolution, whose filters then cover what lies between the steps.
        pool_first: Whether pooling comes before normalisation and activation, which then have a quarter of the
            values to work on (Page 2019, "How to Train Your ResNet 8: Bag of Tricks").
        momentum: Momentum of the moving statistics of batch normalisation; 0.9 where an epoch has few steps.

    Returns:
        Tensor (B, H', W', F).
    """
    dropout = knobs.get("dropout")
    for block in range(blocks):
        if min(x.shape[1:3]) < 2:
            break
        width = min(filters * 2**block, most_filters or filters * 2**block)
        for index in range(convolutions):
            name, last = f"{block}_{index}", index == convolutions - 1
            step = stride if block == index == 0 else 1
            x = add_convolution(
                x,
                knobs,
                filters=width,
                kernel=kernel if step == 1 else max(kernel, 2 * step - 1),
                stride=step,
                name=name,
                pooling=_pool(pooling, block) if pool_first and last else None,
                momentum=momentum,
            )
        x = x if pool_first else _pool(pooling, block)(x)
        if dropout:
            x = Dropout(dropout / 2, name=f"block_dropout_{block}")(x)
    return x


def add_convolution(
    x: Any,
    knobs: Knobs,
    *,
    filters: int,
    name: str,
    kernel: int = 3,
    stride: int = 1,
    pooling: keras.layers.Layer | None = None,
    momentum: float = 0.99,
) -> Any:
    """Return a convolution, pooling if given, normalisation and activation, in this order.

    Args:
        x: Images (B, H, W, C).
        knobs: Provide activation, initializer, normalisation and regularisation.
        filters: Number of filters.
        name: End of the names of its layers.
        kernel: Side of each filter.
        stride: Step of the filters.
        pooling: Layer of pooling.
        momentum: Momentum of the moving statistics of batch normalisation.
    """
    normalization, activation = knobs.get("normalization"), ACTIVATIONS[knobs.get("activation")]
    x = keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        padding="same",
        kernel_initializer=knobs.get("initializer"),
        kernel_regularizer=knobs.regularizer(),
        name=f"convolution_{name}",
    )(x)
    x = pooling(x) if pooling is not None else x
    if normalization == "batch":
        x = BatchNormalization(momentum=momentum, name=f"normalization_{name}")(x)
    elif normalization == "layer":
        x = keras.layers.LayerNormalization(name=f"normalization_{name}")(x)
    return keras.layers.Activation(activation, name=f"activation_{name}")(x)


def _pool(pooling: str, block: int) -> keras.layers.Layer:
    kinds = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D, "min": MinPooling2D}
    return kinds[pooling](2, name=f"pooling_{block}")
