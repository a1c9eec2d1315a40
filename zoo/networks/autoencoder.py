"""Autoencoders and the assignment of their latent vectors to clusters, inside the model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

CLUSTER, LATENT, RECONSTRUCTION, ERROR = "cluster", "latent", "reconstruction", "error"


@keras.saving.register_keras_serializable("zoo")
class MixtureAssignment(keras.layers.Layer):
    """Tells for each latent vector how probable each cluster is, under a mixture of Gaussians.

    Nothing here is trained by gradients: means, covariances and weights are set once the encoder is trained
    (:meth:`settle`). Clusters of k-means are the mixture of equal weights and one common variance.

    Args:
        clusters: Number of clusters K.
        kind: What the mixture is fitted as: ``gaussian``, or ``k_means``.

    Call arguments:
        latent: (B, L).
    """

    def __init__(self, clusters: int, kind: str = "gaussian", **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.clusters, self.kind = clusters, kind

    def build(self, input_shape: Any) -> None:
        """Create the mixture's weights: at first all clusters are one."""
        size = input_shape[-1]
        fixed = {"trainable": False, "initializer": "zeros"}
        self.means = self.add_weight(shape=(self.clusters, size), name="means", **fixed)
        self.factors = self.add_weight(shape=(self.clusters, size, size), name="factors", **fixed)
        self.offsets = self.add_weight(shape=(self.clusters,), name="offsets", **fixed)

    def calibrate(self, means: np.ndarray, factors: np.ndarray, weights: np.ndarray) -> None:
        """Set the mixture.

        Args:
            means: (K, L).
            factors: Cholesky factors of the inverse covariances (K, L, L), as scikit-learn has them.
            weights: Share of each cluster (K,).
        """
        self.means.assign(means)
        self.factors.assign(factors)
        diagonal = np.diagonal(factors, axis1=1, axis2=2)
        self.offsets.assign(np.log(diagonal).sum(axis=1) + np.log(np.maximum(weights, 1e-12)))

    def call(self, latent: Any) -> Any:
        """Return probabilities (B, K)."""
        away = ops.cast(latent, "float32")[:, None, :] - self.means[None]  # (B, K, L)
        distance = ops.sum(ops.square(ops.einsum("bkl,klm->bkm", away, self.factors)), axis=-1)
        return ops.softmax(self.offsets - distance / 2, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, K)."""
        return (input_shape[0], self.clusters)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        for name in ("dtype", "trainable"):
            config.pop(name, None)
        return {**config, "clusters": self.clusters, "kind": self.kind}


@keras.saving.register_keras_serializable("zoo")
class MeanSquares(keras.layers.Layer):
    """The mean squared difference between an example and its reconstruction.

    Call arguments:
        original: (B, …).
        made: (B, …).
    """

    def call(self, original: Any, made: Any) -> Any:
        """Return (B, 1)."""
        squares = ops.square(ops.cast(original, made.dtype) - made)
        return ops.mean(ops.reshape(squares, (ops.shape(made)[0], -1)), axis=-1, keepdims=True)

    def compute_output_spec(self, original: Any, made: Any) -> Any:
        """Return the form (B, 1)."""
        return keras.KerasTensor((made.shape[0], 1), dtype=made.dtype)


@keras.saving.register_keras_serializable("zoo")
class OutputItself(keras.losses.Loss):
    """The model's output is the loss: there is no target beside the example."""

    def __init__(self, reduction: str = "sum_over_batch_size", name: str = "output_itself", **options: Any) -> None:
        super().__init__(name=name, reduction=reduction, **options)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example (B,)."""
        return ops.reshape(y_pred, (-1,))


def clustered(original: Any, latent: Any, made: Any, *, clusters: int, kind: str) -> dict[str, Any]:
    """Return the outputs of an autoencoder that clusters, by name.

    Args:
        original: Prepared examples (B, …).
        latent: What the encoder makes of them (B, L).
        made: What the decoder makes of that (B, …).
        clusters: Number of clusters K.
        kind: ``gaussian`` or ``k_means``.

    Returns:
        ``cluster`` (B, K) probabilities, ``latent`` (B, L), ``reconstruction`` (B, …), ``error`` (B, 1).
    """
    return {
        CLUSTER: MixtureAssignment(clusters, kind, name=CLUSTER)(latent),
        LATENT: latent,
        RECONSTRUCTION: made,
        ERROR: MeanSquares(name=ERROR)(original, made),
    }
