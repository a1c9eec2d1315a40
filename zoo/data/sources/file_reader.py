"""What a reader of a file format is: one file in this folder, with a ``READER``, which is found by listing."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from zoo.data.raw_table import Table


@dataclass(frozen=True)
class FileRequest:
    """A file to read.

    Args:
        path: The file.
        name: Short name of the data.
        source: The file as the user named it, for errors.
        text: Columns to read as text, because they were text in training.
        cells: ``image`` or ``sequence`` where an example is an array in a cell; None for a column per number.
    """

    path: Path
    name: str
    source: str
    text: Collection[str] = ()
    cells: str | None = None


@dataclass(frozen=True)
class FileReader:
    """A reader of a file format.

    Args:
        endings: Endings of the files, in lower case, such as ``(".csv", ".csv.gz")``.
        read: From a request to the table. It raises DataError, or the errors of its library, which are reported with
            the file's name.
    """

    endings: tuple[str, ...]
    read: Callable[[FileRequest], Table]


@cache
def list_readers() -> tuple[FileReader, ...]:
    """Return the readers of this folder's files, in the order of their names."""
    package = __name__.rpartition(".")[0]
    names = sorted(module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__))
    modules = [importlib.import_module(f"{package}.{name}") for name in names if name not in _NO_FORMATS]
    return tuple(module.READER for module in modules if hasattr(module, "READER"))


_NO_FORMATS = {"file_reader", "read"}
