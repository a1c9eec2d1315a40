"""Backbones of ``keras.applications``: their names, weights, smallest images and pixel values."""

from __future__ import annotations

import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.errors import UsageError, describe_unknown
from zoo.models.built_model import must_load_weights
from zoo.spec import ImageInput, Spec

from ._image_defaults import MOMENTUM

IMAGENET, NONE = "imagenet", "none"
SUFFIXES = (".weights.h5", ".h5", ".hdf5", ".keras")
LEAST_SIDES = {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}  # pixels
LEAST_SIDE = 32  # of the other backbones
WAIT_S = 20  # for an answer of the server of weights
# Mean and standard deviation of the pixels of ImageNet, over the three colours.
IMAGENET_MEAN, IMAGENET_STD = 118.0, 58.0


@keras.saving.register_keras_serializable("zoo")
class MapChannels(keras.layers.Layer):
    """Maps the channels of each pixel linearly to others, without trainable weights.

    Args:
        matrix: Factors (C, D).
        offset: What is added (D,).

    Call arguments:
        images: (B, H, W, C).
    """

    def __init__(self, matrix: Sequence[Sequence[float]], offset: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self.matrix, self.offset = [list(row) for row in matrix], list(offset)
        self.built = True

    def call(self, images: Any) -> Any:
        """Return images (B, H, W, D)."""
        return ops.matmul(images, ops.array(self.matrix, images.dtype)) + ops.array(self.offset, images.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the images."""
        return (*input_shape[:-1], len(self.offset))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "matrix": self.matrix, "offset": self.offset}


@keras.saving.register_keras_serializable("zoo")
class InferenceMode(keras.layers.Wrapper):
    """Calls a layer as in inference, also in training: batch normalization keeps its statistics, dropout is off.

    Keras' guide to transfer learning calls ``backbone(x, training=False)`` for this. In Keras 3.15, a functional model
    that is trained overrides that argument, so that the statistics would change.

    Call arguments:
        inputs: What the layer takes.
    """

    def call(self, inputs: Any) -> Any:
        """Return the layer's outputs."""
        return self.layer(inputs, training=False)


def list_backbones() -> list[str]:
    """Return the names of the backbones of ``keras.applications``."""
    return [name for name in dir(keras.applications) if name[0].isupper()]


def find_least_side(name: str) -> int:
    """Return the smallest side of images that a backbone takes, in pixels."""
    return LEAST_SIDES.get(name, LEAST_SIDE)


def choose_side(spec: Spec, side: int, *, exactly: bool) -> tuple[int, int]:
    """Return height and width of resized images, with their aspect ratio.

    Args:
        spec: Spec of the images.
        side: Shorter side that they are resized to.
        exactly: Whether larger images are made smaller, too.
    """
    image = spec.only(ImageInput)
    shorter = min(image.height, image.width)
    if shorter == side or (shorter > side and not exactly):
        return image.height, image.width
    return round(image.height * side / shorter), round(image.width * side / shorter)


def create_backbone(name: str, weights: str, side: tuple[int, int], width: float = 1.0) -> keras.Model:
    """Return a backbone without its output layer, from pixels (B, H, W, 3) to features (B, h, w, F).

    Args:
        name: Name of a function of ``keras.applications``.
        weights: ``imagenet``, ``none``, or a file of weights of this backbone.
        side: Height and width of the images.
        width: Width relative to the published one, of a backbone that has the argument ``alpha``.

    Raises:
        UsageError: If the backbone is unknown, or the weights cannot be loaded.
    """
    if name not in list_backbones():
        raise describe_unknown("backbone", name, list_backbones(), where="backbone")
    if weights not in (IMAGENET, NONE):
        path = _check_path(weights)
    function = getattr(keras.applications, name)
    options: dict[str, Any] = {"include_top": False, "input_shape": (*side, 3), "name": "backbone"}
    if "alpha" in function.__code__.co_varnames[: function.__code__.co_argcount]:
        options["alpha"] = width
    elif width != 1:
        raise UsageError(f"{name} has one width; alpha is of MobileNet, MobileNetV2, MobileNetV3", where="alpha")
    if weights == IMAGENET and must_load_weights():
        return _download(name, lambda: function(weights=IMAGENET, **options))
    with _quiet():
        backbone = function(weights=None, **options)
    if weights == NONE:
        for layer in backbone.layers:  # Keras' momentum needs thousands of steps
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = MOMENTUM
    elif must_load_weights():
        _load_weights(backbone, path, name)
    return backbone


def map_to_pixels(spec: Spec, name: str) -> MapChannels:
    """Return the layer from standardised images to the values that a backbone was trained on.

    It undoes the standardisation, makes three channels of one, and applies ``preprocess_input`` of the backbone, which
    is linear. Images that are not of integers from 0 to 255 are brought to the mean and standard deviation of ImageNet.

    Args:
        spec: Spec of the images.
        name: Name of the backbone.
    """
    image = spec.only(ImageInput)
    std = np.array([value if value > 0 else 1.0 for value in image.std])
    mean = np.array(image.mean)
    if not image.integer:
        mean, std = np.full_like(mean, IMAGENET_MEAN), np.full_like(std, IMAGENET_STD)
    colors = np.eye(3) if len(mean) == 3 else np.ones((1, 3))
    module = getattr(keras.applications, getattr(keras.applications, name).__module__.rpartition(".")[2])
    probe = np.concatenate([np.zeros((1, 3)), np.eye(3)]).reshape(4, 1, 1, 3)
    values = np.asarray(module.preprocess_input(probe.copy()), float).reshape(4, 3)
    factors, offset = values[1:] - values[0], values[0]
    return MapChannels((np.diag(std) @ colors @ factors).tolist(), (mean @ colors @ factors + offset).tolist())


def describe_weights(weights: str) -> str:
    """Return what the weights of a backbone are, in words."""
    return {IMAGENET: "the weights of ImageNet", NONE: "random weights"}.get(weights, f"the weights of {weights}")


def check_imagenet(name: str, width: float = 1.0) -> None:
    """Raise an error if the weights of ImageNet are neither in Keras' cache nor can be downloaded."""
    side = max(96, find_least_side(name))
    create_backbone(name, IMAGENET, (side, side), width)


def _check_path(weights: str) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise UsageError(
            f"there is no file {weights}; weights are imagenet, none, or a file of weights of the backbone",
            where="weights",
        )
    if not weights.endswith(SUFFIXES):
        raise UsageError(f"{weights}: a file of weights ends with {', '.join(SUFFIXES)}", where="weights")
    return path


def _load_weights(backbone: keras.Model, path: Path, name: str) -> None:
    try:
        with _quiet():
            backbone.load_weights(path)
    except Exception as error:  # h5py, zipfile and Keras raise many kinds for what is no file of these weights
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{path} has no weights of {name} without its output layer (include_top=False): {reason}", where="weights"
        ) from error


def _download(name: str, create: Callable[[], keras.Model]) -> keras.Model:
    waits = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(WAIT_S)
        with _quiet():
            return create()
    except Exception as error:  # Keras raises a plain Exception where a download fails
        text = " ".join(str(error).split())
        address = re.search(r"https?://[^\s:]+", text)
        if isinstance(error, ValueError) and address is None:  # such as a width without published weights
            raise UsageError(
                f"{name} has no weights of ImageNet for these images: {text[:300]}", where="weights"
            ) from error
        raise UsageError(
            f"the weights of {name} cannot be downloaded ({text.rpartition(': ')[2][:100]}). Download "
            f"{address[0] if address else 'them'} on a computer with a network, and give the file by "
            "--set weights=FILE; --set weights=none trains from random weights",
            where="weights",
        ) from error
    finally:
        socket.setdefaulttimeout(waits)


@contextmanager
def _quiet() -> Iterator[None]:
    """Send what Keras prints to standard error, and ignore its warnings about sizes of images."""
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield
