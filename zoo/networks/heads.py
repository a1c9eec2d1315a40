"""Heads: output layer and loss for the target of the spec."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.losses import (
    ClassFocal,
    ClassKLDivergence,
    EachTarget,
    Pinball,
    ProbabilityHinge,
    SmoothedCrossentropy,
)
from zoo.networks.ordered_classes import OrderedProbabilities
from zoo.spec import Spec, Target

CLASS_LOSSES = ("crossentropy", "hinge", "kullback_leibler", "focal")
NUMBER_LOSSES = ("squared_error", "absolute_error", "huber")
QUANTILE_LOSSES = ("pinball",)


def add_head(
    x: Any, spec: Spec, knobs: Knobs, *, layer: Callable[..., Any] = keras.layers.Dense
) -> tuple[Any, keras.losses.Loss]:
    """Return the output layer and the loss for the targets of the spec.

    Args:
        x: Tensor (B, F), or what ``layer`` takes.
        spec: Spec with targets.
        knobs: Provide the loss (by default cross-entropy or squared error), initializer and regularisation.
        layer: Class of the output layers, or a function that creates one from the arguments of ``Dense``.

    Returns:
        Output and loss: the probability of the second of two classes (B, 1), of each of several
        (B, K), or the standardised number (B, 1), its quantiles (B, Q), or several numbers (B, K). Of several targets,
        these one after another.
    """
    quantiles = spec.targets[0].quantiles
    several = len(spec.targets) > 1
    numbers = any(target.kind == "number" for target in spec.targets)
    losses = (
        QUANTILE_LOSSES if quantiles else NUMBER_LOSSES if numbers else CLASS_LOSSES[:1] if several else CLASS_LOSSES
    )
    knobs.defaults.setdefault("loss", losses[0])
    loss = knobs.get("loss", choices=losses)
    dense = partial(layer, kernel_initializer=knobs.get("initializer"), kernel_regularizer=knobs.regularizer())
    if not several:
        output = _add_output(x, spec.target, "output", dense)
        smoothing = knobs.get("label_smoothing") if loss == "crossentropy" else 0.0
        return output, Pinball(quantiles) if quantiles else _loss(loss, spec.target, smoothing)
    widths = [compute_width(target) for target in spec.targets]
    kinds = [target.kind if target.kind == "class" else loss for target in spec.targets]
    if sum(widths) == len(widths) and len(set(kinds)) == 1:  # one layer is faster than hundreds
        output = dense(sum(widths), name="output")(x)
        return _activate(output, kinds[0], "sigmoid", "probability"), EachTarget(kinds, widths)
    parts = [_add_output(x, target, f"output_{index}", dense) for index, target in enumerate(spec.targets)]
    return keras.layers.Concatenate(name="outputs", dtype="float32")(parts), EachTarget(kinds, widths)


def compute_width(target: Target) -> int:
    """Return the number of outputs that a network needs for a target.

    Example:
        >>> compute_width(Target("kind", "class", ("a", "b", "c"))), compute_width(Target("price", "number"))
        (3, 1)
    """
    if target.kind == "class":
        return len(target.classes) if len(target.classes) > 2 else 1
    return len(target.quantiles) or math.prod(target.shape)


def _add_output(x: Any, target: Target, name: str, dense: Callable[..., Any]) -> Any:
    """Return the outputs of one target (B, width)."""
    width = compute_width(target)
    if target.ordered:
        score = dense(1, use_bias=False, name=name)(x)
        counts = np.array(target.counts, float) if target.counts else np.ones(width)
        return OrderedProbabilities((counts / counts.sum()).tolist(), name=name.replace("output", "probability"))(score)
    x = dense(width, name=name)(x)
    return _activate(x, target.kind, "softmax" if width > 1 else "sigmoid", name.replace("output", "probability"))


def _activate(x: Any, kind: str, activation: str, name: str) -> Any:
    # float32 under any precision policy, since probabilities are scored and compared.
    if kind == "class":
        return keras.layers.Activation(activation, dtype="float32", name=name)(x)
    return keras.layers.Activation("linear", dtype="float32", name="number")(x) if x.dtype != "float32" else x


def _loss(name: str, target: Target, smoothing: float) -> keras.losses.Loss:
    if name == "crossentropy":
        if compute_width(target) == 1:
            return keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
        return SmoothedCrossentropy(smoothing) if smoothing else keras.losses.SparseCategoricalCrossentropy()
    classes = {
        "hinge": ProbabilityHinge,
        "focal": ClassFocal,
        "kullback_leibler": ClassKLDivergence,
        "squared_error": keras.losses.MeanSquaredError,
        "absolute_error": keras.losses.MeanAbsoluteError,
        "huber": keras.losses.Huber,
    }
    return classes[name]()
