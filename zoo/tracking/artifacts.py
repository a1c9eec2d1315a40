"""Artifacts in local folders: one that could not be written completely is removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit


def find_local_folder(uri: str) -> Path | None:
    """Return the folder of an artifact address; None if the artifacts are not on this machine.

    Example:
        >>> find_local_folder("file:///runs/a%20b"), find_local_folder("s3://bucket/runs")
        (PosixPath('/runs/a b'), None)
    """
    parts = urlsplit(uri)
    return Path(unquote(parts.path) if parts.scheme else uri) if parts.scheme in ("", "file") else None


def _read_state(path: Path) -> tuple[int, int] | None:
    """Return size and time of change of a file; None for a folder, or if there is none."""
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None


@contextmanager
def remove_unfinished(uri: str, path: str = "") -> Iterator[None]:
    """Remove a file or folder of artifacts if writing it fails, as on a full disk.

    Args:
        uri: Address of the artifacts.
        path: The file or folder below it.
    """
    folder = find_local_folder(uri)
    before = _read_state(folder / path) if folder is not None else None
    try:
        yield
    except BaseException:
        if before is not None and folder is not None and _read_state(folder / path) == before:
            raise  # what was there before is complete
        if folder is not None and (folder / path).is_dir():
            shutil.rmtree(folder / path, ignore_errors=True)
        elif folder is not None:
            (folder / path).unlink(missing_ok=True)
        raise
