"""Prepared arrays: what a network is trained on."""

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
from zoo.data.memory import let_go
from zoo.data.ragged import LENGTH, Ragged
from zoo.training.level_lookup import by_level

if TYPE_CHECKING:
    import keras

CHUNK, PREPARED_CHUNK = 8192, 32_768  # rows of a call of a network, and of its preparation, which is small
# Values of a call's largest input: more would take memory, and be no faster.
CHUNK_VALUES = 1 << 25
# What a step of a sequence, or a letter, becomes at least inside a network: an embedding, the states of its layers.
STEP_VALUES = 128
_NAMELESS = "_"  # file of the tensor of a preparation that makes a single one
_SIZES = ".sizes"
_compiled: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


@dataclass(frozen=True)
class Arrays:
    """Prepared inputs, encoded target and weight of N rows.

    Args:
        x: Inputs by name, or one array for a network with one nameless input; each (N, …). One that is ragged
            stands for itself, padded, and for the input ``length``.
        y: Encoded target (N, …), or None.
        weight: Example weights (N,), or None for equal ones.
    """

    x: Any
    y: np.ndarray | None
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        first = next(iter(self.x.values())) if isinstance(self.x, Mapping) else self.x
        return len(first)

    @property
    def ragged(self) -> Ragged | None:
        """The input whose examples differ in length; None when there is none."""
        values = self.x.values() if isinstance(self.x, Mapping) else ()
        return next((value for value in values if isinstance(value, Ragged)), None)

    def padded(self) -> Any:
        """Return the inputs as plain arrays, sequences padded to the longest."""
        return model_inputs(self.x) if isinstance(self.x, Mapping) else self.x


def model_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs as a Keras model takes them: ragged ones padded, with their lengths where they are sequences."""
    tensors: dict[str, Any] = {}
    for key, values in inputs.items():
        tensors[key] = values.padded() if isinstance(values, Ragged) else values
        if isinstance(values, Ragged) and values.sizes.shape[1] == 1:
            tensors[LENGTH] = values.lengths.astype(np.int32)
    return tensors


def batches(inputs: Mapping[str, Any], most: int = CHUNK) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield row numbers and the tensors of as many rows as one call of a model takes.

    Sequences come sorted by length, so that little is padded; images by their size, for a batch has one.

    Args:
        inputs: Raw or prepared values by key, N rows each.
        most: Most rows of a call.
    """
    rows = len(next(iter(inputs.values())))
    for chosen in _groups(*_sizes(inputs), rows, most):
        split = {key: values[chosen] for key, values in inputs.items()}
        yield chosen, {key: as_tensor(values) for key, values in model_inputs(split).items()}


def _sizes(inputs: Mapping[str, Any]) -> tuple[np.ndarray | None, int]:
    """Sizes (N, A) of examples that differ in them, or None, and about how many numbers a place of them becomes."""
    for values in inputs.values():
        if isinstance(values, Ragged):
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
    # Images of another size begin another batch; sequences are padded.
    changed = (ordered[1:] != ordered[:-1]).any(axis=1) if sizes.shape[1] > 1 else np.zeros(max(rows - 1, 0), bool)
    fresh = np.append(True, changed)
    lengths = ordered.prod(axis=1) * item
    start = 0
    for row in range(1, rows + 1):
        full = row < rows and (fresh[row] or (row + 1 - start) * lengths[row] > CHUNK_VALUES or row - start >= chunk)
        if row == rows or full:
            yield order[start:row]
            start = row


def forward(model: keras.Model, inputs: Mapping[str, Any]) -> Any:
    """Return a model's output for N rows of raw or prepared inputs, in the order of the rows.

    One array (N, …), or for a model with several outputs one by each name.

    Args:
        model: Keras model with inputs by name; those that it does not have are left out. Or what is no Keras model and
            has ``outputs_of``, from inputs to output.
        inputs: Values by key, ragged ones among them.
    """
    if hasattr(model, "outputs_of"):
        return model.outputs_of(inputs)
    names = {tensor.name for tensor in model.inputs}
    inputs = {key: values for key, values in inputs.items() if key in names}
    rows = len(next(iter(inputs.values())))
    several = isinstance(model.output, Mapping)
    shapes = model.output if several else {_NAMELESS: model.output}
    outputs = {name: np.empty((rows, *(extent or 0 for extent in tensor.shape[1:]))) for name, tensor in shapes.items()}
    call = compiled(model) if rows > CHUNK or _has_loops(model) else model
    for start, (chosen, tensors) in enumerate(batches(inputs) if rows else ()):
        output = call(tensors, training=False)
        for name, values in (output if several else {_NAMELESS: output}).items():
            values = np.asarray(values)
            if start == 0:
                outputs[name] = np.empty((rows, *values.shape[1:]), values.dtype)
            outputs[name][chosen] = values
    return outputs if several else outputs[_NAMELESS]


def compiled(model: keras.Model) -> Any:
    """Return the model as one compiled function, made once: a loop over steps is slow outside of one."""
    import tensorflow as tf

    if model not in _compiled:
        _compiled[model] = tf.function(_calling(ref(model)), reduce_retracing=True)
    return _compiled[model]


def _calling(model: Any) -> Any:
    """Return a function that calls a model by its weak reference: a cache that held its key would keep it for ever."""

    def call(inputs: Any, training: bool = False) -> Any:
        return model()(inputs, training=training)

    return call


def _has_loops(model: keras.Model) -> bool:
    return any(tensor.name == LENGTH for tensor in model.inputs) or any(
        type(layer).__name__ in ("GRU", "LSTM", "SimpleRNN", "EncodeText") for layer in model._flatten_layers()
    )


def preprocess(preprocessing: keras.Model, split: Split, *, again: bool = False) -> Arrays:
    """Return the prepared arrays of a split.

    Args:
        preparation: The Keras model from raw to prepared.
        part: N raw rows.
        again: Whether it will prepare many more parts, and its compiled function is worth keeping.
    """
    import tensorflow as tf

    if again:
        call, inputs = compiled(preprocessing), dict(split.inputs)
    else:
        left, inputs = by_level(preprocessing, split.inputs)
        call = tf.function(left, reduce_retracing=True)
    x: dict[str, Any] = {}
    ragged: list[tuple[np.ndarray, dict[str, Any]]] = []
    everything = np.arange(len(split))
    for chosen, tensors in batches(inputs, PREPARED_CHUNK):
        outputs = call(tensors)
        chunk = {
            name: np.asarray(value) for name, value in (outputs if _named(outputs) else {_NAMELESS: outputs}).items()
        }
        if LENGTH in chunk:
            ragged.append((everything[chosen], chunk))
            continue
        for name, values in chunk.items():
            if name not in x:
                x[name] = np.empty((len(split), *values.shape[1:]), values.dtype)
            x[name][chosen] = values
    if ragged:
        back = np.argsort(np.concatenate([rows for rows, _ in ragged]))
        x = {name: values[back] for name, values in _joined([chunk for _, chunk in ragged]).items()}
    return Arrays(x.get(_NAMELESS, x), _trainable(split.target), _loss_weight(split))


def _joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Prepared sequences of all chunks, ragged, in the order of the chunks."""
    lengths = np.concatenate([chunk[LENGTH] for chunk in chunks]).astype(np.int32)
    x: dict[str, Any] = {}
    for name in chunks[0]:
        if name != LENGTH:
            real = [np.arange(chunk[name].shape[1]) < chunk[LENGTH][:, None] for chunk in chunks]
            flat = np.concatenate([chunk[name][mask] for chunk, mask in zip(chunks, real, strict=True)])
            x[name] = Ragged(flat, lengths[:, None])
    return x


def preprocessed(preprocessing: keras.Model, digest: str, name: str, split: Split, cache: Path | None) -> Arrays:
    """Return the prepared arrays of a split, from a folder where another process may have put them.

    Whoever needs them first writes them; the arrays are mapped, not copied.

    Args:
        preparation: The Keras model from raw to prepared.
        digest: What decides the arrays' contents beside the split itself.
        name: Name of the split.
        part: The raw rows.
        cache: Folder that belongs to this dataset; None keeps the arrays in memory only.
    """
    if cache is None:
        return preprocess(preprocessing, split)
    folder = cache / f"{name}-{digest}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # what another worker is about to write is waited for
            if not folder.is_dir():
                _write_arrays(preprocess(preprocessing, split), folder)
                for values in split.inputs.values():
                    let_go(values.values if isinstance(values, Ragged) else values)
    # Whoever wrote to them would write to a copy: so TensorFlow takes them as its own, without one.
    x: dict[str, Any] = {file.stem: np.load(file, mmap_mode="c") for file in sorted(folder.glob("*.npy"))}
    for key in [key for key in x if key.endswith(_SIZES)]:
        sizes = np.asarray(x.pop(key))
        x[key.removesuffix(_SIZES)] = Ragged(x[key.removesuffix(_SIZES)], sizes)
    return Arrays(x.get(_NAMELESS, x), _trainable(split.target), _loss_weight(split))


def _write_arrays(arrays: Arrays, folder: Path) -> None:
    writing = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(writing, ignore_errors=True)  # of a process of this number that was killed
    writing.mkdir()
    for key, value in (arrays.x if _named(arrays.x) else {_NAMELESS: arrays.x}).items():
        np.save(writing / f"{key}.npy", value.values if isinstance(value, Ragged) else value)
        if isinstance(value, Ragged):
            np.save(writing / f"{key}{_SIZES}.npy", value.sizes)
    writing.rename(folder)


def raw_arrays(split: Split, names: Collection[str]) -> Arrays:
    """Return the arrays of a split as they are, for a network that takes some of the columns raw."""
    x = {key: _raw(values) for key, values in split.inputs.items() if key in names}
    return Arrays(x, _trainable(split.target), _loss_weight(split))


def _raw(values: Any) -> Any:
    if isinstance(values, Ragged):
        return values if values.sizes.shape[1] == 1 else values.padded()
    return as_tensor(values).numpy()


def as_tensor(values: Any) -> Any:
    """Return values as a tensor; text, which NumPy holds as objects, becomes a tensor of strings."""
    import tensorflow as tf

    return tf.constant(np.asarray(values) if isinstance(values, pd.Categorical) else values)


def _named(values: Any) -> bool:
    return isinstance(values, Mapping)


def _trainable(target: np.ndarray | None) -> np.ndarray | None:
    """Targets in the types that Keras' losses compute in: 32-bit."""
    if target is None:
        return None
    return np.asarray(target, np.int32) if target.dtype.kind in "iu" else np.asarray(target, np.float32)


def _loss_weight(split: Split) -> np.ndarray | None:
    """Weights of the rows in the loss, 1 on average, so that a learning rate means the same whatever their unit."""
    weight = split.fit_weight if split.fit_weight is not None else split.weight
    if weight is None:
        return None
    mean = float(np.mean(weight))
    return np.asarray(weight / mean if mean > 0 else weight, np.float32)
