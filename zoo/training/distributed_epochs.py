"""Epochs on several devices, each of which trains on a part of each batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.hardware import build_optimizer, find_inner_optimizer
from zoo.training.epochs import CompiledEpochs, gather_rows
from zoo.training.preprocessed_arrays import Arrays

WEIGHTED_MEAN = "mean_with_sample_weight"  # reduction of a loss


class DistributedEpochs(CompiledEpochs):
    """Runs epochs of a network that was built in the scope of a ``tf.distribute`` strategy.

    Batches have the same rows as on a single device, and the weights end up the same, up to rounding, if no layer
    depends on the whole batch or on chance, as batch normalization and dropout do. The training loss that is reported
    is a mean over devices, and may differ a little.

    Args:
        network: Compiled Keras model, built in the scope of a strategy.
        arrays: Training rows.
        batch_size: Number of rows per step, over all devices.
        epochs: Planned number of epochs.
    """

    def _build_state(self, batch: Any) -> None:
        build_optimizer(self.network)
        optimizer = find_inner_optimizer(self.network.optimizer)
        if optimizer.clipnorm or optimizer.global_clipnorm:
            optimizer._clip_gradients = partial(_clip_sum, type(optimizer)._clip_gradients, optimizer)
        self.strategy.run(self.network.test_step, args=(batch,))
        self.network.reset_metrics()

    def _create_run(self, width: int, *, xla: bool) -> Callable[..., None]:
        return partial(self._run_steps, tf.function(self._train, autograph=False), width)

    def _train(self, batch: Any) -> Any:
        """Train a step; a mean that is weighted becomes a sum, since :meth:`_split` divides by all devices' weights."""
        loss, weighted = self.network.loss, self._has_weighted_mean
        if weighted:
            loss.reduction = "sum_over_batch_size"
        try:
            return self.strategy.run(self.network.train_step, args=(batch,))
        finally:
            if weighted:
                loss.reduction = WEIGHTED_MEAN

    @property
    def _has_weighted_mean(self) -> bool:
        return getattr(self.network.loss, "reduction", None) == WEIGHTED_MEAN

    @property
    def strategy(self) -> Any:
        """The strategy in whose scope the network was built."""
        return self.network.distribute_strategy

    def _run_steps(self, train_step: Any, width: int, data: Any, batches: Any, sizes: Any, rates: Any) -> None:
        for step, rows in enumerate(batches.numpy()):
            if rates is not None:
                self.network.optimizer.learning_rate = float(rates[step])
            train_step(self._split(data, rows if sizes is None else rows[: int(sizes[step])], width))

    def _split(self, data: Any, rows: np.ndarray, width: int) -> Any:
        """Return a part of a batch for each device.

        All parts have the same number of rows: where a batch does not divide evenly, rows that occur twice have weight
        0, and the weights of the others are such that the sum of the parts' gradients is that of the batch.
        """
        devices = self.strategy.num_replicas_in_sync
        size = -(-len(rows) // devices)
        padded = np.resize(rows, size * devices)
        weights = data[2]
        weighted = weights is not None and self._has_weighted_mean
        total = float(tf.reduce_sum(tf.gather(weights, rows))) if weighted else len(rows)
        share = np.where(np.arange(size * devices) < len(rows), size * devices / total, 0.0).astype(np.float32)

        def gather_part(context: Any) -> Any:
            part = slice(context.replica_id_in_sync_group * size, (context.replica_id_in_sync_group + 1) * size)
            x, y, weight = gather_rows(data, tf.constant(padded[part]), {**self.longest, self.name: width})
            if weighted or len(rows) < len(padded):
                weight = share[part] if weight is None else weight * tf.cast(share[part], weight.dtype)
            return x, y, weight

        return self.strategy.experimental_distribute_values_from_function(gather_part)


def _clip_sum(clip: Callable[..., list[Any]], optimizer: Any, gradients: list[Any]) -> list[Any]:
    """Return this device's share of the clipped sum of all devices' gradients.

    Keras clips the gradients of each device before it adds them up.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return clip(optimizer, gradients)
    present = context.all_reduce(tf.distribute.ReduceOp.SUM, [value for value in gradients if value is not None])
    values = iter(clip(optimizer, present))
    return [None if value is None else next(values) / context.num_replicas_in_sync for value in gradients]


def create_epochs(
    network: keras.Model, arrays: Arrays, batch_size: int, *, epochs: int = 1, xla: bool
) -> CompiledEpochs:
    """Return what runs the epochs of a network, on the devices that it was built for.

    Args:
        network: Compiled Keras model.
        arrays: Training rows.
        batch_size: Number of rows per step.
        epochs: Planned number of epochs.
        xla: Whether to compile with XLA, on a single device.
    """
    if network.distribute_strategy.num_replicas_in_sync > 1:
        return DistributedEpochs(network, arrays, batch_size, epochs=epochs, xla=False)
    return CompiledEpochs(network, arrays, batch_size, epochs=epochs, xla=xla)
