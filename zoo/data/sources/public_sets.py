"""Public datasets of tensorflow-datasets: read from prepared folders, else downloaded."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.dataset import SPELLINGS
from zoo.data.examples.array_columns import IMAGE, convert_to_cells
from zoo.data.limits import check_memory, report_decoding_errors
from zoo.data.raw_table import Table
from zoo.data.source_errors import describe_wrong_source
from zoo.errors import DataError, find_nearest_name

_PREFIX = "tfds:"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DESCRIPTION = "dataset_info.json"  # written last by tensorflow-datasets: its folder is complete
_STORE, _PROBE_S = ("storage.googleapis.com", 443), 0.8  # where tensorflow-datasets keeps its metadata
_AT_A_TIME = 1000
_looked_in: ContextVar[str | None] = ContextVar("looked_in", default=None)


def is_public(source: str) -> bool:
    """Return whether a source has the form of a public dataset.

    Example:
        >>> is_public("tfds:mnist")
        True
    """
    return source.startswith(_PREFIX)


def is_prepared(source: str, data_dir: str | None = None) -> bool:
    """Return whether a plain name is a prepared dataset in the folder of public datasets."""
    return _NAME.fullmatch(source) is not None and _prepared(source, _folder(data_dir)) is not None


def read_public(source: str, *, cells: str | None = None, data_dir: str | None = None) -> Table:
    """Read a public dataset, with its split, its class names, and its supervised key as target.

    Args:
        source: ``tfds:NAME``, ``tfds:NAME/CONFIG``, ``tfds:NAME/VERSION`` or ``tfds:NAME/CONFIG/VERSION``.
        cells: ``image`` to read images.
        data_dir: Folder of prepared datasets; default ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.

    Raises:
        DataError: If the dataset is not prepared and cannot be downloaded; the message has the command to prepare it.

    Example:
        >>> read_public("tfds:mnist", cells="image").target  # doctest: +SKIP
        'label'
    """
    set_name, folder = _wanted(source), _folder(data_dir)
    name = set_name.split("/")[0]
    prepared = _prepared(set_name, folder)
    if prepared is None:
        builder = _downloaded(set_name, folder, source)
    else:
        import tensorflow_datasets as tfds

        with report_decoding_errors(str(prepared)):
            builder = tfds.builder_from_directory(str(prepared))
    return _table(builder, name, source, cells)


def check_at_hand(source: str, data_dir: str | None = None) -> None:
    """Raise an error if a dataset is neither prepared nor can be downloaded, without importing TensorFlow.

    Raises:
        DataError: With the dataset, the folder, and the command to run with a network.
    """
    set_name, folder = _wanted(source), _folder(data_dir)
    if _prepared(set_name, folder) is None and not _online():
        raise _out_of_reach(set_name, folder, source)


def _wanted(source: str) -> str:
    set_name = source.removeprefix(_PREFIX).replace(":", "/")
    if not _NAME.fullmatch(set_name.split("/")[0]):
        raise DataError("expected a name such as tfds:mnist or tfds:mnist/3.0.1", where=source)
    return set_name


def _out_of_reach(set_name: str, folder: Path, source: str) -> DataError:
    children = sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []
    prepared = [name for name in children if _prepared(name, folder) is not None]
    hint = f"; prepared there: {', '.join(prepared[:20])}" if prepared else ""
    command = f"tfds build {_spelled(set_name)} --data_dir {folder}"
    return DataError(
        f"{set_name} is not prepared in {folder}, and there is no network; with a network, run: {command}{hint}",
        where=source,
        nearest=find_nearest_name(set_name.split("/")[0], prepared),
    )


@contextmanager
def set_dataset_folder(data_dir: str | None) -> Iterator[None]:
    """Set the folder of prepared datasets inside a ``with`` block; None changes nothing."""
    token = _looked_in.set(data_dir or _looked_in.get())
    try:
        yield
    finally:
        _looked_in.reset(token)


def _folder(data_dir: str | None) -> Path:
    chosen = data_dir or _looked_in.get() or os.environ.get("TFDS_DATA_DIR") or Path("~", "tensorflow_datasets")
    return Path(chosen).expanduser()


def _prepared(set_name: str, folder: Path) -> Path | None:
    """Return the folder of the newest version of a dataset: NAME/VERSION, or NAME/CONFIG/VERSION."""
    name, *rest = set_name.split("/")
    if any(part in ("", ".", "..") for part in rest):
        return None
    root = folder / name
    folders = [file.parent for depth in ("*", "*/*") for file in root.glob(f"{depth}/{_DESCRIPTION}")]
    fitting = [path for path in folders if all(part in path.relative_to(root).parts for part in rest)]
    # tensorflow-datasets has a default configuration; the folder shows only names, so the first one is used.
    plain = [path for path in fitting if path.parent == root] or fitting
    first = min((path.parent for path in plain), default=None)
    return max((path for path in plain if path.parent == first), key=lambda path: _version(path.name), default=None)


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


def _online() -> bool:
    """Return whether there is a network, within a second; a DNS lookup alone could take ten."""
    reached = threading.Event()

    def probe() -> None:
        try:
            socket.create_connection(_STORE, timeout=_PROBE_S).close()
        except OSError:
            return
        reached.set()

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_S)
    return reached.is_set()


def _downloaded(set_name: str, folder: Path, source: str) -> Any:
    if not _online():
        raise _out_of_reach(set_name, folder, source)
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(_spelled(set_name), data_dir=str(folder))
    except tfds.core.DatasetNotFoundError:
        near = find_nearest_name(set_name, tfds.list_builders(with_community_datasets=False))
        message = "tensorflow-datasets has no dataset of that name"
        raise DataError(message, where=source, nearest=f"{_PREFIX}{near}" if near else None) from None
    except ValueError as error:  # an unknown configuration or version
        raise DataError(" ".join(str(error).split())[:300], where=source) from None
    with report_decoding_errors(source, "cannot be prepared"):
        builder.download_and_prepare()
    return builder


def _spelled(set_name: str) -> str:
    """Return the name as in tensorflow-datasets: NAME/CONFIG:VERSION."""
    head, _, last = set_name.rpartition("/")
    return f"{head}:{last}" if head and _version(last) and last.replace(".", "").isdigit() else set_name


def _table(builder: Any, name: str, source: str, cells: str | None) -> Table:
    info, notes = builder.info, []
    keys = info.supervised_keys
    target = keys[1] if keys and isinstance(keys[1], str) else None
    # Features have no order in a folder: sort them by name, with the target last.
    kinds = dict(sorted(_flat(info.features).items(), key=lambda item: (item[0] == target, item[0])))
    images = [key for key, kind in kinds.items() if type(kind).__name__ == "Image"]
    if images and cells != IMAGE:
        raise describe_wrong_source("images", source)
    splits = {split: SPELLINGS[split] for split in info.splits if split in SPELLINGS} or dict.fromkeys(info.splits)
    frames, parts = [], []
    for split, part in splits.items():
        with report_decoding_errors(source):
            frame = _split(builder, split, kinds, source)
        frames.append(frame)
        parts += [part] * len(frame)
    unused = sorted(set(info.splits) - set(splits))
    if unused:
        notes.append(f"{name}: the splits {', '.join(unused)} are left out")
    split_of_rows = np.array(parts) if len(set(parts)) > 1 and "train" in parts else None
    return Table(
        pd.concat(frames, ignore_index=True),
        name,
        source,
        target if target in kinds else None,
        split_of_rows,
        tuple(notes),
    )


def _flat(features: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return features by name, flattening nested ones to OUTER_INNER."""
    flat: dict[str, Any] = {}
    for key, kind in features.items():
        inner = isinstance(kind, Mapping) or type(kind).__name__ == "FeaturesDict"
        flat |= _flat(kind, f"{before}{key}_") if inner else {f"{before}{key}": kind}
    return flat


def _values(example: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in example.items():
        flat |= _values(value, f"{before}{key}_") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return flat


def _split(builder: Any, split: str, kinds: Mapping[str, Any], source: str) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {key: [] for key in kinds}
    for number, example in enumerate(builder.as_dataset(split=split, shuffle_files=False).as_numpy_iterator()):
        values = _values(example)
        if number % _AT_A_TIME == 0:
            size = sum(np.asarray(value).nbytes for value in values.values())
            check_memory(_AT_A_TIME * size, f"reading more than {number:,} examples", source)
        for key, column in columns.items():
            column.append(values[key])
    return pd.DataFrame({key: _column(values, kinds[key]) for key, values in columns.items()})


def _column(values: list[Any], kind: Any) -> Any:
    """Convert a feature's values to a column: names for classes, text for bytes, arrays in cells."""
    if type(kind).__name__ == "ClassLabel":
        names = np.array([*kind.names, None], dtype=object)  # -1 means unlabelled
        return pd.Series(names[np.asarray(values, np.int64)]).astype("str")
    if values and isinstance(values[0], bytes):
        return [value.decode(errors="replace") for value in values]
    if values and np.ndim(values[0]):
        return convert_to_cells(values)
    return np.asarray(values)
