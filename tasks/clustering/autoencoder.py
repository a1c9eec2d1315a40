"""Autoencoder: compresses examples to a latent vector and clusters them there.

Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks"; a mixture on its latent
vectors after McConville et al. 2021, "N2D", section 3 (without manifold learning). Dense for tables, convolutional
for images. Inputs are dropped at random during training (Vincent et al. 2008).

Input: one raw scalar per column, or a raw image. Output: ``cluster`` (B, K) probabilities, ``latent`` (B, L),
``reconstruction`` and its ``error`` (B, 1).
Run: ``zoo train clustering/autoencoder digits --clusters 10``.
"""

from typing import Any

import keras
import keras_tuner

from zoo.networks import Knobs, add_convolutional_blocks, add_dense_layers, assemble, join_features, preprocess_table
from zoo.networks.autoencoder import ERROR, OutputItself, add_cluster_outputs
from zoo.networks.convolutional import standardize_images
from zoo.preprocessing.images import ImagePreprocessing
from zoo.preprocessing.table import suggest_scaling
from zoo.spec import ImageInput, Spec


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        latent: Width of the latent vector.
        units: Width of each dense layer in encoder and decoder.
        layers: Number of dense layers in encoder and decoder each, for tables.
        filters: Number of filters of the first convolution, for images; the second has twice as many.
        noise: Fraction of inputs that are dropped at random during training.
        mixture: Kind of clusters in the latent space: spherical (k-means), or Gaussian.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "weight_decay"),
        defaults={"optimizer": "adamw", "weight_decay": 1e-4, "epochs": 100, "patience": 15,
                  "scaling": suggest_scaling(spec) if not spec.of_kind(ImageInput) else "standard"},
    )  # fmt: skip
    latent, units = hp.Int("latent", 2, 64, sampling="log", default=16), hp.Int("units", 32, 512, default=256)
    layers, filters = hp.Int("layers", 1, 3, default=2), hp.Fixed("filters", 16)
    noise = hp.Float("noise", 0.0, 0.5, default=0.1)
    mixture = hp.Choice("mixture", ["gaussian", "k_means"], default="gaussian")
    scaling = knobs.get("scaling")
    images = bool(spec.of_kind(ImageInput))
    preprocessing: Any = ImagePreprocessing(spec) if images else preprocess_table(spec, scaling=scaling)
    inputs = preprocessing.tensors()
    if images:
        original = standardize_images(inputs, spec)
        x = add_convolutional_blocks(
            keras.layers.Dropout(noise, name="noise")(original),
            knobs, filters=filters, blocks=2, convolutions=1, kernel=3, pooling="max",
        )  # fmt: skip
        corner = tuple(x.shape[1:])
        z = _narrow(add_dense_layers(keras.layers.Flatten(name="flat")(x), knobs, units=units, layers=1), latent)
        reconstruction = _image_of(z, original.shape[1:], corner, knobs, filters)
    else:
        original = inputs["features"]
        x = keras.layers.Dropout(noise, name="noise")(join_features(inputs, preprocessing))
        z = _narrow(add_dense_layers(x, knobs, units=units, layers=layers), latent)
        x = z
        for index in range(layers):
            x = keras.layers.Dense(units, knobs.get("activation"), name=f"decoder_{index}")(x)
        reconstruction = keras.layers.Dense(original.shape[-1], name="made")(x)
    outputs = add_cluster_outputs(original, z, reconstruction, clusters=spec.options["clusters"], kind=mixture)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, outputs, {ERROR: OutputItself()}, knobs)


def _narrow(x: keras.KerasTensor, latent: int) -> keras.KerasTensor:
    return keras.layers.Dense(latent, name="latent_vector")(x)


def _image_of(z: Any, shape: tuple[int, ...], corner: tuple[int, ...], knobs: Knobs, filters: int) -> Any:
    """Return the image (B, H, W, C) that the decoder reconstructs from a latent vector, mirroring the encoder."""
    activation = knobs.get("activation")
    x = keras.layers.Dense(corner[0] * corner[1] * corner[2], activation, name="unfold")(z)
    x = keras.layers.Reshape(corner, name="corner")(x)
    for index in range(2):
        x = keras.layers.UpSampling2D(2, name=f"larger_{index}")(x)
        x = keras.layers.Conv2D(filters * (2 - index), 3, padding="same", activation=activation, name=f"up_{index}")(x)
    x = keras.layers.Resizing(shape[0], shape[1], name="full_size")(x)
    return keras.layers.Conv2D(shape[2], 3, padding="same", name="made")(x)
