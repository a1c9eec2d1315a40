"""Probabilities of ordered classes from one number: the cumulative link model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.networks.losses import EPSILON

LEAST_SHARE = 1e-3


@keras.saving.register_keras_serializable("zoo")
class OrderedProbabilities(keras.layers.Layer):
    """Probabilities of K ordered classes from one number, with K - 1 trained thresholds.

    The probability of class k or a lower one is sigmoid(threshold k - number): the proportional odds model (McCullagh
    1980, "Regression Models for Ordinal Data", JRSS B 42, section 2). Thresholds rise, since their differences are the
    softplus of a weight.

    Args:
        shares: Fraction of each of the K classes, at least 3; the thresholds before training have these probabilities
            for the number 0.

    Call arguments:
        inputs: The number (B, 1).

    Example:
        >>> import numpy as np
        >>> [f"{share:.2f}" for share in OrderedProbabilities([0.2, 0.3, 0.5])(np.zeros((1, 1))).numpy()[0]]
        ['0.20', '0.30', '0.50']
    """

    def __init__(self, shares: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self.shares = [float(share) for share in shares]

    def build(self, input_shape: Any) -> None:
        """Create the lowest threshold, and the differences of the others."""
        below = np.clip(np.cumsum(self.shares)[:-1], LEAST_SHARE, 1 - LEAST_SHARE)
        thresholds = np.log(below / (1 - below))
        steps = np.log(np.expm1(np.maximum(np.diff(thresholds), LEAST_SHARE)))  # the inverse of softplus
        self.lowest, self.steps = (
            self.add_weight(shape=values.shape, name=name, dtype="float32")
            for name, values in (("lowest", thresholds[:1]), ("steps", steps))
        )
        self.lowest.assign(thresholds[:1])
        self.steps.assign(steps)

    def call(self, inputs: Any) -> Any:
        """Return the probabilities (B, K), in 32-bit float under any precision policy."""
        rises = ops.concatenate([self.lowest, self.lowest + ops.cumsum(ops.softplus(self.steps))])
        below = ops.sigmoid(rises - ops.cast(inputs, "float32"))
        edges = [ops.zeros_like(below[:, :1]), below, ops.ones_like(below[:, :1])]
        cumulative = ops.concatenate(edges, axis=-1)
        return ops.maximum(cumulative[:, 1:] - cumulative[:, :-1], EPSILON)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the probabilities."""
        return (*input_shape[:-1], len(self.shares))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "shares": self.shares}
