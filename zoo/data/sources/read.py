"""Read a source into a table: data frames, arrays, files, databases and dataset names."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.written_columns import separate_integers
from zoo.data.examples.array_columns import IMAGE, convert_lists, find_array_columns
from zoo.data.limits import check_file_or_folder
from zoo.data.raw_table import Table as Table
from zoo.data.source_errors import describe_wrong_source
from zoo.data.sources.bundled import BUNDLED, list_bundled_notes, load_bundled
from zoo.data.sources.file_reader import FileRequest, list_readers
from zoo.data.sources.image_files import IMAGE_FILES, read_images
from zoo.data.sources.memory_arrays import collect_columns, convert_types, read_frame, read_pair, split_into_columns
from zoo.data.sources.parquet import is_parquet_folder, read_parquet
from zoo.data.sources.public_sets import check_at_hand, is_prepared, is_public, read_public
from zoo.data.sources.sql import is_database, read_sql
from zoo.data.sources.tensor_sets import is_tensor_set, read_tensor_set
from zoo.errors import DataError, ZooError, find_nearest_name, shorten_error
from zoo.portable.rows import OBSERVATION

_NO_SCALARS = (list, dict, set, np.ndarray)
_ENVIRONMENT = re.compile(r"([\w.]+:)?[A-Za-z][\w/-]*-v[0-9]+")


def read_table(
    source: Any, *, text: Collection[str] = (), cells: str | None = None, data_dir: str | None = None
) -> Table:
    """Read a source into a table.

    Args:
        source: A data frame; a dict of columns; arrays ``(x, y)``; a finite ``tf.data.Dataset``; a path to a CSV (with
            any separator), JSON, text (optionally compressed with gzip or bzip2), Parquet, Feather or ``.npz`` file
            (``x_train``, ``y_train``, … or ``x``, ``y``; sequences are concatenated or padded, with their lengths in
            ``len_train``, … or ``len``); a folder of images or of Parquet files; a database URL with ``?table=``
            or ``?query=``; a bundled name; or a public dataset of tensorflow-datasets as ``tfds:NAME``.
        text: Columns of a CSV to read as text because they were text in training, so that ``01`` keeps its meaning
            whatever rows a file has.
        cells: ``image`` or ``sequence``: arrays become one column of that name with one example per cell; by default
            one column per number.
        data_dir: Folder of prepared public datasets; default ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.

    Raises:
        DataError: If the source does not exist, cannot be read, is empty, or does not fit into memory.

    Example:
        >>> read_table("wine").frame.shape
        (178, 14)
    """
    if isinstance(source, Table):
        return source
    try:
        table = _table(source, text, cells, data_dir)
    except MemoryError:
        name = str(source) if isinstance(source, (str, Path)) and not is_database(str(source)) else None
        raise DataError("the source does not fit into memory", where=name) from None
    if cells is not None:
        table = replace(table, frame=convert_lists(table.frame, ragged=cells == OBSERVATION))
    return _checked(table, text)


def _table(source: Any, text: Collection[str], cells: str | None, data_dir: str | None) -> Table:
    if isinstance(source, pd.DataFrame):
        return read_frame(source)
    if isinstance(source, Mapping):
        return read_frame(collect_columns(source, cells))
    if isinstance(source, tuple) and len(source) == 2:
        return read_pair(*source, cells)
    if isinstance(source, np.ndarray):
        return read_frame(split_into_columns(source, cells))
    if is_tensor_set(source):
        return read_tensor_set(source, cells)
    if isinstance(source, (str, Path)):
        return _from_name(str(source), text, cells, data_dir)
    raise DataError(
        f"cannot read a {type(source).__name__} as a table; expected a data frame, a dict of columns, a pair of "
        f"arrays (x, y), a tf.data.Dataset, a file ({', '.join(list_table_endings())}), a database URL or a bundled "
        f"name ({', '.join(BUNDLED)})"
    )


def compute_frame_digest(frame: pd.DataFrame) -> str:
    """Return a digest of a frame's columns, types and values: 16 hexadecimal digits."""
    digest = hashlib.sha256(repr([(str(name), str(kind)) for name, kind in frame.dtypes.items()]).encode())
    arrays = find_array_columns(frame)
    for values in arrays.values():
        for value in values:
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
    rest = frame.drop(columns=list(arrays))
    try:
        digest.update(pd.util.hash_pandas_object(rest, index=False).to_numpy().tobytes())
    except TypeError:  # cells that cannot be hashed
        column, kind = next((c, type(v).__name__) for c in rest for v in rest[c] if isinstance(v, _NO_SCALARS))
        raise DataError(f"column {column!r} has a {kind} in a cell; cells must be numbers or text") from None
    return digest.hexdigest()[:16]


def _from_name(source: str, text: Collection[str], cells: str | None, data_dir: str | None) -> Table:
    if source in BUNDLED:  # before a folder of that name
        frame, target, split = load_bundled(source, cells=cells)
        return Table(frame, source, source, target, split, list_bundled_notes(source))
    if is_database(source):
        return read_sql(source)
    if is_public(source):
        return read_public(source, cells=cells, data_dir=data_dir)
    path = Path(source).expanduser()
    if not _exists(path):
        if is_prepared(source, data_dir):
            return read_public(source, cells=cells, data_dir=data_dir)
        raise _missing(source, path)
    try:
        return _from_path(path, source, text, cells)
    except DataError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, OverflowError) as error:  # errors of the disk or of the contents
        raise DataError(f"cannot be read: {' '.join(str(error).split())}", where=source) from None


def _from_path(path: Path, source: str, text: Collection[str], cells: str | None) -> Table:
    check_file_or_folder(path, source)
    ending = path.name.lower()
    name = path.name.split(".")[0]
    if name == "data":  # use the folder's name instead
        name = path.resolve().parent.name
    if is_parquet_folder(path):
        return Table(read_parquet(path).rename(columns=str), name, source)
    if path.is_dir() or ending.endswith(IMAGE_FILES):
        return _from_images(path, source, cells)
    reader = next((reader for reader in list_readers() if ending.endswith(reader.endings)), None)
    if reader is None:
        kind = f"a file that ends in {path.suffix!r}"
        raise DataError(
            f"cannot read {kind} as a table; known endings: {', '.join(list_table_endings())}", where=source
        )
    try:
        table = reader.read(FileRequest(path, name, source, text, cells))
    except (ZooError, OSError, EOFError, zlib.error, ValueError, OverflowError):
        raise
    except Exception as error:  # a reader's own mistake, or an error of its library
        raise DataError(f"cannot be read: {type(error).__name__}: {shorten_error(error)}", where=source) from error
    if not isinstance(table, Table):
        raise DataError(f"its reader returned a {type(table).__name__}, not a Table", where=source)
    return table


def list_table_endings() -> tuple[str, ...]:
    """Return the endings of the files that are read as tables."""
    return tuple(ending for reader in list_readers() for ending in reader.endings)


def _from_images(path: Path, source: str, cells: str | None) -> Table:
    frame, split, notes = read_images(path, source)
    if cells != IMAGE:
        raise describe_wrong_source("images", source)
    target = "class" if "class" in frame else None
    name, files = path.resolve().name.split(".")[0], frame["file"].to_numpy()
    return Table(frame, name, source, target, split, tuple(notes), files=files)


def check_there(source: Any, data_dir: str | None = None) -> None:
    """Raise an error if a file does not exist or a public dataset is not available; other sources pass.

    Nothing is read or imported, so that a misspelt name is reported at once.

    Raises:
        DataError: As in :func:`read_table`.
    """
    if not isinstance(source, str) or source in BUNDLED or is_database(source):
        return
    if is_public(source):
        check_at_hand(source, data_dir)
        return
    path = Path(source).expanduser()
    named_so = path.name.lower().endswith((*list_table_endings(), *IMAGE_FILES)) and not _ENVIRONMENT.fullmatch(source)
    if named_so and not _exists(path) and not is_prepared(source, data_dir):
        raise _missing(source, path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the name is too long for a file
        return False


def _missing(source: str, path: Path) -> DataError:
    if _ENVIRONMENT.fullmatch(source):
        return describe_wrong_source("environment", source)
    looks_like_a_file = path.suffix or "/" in source
    if looks_like_a_file:
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        files = [child.name for child in beside if child.is_file() and find_nearest_name(path.stem, [child.stem])]
        near = find_nearest_name(path.name, files)  # equal endings alone make no names near
        return DataError("no such file", where=source, nearest=str(path.parent / near) if near else None)
    return DataError(
        f"not a file, folder or bundled dataset; bundled: {', '.join(BUNDLED)}; "
        f"for a public dataset of tensorflow-datasets use tfds:{source[:40]}",
        where=source,
        nearest=find_nearest_name(source, BUNDLED),
    )


def _checked(table: Table, text: Collection[str]) -> Table:
    frame = table.frame
    if frame.shape[1] == 0:
        raise DataError("the table has no columns", where=table.source)
    if len(frame) == 0:
        raise DataError("the table has no rows", where=table.source)
    duplicates = frame.columns[frame.columns.duplicated()]
    if len(duplicates):
        raise DataError(f"two columns have the name {duplicates[0]!r}", where=table.source)
    frame = convert_types(frame, table.source)
    separated = {
        name: cells
        for name in frame.columns
        if name not in text and (cells := separate_integers(frame[name])) is not None
    }
    return replace(table, frame=frame.assign(**separated) if separated else frame)
