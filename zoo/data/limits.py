"""Limits on sources: declared sizes against the available memory, and decoders that fail.

A damaged or malicious file must cause an error, not exhaust the machine:
https://www.bamsoftware.com/hacks/zipbomb/ has 46 MB that unpack to 4.5 PB.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from zoo.errors import DataError, UnreadableFileError

MOST_COLUMNS = 100_000
# Compression ratio of text in gzip or bzip2: tables have 5 to 50; a repeated byte has 1,000 and more.
MOST_RATIO, RATIO_FROM_BYTES = 200, 1 << 26

_WHERE_MEMORY_IS_LIMITED = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def measure_available_memory() -> int:
    """Return the bytes that this process may still allocate: the minimum over machine, container and process limit.

    Example:
        >>> measure_available_memory() > 0
        True
    """
    import psutil

    available = [int(psutil.virtual_memory().available)]
    for limit, used in _WHERE_MEMORY_IS_LIMITED:
        try:
            available.append(int(limit.read_text()) - int(used.read_text()))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    process_limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if process_limit != resource.RLIM_INFINITY:
        available.append(process_limit - psutil.Process().memory_info().data)
    return max(min(available), 0)


def check_memory(size: float, what: str, where: str) -> None:
    """Raise an error, before reading, if something would not fit into memory.

    Args:
        size: Size in bytes.
        what: What has this size, as the beginning of the message.
        where: The source.

    Raises:
        DataError: If less memory is available.
    """
    available = measure_available_memory()
    if size > available:
        message = f"{what} would need {format_bytes(size)} of memory; {format_bytes(available)} are available"
        raise DataError(message, where=where)


def check_columns(count: int, where: str) -> None:
    """Raise an error if a table has too many columns.

    Raises:
        DataError: If there are more than ``MOST_COLUMNS``.
    """
    if count > MOST_COLUMNS:
        message = (
            f"{count:,} columns; a table may have at most {MOST_COLUMNS:,}. Save them as an array x in an .npz file"
        )
        raise DataError(message, where=where)


def check_table_fits(rows: int, columns: int, where: str) -> None:
    """Raise an error if a table of the declared size would not fit into memory, at eight bytes per cell.

    Raises:
        DataError: If less memory is available.
    """
    check_columns(columns, where)
    check_memory(8.0 * rows * columns, f"{rows:,} rows of {columns:,} columns", where)


def check_file_or_folder(path: Path, source: str) -> None:
    """Raise an error for a pipe or a device, of which reading might never end.

    Raises:
        DataError: If a path is neither a regular file nor a folder.
    """
    if not path.is_file() and not path.is_dir():
        raise DataError("neither a file nor a folder", where=source)


def check_inside(path: Path, folder: Path) -> None:
    """Raise an error if a path is a symbolic link that leads out of its folder, as an archive may contain.

    Raises:
        DataError: If it leads out of the folder.
    """
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise DataError("the symbolic link leads out of the folder; copy the file instead", where=str(path))


def format_bytes(size: float) -> str:
    """Format a size in bytes.

    Example:
        >>> format_bytes(3_200_000_000)
        '3.2 GB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1e6 else "more than a million TB"


@contextmanager
def report_decoding_errors(where: str, what: str = "cannot be read") -> Iterator[None]:
    """Convert any exception of a decoder to an error that names the file.

    Use it only around calls of a library that decodes bytes: damaged files make it raise exceptions of any kind (eight
    for TIFF alone), none of which is an error of this program.

    Raises:
        DataError: With the decoder's message.
    """
    try:
        yield
    except (DataError, MemoryError):  # the command line reports these itself
        raise
    except RecursionError:
        raise UnreadableFileError(f"{what}: nested too deeply", where=where) from None
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableFileError(f"{what}: {words[:300]}", where=where) from None


def find_source_row(values: pd.Series, row: int) -> int:
    """Return the number of a row in its source, counted from 1."""
    return int(values.index[row]) + 1
