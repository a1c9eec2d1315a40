"""Checkpoints: everything that an exact continuation needs, in one file, replaced atomically."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np

from zoo.errors import UsageError


def save_checkpoint(path: Path, network: keras.Model, progress: dict[str, Any], best: Sequence[np.ndarray]) -> None:
    """Write all variables of network and optimizer, the best weights so far, and the course of training.

    A kill at any moment leaves the former file or this one, whole. The file is a line of JSON and then the
    arrays as they lie in memory: ``numpy.savez`` spent most of its time on checksums, once an epoch.

    Args:
        path: File to replace.
        network: The network; seeds of its dropout are variables too and are kept.
        progress: What else is needed, as JSON.
        best: The best weights so far, in the order of ``network.weights``.
    """
    variables = [np.asarray(variable.numpy()) for variable in _variables(network)]
    arrays = [*variables, *best]
    head = {
        "variables": len(variables),
        "arrays": [[array.dtype.str, list(array.shape)] for array in arrays],
        "progress": progress,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with writing.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            for array in arrays:
                file.write(array.tobytes())
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def restore_checkpoint(path: Path, network: keras.Model) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Set a network and its optimizer to what was saved; return the course of training and the best weights.

    Raises:
        UsageError: When the checkpoint is of another network.
    """
    with path.open("rb") as file:
        head = json.loads(file.readline())
        arrays = [_read(file, dtype, shape) for dtype, shape in head["arrays"]]
    saved, best = arrays[: head["variables"]], arrays[head["variables"] :]
    variables = _variables(network)
    if [value.shape for value in saved] != [tuple(variable.shape) for variable in variables]:
        raise UsageError("this checkpoint belongs to another network", where=str(path))
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
    return head["progress"], best


def _read(file: BinaryIO, dtype: str, shape: Sequence[int]) -> np.ndarray:
    kind = np.dtype(dtype)
    return np.frombuffer(file.read(kind.itemsize * math.prod(shape)), kind).reshape(shape)


def _variables(network: keras.Model) -> list[Any]:
    """All variables once: weights, seeds, metrics and the optimizer's."""
    network.optimizer.build(network.trainable_variables)
    unique = {id(variable): variable for variable in [*network.variables, *network.optimizer.variables]}
    return list(unique.values())
