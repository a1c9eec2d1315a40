"""Parametric UMAP: an encoder that keeps near rows near, with a mixture on its latent vectors.

Sainburg, McInnes and Gentner 2021, "Parametric UMAP Embeddings for Representation and Semisupervised Learning", section
2, with reconstruction (section 4.3); a mixture on its latent vectors after McConville et al. 2021, "N2D", section 3.
Dense for tables and images.

Input: one raw scalar per column, or a raw image. Output: ``cluster`` (B, K) probabilities, ``latent`` (B, L),
``reconstruction`` and its ``error`` (B, 1).
Run: ``zoo train clustering/parametric_umap digits --clusters 10``.
"""

import math
from typing import Any

import keras
import keras_tuner

from zoo.networks import Knobs, add_dense_layers, assemble, join_features, preprocess_table
from zoo.networks.autoencoder import LATENT, add_cluster_outputs
from zoo.networks.convolutional import standardize_images
from zoo.preprocessing.images import ImagePreprocessing
from zoo.preprocessing.table import suggest_scaling
from zoo.spec import ImageInput, Spec

from ._neighbours import NeighbourLoss


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        latent: Width of the latent vector.
        units: Width of each dense layer in encoder and decoder.
        layers: Number of dense layers in encoder and decoder each.
        neighbours: Number of neighbours of a row that are kept near.
        reconstruction: Weight of the reconstruction error beside the neighbours' loss.
        mixture: Kind of clusters in the latent space: spherical (k-means), or Gaussian.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate",),
        defaults={"learning_rate": 1e-3, "batch_size": 256, "epochs": 60, "patience": 10,
                  "scaling": suggest_scaling(spec) if not spec.of_kind(ImageInput) else "standard"},
    )  # fmt: skip
    latent, units = hp.Int("latent", 2, 64, sampling="log", default=10), hp.Int("units", 32, 512, default=256)
    layers, neighbours = hp.Int("layers", 1, 4, default=3), hp.Int("neighbours", 5, 50, default=15)
    weight = hp.Float("reconstruction", 0.0, 1.0, default=0.1)
    mixture = hp.Choice("mixture", ["k_means", "gaussian"], default="k_means")
    scaling = knobs.get("scaling")
    images = bool(spec.of_kind(ImageInput))
    preprocessing: Any = ImagePreprocessing(spec) if images else preprocess_table(spec, scaling=scaling)
    inputs = preprocessing.tensors()
    original = standardize_images(inputs, spec) if images else inputs["features"]
    x = keras.layers.Flatten(name="flat")(original) if images else join_features(inputs, preprocessing)
    z = keras.layers.Dense(latent, name="latent_vector")(add_dense_layers(x, knobs, units=units, layers=layers))
    x = z
    for index in range(layers):
        x = keras.layers.Dense(units, knobs.get("activation"), name=f"decoder_{index}")(x)
    shape = original.shape[1:]
    reconstruction = keras.layers.Dense(math.prod(shape), name="made")(x)
    if images:
        reconstruction = keras.layers.Reshape(shape, name="image_made")(reconstruction)
    outputs = add_cluster_outputs(original, z, reconstruction, clusters=spec.options["clusters"], kind=mixture)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, outputs, {LATENT: NeighbourLoss(neighbours, weight)}, knobs)
