"""Moving average of the weights over training steps, which is scored and kept in place of the last weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from zoo.hardware import find_inner_optimizer


@contextmanager
def apply_averaged_weights(network: keras.Model) -> Iterator[None]:
    """Give a network the moving average of its trained weights within the block, if its optimizer keeps one.

    Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the average of the optimizer
    (``ema_momentum``) weights later steps more.

    Args:
        network: Compiled network.
    """
    optimizer = find_inner_optimizer(network.optimizer)
    if not optimizer.use_ema or not optimizer.built or int(keras.ops.convert_to_numpy(optimizer.iterations)) == 0:
        yield
        return
    variables = optimizer._trainable_variables  # also those that are frozen now
    weights = [variable.numpy() for variable in variables]
    for variable, average in zip(variables, optimizer._model_variables_moving_average, strict=True):
        variable.assign(average)
    try:
        yield
    finally:
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight)


@contextmanager
def keep_raw_weights(network: keras.Model) -> Iterator[None]:
    """Let ``keras.Model.fit`` end within the block without replacing the trained weights by their moving average.

    Keras assumes that no layer is frozen then, and another phase of training goes on from the weights themselves.

    Args:
        network: Compiled network.
    """
    optimizer = find_inner_optimizer(network.optimizer)
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values
