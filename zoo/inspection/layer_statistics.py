"""Statistics of a network: gradient norms, dead units, and the loss landscape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.inspection.gradient_flow import create_hidden_part, find_hidden_outputs, shorten_arrays
from zoo.training.epochs import CompiledScores
from zoo.training.preprocessed_arrays import Arrays, convert_to_tensor, limit_rows

GRADIENT_NORM, DEAD_UNITS = "gradient_norm/", "dead_units/"  # prefixes in a history, before the name of a layer
WATCHED_ROWS = 256
DEAD = 1e-6  # standard deviation over rows below which a unit is dead


class LayerWatch:
    """Measures gradient norms and fractions of dead units of each layer, on a few rows that stay the same.

    Vanishing and exploding gradients: Bengio, Simard and Frasconi 1994, "Learning long-term dependencies with
    gradient descent is difficult"; dead units: Lu et al. 2020, "Dying ReLU and initialization".

    Args:
        network: Compiled network.
        arrays: Preprocessed rows, of which a random sample is taken.
        batch: Batch size of training: no more images or sequences than that are taken, since they need much memory.
    """

    def __init__(self, network: keras.Model, arrays: Arrays, batch: int = WATCHED_ROWS) -> None:
        self.network = network
        outputs = find_hidden_outputs(network)
        flat = all(len(output.shape) < 3 for output in outputs.values())
        few = shorten_arrays(arrays, rows=min(WATCHED_ROWS, limit_rows(network) if flat else batch))
        padded = few.padded()
        self.x = {k: convert_to_tensor(v) for k, v in padded.items()} if isinstance(padded, dict) else padded
        self.y = convert_to_tensor(few.y)
        self.layers = [layer for layer in network.layers if layer.trainable_weights]
        hidden = {layer: output for layer, output in outputs.items() if _computes_units(layer)}
        self.hidden = list(hidden)
        self._outputs = create_hidden_part(network, list(hidden.values())) if hidden else None
        # Compiled, for time steps are slow in eager mode; a concrete function, as tf.function warns of many networks.
        self._measure = tf.function(self._measured, autograph=False).get_concrete_function()

    def measure(self) -> dict[str, float]:
        """Return the gradient norm and the fraction of dead units of each layer, by prefix and name."""
        norms, dead = self._measure()
        return {
            **{f"{GRADIENT_NORM}{layer.name}": float(norm) for layer, norm in zip(self.layers, norms, strict=True)},
            **{f"{DEAD_UNITS}{layer.name}": float(share) for layer, share in zip(self.hidden, dead, strict=True)},
        }

    def _measured(self) -> tuple[list[Any], list[Any]]:
        with tf.GradientTape() as tape:
            loss = self.network.compute_loss(x=self.x, y=self.y, y_pred=self.network(self.x, training=False))
        variables = [[variable.value for variable in layer.trainable_variables] for layer in self.layers]
        gradients = tape.gradient(loss, variables)
        # Dense, since the gradient of an embedding lists a row of the table as often as it is looked up.
        dense = [[tf.convert_to_tensor(g) for g in of_layer if g is not None] for of_layer in gradients]
        norms = [tf.linalg.global_norm(of_layer) for of_layer in dense]
        outputs = self._outputs(self.x) if self._outputs is not None else []
        return norms, [_share_of_dead_units(output) for output in outputs]


def select_layer_curves(history: Mapping[str, Sequence[float]], prefix: str) -> dict[str, Sequence[float]]:
    """Return the curves of a history that belong to layers, by the layers' names.

    Args:
        history: Curves by name.
        prefix: ``GRADIENT_NORM`` or ``DEAD_UNITS``.

    Example:
        >>> select_layer_curves({"loss": [1.0], "dead_units/dense": [0.5]}, DEAD_UNITS)
        {'dense': [0.5]}
    """
    return {name.removeprefix(prefix): values for name, values in history.items() if name.startswith(prefix)}


def _share_of_dead_units(output: Any) -> Any:
    """Return the fraction of units (…, U) whose output hardly differs between rows and steps."""
    units = tf.reshape(tf.cast(output, tf.float32), (-1, output.shape[-1]))
    return tf.reduce_mean(tf.cast(tf.math.reduce_std(units, axis=0) < DEAD, tf.float32))


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
