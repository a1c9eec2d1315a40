"""The graph of near rows, and a loss that keeps them near in the latent space: parametric UMAP.

McInnes, Healy and Melville 2018, "UMAP: Uniform Manifold Approximation and Projection", section 3; Sainburg, McInnes
and Gentner 2021, "Parametric UMAP Embeddings for Representation and Semisupervised Learning", section 2.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

A, B = 1.929, 0.7915  # of UMAP's curve 1 / (1 + a d^(2 b)) for a least distance of 0, which suits clusters
NEGATIVES = 5
STEPS = 40  # of the bisection
MOST_COLUMNS = 50
EPSILON = 1e-4


@keras.saving.register_keras_serializable("zoo")
class NeighbourLoss(keras.losses.Loss):
    """Cross-entropy between the graph of neighbours and that of the latent vectors, plus the reconstruction error.

    A pair of neighbours is drawn together, and each first row is pushed away from the second rows of other pairs in the
    batch.

    Args:
        neighbours: Number of neighbours of a row in the graph.
        reconstruction: Weight of the reconstruction error.

    Call arguments:
        y_true: Not used.
        y_pred: Latent vectors of both rows of each pair and their mean reconstruction error (B, 2 L + 1).
    """

    def __init__(
        self,
        neighbours: int = 15,
        reconstruction: float = 0.1,
        reduction: str = "sum_over_batch_size",
        name: str = "neighbours",
        **options: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.neighbours, self.reconstruction = neighbours, reconstruction

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each pair (B,)."""
        y_pred = ops.cast(y_pred, "float32")
        size = y_pred.shape[-1] // 2
        first, second = y_pred[:, :size], y_pred[:, size : 2 * size]
        loss = ops.log1p(_spread(first, second))
        for shift in range(1, NEGATIVES + 1):
            distance = _spread(first, ops.roll(second, shift, axis=0))
            loss = loss + ops.log1p(1 / (distance + EPSILON))
        return loss / (1 + NEGATIVES) + self.reconstruction * y_pred[:, -1]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "neighbours": self.neighbours, "reconstruction": self.reconstruction}


def _spread(first: Any, second: Any) -> Any:
    """Return a d^(2 b) of pairs of vectors (B,)."""
    return A * ops.power(ops.sum(ops.square(first - second), axis=-1) + 1e-8, B)


class PickRows(keras.layers.Layer):
    """Takes rows of preprocessed training data by their index; it is part of a training model only, never saved.

    Args:
        rows: Preprocessed inputs by name, N rows each.
    """

    def __init__(self, rows: dict[str, np.ndarray]) -> None:
        super().__init__(name="rows", trainable=False)
        self.rows = rows

    def call(self, indices: Any) -> Any:
        """Return the inputs of rows (M, …) by name, for their indices (M,)."""
        return {name: ops.take(ops.convert_to_tensor(values), indices, axis=0) for name, values in self.rows.items()}


def create_pair_model(network: keras.Model, rows: dict[str, np.ndarray]) -> keras.Model:
    """Return a model from pairs of row indices (B, 2) to latent vectors and errors (B, 2 L + 1).

    Args:
        network: Network with the outputs of :func:`zoo.networks.autoencoder.add_cluster_outputs`.
        rows: Preprocessed inputs by name, N rows each.
    """
    from zoo.networks.autoencoder import ERROR, LATENT

    pairs = keras.Input((2,), dtype="int32", name="pairs")
    inputs = PickRows(rows)(ops.reshape(ops.transpose(pairs), (-1,)))
    outputs = network(inputs)
    first, second = ops.split(outputs[LATENT], 2, axis=0)
    errors = ops.mean(ops.stack(ops.split(outputs[ERROR], 2, axis=0)), axis=0)
    return keras.Model(pairs, ops.concatenate([first, second, errors], axis=-1), name="pairs")


def draw_pairs(features: np.ndarray, neighbours: int, pairs: int, seed: int) -> np.ndarray:
    """Return pairs of rows (M, 2), drawn by the weights of UMAP's graph of neighbours.

    Args:
        features: Features (N, D).
        neighbours: Number of neighbours of each row.
        pairs: Number of pairs M.
        seed: Seed of the draws.
    """
    graph = build_graph(compute_components(features, seed), neighbours).tocoo()
    weight = graph.data / graph.data.sum()
    chosen = np.random.default_rng(seed).choice(len(weight), pairs, p=weight)
    return np.stack([graph.row[chosen], graph.col[chosen]], axis=1).astype(np.int32)


def find_near_rows(train: np.ndarray, rows: np.ndarray, neighbours: int) -> np.ndarray:
    """Return for each of M rows, which follow N training rows, a pair (M, 2) with one of its nearest training rows."""
    from sklearn.neighbors import NearestNeighbors

    indices = NearestNeighbors(n_neighbors=neighbours).fit(train).kneighbors(rows, return_distance=False)
    chosen = indices[np.arange(len(rows)), np.arange(len(rows)) % neighbours]
    return np.stack([len(train) + np.arange(len(rows)), chosen], axis=1).astype(np.int32)


def compute_components(features: np.ndarray, seed: int) -> np.ndarray:
    """Return the first principal components of wide features (N, D), on which neighbours are found faster."""
    from sklearn.decomposition import PCA

    if features.shape[1] <= 2 * MOST_COLUMNS or len(features) <= MOST_COLUMNS:
        return features
    return np.asarray(PCA(MOST_COLUMNS, random_state=seed).fit_transform(features))


def build_graph(features: np.ndarray, neighbours: int) -> Any:
    """Return UMAP's weights of neighbours as a sparse matrix (N, N).

    The weight of a neighbour falls with its distance beyond the nearest one, by a scale for each row that makes the
    weights add up to log2 of their number; a weight and its reverse are joined as a or b.

    Args:
        features: Features (N, D).
        neighbours: Number of neighbours of each row, less than N.
    """
    from scipy.sparse import csr_matrix
    from sklearn.neighbors import NearestNeighbors

    distances, indices = NearestNeighbors(n_neighbors=neighbours + 1).fit(features).kneighbors(features)
    distances, indices = distances[:, 1:], indices[:, 1:]
    weights = compute_weights(distances)
    rows = np.repeat(np.arange(len(features)), neighbours)
    directed = csr_matrix((weights.ravel(), (rows, indices.ravel())), shape=(len(features), len(features)))
    reverse = directed.T
    return directed + reverse - directed.multiply(reverse)


def compute_weights(distances: np.ndarray) -> np.ndarray:
    """Return the weights of the neighbours of each row (N, K), given their distances in rising order.

    Example:
        >>> compute_weights(np.array([[1.0, 2.0, 3.0, 4.0]])).sum(axis=1).round(3)
        array([2.])
    """
    beyond = np.maximum(distances - distances[:, :1], 0)
    wanted = np.log2(distances.shape[1])
    low, high = np.zeros(len(distances)), np.full(len(distances), np.inf)
    scale = np.ones(len(distances))
    for _ in range(STEPS):
        too_much = np.exp(-beyond / scale[:, None]).sum(axis=1) > wanted
        high, low = np.where(too_much, scale, high), np.where(too_much, low, scale)
        scale = np.where(np.isinf(high), 2 * scale, (low + np.where(np.isinf(high), low, high)) / 2)
    least = 1e-3 * np.maximum(distances.mean(axis=1), 1e-12)
    return np.asarray(np.exp(-beyond / np.maximum(scale, least)[:, None]))
