"""An epoch in one compiled call: the loop over batches runs inside TensorFlow, not in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.training.arrays import CHUNK, Arrays

# XLA takes a second or two to compile a training step: it pays where there is that much work to save.
XLA_LEAST_STEPS = 4000


class CompiledEpochs:
    """Runs epochs of a compiled network's own ``train_step`` over arrays, one call an epoch.

    Equals ``keras.Model.fit`` for the same order of rows, sample weights, metrics and a short last batch
    included: every batch has one static shape, and the rest of the rows is a second call of its own
    shape (under XLA a short slice would be trained wrongly without a word).

    Args:
        network: Compiled Keras model.
        arrays: Training rows.
        batch_size: Rows a step.
        xla: Whether to compile with XLA.
    """

    def __init__(self, network: keras.Model, arrays: Arrays, batch_size: int, *, xla: bool) -> None:
        self.network = network
        self.rows, self.batch_size = len(arrays), batch_size
        self.data = (_tensors(arrays.x), _tensors(arrays.y), _tensors(arrays.weight))
        _build_state(network, _rows(self.data, slice(0, 1)))
        self._run = _Traced(self._epoch, xla=xla)

    def run(self, order: np.ndarray, rates: np.ndarray | None) -> dict[str, float]:
        """Train one epoch and return the loss and the compiled metrics.

        Args:
            order: Row numbers in the order in which they are taken.
            rates: Learning rate of each step; None leaves the optimizer's.
        """
        self.network.reset_metrics()
        whole = self.rows // self.batch_size
        full = order[: whole * self.batch_size].reshape(whole, self.batch_size)
        rest = order[whole * self.batch_size :].reshape(1, -1)
        for batches, step in ((full, 0), (rest, whole)):
            if batches.size:
                given = None if rates is None else tf.constant(rates[step : step + len(batches)])
                self._run(self.data, tf.constant(batches.astype(np.int32)), given)
        return {name: float(value) for name, value in self.network.get_metrics_result().items()}

    def _epoch(self, data: Any, batches: Any, rates: Any) -> None:
        def body(step: Any) -> Any:
            chosen = batches[step]
            if rates is not None:
                self.network.optimizer.learning_rate.assign(rates[step])
            self.network.train_step(_gathered(data, chosen))
            return [step + 1]

        tf.while_loop(lambda step: step < batches.shape[0], body, [tf.constant(0)], parallel_iterations=1)


class CompiledScores:
    """Predicts all rows of a part, and computes the compiled loss over them, in one or few calls.

    Args:
        network: Compiled Keras model.
        arrays: The rows.
    """

    def __init__(self, network: keras.Model, arrays: Arrays) -> None:
        self.network = network
        self.rows = len(arrays)
        self.x, self.y, self.weight = (_tensors(value) for value in (arrays.x, arrays.y, arrays.weight))
        self._forward = _Traced(lambda x: network(x, training=False))
        self._loss = _Traced(lambda y, y_pred, weight: network.compute_loss(None, y, y_pred, weight, training=False))

    def predict(self) -> np.ndarray:
        """Return the network's output for each row."""
        return self._output().numpy()

    def loss_and_prediction(self) -> tuple[float, np.ndarray]:
        """Return the loss over all rows, as training defines it, and the output for each row."""
        output = self._output()
        return float(self._loss(self.y, output, self.weight)), output.numpy()

    def _output(self) -> Any:
        if self.rows <= CHUNK:
            return self._forward(self.x)
        chunks = [self._forward(_rows(self.x, slice(start, start + CHUNK))) for start in range(0, self.rows, CHUNK)]
        return tf.concat(chunks, axis=0)


class _Traced:
    """A function compiled once for each form of its arguments.

    ``tf.function`` does the same and warns of "retracing" where several networks are trained in one
    process, for it knows functions by their place in the source.
    """

    def __init__(self, function: Callable[..., Any], *, xla: bool = False) -> None:
        self._function = tf.function(function, jit_compile=xla, autograph=False)
        self._traced: dict[str, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        form = str(tf.nest.map_structure(_form, arguments))
        if form not in self._traced:
            self._traced[form] = self._function.get_concrete_function(*arguments)
        return self._traced[form](*arguments)


def _form(value: Any) -> Any:
    return None if value is None else (value.shape, value.dtype)


def can_compile(network: keras.Model) -> str | None:
    """Return why a network's epochs cannot run in one compiled call, or None when they can."""
    plain = keras.Model
    for method in ("train_step", "fit", "make_train_function"):
        if getattr(type(network), method) is not getattr(plain, method):
            return f"the model has its own {method}"
    if network.run_eagerly:
        return "the model is compiled to run eagerly"
    if getattr(network, "_distribute_strategy", None) is not None:
        return "the model is distributed"
    return None


def worth_xla(network: keras.Model, steps: int) -> bool:
    """Tell whether XLA makes so many training steps faster on this network.

    It is decided from the network and the number of steps alone, never from a measurement, so that the
    same job takes the same path and ends with the same weights. Convolutions are ruined by XLA on a CPU
    (measured: 35 times slower), recurrent layers gain at any size.
    """
    kinds = {type(layer).__name__ for layer in network._flatten_layers()}
    if any("Conv" in kind or "Pooling" in kind for kind in kinds) or not network.supports_jit:
        return False
    return steps >= XLA_LEAST_STEPS or bool(kinds & {"GRU", "LSTM", "SimpleRNN"})


def _build_state(network: keras.Model, batch: Any) -> None:
    """Create the variables of optimizer, loss and metrics; inside a compiled function it would be too late."""
    network.optimizer.build(network.trainable_variables)
    network.test_step(batch)
    network.reset_metrics()


def _rows(data: Any, rows: slice) -> Any:
    return tf.nest.map_structure(lambda values: None if values is None else values[rows], data)


def _gathered(data: Any, rows: Any) -> Any:
    return tf.nest.map_structure(lambda values: None if values is None else tf.gather(values, rows), data)


def _tensors(values: Any) -> Any:
    return None if values is None else tf.nest.map_structure(tf.convert_to_tensor, values)
