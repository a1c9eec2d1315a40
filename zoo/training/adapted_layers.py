"""Layers of a network whose statistics are those of the training split, measured before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import keras

from zoo.training.preprocessed_arrays import Arrays


@runtime_checkable
class AdaptedLayer(Protocol):
    """A layer that measures the preprocessed training rows once, before it is trained."""

    def adapt_to(self, inputs: Mapping[str, Any]) -> None:
        """Set the statistics to those of preprocessed inputs by name, which may be ragged."""


def prepare_layers(network: keras.Model, train: Any) -> None:
    """Have the layers of a network measure the training rows; those that are streamed are not measured.

    Args:
        network: The network, whose layers may be models.
        train: Preprocessed training rows.
    """
    if not isinstance(train, Arrays):
        return
    for layer in network._flatten_layers():
        if isinstance(layer, AdaptedLayer):
            layer.adapt_to(train.x)
