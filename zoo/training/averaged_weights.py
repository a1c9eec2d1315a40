"""Moving average of the weights over training steps, which is scored and kept in place of the last weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def apply_averaged_weights(network: keras.Model) -> Iterator[None]:
    """Give a network the moving average of its trained weights within the block, if its optimizer keeps one.

    Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the average of the optimizer
    (``ema_momentum``) weights later steps more.

    Args:
        network: Compiled network.
    """
    optimizer = network.optimizer
    if not optimizer.use_ema or not optimizer.built or int(optimizer.iterations) == 0:
        yield
        return
    variables = optimizer._trainable_variables  # also those that are frozen now
    weights = [variable.numpy() for variable in variables]
    optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight)
