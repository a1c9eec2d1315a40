"""Layers of several members in one network: a dense layer of each, and the median of their outputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


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


@keras.saving.register_keras_serializable("zoo")
class MedianMember(keras.layers.Layer):
    """Median of the outputs of several members.

    Args:
        members: Number of members.

    Call arguments:
        outputs: (B, members * K).
    """

    def __init__(self, members: int, **options: Any) -> None:
        super().__init__(**options)
        self.members = members

    def call(self, outputs: Any) -> Any:
        """Return the median (B, K)."""
        by_member = ops.reshape(outputs, (-1, self.members, outputs.shape[1] // self.members))
        ordered, middle = ops.sort(by_member, axis=1), self.members // 2
        return ordered[:, middle] if self.members % 2 else (ordered[:, middle - 1] + ordered[:, middle]) / 2

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, K)."""
        return (input_shape[0], input_shape[1] // self.members)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "members": self.members}
