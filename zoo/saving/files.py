"""Files that are whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UsageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to write that takes the place of ``path`` once it is whole; what breaks off leaves nothing.

    Example:
        >>> with replacing(Path("rows.csv")) as writing:  # doctest: +SKIP
        ...     frame.to_csv(writing)
    """
    writing = path.with_name(f".{path.name}.part")
    try:
        yield writing
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def check_folder(path: Path) -> None:
    """Raise UsageError where the folder that a file shall go into is not there."""
    if not path.parent.is_dir():
        raise UsageError("the folder is not there", where=str(path.parent))
