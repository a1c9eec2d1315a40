"""Statistics of a network: gradient norms, dead units, and the loss landscape."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.training.epochs import CompiledScores
from zoo.training.preprocessed_arrays import Arrays, convert_to_tensor

PROBE_ROWS = 256
DEAD = 1e-6  # standard deviation over rows below which a unit is dead


class LayerWatch(keras.callbacks.Callback):
    """Measures gradient norms and fractions of dead units of each layer after each epoch, on a few rows.

    Vanishing and exploding gradients: Bengio, Simard and Frasconi 1994, "Learning long-term dependencies with
    gradient descent is difficult"; dead units: Lu et al. 2020, "Dying ReLU and initialization".

    Args:
        network: The network.
        arrays: Preprocessed rows.
    """

    def __init__(self, network: keras.Model, arrays: Arrays) -> None:
        super().__init__()
        self.network = network
        few = slice(0, PROBE_ROWS)
        padded = arrays.padded()
        self.x = {k: convert_to_tensor(v[few]) for k, v in padded.items()} if isinstance(padded, dict) else padded[few]
        self.y = convert_to_tensor(np.asarray(arrays.y)[few])
        self.norms: dict[str, list[float]] = {layer.name: [] for layer in network.layers if layer.trainable_weights}
        hidden = [layer for layer in network.layers[:-1] if len(getattr(layer.output, "shape", ())) > 1]
        self.hidden = [layer for layer in hidden if _computes_units(layer)]
        self.dead: dict[str, list[float]] = {layer.name: [] for layer in self.hidden}
        self._outputs = keras.Model(network.inputs, [layer.output for layer in self.hidden]) if self.hidden else None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure gradient norms and dead units."""
        with tf.GradientTape() as tape:
            loss = self.network.compute_loss(x=self.x, y=self.y, y_pred=self.network(self.x, training=False))
        variables = {layer: layer.trainable_variables for layer in self.network.layers if layer.trainable_weights}
        flat = [variable.value for layer_variables in variables.values() for variable in layer_variables]
        gradients = iter(tape.gradient(loss, flat))
        for layer, layer_variables in variables.items():
            parts = [next(gradients) for _ in layer_variables]
            squares = [float(tf.reduce_sum(tf.square(tf.convert_to_tensor(g)))) for g in parts if g is not None]
            self.norms[layer.name].append(float(np.sqrt(sum(squares))))
        if self._outputs is None:
            return
        outputs = self._outputs(self.x, training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        for layer, output in zip(self.hidden, outputs, strict=True):
            units = np.asarray(output).reshape(-1, output.shape[-1])
            self.dead[layer.name].append(float((units.std(axis=0) < DEAD).mean()))


def _computes_units(layer: keras.layers.Layer) -> bool:
    """Return whether a layer has units of its own, unlike a mask, a dropout or a pooling."""
    activations = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)
    return bool(layer.trainable_weights) or hasattr(layer, "activation") or isinstance(layer, activations)


def compute_loss_landscape(network: keras.Model, arrays: Arrays, steps: np.ndarray, *, seed: int) -> tuple[Any, Any]:
    """Return the loss along one random direction (D,) and over two (D, D); the weights are restored.

    Directions are normalised filter by filter to the norm of the weights, without biases (Li et al. 2018, "Visualizing
    the loss landscape of neural nets", section 4).

    Args:
        network: A trained, compiled network.
        arrays: Preprocessed rows.
        steps: Distances (D,).
        seed: Seed of the directions.
    """
    scores = CompiledScores(network, arrays)
    weights = list(network.trainable_variables)
    kept = [weight.numpy() for weight in weights]
    generator = np.random.default_rng(seed)
    first, second = ([_direction(value, generator) for value in kept] for _ in range(2))

    def loss(one: float, other: float) -> float:
        for weight, value, along, across in zip(weights, kept, first, second, strict=True):
            weight.assign(value + one * along + other * across)
        return float(scores.loss_and_prediction()[0])

    try:
        line = np.array([loss(step, 0.0) for step in steps])
        plane = np.array([[loss(step, other) for step in steps] for other in steps])
    finally:
        for weight, value in zip(weights, kept, strict=True):
            weight.assign(value)
    return line, plane


def _direction(value: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    if value.ndim < 2:
        return np.zeros_like(value)
    drawn = generator.normal(size=value.shape)
    axes = tuple(range(value.ndim - 1))
    sizes = np.sqrt(np.square(value).sum(axis=axes, keepdims=True))
    return (drawn * sizes / np.sqrt(np.square(drawn).sum(axis=axes, keepdims=True))).astype(value.dtype)
