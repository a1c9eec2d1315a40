"""Layers and losses of autoencoders that assign their latent vectors to clusters."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.preprocessing.configuration import simplify_config

CLUSTER, LATENT, RECONSTRUCTION, ERROR = "cluster", "latent", "reconstruction", "error"


@keras.saving.register_keras_serializable("zoo")
class MixtureAssignment(keras.layers.Layer):
    """Computes the probability of each cluster for latent vectors, under a mixture of Gaussians.

    It is not trained by gradients: means, covariances and weights are set after training the encoder
    (:meth:`calibrate`). K-means is the mixture with equal weights and a common variance.

    Args:
        clusters: Number of clusters K.
        kind: How the mixture is fitted: ``gaussian`` or ``k_means``.

    Call arguments:
        latent: (B, L).
    """

    def __init__(self, clusters: int, kind: str = "gaussian", **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.clusters, self.kind = clusters, kind

    def build(self, input_shape: Any) -> None:
        """Create the weights of the mixture; initially all clusters are equal."""
        size = input_shape[-1]
        fixed = {"trainable": False, "initializer": "zeros"}
        self.means = self.add_weight(shape=(self.clusters, size), name="means", **fixed)
        self.factors = self.add_weight(shape=(self.clusters, size, size), name="factors", **fixed)
        self.offsets = self.add_weight(shape=(self.clusters,), name="offsets", **fixed)

    def calibrate(self, means: np.ndarray, factors: np.ndarray, weights: np.ndarray) -> None:
        """Set the parameters of the mixture.

        Args:
            means: (K, L).
            factors: Cholesky factors of the inverse covariances (K, L, L), as in scikit-learn.
            weights: Weight of each cluster (K,).
        """
        self.means.assign(means)
        self.factors.assign(factors)
        diagonal = np.diagonal(factors, axis1=1, axis2=2)
        self.offsets.assign(np.log(diagonal).sum(axis=1) + np.log(np.maximum(weights, 1e-12)))

    def call(self, latent: Any) -> Any:
        """Return probabilities (B, K)."""
        offset = ops.cast(latent, "float32")[:, None, :] - self.means[None]  # (B, K, L)
        distance = ops.sum(ops.square(ops.einsum("bkl,klm->bkm", offset, self.factors)), axis=-1)
        return ops.softmax(self.offsets - distance / 2, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, K)."""
        return (input_shape[0], self.clusters)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "clusters": self.clusters, "kind": self.kind}


@keras.saving.register_keras_serializable("zoo")
class MeanSquares(keras.layers.Layer):
    """The mean squared difference between an example and its reconstruction.

    Call arguments:
        original: (B, …).
        reconstruction: (B, …).
    """

    def call(self, original: Any, reconstruction: Any) -> Any:
        """Return (B, 1)."""
        squares = ops.square(ops.cast(original, reconstruction.dtype) - reconstruction)
        return ops.mean(ops.reshape(squares, (ops.shape(reconstruction)[0], -1)), axis=-1, keepdims=True)

    def compute_output_spec(self, original: Any, reconstruction: Any) -> Any:
        """Return the spec of the output (B, 1)."""
        return keras.KerasTensor((reconstruction.shape[0], 1), dtype=reconstruction.dtype)


@keras.saving.register_keras_serializable("zoo")
class OutputItself(keras.losses.Loss):
    """Uses the model's output as the loss, for models without a target."""

    def __init__(self, reduction: str = "sum_over_batch_size", name: str = "output_itself", **options: Any) -> None:
        super().__init__(name=name, reduction=reduction, **options)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example (B,)."""
        return ops.reshape(y_pred, (-1,))


def add_cluster_outputs(original: Any, latent: Any, reconstruction: Any, *, clusters: int, kind: str) -> dict[str, Any]:
    """Return the outputs of a clustering autoencoder, by name.

    Args:
        original: Preprocessed examples (B, …).
        latent: Output of the encoder (B, L).
        reconstruction: Output of the decoder (B, …).
        clusters: Number of clusters K.
        kind: ``gaussian`` or ``k_means``.

    Returns:
        ``cluster`` (B, K) probabilities, ``latent`` (B, L), ``reconstruction`` (B, …), ``error`` (B, 1).
    """
    return {
        CLUSTER: MixtureAssignment(clusters, kind, name=CLUSTER)(latent),
        LATENT: latent,
        RECONSTRUCTION: reconstruction,
        ERROR: MeanSquares(name=ERROR)(original, reconstruction),
    }
