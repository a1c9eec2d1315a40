"""Metrics of language models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.metrics.intervals import ERROR
from zoo.metrics.metric import Metric, evaluate

from ._network import BITS, NETWORK_BITS


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


METRICS = (
    Metric("bits_per_character", "min", _per_character, limits=ERROR),
    Metric("bits_per_token", "min", _per_token, limits=ERROR),
)


def score_texts(
    sizes: np.ndarray, output: Mapping[str, np.ndarray], group: np.ndarray | None, *, resamples: int
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return the scores of texts with their intervals, and those of the network without n-grams where it has them.

    Args:
        sizes: Number of characters and of tokens of each text (N, 2), its end counted.
        output: The model's output for the texts, by name.
        group: Group of each text (N,), whose texts are resampled together; None for none.
        resamples: Number of bootstrap resamples; 0 for no intervals.
    """
    scores, bounds = evaluate(METRICS, sizes, output[BITS][:, 0], group=group, resamples=resamples)
    if NETWORK_BITS in output:
        of_network, _ = evaluate(METRICS[:1], sizes, output[NETWORK_BITS][:, 0], resamples=0)
        scores = {**scores, **{f"network_{name}": score for name, score in of_network.items()}}
    return scores, bounds if resamples else {}
