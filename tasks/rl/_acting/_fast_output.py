"""The output of a small network for a few observations, in NumPy: a call of TensorFlow costs more than the products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.models.built_model import BuiltModel
from zoo.networks.running_normalization import RunningNormalization
from zoo.preprocessing.observations import ScaleObservation

from ._policies import JoinDuelling, KeepDeviation, TakeMean

Step = Callable[[np.ndarray], np.ndarray]
ACTIVATIONS: dict[str, Step] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}
SAME = (keras.layers.InputLayer, keras.layers.Dropout, KeepDeviation)  # without effect on a prediction
TOLERANCE = 1e-4


class FastOutput:
    """Function from raw observations (B, …) to a network's output (B, A).

    After :meth:`check` it is computed in NumPy, if each layer can be, with the weights of the last :meth:`refresh`.

    Args:
        built_model: Network and preprocessing of observations.
        network: Another network on preprocessed observations, in place of the model's.
    """

    def __init__(self, built_model: BuiltModel, network: keras.Model | None = None) -> None:
        assert built_model.preprocessing is not None
        self.preprocess, self.network = built_model.preprocessing.model(), network or built_model.network
        self.key = next(iter(built_model.preprocessing.raw_tensors()))
        self.compiled = tf.function(
            lambda raw: self.network(self.encode(raw), training=False),
            reduce_retracing=True,
            autograph=False,
        )
        self.steps: list[Step] | None = None
        self.checked = False

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Return the output (B, A)."""
        if self.steps is None:
            return np.asarray(self.compiled(tf.constant(observations, tf.float32)))
        x = np.asarray(observations, np.float32)
        for step in self.steps:
            x = step(x)
        return x

    def encode(self, raw: Any) -> dict[str, Any]:
        """Return preprocessed observations, what networks take, for raw ones (B, …)."""
        encoded: dict[str, Any] = self.preprocess({self.key: raw})
        return encoded

    def check(self, observations: np.ndarray) -> None:
        """Compute in NumPy from now on, if the output for observations is that of the network."""
        self.steps, self.checked = self._convert_layers(), True
        if self.steps is None:
            return
        # Computed step by step: compiling would take longer than many such calls.
        expected = np.asarray(self.network(self.encode(tf.constant(observations, tf.float32)), training=False))
        try:
            agrees = np.allclose(self(observations), expected, rtol=TOLERANCE, atol=TOLERANCE)
        except ValueError:  # shapes that do not fit, as where layers are not a chain
            agrees = False
        if not agrees:
            self.steps = None

    def refresh(self) -> None:
        """Copy the weights of the network anew."""
        if self.steps is not None:
            self.steps = self._convert_layers()

    def _convert_layers(self) -> list[Step] | None:
        layers = [layer for layer in (*self.preprocess.layers, *self.network.layers) if not isinstance(layer, SAME)]
        steps = [_convert_layer(layer) for layer in layers]
        converted = [step for step in steps if step is not None]
        return converted if len(converted) == len(steps) else None


def _convert_layer(layer: Any) -> Step | None:
    """Return what a layer does as a function of arrays; None if it is not known."""
    if isinstance(layer, keras.layers.Dense):
        return _convert_dense(layer)
    if isinstance(layer, keras.layers.Activation):
        return ACTIVATIONS.get(getattr(layer.activation, "__name__", ""))
    if isinstance(layer, ScaleObservation):
        middle, half = (np.asarray(values) for values in layer.middle_and_half())
        return lambda x: (x - middle) / half
    if isinstance(layer, keras.layers.LayerNormalization):
        return _convert_layer_normalization(layer)
    if isinstance(layer, (RunningNormalization, JoinDuelling, TakeMean)):
        return layer.convert()
    return None


def _convert_layer_normalization(layer: keras.layers.LayerNormalization) -> Step | None:
    if not layer.center or not layer.scale:
        return None
    gamma, beta, epsilon = np.asarray(layer.gamma), np.asarray(layer.beta), layer.epsilon

    def normalize(x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        return np.asarray(centred / np.sqrt(variance + epsilon) * gamma + beta)

    return normalize


def _convert_dense(layer: keras.layers.Dense) -> Step | None:
    kernel, bias = np.asarray(layer.kernel), None if layer.bias is None else np.asarray(layer.bias)
    activation = ACTIVATIONS.get(layer.activation.__name__)
    if activation is None:
        return None
    return lambda x: activation(x @ kernel if bias is None else x @ kernel + bias)
