"""Compiled epochs: the loop over batches runs inside TensorFlow instead of Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from zoo.data.ragged import Ragged
from zoo.hardware import build_optimizer
from zoo.portable.preprocessing import name_length_input
from zoo.training.preprocessed_arrays import CHUNK, Arrays, iterate_batches, limit_rows

# XLA takes a second or two to compile a training step, which pays off only for this many steps.
XLA_LEAST_STEPS = 4000
RECURRENT_LEAST_STEPS = 300
# Sequences are sorted by length within pools of this many batches; pools and their order are drawn again each epoch.
POOL_BATCHES = 50
MOST_WIDTHS = 6
ALIGNED_BYTES = 64  # memory alignment that TensorFlow's kernels require
# Each additional width compiles another training step, which takes as long as this many time steps of training.
COMPILE_TIME_STEPS = 15_000
_setting, _as_written, _before = Lock(), 0, False  # used by graphs_as_written


class RaggedTensors(NamedTuple):
    """Examples of unequal length as tensors: concatenated values, and first row and number of rows of each example."""

    values: Any
    starts: Any
    lengths: Any


class CompiledEpochs:
    """Runs each epoch of a compiled network's own ``train_step`` over arrays in a single call.

    Equivalent to ``keras.Model.fit`` for the same order of rows, including sample weights, metrics and a smaller last
    batch. Building the graph of a training step takes as long as hundreds of steps of a small network, so full batches
    and the smaller last batch use the same graph. XLA would silently train a smaller slice incorrectly, so with XLA
    the remaining rows are trained by a second call with its own shape.

    Sequences of unequal length are sorted by length within pools of rows that are drawn again each epoch, split into
    batches and padded to one of a few widths; each batch is then a separate call.

    Args:
        network: Compiled Keras model.
        arrays: Training rows.
        batch_size: Number of rows per step.
        epochs: Planned number of epochs; more epochs justify compiling for more widths.
        xla: Whether to compile with XLA.
    """

    def __init__(self, network: keras.Model, arrays: Arrays, batch_size: int, *, epochs: int = 1, xla: bool) -> None:
        self.network = network
        self.rows, self.batch_size = len(arrays), batch_size
        self.data = (_tensors(arrays.x), _tensors(arrays.y), _tensors(arrays.weight))
        # Batches are made of rows whose longest input has a similar length, and padded to one of a few widths.
        self.longest = {name: int(values.lengths.max(initial=0)) for name, values in arrays.ragged.items()}
        self.name, ragged = next(iter(arrays.ragged.items()), ("", None))
        self.lengths = ragged.lengths if ragged is not None else None
        # Whether one graph trains batches of both sizes.
        self.short = not xla and self.lengths is None
        self.widths = [0] if self.lengths is None else choose_widths(self.lengths, epochs * self.rows // batch_size)
        self._build_state(gather_rows(self.data, tf.constant([0]), self.longest))
        self._runs = {width: self._create_run(width, xla=xla) for width in self.widths}

    def feed(self, arrays: Arrays) -> None:
        """Replace the training rows; with the same number of rows, nothing is traced again."""
        self.rows = len(arrays)
        self.data = (_tensors(arrays.x), _tensors(arrays.y), _tensors(arrays.weight))

    def run(self, order: np.ndarray, rates: np.ndarray | None) -> dict[str, float]:
        """Train one epoch and return the loss and the compiled metrics.

        Args:
            order: Row numbers in training order.
            rates: Learning rate of each step; None keeps the optimizer's.
        """
        self.network.reset_metrics()
        n_full = self.rows // self.batch_size
        full = order[: n_full * self.batch_size].reshape(n_full, self.batch_size)
        rest = order[n_full * self.batch_size :].reshape(1, -1)
        several = len(self.widths) > 1  # then the width may differ between batches
        groups = [*np.split(self._sorted(full), max(n_full, 1)), rest] if several else [full, rest]
        sizes = None
        if self.short and rest.size:
            groups = [np.concatenate([full, np.resize(rest, (1, self.batch_size))])]
            sizes = tf.constant([self.batch_size] * n_full + [rest.size])
        step = 0
        for chosen in groups:
            if chosen.size:
                given = None if rates is None else tf.constant(rates[step : step + len(chosen)])
                self._runs[self._width(chosen)](self.data, tf.constant(chosen.astype(np.int32)), sizes, given)
                step += len(chosen)
        return {name: float(value) for name, value in self.network.get_metrics_result().items()}

    def _build_state(self, batch: Any) -> None:
        """Create the variables of optimizer, loss and metrics, which a compiled function cannot create."""
        build_optimizer(self.network)
        self.network.test_step(batch)
        self.network.reset_metrics()

    def _create_run(self, width: int, *, xla: bool) -> Callable[..., None]:
        """Return the function of data, batches, their sizes and rates that trains steps on sequences of a width."""
        return _Traced(partial(self._epoch, width), xla=xla)

    def _sorted(self, full: np.ndarray) -> np.ndarray:
        """Return batches of rows of similar length, in an order independent of their lengths."""
        assert self.lengths is not None
        batches = [full[:0]]
        for start in range(0, len(full), POOL_BATCHES):
            pool = full[start : start + POOL_BATCHES].reshape(-1)
            place = np.argsort(self.lengths[pool], kind="stable").reshape(-1, self.batch_size)
            # The position of a batch's first row in the pool is as random as the pool's order.
            batches.append(pool[place[np.argsort(place[:, 0])]])
        return np.concatenate(batches)

    def _width(self, chosen: np.ndarray) -> int:
        if self.lengths is None:
            return 0
        longest = self.lengths[chosen].max()
        return next(width for width in self.widths if width >= longest)

    def _epoch(self, width: int, data: Any, batches: Any, sizes: Any, rates: Any) -> None:
        def body(step: Any) -> Any:
            chosen = batches[step] if sizes is None else batches[step][: sizes[step]]
            if rates is not None:
                self.network.optimizer.learning_rate.assign(rates[step])
            self.network.train_step(gather_rows(data, chosen, {**self.longest, self.name: width}))
            return [step + 1]

        tf.while_loop(lambda step: step < batches.shape[0], body, [tf.constant(0)], parallel_iterations=1)


def choose_widths(lengths: np.ndarray, steps: int) -> list[int]:
    """Return the widths that batches of sequences are padded to, in ascending order.

    Args:
        lengths: Length of each sequence (N,).
        steps: Total number of planned training steps.

    Example:
        >>> choose_widths(np.array([3, 3, 3, 40]), 10), choose_widths(np.full(9, 5), 10_000)
        ([40], [5])
    """
    chosen = [int(lengths.max())]
    for count in range(2, MOST_WIDTHS + 1):
        quantiles = np.quantile(lengths, np.linspace(0, 1, count + 1)[1:], method="higher")
        widths = sorted({int(width) for width in quantiles})
        if steps * (_mean_width(lengths, chosen) - _mean_width(lengths, widths)) > COMPILE_TIME_STEPS * (
            len(widths) - len(chosen)
        ):
            chosen = widths
    return chosen


def _mean_width(lengths: np.ndarray, widths: list[int]) -> float:
    """Return the mean width of sequences that are each padded to the next larger width."""
    return float(np.array(widths)[np.searchsorted(widths, lengths)].mean())


class CompiledScores:
    """Predicts all rows of a split, and computes the compiled loss over them, in one or a few calls.

    Args:
        network: Compiled Keras model.
        arrays: Rows to predict.
    """

    def __init__(self, network: keras.Model, arrays: Arrays) -> None:
        self.network = network
        self.rows = len(arrays)
        self.y, self.weight = _tensors(arrays.y), _tensors(arrays.weight)
        ragged = bool(arrays.ragged)
        # Batches that do not change between epochs are sliced and padded once.
        x = arrays.x if isinstance(arrays.x, Mapping) else None
        sliced = iterate_batches(x, limit_rows(network)) if x is not None else _sliced(_tensors(arrays.x), self.rows)
        self.chunks = list(sliced)
        order = np.concatenate([np.arange(self.rows)[chosen] for chosen, _ in self.chunks])
        self.back = tf.constant(np.argsort(order)) if ragged else None
        self._forward = _Traced(lambda x: network(x, training=False), relaxed=ragged)
        self._loss = _Traced(lambda y, y_pred, weight: network.compute_loss(None, y, y_pred, weight, training=False))

    def predict(self) -> np.ndarray:
        """Return the network's output for each row."""
        return self._output().numpy()

    def loss_and_prediction(self) -> tuple[float, np.ndarray]:
        """Return the loss over all rows, as training defines it, and the output for each row."""
        output = self._output()
        return float(self._loss(self.y, output, self.weight)), output.numpy()

    def _output(self) -> Any:
        outputs = [self._forward(tensors) for _, tensors in self.chunks]
        output = outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=0)
        return output if self.back is None else tf.gather(output, self.back)


def _sliced(x: Any, rows: int) -> Any:
    for start in range(0, rows, CHUNK):
        chosen = slice(start, min(start + CHUNK, rows))
        yield chosen, tf.nest.map_structure(lambda values: values[chosen], x)  # noqa: B023  used immediately


class _Traced:
    """A function that is compiled once per signature of its arguments.

    ``tf.function`` does the same, but identifies functions by their place in the source and therefore warns about
    "retracing" when one process trains several networks.
    """

    def __init__(self, function: Callable[..., Any], *, xla: bool = False, relaxed: bool = False) -> None:
        self._function = tf.function(function, jit_compile=xla, autograph=False)
        self._relaxed = relaxed
        self._traced: dict[str, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        forms = tf.nest.map_structure(self._form, arguments)
        form = str(forms)
        if form not in self._traced:
            self._traced[form] = self._function.get_concrete_function(*forms)
        return self._traced[form](*arguments)

    def _form(self, value: Any) -> Any:
        """Return the signature of an argument; if relaxed, it does not depend on the number of rows and steps."""
        if value is None:
            return None
        shape = value.shape
        if self._relaxed:
            shape = [None] * min(2, len(shape)) + list(shape[2:])
        return tf.TensorSpec(shape, value.dtype)


def can_compile(network: keras.Model) -> str | None:
    """Return the reason why a network's epochs cannot run in one compiled call, or None if they can."""
    plain = keras.Model
    for method in ("train_step", "fit", "make_train_function"):
        if getattr(type(network), method) is not getattr(plain, method):
            return f"the model overrides {method}"
    if network.run_eagerly:
        return "the model is compiled to run eagerly"
    strategy = getattr(network, "_distribute_strategy", None)
    if strategy is not None and not (
        isinstance(strategy, tf.distribute.MirroredStrategy) and strategy.num_replicas_in_sync > 1
    ):
        return "the model is distributed by another strategy than tf.distribute.MirroredStrategy on several devices"
    return None


@contextmanager
def disable_graph_optimization() -> Iterator[None]:
    """Disable TensorFlow's graph optimization temporarily.

    On a CPU, rewriting graphs delays the first epoch without making later ones faster; on a GPU it chooses the data
    layout that convolutions need. The setting applies to the whole process: if several threads train, the last one
    restores it.
    """
    global _as_written, _before
    name = "disable_meta_optimizer"
    with _setting:
        if not _as_written:
            _before = tf.config.optimizer.get_experimental_options().get(name, False)
            if not tf.config.list_physical_devices("GPU"):
                tf.config.optimizer.set_experimental_options({name: True})
        _as_written += 1
    try:
        yield
    finally:
        with _setting:
            _as_written -= 1
            if not _as_written:
                tf.config.optimizer.set_experimental_options({name: _before})


def benefits_from_xla(network: keras.Model, steps: int) -> bool:
    """Return whether XLA makes this number of training steps faster on this network.

    The decision depends only on the network and the number of steps, never on a measurement, so that the same job
    always runs the same code and ends with the same weights. XLA slows down convolutions on a CPU (35 times slower
    when measured) and makes recurrent layers three times as fast.
    """
    kinds = {type(layer).__name__ for layer in network._flatten_layers()}
    if any("Conv" in kind or "Pooling" in kind for kind in kinds) or not network.supports_jit:
        return False
    recurrent = bool(kinds & {"GRU", "LSTM", "SimpleRNN"})
    return steps >= (RECURRENT_LEAST_STEPS if recurrent else XLA_LEAST_STEPS)


def gather_rows(data: Any, rows: Any, widths: Mapping[str, int]) -> Any:
    """Return the selected rows of inputs, target and weight; sequences are padded and their lengths added.

    Args:
        data: Tensors of inputs, target and weight.
        rows: Row numbers.
        widths: Number of steps that each input of sequences is padded to.
    """
    x, y, weight = data
    if isinstance(x, Mapping):
        gathered: dict[str, Any] = {}
        sequences = [key for key, values in x.items() if isinstance(values, RaggedTensors)]
        for key, values in x.items():
            if isinstance(values, RaggedTensors):
                lengths = gathered[name_length_input(key, sequences)] = tf.gather(values.lengths, rows)
                gathered[key] = _padded(values, rows, widths[key], lengths)
            else:
                gathered[key] = tf.gather(values, rows)
        x = gathered
    else:
        x = tf.nest.map_structure(lambda values: tf.gather(values, rows), x)
    return x, *(None if values is None else tf.gather(values, rows) for values in (y, weight))


def _padded(ragged: RaggedTensors, rows: Any, width: int, lengths: Any) -> Any:
    steps = tf.range(width, dtype=tf.int32)
    places = tf.minimum(tf.gather(ragged.starts, rows)[:, None] + steps, tf.shape(ragged.values)[0] - 1)
    chosen = tf.gather(ragged.values, places)
    real = steps < lengths[:, None]
    return tf.where(tf.reshape(real, [*real.shape, *[1] * (len(chosen.shape) - 2)]), chosen, tf.zeros((), chosen.dtype))


def _tensors(values: Any) -> Any:
    if values is None:
        return None
    if isinstance(values, Ragged):
        return RaggedTensors(
            _tensor(values.values),
            tf.constant(values.starts.astype(np.int32)),
            tf.constant(values.lengths.astype(np.int32)),
        )
    if isinstance(values, Mapping):
        return {key: _tensors(value) for key, value in values.items()}
    return tf.nest.map_structure(_tensor, values)


def _tensor(values: Any) -> Any:
    """Return a tensor of an array; a memory-mapped array is not copied, so processes share its memory."""
    aligned = isinstance(values, np.memmap) and values.flags.writeable and values.ctypes.data % ALIGNED_BYTES == 0
    if not aligned or values.dtype.kind not in "fiu" or tf.config.list_logical_devices("GPU"):
        return tf.convert_to_tensor(values)
    return tf.experimental.dlpack.from_dlpack(values.__dlpack__())
