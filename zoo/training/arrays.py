"""Prepared arrays: what a network is trained on."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.dataset import Part

if TYPE_CHECKING:
    import keras

CHUNK = 8192
_NAMELESS = "_"  # file of the tensor of a preparation that makes a single one


@dataclass(frozen=True)
class Arrays:
    """Prepared inputs, encoded target and weight of N rows.

    Args:
        x: Inputs by name, or one array for a network with one nameless input; each (N, …).
        y: Encoded target (N, …), or None.
        weight: Example weights (N,), or None for equal ones.
    """

    x: Any
    y: np.ndarray | None
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        first = next(iter(self.x.values())) if isinstance(self.x, Mapping) else self.x
        return len(first)


def prepare(preparation: keras.Model, part: Part) -> Arrays:
    """Return the prepared arrays of a part.

    Args:
        preparation: The Keras model from raw to prepared.
        part: N raw rows.
    """
    import tensorflow as tf

    forward = tf.function(preparation, reduce_retracing=True)
    chunks: list[dict[str, np.ndarray]] = []
    for start in range(0, len(part), CHUNK):
        raw = {key: as_tensor(values[start : start + CHUNK]) for key, values in part.inputs.items()}
        made = forward(raw)
        chunks.append({name: value.numpy() for name, value in (made if _named(made) else {_NAMELESS: made}).items()})
    x = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    return Arrays(x.get(_NAMELESS, x), _trainable(part.target), _float(part.weight))


def prepared(preparation: keras.Model, digest: str, name: str, part: Part, cache: Path | None) -> Arrays:
    """Return the prepared arrays of a part, from a folder where another process may have put them.

    Whoever needs them first writes them; the arrays are mapped, not copied.

    Args:
        preparation: The Keras model from raw to prepared.
        digest: What decides the arrays' contents beside the part itself.
        name: Name of the part.
        part: The raw rows.
        cache: Folder that belongs to this dataset; None keeps the arrays in memory only.
    """
    if cache is None:
        return prepare(preparation, part)
    folder = cache / f"{name}-{digest}"
    if not folder.is_dir():
        arrays = prepare(preparation, part)
        writing = folder.with_name(f".{folder.name}-{os.getpid()}")
        writing.mkdir(parents=True)
        for key, value in (arrays.x if _named(arrays.x) else {_NAMELESS: arrays.x}).items():
            np.save(writing / f"{key}.npy", value)
        try:
            writing.rename(folder)
        except OSError:  # another worker was first, with the same contents
            for file in writing.iterdir():
                file.unlink()
            writing.rmdir()
    x = {file.stem: np.load(file, mmap_mode="r") for file in sorted(folder.glob("*.npy"))}
    return Arrays(x.get(_NAMELESS, x), _trainable(part.target), _float(part.weight))


def raw_arrays(part: Part, names: Collection[str]) -> Arrays:
    """Return the arrays of a part as they are, for a network that takes some of the columns raw."""
    x = {key: as_tensor(values).numpy() for key, values in part.inputs.items() if key in names}
    return Arrays(x, _trainable(part.target), _float(part.weight))


def as_tensor(values: np.ndarray) -> Any:
    """Return values as a tensor; text, which NumPy holds as objects, becomes a tensor of strings."""
    import tensorflow as tf

    return tf.constant(values.astype(str) if values.dtype == object else values)


def _named(values: Any) -> bool:
    return isinstance(values, Mapping)


def _trainable(target: np.ndarray | None) -> np.ndarray | None:
    """Targets in the types that Keras' losses compute in: 32-bit."""
    if target is None:
        return None
    return np.asarray(target, np.int32) if target.dtype.kind in "iu" else np.asarray(target, np.float32)


def _float(weight: np.ndarray | None) -> np.ndarray | None:
    return None if weight is None else np.asarray(weight, np.float32)
