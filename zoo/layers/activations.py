"""Activation functions by name, the course's and those of today."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


@keras.saving.register_keras_serializable("zoo")
def step(x: Any) -> Any:
    """Return 1 where x is positive, else 0: the first neuron's function (Rosenblatt 1958).

    Its gradient is zero everywhere, so a network cannot be trained through it.
    """
    return keras.ops.cast(x > 0, x.dtype)


ACTIVATIONS: dict[str, str | Callable[..., Any]] = {
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "elu": "elu",
    "selu": "selu",
    "gelu": "gelu",
    "silu": "silu",
    "mish": "mish",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "linear": "linear",
    "step": step,
}


def has_step(model: keras.Model) -> bool:
    """Tell whether a layer of the model, at any depth, uses the step function."""
    return any(getattr(layer, "activation", None) is step for layer in model._flatten_layers())
