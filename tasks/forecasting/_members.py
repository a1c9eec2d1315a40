"""Layers of an ensemble whose members are trained side by side in one network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("zoo")
class KeepLast(keras.layers.Layer):
    """A window of its own length for each member: the steps before it become 0.

    Args:
        lengths: Number of steps that each member sees.

    Call arguments:
        window: (B, L).
    """

    def __init__(self, lengths: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.lengths = list(lengths)

    def call(self, window: Any) -> Any:
        """Return (B, members, L)."""
        steps = window.shape[1]
        visible = np.arange(steps) >= steps - np.array(self.lengths)[:, None]
        return window[:, None] * ops.convert_to_tensor(visible.astype("float32"), window.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, members, L)."""
        return (input_shape[0], len(self.lengths), input_shape[1])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "lengths": self.lengths}


@keras.saving.register_keras_serializable("zoo")
class MemberDense(keras.layers.Layer):
    """A dense layer of each member, in one batched product.

    Args:
        units: Width of the output.
        activation: Activation function; None for none.

    Call arguments:
        x: (B, members, F).
    """

    def __init__(self, units: int, activation: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.activation = units, activation

    def build(self, input_shape: Any) -> None:
        """Create the weights (members, F, units) and biases (members, units)."""
        _, members, features = input_shape
        limit = float(np.sqrt(6 / (features + self.units)))  # Glorot and Bengio 2010, equation 16
        initializer = keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight(shape=(members, features, self.units), initializer=initializer, name="kernel")
        self.bias = self.add_weight(shape=(members, self.units), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        """Return (B, members, units)."""
        x = ops.transpose(ops.matmul(ops.transpose(x, (1, 0, 2)), self.kernel), (1, 0, 2)) + self.bias
        return x if self.activation is None else keras.activations.get(self.activation)(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, members, units)."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "activation": self.activation}
