"""Decisions: the predicted class of each row."""

from __future__ import annotations

import numpy as np


def decide_classes(prediction: np.ndarray, threshold: float | None = None, positive: int = 1) -> np.ndarray:
    """Return the predicted class (N,) for probabilities (N, K): the most likely one, the first of equal ones.

    Args:
        prediction: (N, K).
        threshold: Probability from which the positive class of two is predicted; None for the most likely class.
        positive: Index of the positive class.

    Example:
        >>> decide_classes(np.array([[0.7, 0.3]]), 0.25), decide_classes(np.array([[0.7, 0.3]]))
        (array([1]), array([0]))
    """
    if threshold is None or prediction.shape[1] != 2:
        called: np.ndarray = np.argmax(prediction, axis=1)
        return called
    return np.where(prediction[:, positive] >= threshold, positive, 1 - positive)
