"""What the networks of steps share beside their layers: the embedding of texts, and statistics of the values."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from zoo.networks.rocket import SequenceStatistics
from zoo.spec import Spec, TextInput

MOMENTUM = 0.9  # of the running statistics of a batch, since a few hundred sequences are few batches


def declare_inputs(hp: keras_tuner.HyperParameters, spec: Spec) -> tuple[int, bool]:
    """Declare and return the width of a text's embedding, and whether sequences of numbers have statistics beside."""
    if spec.of_kind(TextInput):
        return hp.Int("embedding", 8, 256, sampling="log", default=32), hp.Fixed("statistics", False)
    return hp.Fixed("embedding", 32), hp.Boolean("statistics", default=True)


def join_statistics(hidden: Any, steps: Any, real: Any) -> Any:
    """Return a summary of sequences (B, D) with statistics of their values beside it.

    Args:
        hidden: (B, D).
        steps: (B, T, F).
        real: Mask of real steps (B, T).
    """
    scale = keras.layers.BatchNormalization(momentum=MOMENTUM, name="scaled_statistics")
    values = scale(SequenceStatistics(name="statistics")(steps, real))
    return keras.layers.Concatenate(name="summary")([hidden, values])
