"""Preprocessed arrays, which networks are trained on."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import pandas as pd

from zoo.data.dataset import Split
from zoo.data.memory import release_pages
from zoo.data.ragged import Ragged
from zoo.portable.preprocessing import is_length, name_length_input
from zoo.training.category_lookup import split_at_lookups
from zoo.training.custom_gradients import release_custom_gradients

if TYPE_CHECKING:
    import keras

CHUNK, PREPARED_CHUNK = 8192, 32_768  # rows per call of a network, and of its smaller preprocessing
# Maximum number of values in a call's largest input; more would take memory without being faster.
CHUNK_VALUES = 1 << 25
# Maximum number of values in a layer's flat output in one call, such as scores of all words or items.
WIDE_VALUES = 1 << 23
# Minimum number of values per time step or character inside a network: an embedding, the states of its layers.
STEP_VALUES = 128
_NAMELESS = "_"  # file name of a single unnamed tensor
_SIZES = ".sizes"
_compiled: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


@dataclass(frozen=True)
class Arrays:
    """Preprocessed inputs, encoded target and weight of N rows.

    Args:
        x: Inputs by name, or one array for a network with a single unnamed input; each (N, …). A ragged input provides
            both the padded sequences and the input ``length``.
        y: Encoded target (N, …), or None.
        weight: Example weights (N,), or None for equal weights.
    """

    x: Any
    y: np.ndarray | None
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        first = next(iter(self.x.values())) if isinstance(self.x, Mapping) else self.x
        return len(first)

    @property
    def ragged(self) -> Mapping[str, Ragged]:
        """The inputs whose examples differ in length, by name, the one with the most values first."""
        ragged = {name: v for name, v in self.x.items() if isinstance(v, Ragged)} if isinstance(self.x, Mapping) else {}
        return dict(sorted(ragged.items(), key=lambda item: -item[1].values.size))

    def padded(self) -> Any:
        """Return the inputs as plain arrays, with sequences padded to the longest."""
        return prepare_inputs(self.x) if isinstance(self.x, Mapping) else self.x


def prepare_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs in the form a Keras model takes: ragged ones padded and, for sequences, with their lengths."""
    tensors: dict[str, Any] = {}
    sequences = [key for key, values in inputs.items() if isinstance(values, Ragged) and values.sizes.shape[1] == 1]
    for key, values in inputs.items():
        tensors[key] = values.padded() if isinstance(values, Ragged) else values
        if key in sequences:
            tensors[name_length_input(key, sequences)] = values.lengths.astype(np.int32)
    return tensors


def iterate_batches(inputs: Mapping[str, Any], most: int = CHUNK) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield row numbers and input tensors in batches that fit one call of a model.

    Sequences are sorted by length to reduce padding, and images by size because a batch has a single image size.

    Args:
        inputs: Raw or preprocessed values by key, N rows each.
        most: Maximum number of rows per call.
    """
    rows = len(next(iter(inputs.values())))
    for chosen in _groups(*_sizes(inputs), rows, most):
        split = {key: values[chosen] for key, values in inputs.items()}
        yield chosen, {key: convert_to_tensor(values) for key, values in prepare_inputs(split).items()}


def _sizes(inputs: Mapping[str, Any]) -> tuple[np.ndarray | None, int]:
    """Return the sizes (N, A) of ragged inputs or texts, or None, and the approximate values per position."""
    ragged = [values for values in inputs.values() if isinstance(values, Ragged)]
    if ragged:  # images first: those of a batch must have one size
        values = max(ragged, key=lambda values: (values.sizes.shape[1], values.values.size))
        wide = max(1, int(np.prod(values.values.shape[1:])))
        return values.sizes, max(wide, STEP_VALUES) if values.sizes.shape[1] == 1 else wide
    only = next(iter(inputs.values()))
    if len(inputs) == 1 and only.dtype.kind in "OU":  # texts
        return np.array([[len(str(text))] for text in only], np.int64).reshape(len(only), 1), STEP_VALUES
    return None, 1


def _groups(sizes: np.ndarray | None, item: int, rows: int, chunk: int) -> Iterator[Any]:
    if sizes is None or (rows and (sizes == sizes[0]).all()):
        width = 1 if sizes is None else int(sizes[0].prod()) * item
        most = max(1, min(chunk, CHUNK_VALUES // max(width, 1)))
        yield from (slice(start, min(start + most, rows)) for start in range(0, rows, most))
        return
    order = np.lexsort(sizes.T)
    ordered = sizes[order].astype(np.int64)
    # A batch has images of one size only; sequences are padded.
    changed = (ordered[1:] != ordered[:-1]).any(axis=1) if sizes.shape[1] > 1 else np.zeros(max(rows - 1, 0), bool)
    fresh = np.append(True, changed)
    lengths = ordered.prod(axis=1) * item
    start = 0
    for row in range(1, rows + 1):
        full = row < rows and (fresh[row] or (row + 1 - start) * lengths[row] > CHUNK_VALUES or row - start >= chunk)
        if row == rows or full:
            yield order[start:row]
            start = row


@release_custom_gradients()
def forward(model: keras.Model, inputs: Mapping[str, Any]) -> Any:
    """Return a model's output for N rows of raw or preprocessed inputs, in the order of the rows.

    The output is one array (N, …), or for a model with several outputs one array by name.

    Args:
        model: Keras model with named inputs, or any object with a method ``outputs_of`` from inputs to output. Inputs
            that a Keras model does not have are ignored.
        inputs: Values by key, which may be ragged.
    """
    if hasattr(model, "outputs_of"):
        return model.outputs_of(inputs)
    names = {tensor.name for tensor in model.inputs}
    inputs = {key: values for key, values in inputs.items() if key in names}
    rows = len(next(iter(inputs.values())))
    several = isinstance(model.output, Mapping)
    shapes = model.output if several else {_NAMELESS: model.output}
    outputs = {name: np.empty((rows, *(extent or 0 for extent in tensor.shape[1:]))) for name, tensor in shapes.items()}
    most = limit_rows(model)
    call = compile_model(model) if rows > most or _has_loops(model) else model
    for start, (chosen, tensors) in enumerate(iterate_batches(inputs, most) if rows else ()):
        output = call(tensors, training=False)
        for name, values in (output if several else {_NAMELESS: output}).items():
            values = np.asarray(values)
            if start == 0:
                outputs[name] = np.empty((rows, *values.shape[1:]), values.dtype)
            outputs[name][chosen] = values
    return outputs if several else outputs[_NAMELESS]


def limit_rows(model: keras.Model) -> int:
    """Return the maximum number of rows of one call, so that no flat output of a layer takes much memory.

    Args:
        model: Keras model; the layers inside its layers count too.
    """
    return max(1, min(CHUNK, WIDE_VALUES // _find_width(model)))


def _find_width(model: Any) -> int:
    """Return the width of the widest output (B, F) inside a model, at least 1."""
    import keras

    widest = 1
    for operation in getattr(model, "operations", ()):
        if isinstance(operation, keras.Model):
            widest = max(widest, _find_width(operation))
        shapes = [tensor.shape for tensor in keras.tree.flatten(operation.output)]
        widest = max([widest, *(shape[1] or 1 for shape in shapes if len(shape) == 2)])
    return widest


def compile_model(model: keras.Model) -> Any:
    """Return the model as a compiled function, which is cached: a loop over time steps is slow in eager mode."""
    import tensorflow as tf

    if model not in _compiled:
        _compiled[model] = tf.function(_calling(ref(model)), reduce_retracing=True)
    return _compiled[model]


def _calling(model: Any) -> Any:
    """Return a function that calls a model by weak reference, so that the cache does not keep the model alive."""

    def call(inputs: Any, training: bool = False) -> Any:
        return model()(inputs, training=training)

    return call


def _has_loops(model: keras.Model) -> bool:
    return any(is_length(tensor.name) for tensor in model.inputs) or any(
        type(layer).__name__ in ("GRU", "LSTM", "SimpleRNN", "EncodeText", "HashNgrams")
        for layer in model._flatten_layers()
    )


def preprocess(preprocessing: keras.Model, split: Split, *, again: bool = False) -> Arrays:
    """Return the preprocessed arrays of a split.

    Args:
        preprocessing: Keras model from raw to preprocessed inputs.
        split: N raw rows.
        again: Whether many more splits will be preprocessed, so that compiling the model pays off.
    """
    import tensorflow as tf

    if again:
        call, inputs = compile_model(preprocessing), dict(split.inputs)
    else:
        left, inputs = split_at_lookups(preprocessing, split.inputs)
        call = tf.function(left, reduce_retracing=True)
    x: dict[str, Any] = {}
    sequences = _variable_outputs(preprocessing)
    ragged: list[tuple[np.ndarray, dict[str, Any]]] = []
    everything = np.arange(len(split))
    for chosen, tensors in iterate_batches(inputs, PREPARED_CHUNK):
        outputs = call(tensors)
        chunk = {
            name: np.asarray(value) for name, value in (outputs if _named(outputs) else {_NAMELESS: outputs}).items()
        }
        if sequences:
            lengths = {name_length_input(name, sequences) for name in sequences}
            ragged.append((everything[chosen], {name: chunk.pop(name) for name in (*sequences, *lengths)}))
        for name, values in chunk.items():
            if name not in x:
                x[name] = np.empty((len(split), *values.shape[1:]), values.dtype)
            x[name][chosen] = values
    if ragged:
        back = np.argsort(np.concatenate([rows for rows, _ in ragged]))
        chunks = [chunk for _, chunk in ragged]
        x |= {name: _joined(name, name_length_input(name, sequences), chunks)[back] for name in sequences}
    return Arrays(x.get(_NAMELESS, x), _trainable(split.target), _loss_weight(split))


def _variable_outputs(model: keras.Model) -> list[str]:
    """Return the names of a model's outputs that are sequences of different lengths."""
    outputs = model.output if _named(model.output) else {}
    return [name for name, tensor in outputs.items() if 1 < len(tensor.shape) < 4 and tensor.shape[1] is None]


def _joined(name: str, length: str, chunks: list[dict[str, Any]]) -> Ragged:
    """Return the preprocessed sequences of all chunks as one ragged array, in the order of the chunks."""
    lengths = np.concatenate([chunk[length] for chunk in chunks]).astype(np.int32)
    real = [np.arange(chunk[name].shape[1]) < chunk[length][:, None] for chunk in chunks]
    flat = np.concatenate([chunk[name][mask] for chunk, mask in zip(chunks, real, strict=True)])
    return Ragged(flat, lengths[:, None])


def load_or_preprocess(preprocessing: keras.Model, digest: str, name: str, split: Split, cache: Path | None) -> Arrays:
    """Return the preprocessed arrays of a split, from a cache folder that processes share.

    The first process that needs the arrays writes them; the others memory-map them without a copy.

    Args:
        preprocessing: Keras model from raw to preprocessed inputs.
        digest: Digest of everything besides the split that determines the arrays.
        name: Name of the split.
        split: The raw rows.
        cache: Cache folder of this dataset; None keeps the arrays in memory only.
    """
    if cache is None:
        return preprocess(preprocessing, split)
    folder = cache / f"{name}-{digest}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # wait for another process that is writing the arrays
            if not folder.is_dir():
                _write_arrays(preprocess(preprocessing, split), folder)
                for values in split.inputs.values():
                    release_pages(values.values if isinstance(values, Ragged) else values)
    # Copy-on-write arrays count as writable, so TensorFlow uses their memory without a copy.
    x: dict[str, Any] = {file.stem: np.load(file, mmap_mode="c") for file in sorted(folder.glob("*.npy"))}
    for key in [key for key in x if key.endswith(_SIZES)]:
        sizes = np.asarray(x.pop(key))
        x[key.removesuffix(_SIZES)] = Ragged(x[key.removesuffix(_SIZES)], sizes)
    return Arrays(x.get(_NAMELESS, x), _trainable(split.target), _loss_weight(split))


def _write_arrays(arrays: Arrays, folder: Path) -> None:
    writing = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(writing, ignore_errors=True)  # left by a killed process with the same id
    writing.mkdir()
    for key, value in (arrays.x if _named(arrays.x) else {_NAMELESS: arrays.x}).items():
        np.save(writing / f"{key}.npy", value.values if isinstance(value, Ragged) else value)
        if isinstance(value, Ragged):
            np.save(writing / f"{key}{_SIZES}.npy", value.sizes)
    writing.rename(folder)


def keep_raw_arrays(split: Split, names: Collection[str]) -> Arrays:
    """Return the arrays of a split unchanged, for a network that takes raw columns."""
    x = {key: _raw(values) for key, values in split.inputs.items() if key in names}
    return Arrays(x, _trainable(split.target), _loss_weight(split))


def _raw(values: Any) -> Any:
    if isinstance(values, Ragged):
        return values if values.sizes.shape[1] == 1 else values.padded()
    return convert_to_tensor(values).numpy()


def convert_to_tensor(values: Any) -> Any:
    """Return values as a tensor; text, which NumPy stores as objects, becomes a string tensor."""
    import tensorflow as tf

    return tf.constant(np.asarray(values) if isinstance(values, pd.Categorical) else values)


def _named(values: Any) -> bool:
    return isinstance(values, Mapping)


def _trainable(target: np.ndarray | None) -> np.ndarray | None:
    """Return targets in the 32-bit types that Keras losses use."""
    if target is None:
        return None
    return np.asarray(target, np.int32) if target.dtype.kind in "iu" else np.asarray(target, np.float32)


def _loss_weight(split: Split) -> np.ndarray | None:
    """Return the rows' loss weights, scaled to mean 1 so that the learning rate does not depend on their scale."""
    weight = split.fit_weight if split.fit_weight is not None else split.weight
    if weight is None:
        return None
    mean = float(np.mean(weight))
    return np.asarray(weight / mean if mean > 0 else weight, np.float32)
