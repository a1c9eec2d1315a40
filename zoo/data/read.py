"""Reading a source: frames, arrays, files and bundled names become one table."""

from __future__ import annotations

import gzip
import hashlib
import re
import warnings
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.bundled import BUNDLED, load_bundled
from zoo.data.cells import IMAGE, SEQUENCE, arrays_of_cells, cells_of, lists_as_arrays
from zoo.data.pictures import PICTURE_FILES, read_pictures
from zoo.errors import DataError, nearest_name
from zoo.task import wrong_source

TABLE_FILES = (".csv", ".csv.gz", ".parquet", ".npz")
_NO_SCALARS = (list, dict, set, np.ndarray)
_ENVIRONMENT = re.compile(r"([\w.]+:)?[A-Za-z][\w/-]*-v[0-9]+")
_ARRAY_PARTS = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Table:
    """A source that was read, not yet split.

    Args:
        frame: The rows.
        name: Short name of the source.
        source: The source in words that can be typed again, where it can be.
        target: Column that the source itself names as its target.
        part: Part of each row (``train``, ``validation``, ``test``) where the source itself is split.
        notes: What was noticed while reading.
    """

    frame: pd.DataFrame
    name: str
    source: str
    target: str | None = None
    part: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def read_table(source: Any, *, text: Collection[str] = (), cells: str | None = None) -> Table:
    """Read a source into a table.

    Args:
        source: A data frame; a dict of columns; a pair of arrays ``(x, y)``; a path to a CSV (also gzip),
            Parquet or ``.npz`` file (``x_train``, ``y_train``, … or ``x``, ``y``; sequences lie end to end or
            are padded, with their lengths in ``len_train``, … or ``len``); a folder of pictures; or a bundled name.
        text: Columns of a CSV that are read as text whatever they look like, for they were text in training:
            which rows stand in a file shall not decide what ``01`` means.
        cells: ``image`` or ``sequence``: arrays become one column of that name with an example a cell; by default
            they become a column for each number.

    Raises:
        DataError: When there is no such source, or it cannot be read, or it is empty.

    Example:
        >>> read_table("wine").frame.shape
        (178, 14)
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, pd.DataFrame):
        table = _from_frame(source)
    elif isinstance(source, Mapping):
        table = _from_frame(_frame_of(source))
    elif isinstance(source, tuple) and len(source) == 2:
        table = _from_pair(*source, cells)
    elif isinstance(source, np.ndarray):
        table = _from_frame(_columns(source, cells))
    elif isinstance(source, (str, Path)):
        table = _from_name(str(source), text, cells)
    else:
        raise DataError(
            f"cannot read a {type(source).__name__} as a table; a data frame, a dict of columns, a pair of "
            f"arrays (x, y), a file ({', '.join(TABLE_FILES)}) or a bundled name ({', '.join(BUNDLED)}) can be read"
        )
    if cells is not None:
        table = replace(table, frame=lists_as_arrays(table.frame))
    return _checked(table)


def frame_digest(frame: pd.DataFrame) -> str:
    """Return a digest of a frame's columns, types and values: 16 hexadecimal digits."""
    digest = hashlib.sha256(repr([(str(name), str(kind)) for name, kind in frame.dtypes.items()]).encode())
    whole = arrays_of_cells(frame)
    for values in whole.values():
        for value in values:
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
    rest = frame.drop(columns=list(whole))
    try:
        digest.update(pd.util.hash_pandas_object(rest, index=False).to_numpy().tobytes())
    except TypeError:  # cells that cannot be hashed
        column, kind = next((c, type(v).__name__) for c in rest for v in rest[c] if isinstance(v, _NO_SCALARS))
        raise DataError(f"column {column!r} has a {kind} in a cell; a table's cells are numbers or text") from None
    return digest.hexdigest()[:16]


def _from_frame(frame: pd.DataFrame, target: str | None = None) -> Table:
    frame = frame.rename(columns=str).reset_index(drop=True)
    return Table(frame, "data", f"(data frame with {len(frame)} rows in memory)", target)


def _from_pair(x: Any, y: Any, cells: str | None) -> Table:
    if isinstance(x, pd.DataFrame):
        frame = x.rename(columns=str).reset_index(drop=True)
    else:
        frame = _columns(x if isinstance(x, (list, tuple)) else _array(x), cells)
    labels = np.asarray(y)
    if labels.shape not in ((len(frame),), (len(frame), 1)):
        raise DataError(f"x has {len(frame)} rows and y has shape {labels.shape}")
    frame.insert(frame.shape[1], "y", labels.reshape(-1), allow_duplicates=True)
    return _from_frame(frame, target="y")


def _array(values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:  # of several lengths
        raise wrong_source("sequences", "(arrays in memory)") from None


def _frame_of(columns: Mapping[Any, Any]) -> pd.DataFrame:
    try:
        return pd.DataFrame(dict(columns))
    except ValueError as error:
        raise DataError(f"cannot make a table of these columns: {error}") from None


def _columns(values: Any, cells: str | None = None) -> pd.DataFrame:
    """One column for each number of an example, ``x0``, ``x1``, …, or one with an example a cell."""
    if cells is not None and len(values) and not isinstance(values[0], (str, Real)) and np.ndim(_array(values[0])):
        return pd.DataFrame({cells: cells_of(values)})
    values = _array(values)
    if values.ndim == 0:
        raise DataError("cannot make a table of a single value")
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
    return pd.DataFrame(flat, columns=[f"x{index}" for index in range(flat.shape[1])])


def _from_name(source: str, text: Collection[str], cells: str | None) -> Table:
    if source in BUNDLED:  # before any folder of that name, which could not be read anyway
        frame, target, part = load_bundled(source, cells=cells)
        return Table(frame, source, source, target, part)
    path = Path(source).expanduser()
    if not _exists(path):
        raise _missing(source, path)
    if path.is_dir() or path.suffix.lower() in PICTURE_FILES:
        return _from_pictures(path, source, cells)
    name = path.name.split(".")[0]
    if name == "data":  # a file called so is named after its folder
        name = path.resolve().parent.name
    if not path.name.lower().endswith(TABLE_FILES):
        kind = f"a file that ends in {path.suffix!r}"
        raise DataError(f"cannot read {kind} as a table; known endings: {', '.join(TABLE_FILES)}", where=source)
    try:
        if path.suffix.lower() == ".npz":
            return _read_npz(path, name, source, cells)
        frame = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path, text)
        return Table(frame.rename(columns=str), name, source)
    except DataError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"cannot be read: {str(error).strip()}", where=source) from None


def _from_pictures(path: Path, source: str, cells: str | None) -> Table:
    frame, part = read_pictures(path, source)
    if cells != IMAGE:
        raise wrong_source("pictures", source)
    target = "class" if "class" in frame else None
    return Table(frame, path.resolve().name.split(".")[0], source, target, part)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for a file
        return False


def _missing(source: str, path: Path) -> DataError:
    if _ENVIRONMENT.fullmatch(source):
        return wrong_source("environment", source)
    looks_like_a_file = path.suffix or "/" in source
    if looks_like_a_file:
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        near = nearest_name(path.name, [child.name for child in beside if child.is_file()])
        return DataError("no such file", where=source, nearest=str(path.parent / near) if near else None)
    return DataError(
        f"neither a file or folder nor a bundled set; bundled: {', '.join(BUNDLED)}",
        where=source,
        nearest=nearest_name(source, BUNDLED),
    )


def _read_csv(path: Path, text: Collection[str]) -> pd.DataFrame:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as file:
        start = 0
        while block := file.read(1 << 20):
            if b"\0" in block:
                raise DataError(f"not a text file: byte {start + block.index(0)} is NUL", where=str(path))
            start += len(block)
    if start == 0:
        raise DataError("the file is empty", where=str(path))
    try:
        header = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0].dropna()
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, index_col=False, dtype={name: str for name in header if name in text})
    except UnicodeDecodeError:
        with opener(path, "rb") as file:
            line = next(number for number, text in enumerate(file, 1) if not _is_utf8(text))
        raise DataError(f"not in UTF-8: line {line}; save the file in UTF-8", where=str(path)) from None
    except pd.errors.EmptyDataError:
        raise DataError("the file has no columns", where=str(path)) from None
    except pd.errors.ParserWarning:  # pandas would take the first column for row names, or cut the last one
        raise DataError(f"rows have more values than the header has names, {len(header)}", where=str(path)) from None
    other = next((sign for sign in (";", "\t", "|") if sign in str(header.iloc[0])), None)
    if len(header) == 1 and other is not None:
        raise DataError(f"the columns are separated by {other!r}; save them separated by commas", where=str(path))
    if header.duplicated().any():  # pandas would rename the second one
        raise DataError(f"two columns are called {header[header.duplicated()].iloc[0]!r}", where=str(path))
    return frame


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_npz(path: Path, name: str, source: str, cells: str | None) -> Table:
    arrays = _npz_arrays(path)
    if any(f"len_{suffix}" in arrays for suffix in _ARRAY_PARTS) and cells != SEQUENCE:
        raise wrong_source("sequences", source)
    frames: list[pd.DataFrame] = []
    parts: list[str] = []
    for suffix, part in _ARRAY_PARTS.items():
        if f"x_{suffix}" not in arrays:
            continue
        if arrays[f"x_{suffix}"].shape[1:] != arrays["x_train"].shape[1:] and cells is None:
            shapes = arrays[f"x_{suffix}"].shape, arrays["x_train"].shape
            raise DataError(f"x_{suffix} has shape {shapes[0]} and x_train {shapes[1]}", where=str(path))
        frame = _columns(_examples(arrays, suffix, path), cells)
        if f"y_{suffix}" in arrays:
            frame["y"] = _labels(arrays, f"y_{suffix}", len(frame), path)
        frames.append(frame)
        parts += [part] * len(frame)
    used = {f"{axis}_{suffix}" for axis in ("x", "y", "len") for suffix in _ARRAY_PARTS} | {"names"}
    ignored = sorted(set(arrays) - used)
    notes = (f"{path.name}: ignored the arrays {', '.join(ignored)}",) if ignored else ()
    target = "y" if "y_train" in arrays else None
    frame = pd.concat(frames, ignore_index=True)
    return Table(frame, name, source, target, np.array(parts) if len(frames) > 1 else None, notes)


def _npz_arrays(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:  # NumPy leaves a file open that is no archive
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise DataError("holds a single array without a name, as .npy files do", where=str(path))
        arrays = dict(loaded)
    if "x" in arrays and "x_train" not in arrays:
        spelled = {"x": "x_train", "y": "y_train", "len": "len_train"}
        arrays = {spelled.get(key, key): values for key, values in arrays.items()}
    if "x_train" not in arrays:
        raise DataError(f"has no array x_train; it has {', '.join(arrays)}", where=str(path))
    return arrays


def _examples(arrays: Mapping[str, np.ndarray], suffix: str, path: Path) -> Any:
    """The examples of a part: an array, or a list of sequences where they lie end to end or are padded."""
    values, lengths = arrays[f"x_{suffix}"], arrays.get(f"len_{suffix}")
    if lengths is None:
        return values
    one_each = values.ndim > 1 and lengths.shape == values.shape[:1] and lengths.dtype.kind in "iu"
    if one_each and (values.ndim > 2 or lengths.sum() != len(values)):  # (N, T, …), with padding behind
        if (lengths < 0).any() or (lengths > values.shape[1]).any():
            found = f"{lengths.min()} to {lengths.max()}"
            message = f"len_{suffix} has lengths {found}, and x_{suffix} has {values.shape[1]} steps"
            raise DataError(message, where=str(path))
        return [sequence[:length] for sequence, length in zip(values, lengths, strict=True)]
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any() or lengths.sum() != len(values):
        total = lengths.sum() if lengths.dtype.kind in "iuf" else "no number"
        raise DataError(f"len_{suffix} sums up to {total}, and x_{suffix} has {len(values)} steps", where=str(path))
    return np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []


def _labels(arrays: Mapping[str, np.ndarray], key: str, rows: int, path: Path) -> np.ndarray:
    labels = arrays[key]
    if labels.shape != (rows,):
        x_key = key.replace("y", "x", 1)
        raise DataError(f"{key} has shape {labels.shape} and {x_key} has {rows} rows", where=str(path))
    if "names" not in arrays or labels.dtype.kind not in "iu":
        return labels
    if labels.size and not 0 <= labels.min() <= labels.max() < len(arrays["names"]):
        found = f"{labels.min()} to {labels.max()}"
        raise DataError(f"{key} has codes {found}, and there are {len(arrays['names'])} names", where=str(path))
    return arrays["names"][labels]


def _checked(table: Table) -> Table:
    frame = table.frame
    if frame.shape[1] == 0:
        raise DataError("the table has no columns", where=table.source)
    if len(frame) == 0:
        raise DataError("the table has no rows", where=table.source)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"two columns are called {twice[0]!r}", where=table.source)
    return table
