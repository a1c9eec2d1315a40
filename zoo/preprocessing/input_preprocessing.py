"""The base of preprocessing: from raw inputs to the tensors that a network takes, without trainable weights."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any

import keras

from zoo.models.built_model import PREPROCESSING


class InputPreprocessing(ABC):
    """Preprocessing of one or several inputs as a Keras model, with the statistics of the spec."""

    @abstractmethod
    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the preprocessed tensors, by name: the inputs of the network."""

    @abstractmethod
    def raw_tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the raw values, by key."""

    @abstractmethod
    def outputs(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return the preprocessed tensors by name, computed from raw ones."""

    @property
    def digest(self) -> str:
        """Digest of everything that determines the preprocessed tensors, given the raw ones."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    def model(self) -> keras.Model:
        """Return the Keras model from raw to preprocessed tensors, without trainable weights."""
        raw = self.raw_tensors()
        return keras.Model(raw, self.outputs(raw), name=PREPROCESSING)
