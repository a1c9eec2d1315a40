"""Feature maps of an image model: what its first convolutions compute from an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from zoo.models.built_model import find_network, find_preprocessing
from zoo.training.preprocessed_arrays import forward

MOST_LAYERS = 2
ACTIVATIONS = ("Activation", "ReLU", "LeakyReLU")


def compute_feature_maps(model: keras.Model, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the outputs (N, h, w, F) of the first two convolutions of a model, after their activations, by layer.

    Args:
        model: The full model.
        inputs: Raw inputs of N images by key.
    """
    network, preprocessing = find_network(model), find_preprocessing(model)
    spatial = [layer for layer in network.layers if len(getattr(layer.output, "shape", ())) == 4]
    convolutions = [layer for layer in spatial if type(layer).__name__ == "Conv2D"]
    layers = [layer for layer in spatial if type(layer).__name__ in ACTIVATIONS] or convolutions
    if not convolutions or preprocessing is None:
        return {}
    tensors = {tensor.name: tensor for tensor in network.inputs}
    shown = keras.Model(tensors, {layer.name: layer.output for layer in layers[:MOST_LAYERS]})
    maps = forward(shown, forward(preprocessing, inputs))
    return {layer.name: np.asarray(maps[layer.name]) for layer in layers[:MOST_LAYERS]}
