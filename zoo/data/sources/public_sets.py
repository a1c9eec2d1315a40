"""Public sets of tensorflow-datasets, by name: prepared folders first, the network second."""

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
from zoo.data.examples.array_columns import IMAGE, cells_of
from zoo.data.limits import check_memory, decoding
from zoo.data.raw_table import Table
from zoo.data.source_errors import wrong_source
from zoo.errors import DataError, nearest_name

_PREFIX = "tfds:"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DESCRIPTION = "dataset_info.json"  # tensorflow-datasets writes it last: a folder that has it is whole
_STORE, _PROBE_S = ("storage.googleapis.com", 443), 0.8  # where tensorflow-datasets keeps what it knows of its sets
_AT_A_TIME = 1000
_looked_in: ContextVar[str | None] = ContextVar("looked_in", default=None)


def is_public(source: str) -> bool:
    """Tell whether a source is spelled as a public set.

    Example:
        >>> is_public("tfds:mnist")
        True
    """
    return source.startswith(_PREFIX)


def is_prepared(source: str, data_dir: str | None = None) -> bool:
    """Tell whether a plain name is a set that lies prepared in the folder of public sets."""
    return _NAME.fullmatch(source) is not None and _prepared(source, _folder(data_dir)) is not None


def read_public(source: str, *, cells: str | None = None, data_dir: str | None = None) -> Table:
    """Return a public set, with its own split, the names of its classes, and its supervised key as target.

    Args:
        source: ``tfds:NAME``, ``tfds:NAME/CONFIG``, ``tfds:NAME/VERSION`` or ``tfds:NAME/CONFIG/VERSION``.
        cells: ``image``: images are wanted.
        data_dir: Folder of prepared sets; default ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.

    Raises:
        DataError: When the set is not prepared and cannot be: it names the command that does.

    Example:
        >>> read_public("tfds:mnist", cells="image").target  # doctest: +SKIP
        'label'
    """
    wanted, folder = _wanted(source), _folder(data_dir)
    name = wanted.split("/")[0]
    found = _prepared(wanted, folder)
    if found is None:
        builder = _downloaded(wanted, folder, source)
    else:
        import tensorflow_datasets as tfds

        with decoding(str(found)):
            builder = tfds.builder_from_directory(str(found))
    return _table(builder, name, source, cells)


def check_at_hand(source: str, data_dir: str | None = None) -> None:
    """Refuse a set that is neither prepared nor within reach, without loading what would read it.

    Raises:
        DataError: It names the set, the folder looked in, and the command to run where there is a network.
    """
    wanted, folder = _wanted(source), _folder(data_dir)
    if _prepared(wanted, folder) is None and not _online():
        raise _out_of_reach(wanted, folder, source)


def _wanted(source: str) -> str:
    wanted = source.removeprefix(_PREFIX).replace(":", "/")
    if not _NAME.fullmatch(wanted.split("/")[0]):
        raise DataError("a name such as tfds:mnist is expected, or tfds:mnist/3.0.1", where=source)
    return wanted


def _out_of_reach(wanted: str, folder: Path, source: str) -> DataError:
    children = sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []
    there = [name for name in children if _prepared(name, folder) is not None]
    lying = f"; prepared there: {', '.join(there[:20])}" if there else ""
    command = f"tfds build {_spelled(wanted)} --data_dir {folder}"
    return DataError(
        f"{wanted} is not prepared in {folder}, and there is no network; where there is one, run: {command}{lying}",
        where=source,
        nearest=nearest_name(wanted.split("/")[0], there),
    )


@contextmanager
def looking_in(data_dir: str | None) -> Iterator[None]:
    """Look for prepared sets in a folder, wherever a set is read meanwhile; None changes nothing."""
    token = _looked_in.set(data_dir or _looked_in.get())
    try:
        yield
    finally:
        _looked_in.reset(token)


def _folder(data_dir: str | None) -> Path:
    chosen = data_dir or _looked_in.get() or os.environ.get("TFDS_DATA_DIR") or Path("~", "tensorflow_datasets")
    return Path(chosen).expanduser()


def _prepared(wanted: str, folder: Path) -> Path | None:
    """The newest version's folder of a set: NAME/VERSION, or NAME/CONFIG/VERSION."""
    name, *rest = wanted.split("/")
    if any(part in ("", ".", "..") for part in rest):
        return None
    root = folder / name
    found = [file.parent for depth in ("*", "*/*") for file in root.glob(f"{depth}/{_DESCRIPTION}")]
    fitting = [path for path in found if all(part in path.relative_to(root).parts for part in rest)]
    # A set of several configurations has them in the order of its makers; the folder tells the order of names alone.
    plain = [path for path in fitting if path.parent == root] or fitting
    first = min((path.parent for path in plain), default=None)
    return max((path for path in plain if path.parent == first), key=lambda path: _version(path.name), default=None)


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


def _online() -> bool:
    """Whether there is a network, within a second; looking up a name alone would wait ten."""
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


def _downloaded(wanted: str, folder: Path, source: str) -> Any:
    if not _online():
        raise _out_of_reach(wanted, folder, source)
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(_spelled(wanted), data_dir=str(folder))
    except tfds.core.DatasetNotFoundError:
        near = nearest_name(wanted, tfds.list_builders(with_community_datasets=False))
        message = "tensorflow-datasets has no set of that name"
        raise DataError(message, where=source, nearest=f"{_PREFIX}{near}" if near else None) from None
    except ValueError as error:  # an unknown configuration or version
        raise DataError(" ".join(str(error).split())[:300], where=source) from None
    with decoding(source, "cannot be prepared"):
        builder.download_and_prepare()
    return builder


def _spelled(wanted: str) -> str:
    """The name as tensorflow-datasets spells it: NAME/CONFIG:VERSION."""
    head, _, last = wanted.rpartition("/")
    return f"{head}:{last}" if head and _version(last) and last.replace(".", "").isdigit() else wanted


def _table(builder: Any, name: str, source: str, cells: str | None) -> Table:
    info, notes = builder.info, []
    keys = info.supervised_keys
    target = keys[1] if keys and isinstance(keys[1], str) else None
    # A folder keeps its features in no order: they come by name here, and the target last.
    kinds = dict(sorted(_flat(info.features).items(), key=lambda item: (item[0] == target, item[0])))
    images = [key for key, kind in kinds.items() if type(kind).__name__ == "Image"]
    if images and cells != IMAGE:
        raise wrong_source("images", source)
    known = {split: SPELLINGS[split] for split in info.splits if split in SPELLINGS} or dict.fromkeys(info.splits)
    frames, parts = [], []
    for split, part in known.items():
        with decoding(source):
            frame = _split(builder, split, kinds, source)
        frames.append(frame)
        parts += [part] * len(frame)
    left = sorted(set(info.splits) - set(known))
    if left:
        notes.append(f"{name}: the splits {', '.join(left)} are left out")
    own = np.array(parts) if len(set(parts)) > 1 and "train" in parts else None
    return Table(
        pd.concat(frames, ignore_index=True), name, source, target if target in kinds else None, own, tuple(notes)
    )


def _flat(features: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Features by name, those of a dict within as OUTER_INNER."""
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
            check_memory(_AT_A_TIME * size, f"the examples from {number:,} on", source)
        for key, column in columns.items():
            column.append(values[key])
    return pd.DataFrame({key: _column(values, kinds[key]) for key, values in columns.items()})


def _column(values: list[Any], kind: Any) -> Any:
    """What a feature's values are in a column: names for classes, texts for bytes, arrays in cells."""
    if type(kind).__name__ == "ClassLabel":
        names = np.array([*kind.names, None], dtype=object)  # -1 is no label
        return pd.Series(names[np.asarray(values, np.int64)]).astype("str")
    if values and isinstance(values[0], bytes):
        return [value.decode(errors="replace") for value in values]
    if values and np.ndim(values[0]):
        return cells_of(values)
    return np.asarray(values)
