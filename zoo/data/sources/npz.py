"""Arrays in an ``.npz`` file, optionally one per split."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from zoo.data.examples.array_columns import SEQUENCE
from zoo.data.limits import MOST_RATIO, RATIO_FROM_BYTES, check_memory, format_bytes, report_decoding_errors
from zoo.data.raw_table import Table
from zoo.data.source_errors import describe_wrong_source
from zoo.data.sources.file_reader import FileReader, FileRequest
from zoo.data.sources.memory_arrays import convert_array, split_into_columns
from zoo.data.unsupported_targets import describe_shape
from zoo.errors import DataError

_ARRAY_PARTS = {"train": "train", "val": "validation", "test": "test"}


def read_npz(path: Path, name: str, source: str, cells: str | None = None) -> Table:
    """Return the table of a file of arrays.

    Args:
        path: A file with ``x_train``, ``y_train``, … or ``x``, ``y``; sequences are concatenated or padded, with
            their lengths in ``len_train``, … or ``len``; ``names`` has the names of the classes.
        name: Short name of the table.
        source: Name of the source in error messages.
        cells: ``image`` or ``sequence``: one example per cell; by default one column per number.

    Raises:
        DataError: If arrays are missing, damaged, of the wrong shape, or larger than the available memory.

    Example:
        >>> read_npz(Path("speakers.npz"), "speakers", "speakers.npz", "sequence")  # doctest: +SKIP
    """
    arrays = load_arrays(path)
    if any(f"len_{suffix}" in arrays for suffix in _ARRAY_PARTS) and cells != SEQUENCE:
        raise describe_wrong_source("sequences", source)
    frames: list[pd.DataFrame] = []
    splits: list[str] = []
    for suffix, split in _ARRAY_PARTS.items():
        if f"x_{suffix}" not in arrays:
            continue
        if arrays[f"x_{suffix}"].shape[1:] != arrays["x_train"].shape[1:] and cells is None:
            shapes = arrays[f"x_{suffix}"].shape, arrays["x_train"].shape
            raise DataError(f"x_{suffix} has shape {shapes[0]}, but x_train has shape {shapes[1]}", where=str(path))
        frame = split_into_columns(_examples(arrays, suffix, path), cells, where=str(path))
        if f"y_{suffix}" in arrays:
            frame["y"] = _labels(arrays, f"y_{suffix}", len(frame), path)
        frames.append(frame)
        splits += [split] * len(frame)
    used = {f"{axis}_{suffix}" for axis in ("x", "y", "len") for suffix in _ARRAY_PARTS} | {"names"}
    ignored = sorted(set(arrays) - used)
    notes: tuple[str, ...] = (f"{path.name}: ignored the arrays {', '.join(ignored)}",) if ignored else ()
    if cells is None and arrays["x_train"].ndim > 2:
        shape = " x ".join(map(str, arrays["x_train"].shape[1:]))
        notes += (f"each example of {shape} numbers becomes as many columns; for images use --task image",)
    target = "y" if "y_train" in arrays else None
    frame = pd.concat(frames, ignore_index=True)
    return Table(frame, name, source, target, np.array(splits) if len(frames) > 1 else None, notes)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name, with ``x_train``, … for ``x``, …

    Raises:
        DataError: If the file is damaged, has Python objects or no ``x``, or does not fit into memory.
    """
    check_declared_sizes(path)
    # opened here, since NumPy does not close a file that is not an archive
    with path.open("rb") as file, report_decoding_errors(str(path)):
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise DataError("has a single array without a name, as in an .npy file", where=str(path))
        arrays = dict(loaded)
    arrays = {
        key: convert_array(values, f"{path}, array {key}") if isinstance(values, np.ndarray) else values
        for key, values in arrays.items()
    }
    bad_key = next((key for key, values in arrays.items() if not isinstance(values, np.ndarray)), None)
    if bad_key is not None:
        raise DataError(f"{bad_key!r} is not an array", where=str(path))
    if "x" in arrays and "x_train" not in arrays:
        spelled = {"x": "x_train", "y": "y_train", "len": "len_train"}
        arrays = {spelled.get(key, key): values for key, values in arrays.items()}
    if "x_train" not in arrays:
        raise DataError(f"has no array x_train; it has {', '.join(arrays)}", where=str(path))
    return arrays


def check_declared_sizes(path: Path) -> None:
    """Check the sizes that an archive of arrays declares, before NumPy allocates memory.

    Raises:
        DataError: If an array has Python objects or another size than it declares, is compressed by more than a
            factor of 200, or would not fit into memory.
    """
    if not zipfile.is_zipfile(path):
        return  # NumPy raises the error
    total = 0.0
    with report_decoding_errors(str(path)), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                declared, objects = _declared(file)
            name = member.filename.removesuffix(".npy")
            if objects:
                message = f"the array {name} cannot be read: it has Python objects, and reading them could run code"
                raise DataError(f"{message}; save numbers or texts", where=str(path))
            if declared is not None and declared > member.file_size:
                sizes = f"{format_bytes(declared)} but has {format_bytes(member.file_size)}"
                raise DataError(f"the array {name} cannot be read: it declares {sizes}", where=str(path))
            if member.file_size > max(RATIO_FROM_BYTES, MOST_RATIO * member.compress_size):
                sizes = f"{format_bytes(member.compress_size)} decompress to {format_bytes(member.file_size)}"
                advice = "Save it without compression, by numpy.savez, if this is intended"
                message = f"the array {name}: {sizes}; the limit is a factor of {MOST_RATIO}. {advice}"
                raise DataError(message, where=str(path))
            total += member.file_size
    check_memory(2 * total, "its arrays and their table", str(path))  # a member never exceeds its declared size


def _declared(file: IO[bytes]) -> tuple[float | None, bool]:
    """Return the bytes that the header of an array declares, and whether they are pickled objects."""
    if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
        return None, False
    version = tuple(file.read(2))
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    return float(math.prod(shape)) * kind.itemsize, kind.hasobject


def _examples(arrays: Mapping[str, np.ndarray], suffix: str, path: Path) -> Any:
    """Return the examples of a split: an array, or a list of sequences if they are concatenated or padded."""
    values, lengths = arrays[f"x_{suffix}"], arrays.get(f"len_{suffix}")
    if lengths is None:
        return values
    one_each = values.ndim > 1 and lengths.shape == values.shape[:1] and lengths.dtype.kind in "iu"
    if one_each and (values.ndim > 2 or lengths.sum() != len(values)):  # (N, T, …), padded at the end
        if (lengths < 0).any() or (lengths > values.shape[1]).any():
            length_range = f"{lengths.min()} to {lengths.max()}"
            message = f"len_{suffix} has lengths {length_range}, but x_{suffix} has {values.shape[1]} steps"
            raise DataError(message, where=str(path))
        return [sequence[:length] for sequence, length in zip(values, lengths, strict=True)]
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any() or lengths.sum() != len(values):
        total = lengths.sum() if lengths.dtype.kind in "iuf" else "no number"
        raise DataError(f"len_{suffix} sums to {total}, but x_{suffix} has {len(values)} steps", where=str(path))
    return np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []


def _labels(arrays: Mapping[str, np.ndarray], key: str, rows: int, path: Path) -> np.ndarray:
    labels = arrays[key]
    if labels.shape != (rows,):
        x_key = key.replace("y", "x", 1)
        hint = f"; {describe_shape(labels.shape[1:])}" if labels.ndim > 1 and len(labels) == rows else ""
        raise DataError(f"{key} has shape {labels.shape}, but {x_key} has {rows} rows{hint}", where=str(path))
    if "names" not in arrays or labels.dtype.kind not in "iu":
        return labels
    if labels.size and not 0 <= labels.min() <= labels.max() < len(arrays["names"]):
        code_range = f"{labels.min()} to {labels.max()}"
        raise DataError(f"{key} has codes {code_range}, but there are {len(arrays['names'])} names", where=str(path))
    return arrays["names"][labels]


def _read_request(request: FileRequest) -> Table:
    return read_npz(request.path, request.name, request.source, request.cells)


READER = FileReader((".npz",), _read_request)
