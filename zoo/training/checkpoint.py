"""Checkpoints: everything that an exact continuation needs, in one file, replaced atomically."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.errors import UsageError


def save_checkpoint(path: Path, network: keras.Model, progress: dict[str, Any], best: Sequence[np.ndarray]) -> None:
    """Write all variables of network and optimizer, the best weights so far, and the course of training.

    A kill at any moment leaves the former file or this one, whole.

    Args:
        path: File to replace.
        network: The network; seeds of its dropout are variables too and are kept.
        progress: What else is needed, as JSON.
        best: The best weights so far, in the order of ``network.weights``.
    """
    arrays = {f"v{index}": variable.numpy() for index, variable in enumerate(_variables(network))}
    arrays |= {f"b{index}": np.asarray(value) for index, value in enumerate(best)}
    arrays["progress"] = np.frombuffer(json.dumps(progress).encode(), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with writing.open("wb") as file:
            np.savez(file, **arrays)
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def restore_checkpoint(path: Path, network: keras.Model) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Set a network and its optimizer to what was saved; return the course of training and the best weights.

    Raises:
        UsageError: When the checkpoint is of another network.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    variables = _variables(network)
    saved = [arrays[f"v{index}"] for index in range(sum(key[0] == "v" for key in arrays))]
    if [value.shape for value in saved] != [tuple(variable.shape) for variable in variables]:
        raise UsageError("this checkpoint belongs to another network", where=str(path))
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
    best = [arrays[f"b{index}"] for index in range(sum(key[0] == "b" for key in arrays))]
    return json.loads(arrays["progress"].tobytes()), best


def _variables(network: keras.Model) -> list[Any]:
    """All variables once: weights, seeds, metrics and the optimizer's."""
    network.optimizer.build(network.trainable_variables)
    unique = {id(variable): variable for variable in [*network.variables, *network.optimizer.variables]}
    return list(unique.values())
