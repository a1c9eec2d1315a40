"""How far gradients reach: back through the layers of a network, and through the time steps of recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.data.ragged import Ragged
from zoo.inspection.probe_rows import choose_rows
from zoo.training.preprocessed_arrays import Arrays, convert_to_tensor

PROBE_ROWS, MOST_STEPS = 16, 200  # more would take seconds, since states are recorded outside of compiled functions


def shorten_arrays(arrays: Arrays, *, rows: int = PROBE_ROWS, steps: int = MOST_STEPS) -> Arrays:
    """Return a random sample of the rows, the same on every call, and of each sequence the last steps.

    Args:
        arrays: Preprocessed rows.
        rows: Maximum number of rows.
        steps: Maximum number of steps.
    """
    chosen = choose_rows(len(arrays), rows)

    def cut(values: Any) -> Any:
        few = values[chosen]
        if not isinstance(few, Ragged) or few.sizes.shape[1] > 1 or few.lengths.max(initial=0) <= steps:
            return few
        return Ragged.of([few.example(index)[-steps:] for index in range(len(few))], axes=1)

    x = {name: cut(values) for name, values in arrays.x.items()} if isinstance(arrays.x, Mapping) else cut(arrays.x)
    return Arrays(x, None if arrays.y is None else arrays.y[chosen])


def find_hidden_outputs(network: keras.Model) -> dict[keras.layers.Layer, Any]:
    """Return the output of each layer between the network's inputs and outputs, from input to output.

    ``layer.output`` is not always inside the network: a layer may be shared with others, or be a network itself. Layers
    with several outputs, or of other values than floating-point numbers, are left out.

    Args:
        network: A functional Keras model; one of another kind has no such outputs.
    """
    by_depth = getattr(network, "_nodes_by_depth", {})
    ends = {id(tensor) for tensor in keras.tree.flatten(network.outputs)} if by_depth else set()
    outputs: dict[keras.layers.Layer, Any] = {}
    for node in (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]):
        is_input = isinstance(node.operation, keras.layers.InputLayer)
        if isinstance(node.operation, keras.layers.Layer) and not is_input and len(node.outputs) == 1:
            (output,) = node.outputs
            if id(output) not in ends and "float" in str(output.dtype) and len(output.shape) > 1:
                outputs.setdefault(node.operation, output)
    return outputs


def create_hidden_part(network: keras.Model, outputs: Sequence[Any]) -> Callable[[Any], list[Any]]:
    """Return a function from what a network takes to outputs inside it.

    Args:
        network: A functional Keras model.
        outputs: Keras tensors of the network, such as :func:`find_hidden_outputs` returns.
    """
    part = keras.Model(network.inputs, list(outputs))  # by order, since inputs may have other names than their keys

    def call(x: Any) -> list[Any]:
        given = x
        if isinstance(network.input, Mapping):
            given = {name: x[name] for name in network.input}
        elif isinstance(x, Mapping):
            given = [x[tensor.name] for tensor in network.inputs]
        values = part(keras.tree.flatten(given), training=False)
        return list(values) if isinstance(values, (list, tuple)) else [values]

    return call


def has_recurrent_layers(network: keras.Model) -> bool:
    """Return whether a network has recurrent layers, so that :func:`measure_over_time` has something to measure."""
    return bool(_find_directions(network))


def measure_over_time(network: keras.Model, arrays: Arrays) -> dict[str, np.ndarray]:
    """Return the norm of the gradient with respect to the states of recurrent layers, by distance from the last step.

    The gradient is that of each row's loss, and its norm is averaged over rows: over D steps it grows or shrinks with
    the product of D Jacobians (Bengio, Simard and Frasconi 1994, "Learning long-term dependencies with gradient descent
    is difficult"). The state of an LSTM is its output and its cell. Layers that are called more than once, such as
    shared ones, are left out, for their steps do not follow each other; and those that read more than ``MOST_STEPS``.

    Args:
        network: Compiled network.
        arrays: A few preprocessed rows, with targets.

    Returns:
        For each layer, and each direction of a bidirectional one, the norms (D,): the first is that of the state after
        the last step that is read. NaN where the loss does not depend on the layer.
    """
    directions = _find_directions(network)
    with _record_states(directions) as recorded:
        loss, tape, _ = _compute_loss(network, arrays)
        states = {name: steps for name, (steps, calls) in recorded.items() if steps and calls == [len(steps)]}
        flat = [state for steps in states.values() for step in steps for state in step]
        gradients = iter(tape.gradient(loss, flat))
    norms = {}
    for name, steps in states.items():
        parts = [[next(gradients) for _ in step] for step in steps]
        by_step = np.stack([_norm_of_rows(step, len(arrays)) for step in parts], axis=1)  # (N, T)
        lengths, backward = _find_lengths(arrays, *by_step.shape), directions[name].go_backwards
        norms[name] = _mean_by_distance(by_step, lengths, backward=backward)
    return norms


def measure_over_depth(network: keras.Model, arrays: Arrays) -> dict[str, float]:
    """Return the norm of the gradient with respect to the output of each hidden layer with weights, first layer first.

    The gradient is that of each row's loss, and its norm is averaged over rows.

    Args:
        network: Compiled network.
        arrays: A few preprocessed rows, with targets.
    """
    outputs = {layer: output for layer, output in find_hidden_outputs(network).items() if layer.trainable_weights}
    if not outputs:
        return {}
    with_hidden = create_hidden_part(network, [*outputs.values(), network.output])

    def compute_gradients() -> list[Any]:
        loss, tape, hidden = _compute_loss(network, arrays, with_hidden)
        return list(tape.gradient(loss, hidden))

    gradients = tf.function(compute_gradients, autograph=False)()  # compiled, for time steps are slow in eager mode
    return {
        layer.name: float(_norm_of_rows([gradient], len(arrays)).mean())
        for layer, gradient in zip(outputs, gradients, strict=True)
        if gradient is not None
    }


def _compute_loss(
    network: keras.Model, arrays: Arrays, with_hidden: Callable[[Any], list[Any]] | None = None
) -> tuple[Any, tf.GradientTape, list[Any]]:
    """Return the summed loss of rows, its tape, and hidden outputs: those of ``with_hidden`` but for the last."""
    padded = arrays.padded()
    x = {name: convert_to_tensor(values) for name, values in padded.items()} if isinstance(padded, dict) else padded
    with tf.GradientTape() as tape:
        *hidden, output = with_hidden(x) if with_hidden is not None else [network(x, training=False)]
        y = convert_to_tensor(arrays.y)
        loss = len(arrays) * network.compute_loss(x=x, y=y, y_pred=output, training=False)
    return loss, tape, hidden


def _find_directions(network: keras.Model) -> dict[str, Any]:
    """Return the recurrent layers at any depth, by name; a bidirectional layer has two, one for each direction."""
    directions: dict[str, Any] = {}
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.Bidirectional):
            directions |= {f"{layer.name} forward": layer.forward_layer, f"{layer.name} backward": layer.backward_layer}
    inner = {id(layer) for layer in directions.values()}
    single = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.RNN)]
    directions |= {layer.name: layer for layer in single if id(layer) not in inner}
    return directions


@contextmanager
def _record_states(layers: Mapping[str, Any]) -> Iterator[dict[str, tuple[list[list[Any]], list[int]]]]:
    """Record the states after each step that recurrent layers read, and the number of steps of each of their calls.

    A layer is unrolled in its first call, unless that has too many steps; of other calls there are no states.
    """
    recorded: dict[str, tuple[list[list[Any]], list[int]]] = {name: ([], []) for name in layers}
    before = {name: layer.unroll for name, layer in layers.items()}

    def recording(name: str, layer: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        loop, call = layer.inner_loop, layer.cell.call
        states, calls = recorded[name]

        def loop_unrolled(sequences: Any, *arguments: Any, **options: Any) -> Any:
            calls.append(sequences.shape[1])
            layer.unroll = len(calls) == 1 and calls[0] <= MOST_STEPS
            return loop(sequences, *arguments, **options)

        def call_and_record(*arguments: Any, **options: Any) -> Any:
            output, after = call(*arguments, **options)
            if layer.unroll:
                states.append(list(keras.tree.flatten(after)))
            return output, after

        return loop_unrolled, call_and_record

    try:
        for name, layer in layers.items():
            layer.inner_loop, layer.cell.call = recording(name, layer)
        yield recorded
    finally:
        for name, layer in layers.items():
            layer.unroll = before[name]
            del layer.inner_loop, layer.cell.call  # the class has them


def _norm_of_rows(gradients: list[Any], rows: int) -> np.ndarray:
    """Return the norm over all gradients of each row (N,); NaN where there is none."""
    parts = [np.asarray(gradient, np.float64).reshape(rows, -1) for gradient in gradients if gradient is not None]
    return np.linalg.norm(np.concatenate(parts, axis=1), axis=1) if parts else np.full(rows, np.nan)


def _find_lengths(arrays: Arrays, rows: int, steps: int) -> np.ndarray:
    """Return the lengths (N,) of the sequences that are padded to this number of steps; if there are none, that."""
    padded = (values.lengths for values in arrays.ragged.values() if values.lengths.max() == steps)
    return next(padded, np.full(rows, steps))


def _mean_by_distance(norms: np.ndarray, lengths: np.ndarray, *, backward: bool) -> np.ndarray:
    """Return the mean over rows of norms (N, T), in the order of reading, by distance from the last step of each row.

    A layer that reads backward reads the padding first, so that the last step of all rows is the same.
    """
    steps = norms.shape[1]
    last = np.full(len(norms), steps) if backward else lengths
    distances = last[:, None] - 1 - np.arange(steps)
    real = (distances >= 0) & (distances < lengths[:, None]) & ~np.isnan(norms)
    counts = np.bincount(distances[real], minlength=steps)
    sums = np.bincount(distances[real], norms[real], minlength=steps)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / np.where(counts, counts, np.nan))
