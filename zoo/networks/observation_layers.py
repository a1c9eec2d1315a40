"""Hidden layers for observations of an environment: convolutions for images, dense layers for other numbers."""

from __future__ import annotations

from typing import Any

import keras

from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.dense import add_dense_layers
from zoo.spec import ObservationInput

LEAST_SIDE = 12  # of an image, in pixels; smaller arrays are numbers like others
LARGE_SIDE = 36
# Filters, kernel size and stride of each layer; the first are those of Mnih et al. 2015, extended data table 1.
LARGE, SMALL = ((32, 8, 4), (64, 4, 2), (64, 3, 1)), ((32, 3, 2), (64, 3, 2))


def is_image(input_: ObservationInput) -> bool:
    """Return whether an observation is an image (H, W, C) of at least 12 x 12 pixels.

    Example:
        >>> is_image(ObservationInput("o", "o", shape=(4,)))
        False
    """
    shape = (input_.space or {}).get("shape", ())
    return len(shape) == 3 and min(shape[:2]) >= LEAST_SIDE


def add_observation_layers(x: Any, knobs: Knobs, input_: ObservationInput, *, units: int, layers: int) -> Any:
    """Return hidden layers on observations: convolutions first if they are images.

    Args:
        x: Preprocessed observations (B, F).
        knobs: Provide activation, initializer, normalisation, dropout and regularisation of dense layers.
        input_: The spec's observation.
        units: Width of each dense layer.
        layers: Number of dense layers.

    Returns:
        Tensor (B, units).
    """
    if is_image(input_):
        assert input_.space is not None
        shape = tuple(input_.space["shape"])
        x = keras.layers.Reshape(shape, name="pixels")(x)
        for number, (filters, size, stride) in enumerate(LARGE if min(shape[:2]) >= LARGE_SIDE else SMALL):
            x = keras.layers.Conv2D(filters, size, stride, activation="relu", name=f"convolution_{number}")(x)
        x = keras.layers.Flatten(name="features")(x)
    return add_dense_layers(x, knobs, units=units, layers=layers)
