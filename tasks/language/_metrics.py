"""Metrics of language models."""

from __future__ import annotations

import numpy as np

from zoo.metrics.metric import Metric


def _per_character(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the bits of all texts divided by their characters, shape (R,).

    Args:
        truth: Number of characters and of tokens of each text (N, 2), its end counted.
        prediction: Bits of each text (N,).
        weights: (R, N).

    Example:
        >>> _per_character(np.array([[4.0, 2.0]]), np.array([6.0]), np.ones((1, 1)))
        array([1.5])
    """
    return (weights @ prediction) / (weights @ truth[:, 0])


def _per_token(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the bits of all texts divided by their tokens, shape (R,); see :func:`_per_character`.

    Example:
        >>> _per_token(np.array([[4.0, 2.0]]), np.array([6.0]), np.ones((1, 1)))
        array([3.])
    """
    return (weights @ prediction) / (weights @ truth[:, 1])


METRICS = (Metric("bits_per_character", "min", _per_character), Metric("bits_per_token", "min", _per_token))
