"""A model of a table, put together: preparation, hidden layers, head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from zoo.models.built_model import assemble
from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.heads import head
from zoo.preprocessing.table import flat_features, preprocess_table
from zoo.spec import Spec


def table_model(spec: Spec, knobs: Knobs, hidden: Callable[[Any], Any] = lambda x: x) -> keras.Model:
    """Return the compiled model of a table, whatever its target.

    Args:
        spec: Describes columns and target.
        knobs: Give scaling, loss, optimizer and how long to train.
        hidden: From prepared features (B, D) to what the head takes (B, F); by default nothing lies between.
    """
    preprocessing = preprocess_table(spec, scaling=knobs.get("scaling"))
    inputs = preprocessing.tensors()
    output, loss = head(hidden(flat_features(inputs, preprocessing)), spec, knobs)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, output, loss, knobs)
