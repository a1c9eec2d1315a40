"""Ridge regression whose strength is chosen by leave-one-out, and the temperature of its class scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

STRENGTHS = np.logspace(-3, 5, 17)
TEMPERATURES = np.exp(np.linspace(-2, 5, 57))


@dataclass(frozen=True)
class RidgeFit:
    """A ridge regression of K targets on P features.

    Args:
        kernel: Weights of the features (P, K).
        bias: Offsets (K,).
        left_out: Prediction of each row by a regression without that row (N, K).
        strength: The strength of the penalty, chosen by the squared error of ``left_out``.
    """

    kernel: np.ndarray
    bias: np.ndarray
    left_out: np.ndarray
    strength: float


def fit_ridge(
    features: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray | None = None,
    importance: np.ndarray | float = 1.0,
) -> RidgeFit:
    """Fit a ridge regression on standardised features, its strength chosen by leave-one-out.

    Hoerl and Kennard 1970; the predictions without each row follow from one eigendecomposition (Rifkin and Lippert
    2007, "Notes on regularized least squares", section 3.2). The intercept has no penalty.

    Args:
        features: (N, P).
        targets: (N, K).
        weight: Example weights (N,) above 0, or None for equal weights.
        importance: Factor of each standardised feature (P,); of a larger one the penalty is smaller.

    Example:
        >>> x = np.linspace(0, 1, 20)[:, None]
        >>> bool(abs(fit_ridge(x, 3 * x + 1).bias[0] - 1) < 0.01)
        True
    """
    share = np.full(len(features), 1 / len(features)) if weight is None else weight / weight.sum()
    mean = share @ features
    deviation = np.sqrt(share @ (features - mean) ** 2)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-7) * importance
    middle = share @ targets
    root = np.sqrt(share * len(features))[:, None]
    rows, goals = (features - mean) * scale * root, (targets - middle) * root
    solve = _solve_by_rows if len(rows) <= rows.shape[1] else _solve_by_features
    best: tuple[float, float, np.ndarray, np.ndarray] | None = None
    for strength, residual, weights in solve(rows, goals, share):
        error = float(np.mean(residual**2))
        if best is None or error < best[0]:
            best = error, strength, residual, weights
    assert best is not None
    _, strength, residual, weights = best
    kernel = weights * scale[:, None]
    return RidgeFit(kernel, middle - mean @ kernel, targets - residual / root, strength)


def choose_temperature(scores: np.ndarray, classes: np.ndarray, weight: np.ndarray) -> float:
    """Return the factor of class scores (N, K) whose softmax has the lowest log loss (Guo et al. 2017, section 4.2).

    Args:
        scores: (N, K).
        classes: Class of each row (N,).
        weight: Example weights (N,).
    """
    rows = np.arange(len(classes))
    losses = [-(log_softmax(scores * factor, axis=1)[rows, classes] @ weight) for factor in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _solve_by_rows(
    rows: np.ndarray, goals: np.ndarray, share: np.ndarray
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield strength, residuals without each row and weights, by the eigenvectors of the rows' products (N, N)."""
    values, vectors = np.linalg.eigh(rows @ rows.T)
    turned = vectors.T @ goals
    for strength in STRENGTHS:
        inverse = 1 / (np.maximum(values, 0) + strength)
        duals = vectors @ (inverse[:, None] * turned)
        diagonal = vectors**2 @ inverse - share / strength  # without the direction of the intercept
        yield float(strength), duals / np.maximum(diagonal, 1e-12)[:, None], rows.T @ duals


def _solve_by_features(
    rows: np.ndarray, goals: np.ndarray, share: np.ndarray
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield the same by the eigenvectors of the features' products (P, P)."""
    values, vectors = np.linalg.eigh(rows.T @ rows)
    turned, coordinates = vectors.T @ (rows.T @ goals), rows @ vectors
    for strength in STRENGTHS:
        inverse = 1 / (np.maximum(values, 0) + strength)
        leverage = coordinates**2 @ inverse + share
        residual = goals - coordinates @ (inverse[:, None] * turned)
        yield (
            float(strength),
            residual / np.maximum(1 - leverage, 1e-12)[:, None],
            vectors @ (inverse[:, None] * turned),
        )
