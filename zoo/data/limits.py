"""What a source may ask for: sizes that it declares against the memory at hand, and decoders that fail.

A damaged or hostile file shall cost an error, not the machine: https://www.bamsoftware.com/hacks/zipbomb/
has 46 MB that unpack to 4.5 PB.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from zoo.errors import DataError

MOST_COLUMNS = 100_000
# Text out of gzip or bzip2: tables have ratios of 5 to 50; what repeats one byte has 1,000 and more.
MOST_RATIO, RATIO_FROM_BYTES = 200, 1 << 26

_WHERE_MEMORY_IS_LIMITED = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def memory_at_hand() -> int:
    """Return how many bytes this process may still take: the least of the machine's, its container's and its own limit.

    Example:
        >>> memory_at_hand() > 0
        True
    """
    import psutil

    at_hand = [int(psutil.virtual_memory().available)]
    for limit, used in _WHERE_MEMORY_IS_LIMITED:
        try:
            at_hand.append(int(limit.read_text()) - int(used.read_text()))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    own = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if own != resource.RLIM_INFINITY:
        at_hand.append(own - psutil.Process().memory_info().data)
    return max(min(at_hand), 0)


def check_memory(size: float, what: str, where: str) -> None:
    """Refuse what would not fit into memory, before it is read.

    Args:
        size: Bytes that it would take.
        what: What takes them, as the beginning of the message.
        where: The source.

    Raises:
        DataError: When there is less memory at hand.
    """
    at_hand = memory_at_hand()
    if size > at_hand:
        message = f"{what} would take {in_bytes(size)} of memory, and {in_bytes(at_hand)} are at hand"
        raise DataError(message, where=where)


def check_columns(count: int, where: str) -> None:
    """Refuse a table that is wider than any model's.

    Raises:
        DataError: When there are too many columns.
    """
    if count > MOST_COLUMNS:
        message = (
            f"{count:,} columns, and a table has at most {MOST_COLUMNS:,}; save them as an array x in an .npz file"
        )
        raise DataError(message, where=where)


def check_table_fits(rows: int, columns: int, where: str) -> None:
    """Refuse a table that a file declares and that memory cannot hold: eight bytes a cell at least.

    Raises:
        DataError: When there is less memory at hand.
    """
    check_columns(columns, where)
    check_memory(8.0 * rows * columns, f"{rows:,} rows of {columns:,} columns", where)


def check_inside(path: Path, folder: Path) -> None:
    """Refuse a symbolic link that leads out of its folder: data that came as an archive may hold any.

    Raises:
        DataError: When it does.
    """
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise DataError("a symbolic link that leads out of the folder; copy what it names", where=str(path))


def in_bytes(size: float) -> str:
    """Return a size for people.

    Example:
        >>> in_bytes(3_200_000_000)
        '3.2 GB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1e6 else "more than a million TB"


@contextmanager
def decoding(where: str, what: str = "cannot be read") -> Iterator[None]:
    """Turn whatever a decoder raises into an error that names the file.

    Only around calls of a library that decodes bytes: what a damaged file makes it raise is anything at all (TIFF alone
    has brought forth eight kinds), and none of it is a fault of the program.

    Raises:
        DataError: What went wrong, in the decoder's words.
    """
    try:
        yield
    except (DataError, MemoryError):  # the door says of memory what is to be said
        raise
    except RecursionError:
        raise DataError(f"{what}: it is nested too deeply", where=where) from None
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{what}: {words[:300]}", where=where) from None


def row_in_source(values: pd.Series, row: int) -> int:
    """Return the number, from 1 on, that a row has in its source: a part of it keeps the source's numbers."""
    return int(values.index[row]) + 1
