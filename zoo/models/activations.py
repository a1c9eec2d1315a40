"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from zoo.errors import UsageError


@keras.saving.register_keras_serializable("zoo")
def step(x: Any) -> Any:
    """Return 1 where x is positive, else 0: the activation of the perceptron (Rosenblatt 1958).

    Its gradient is zero everywhere, so a network with it cannot be trained by gradients.
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


def check_trainable(model: keras.Model) -> None:
    """Raise an error if a model cannot be trained by gradients.

    Raises:
        UsageError: If a layer, at any depth, uses the step function.
    """
    if any(getattr(layer, "activation", None) is step for layer in model._flatten_layers()):
        raise UsageError(
            "the step function has zero gradient everywhere, so training changes nothing; "
            "use sigmoid, tanh or relu, and step only for inference",
            where="activation",
        )
