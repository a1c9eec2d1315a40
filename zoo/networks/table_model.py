"""Table models: preprocessing, hidden layers and head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from zoo.models.built_model import assemble
from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.heads import add_head
from zoo.preprocessing.table import join_features, preprocess_table
from zoo.spec import Spec


def build_table_model(spec: Spec, knobs: Knobs, hidden: Callable[[Any], Any] = lambda x: x) -> keras.Model:
    """Return the compiled model of a table for any target.

    Args:
        spec: Spec of columns and target.
        knobs: Provide scaling, loss, optimizer and training length.
        hidden: Function from preprocessed features (B, D) to the input of the head (B, F); by default the identity.
    """
    preprocessing = preprocess_table(spec, scaling=knobs.get("scaling"))
    inputs = preprocessing.tensors()
    output, loss = add_head(hidden(join_features(inputs, preprocessing)), spec, knobs)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, output, loss, knobs)
