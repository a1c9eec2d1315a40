"""Heads: output layer and loss for the target of the spec."""

from __future__ import annotations

import math
from typing import Any

import keras

from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.losses import ClassFocal, ClassKLDivergence, Pinball, ProbabilityHinge
from zoo.spec import Spec

CLASS_LOSSES = ("crossentropy", "hinge", "kullback_leibler", "focal")
NUMBER_LOSSES = ("squared_error", "absolute_error", "huber")
QUANTILE_LOSSES = ("pinball",)


def add_head(x: Any, spec: Spec, knobs: Knobs) -> tuple[Any, keras.losses.Loss]:
    """Return the output layer and the loss for the target of the spec.

    Args:
        x: Tensor (B, F).
        spec: Spec with a target of classes, or with one or several numbers.
        knobs: Provide the loss (by default cross-entropy or squared error), initializer and regularisation.

    Returns:
        Output and loss: the probability of the second of two classes (B, 1), of each of several
        (B, K), or the standardised number (B, 1), its quantiles (B, Q), or several numbers (B, K).
    """
    quantiles = spec.targets[0].quantiles
    losses = CLASS_LOSSES if spec.has_classes else QUANTILE_LOSSES if quantiles else NUMBER_LOSSES
    knobs.defaults.setdefault("loss", losses[0])
    loss = knobs.get("loss", choices=losses)
    units = _units(spec)
    initializer, regularizer = knobs.get("initializer"), knobs.regularizer()
    x = keras.layers.Dense(units, kernel_initializer=initializer, kernel_regularizer=regularizer, name="output")(x)
    if spec.has_classes:
        # float32 under any precision policy, since probabilities are scored and compared.
        activation = "softmax" if units > 1 else "sigmoid"
        x = keras.layers.Activation(activation, dtype="float32", name="probability")(x)
    return x, Pinball(quantiles) if quantiles else _loss(loss, units)


def _units(spec: Spec) -> int:
    if len(spec.targets) > 1 or spec.target.shape:
        return sum(math.prod(target.shape) for target in spec.targets)
    classes = len(spec.target.classes)
    return classes if classes > 2 else len(spec.target.quantiles) or 1


def _loss(name: str, units: int) -> keras.losses.Loss:
    if name == "crossentropy":
        multiple = units > 1
        return keras.losses.SparseCategoricalCrossentropy() if multiple else keras.losses.BinaryCrossentropy()
    classes = {
        "hinge": ProbabilityHinge,
        "focal": ClassFocal,
        "kullback_leibler": ClassKLDivergence,
        "squared_error": keras.losses.MeanSquaredError,
        "absolute_error": keras.losses.MeanAbsoluteError,
        "huber": keras.losses.Huber,
    }
    return classes[name]()
