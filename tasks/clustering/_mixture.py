"""Mixtures of latent vectors: fitted by scikit-learn, returned as means, Cholesky factors and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture.

    Args:
        means: Means (K, L).
        factors: Cholesky factors of the inverse covariances (K, L, L).
        weights: Weights of the components (K,).
        estimator: The fitted scikit-learn estimator.
    """

    means: np.ndarray
    factors: np.ndarray
    weights: np.ndarray
    estimator: Any

    def assign(self, latent: np.ndarray) -> np.ndarray:
        """Return the cluster of each vector (N,)."""
        clusters: np.ndarray = self.estimator.predict(latent)
        return clusters


def fit_mixture(latent: np.ndarray, clusters: int, kind: str, seed: int, *, starts: int = 5) -> Mixture:
    """Fit a mixture to latent vectors.

    Args:
        latent: Latent vectors (N, L).
        clusters: Number of clusters K.
        kind: ``k_means`` (Lloyd 1982; initialized as by Arthur and Vassilvitskii 2007), or ``gaussian`` (Dempster,
            Laird and Rubin 1977), whose covariances are regularized by a thousandth of the latent variance.
        seed: Seed of the initializations.
        starts: Number of initializations; the best fit is returned.
    """
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    latent = np.asarray(latent, np.float64)
    size = latent.shape[1]
    # With several threads, sums have another order, and on a busy machine the small matrices take twenty times as long.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the scores reveal missing clusters
        if kind == "gaussian":
            spread = max(float(latent.var()), 1e-12)
            estimator = GaussianMixture(clusters, n_init=starts, reg_covar=1e-3 * spread, random_state=seed).fit(latent)
            return Mixture(estimator.means_, estimator.precisions_cholesky_, estimator.weights_, estimator)
        estimator = KMeans(clusters, n_init=2 * starts, random_state=seed).fit(latent)
    variance = max(estimator.inertia_ / (len(latent) * size), 1e-12)
    factors = np.repeat(np.eye(size)[None] / np.sqrt(variance), clusters, axis=0)
    return Mixture(estimator.cluster_centers_, factors, np.full(clusters, 1 / clusters), estimator)
