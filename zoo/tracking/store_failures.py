"""A full disk, or a store that was removed while a command ran: one error that says so, whatever failed first."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import StorageError

# Databases, TensorFlow and trials in other processes pass on no error number, only the text.
_FULL_TEXT = re.compile(
    r"database or disk is full|No space left on device|Disk quota exceeded|No usable temporary directory", re.IGNORECASE
)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class OpenedStore:
    """A store that a command has opened.

    Args:
        folder: The folder of runs.
        database: Its SQLite file; None for a server.
        identity: Device and number of that file when it was opened.
    """

    folder: Path
    database: Path | None
    identity: tuple[int, int] | None

    @classmethod
    def of(cls, folder: Path, database: Path | None) -> OpenedStore:
        """Return the store as it is now."""
        return cls(folder, database, _identify(database))

    @property
    def is_gone(self) -> bool:
        """Whether the file was removed or replaced; a process would go on writing to the removed one."""
        return self.identity is not None and _identify(self.database) != self.identity

    @property
    def is_removed(self) -> bool:
        """Whether the file was removed, and no other has taken its place, such as a restored copy."""
        return self.is_gone and self.database is not None and not self.database.exists()


_latest: OpenedStore | None = None


def remember_store(store: OpenedStore | None) -> None:
    """Set the store that :func:`explain_failure` looks at if no other is given."""
    global _latest
    _latest = store


def explain_failure(error: BaseException, store: OpenedStore | None = None) -> StorageError | None:
    """Return the error to report instead, if a full disk or a removed store caused an error; else None.

    Args:
        error: The error; its causes are examined too.
        store: The store in use; by default the one opened last.

    Example:
        >>> explain_failure(OSError(28, "No space left on device")).message
        'the disk is full (no space left on device); free some space and try again'
        >>> explain_failure(ValueError("units must be positive")) is None
        True
    """
    store = store or _latest
    causes = list(_iterate_causes(error))
    full = next((cause for cause in causes if _says_full(cause)), None)
    if full is not None:
        message = "the disk is full (no space left on device); free some space and try again"
        return StorageError(message, where=_find_fullest(full, store))
    if store is not None and store.is_gone:
        return StorageError("the tracking store was removed or replaced during this command", where=str(store.database))
    return None


@contextmanager
def translate_failures(store: OpenedStore | None = None) -> Iterator[None]:
    """Raise the error of :func:`explain_failure` in place of one that it explains."""
    try:
        yield
    except Exception as error:
        if (failure := explain_failure(error, store)) is not None:
            raise failure from error
        raise


def _iterate_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised for, each once; SQLAlchemy has the driver's in ``orig``."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, getattr(cause, "orig", None)]


def _says_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in _FULL or _FULL_TEXT.search(str(error)) is not None


def _find_fullest(error: BaseException, store: OpenedStore | None) -> str:
    """Return the folder with the least free space among those that the command writes to."""
    files = [getattr(error, name, None) for name in ("filename", "filename2")]
    folders = [Path(file).parent for file in files if isinstance(file, (str, Path))]
    folders += [Path.cwd(), Path(os.environ.get("TMPDIR") or "/tmp")]  # noqa: S108  tempfile fails on a full disk
    if store is not None:
        folders += [store.folder, *([store.database.parent] if store.database is not None else [])]
    return str(min(filter(Path.is_dir, folders), key=lambda folder: shutil.disk_usage(folder).free))


def _identify(path: Path | None) -> tuple[int, int] | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status is not None else None
