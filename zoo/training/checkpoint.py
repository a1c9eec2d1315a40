"""Checkpoints: everything needed to resume training exactly, in one file that is replaced atomically."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np

from zoo.errors import UsageError
from zoo.hardware import build_optimizer

Groups = Mapping[str, Sequence[Any]]


def save_checkpoint(
    path: Path,
    groups: Groups,
    progress: dict[str, Any],
    best: Sequence[np.ndarray],
    more: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write named groups of variables, the best weights so far and the training progress to a file.

    The file is replaced atomically: if the process is killed, either the old or the new file is intact. It holds a line
    of JSON followed by the raw bytes of the arrays, because ``numpy.savez`` spends most of its time on checksums.

    Args:
        path: File to replace.
        groups: Keras variables by group; see :func:`list_network_variables`.
        progress: Any other state to save, as JSON.
        best: The best weights so far, in the order of ``network.weights``.
        more: Any other arrays to save, by name.
    """
    more = more or {}
    variables = [np.asarray(variable.numpy()) for group in groups.values() for variable in group]
    arrays = [*variables, *best, *more.values()]
    head = {
        "groups": {name: len(group) for name, group in groups.items()},
        "arrays": [[array.dtype.str, list(array.shape)] for array in arrays],
        "more": list(more),
        "progress": progress,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with writing.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            for array in arrays:
                file.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def restore_checkpoint(path: Path, groups: Groups) -> tuple[dict[str, Any], list[np.ndarray], dict[str, np.ndarray]]:
    """Restore groups of variables from a checkpoint; return progress, the best weights, and other arrays by name.

    Raises:
        UsageError: If the checkpoint does not match the network.
    """
    with path.open("rb") as file:
        head = json.loads(file.readline())
        arrays = [_read(file, dtype, shape) for dtype, shape in head["arrays"]]
    sizes = head["groups"] if "groups" in head else {"network": head["variables"]}  # zoo 0.1.0 had a single group
    variables = [variable for group in groups.values() for variable in group]
    names = head.get("more", [])
    more = dict(zip(names, arrays[len(arrays) - len(names) :], strict=True))
    saved, best = arrays[: sum(sizes.values())], arrays[sum(sizes.values()) : len(arrays) - len(names)]
    shapes = [tuple(variable.shape) for variable in variables]
    if sizes != {name: len(group) for name, group in groups.items()} or [a.shape for a in saved] != shapes:
        raise UsageError("the checkpoint does not match the network", where=str(path))
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
    return head["progress"], best, more


def list_network_variables(network: keras.Model) -> list[Any]:
    """Return all variables of a network without duplicates: weights, seeds, metrics and optimizer variables."""
    build_optimizer(network)
    return _unique([*network.variables, *network.optimizer.variables])


def list_trainer_variables(trainer: Any) -> dict[str, list[Any]]:
    """Return the variables of a trainer's additional networks and optimizers, by name."""
    groups = {f"networks/{name}": _unique(model.variables) for name, model in trainer.networks.items()}
    for name, (optimizer, trained) in trainer.optimizers.items():
        optimizer.build(trained)
        groups[f"optimizers/{name}"] = _unique(optimizer.variables)
    return groups


def _unique(variables: Sequence[Any]) -> list[Any]:
    return list({id(variable): variable for variable in variables}.values())


def _read(file: BinaryIO, dtype: str, shape: Sequence[int]) -> np.ndarray:
    kind = np.dtype(dtype)
    return np.frombuffer(file.read(kind.itemsize * math.prod(shape)), kind).reshape(shape)
