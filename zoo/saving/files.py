"""Atomic file writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UsageError


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` at the end; after an error nothing is left.

    Example:
        >>> with write_atomically(Path("rows.csv")) as writing:  # doctest: +SKIP
        ...     frame.to_csv(writing)
    """
    writing = path.with_name(f".{path.name}.part")
    try:
        yield writing
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def check_folder(path: Path) -> None:
    """Raise UsageError if the parent folder of a file does not exist."""
    if not path.parent.is_dir():
        raise UsageError("the folder does not exist", where=str(path.parent))
