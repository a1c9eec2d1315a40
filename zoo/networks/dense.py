"""Fully connected layers shared by table models."""

from __future__ import annotations

from typing import Any

import keras

from zoo.models.activations import ACTIVATIONS
from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.dropout import Dropout


def add_dense_layers(x: Any, knobs: Knobs, *, units: int, layers: int) -> Any:
    """Return hidden layers on a tensor, each with dense, normalisation, activation and dropout in this order.

    Args:
        x: Tensor (B, F).
        knobs: Provide activation, initializer, normalisation, dropout and regularisation.
        units: Width of each layer.
        layers: Number of layers.

    Returns:
        Tensor (B, units), or ``x`` if there are no layers.
    """
    normalization = knobs.get("normalization")
    activation = ACTIVATIONS[knobs.get("activation")]
    initializer, dropout, regularizer = knobs.get("initializer"), knobs.get("dropout"), knobs.regularizer()
    for index in range(layers):
        x = keras.layers.Dense(
            units, kernel_initializer=initializer, kernel_regularizer=regularizer, name=f"dense_{index}"
        )(x)
        if normalization == "batch":
            x = keras.layers.BatchNormalization(name=f"normalization_{index}")(x)
        elif normalization == "layer":
            x = keras.layers.LayerNormalization(name=f"normalization_{index}")(x)
        x = keras.layers.Activation(activation, name=f"activation_{index}")(x)
        if dropout:
            x = Dropout(dropout, name=f"dropout_{index}")(x)
    return x
