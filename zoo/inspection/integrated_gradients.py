"""Integrated gradients: how much each input value contributes to a prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.training.custom_gradients import release_custom_gradients

POINTS = 32
MOST_VALUES = 1 << 21  # of the input in one call


@release_custom_gradients()
def compute_integrated_gradients(
    score: Callable[[Mapping[str, Any]], Any],
    inputs: Mapping[str, Any],
    along: str,
    *,
    baseline: Any = 0.0,
    points: int = POINTS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each value of an input contributes to a score, and how far the contributions miss their sum.

    Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks", section 3: the difference from the
    baseline times the mean gradient on the straight line between both. Equation 3 computes the mean by a Riemann sum;
    this is a Gauss-Legendre quadrature, which needs fewer points. The contributions of an example should add up to the
    score of the input minus that of the baseline (completeness).

    Args:
        score: Function from tensors by name (M, …) to scores (M,), which TensorFlow differentiates. It is compiled.
        inputs: Arrays by name (N, …).
        along: Name of the floating-point input that contributions are computed for; others keep their values.
        baseline: Values of this input that stand for nothing, broadcast to its shape (N, …).
        points: Number of points on the line.

    Returns:
        Contributions in the shape of the input (N, …), and for each example (N,) the absolute completeness gap, as a
        fraction of the difference between both scores.

    Example:
        >>> weights = np.array([[1.0, -2.0], [0.0, 3.0]], np.float32)
        >>> steps = np.array([[[1, 1], [5, 2]]], np.float32)
        >>> values, gap = compute_integrated_gradients(
        ...     lambda tensors: tf.reduce_sum(weights * tensors["steps"], axis=(1, 2)), {"steps": steps}, "steps"
        ... )
        >>> values.round(4).tolist(), bool(gap[0] < 1e-5)
        ([[[1.0, -2.0], [0.0, 6.0]]], True)
    """
    arrays = {name: np.asarray(values) for name, values in inputs.items()}
    end = arrays[along]
    start = np.broadcast_to(np.asarray(baseline, end.dtype), end.shape)
    places, weights = _list_points(points)

    def differentiate(tensors: Mapping[str, Any]) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors[along])
            scores = score(tensors)
        return scores, tape.gradient(scores, tensors[along], unconnected_gradients=tf.UnconnectedGradients.ZERO)

    # The number of rows is left open, so that one compilation serves calls of several sizes.
    signature = {name: tf.TensorSpec((None, *each.shape[1:]), each.dtype) for name, each in arrays.items()}
    compiled = tf.function(differentiate, autograph=False).get_concrete_function(signature)
    scores, slopes = np.zeros((len(places), len(end))), np.zeros(end.shape)
    at_once = max(1, MOST_VALUES // max(1, end.size))
    for first in range(0, len(places), at_once):
        part = slice(first, first + at_once)
        several = {name: np.concatenate([each] * len(places[part])) for name, each in arrays.items()}
        shares = places[part].reshape(-1, *[1] * end.ndim)
        several[along] = (start + shares * (end - start)).reshape(-1, *end.shape[1:]).astype(end.dtype)
        outputs, gradients = compiled({name: tf.constant(each) for name, each in several.items()})
        scores[part] = np.asarray(outputs).reshape(-1, len(end))
        gradients = np.asarray(gradients, np.float64).reshape(-1, *end.shape)
        inside = weights[part] > 0  # at the baseline a gradient may not exist
        slopes += np.tensordot(weights[part][inside], gradients[inside], axes=1)
    contributions = (end - start) * slopes
    change = scores[-1] - scores[0]
    missed = np.abs(contributions.reshape(len(end), -1).sum(axis=1) - change)
    return contributions, missed / np.maximum(np.abs(change), np.finfo(np.float32).eps)


def _list_points(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places on the line, both ends among them, and their weights, which are zero for the ends."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return np.concatenate([[0.0], (nodes + 1) / 2, [1.0]]), np.concatenate([[0.0], weights / 2, [0.0]])
