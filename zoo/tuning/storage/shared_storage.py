"""Shared storage of a search, reached by all nodes of a cluster: any file system that fsspec supports."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import Any

from zoo.errors import JobError, UsageError


class Storage:
    """A folder behind a URL.

    A file is first sent under a temporary name, so that it is there complete or not at all.

    Args:
        url: Such as ``s3://bucket/searches``, ``gs://…`` or ``file:///mnt/shared``; the file system finds its own
            credentials.
        name: Name of the folder below the URL.

    Raises:
        UsageError: When the kind of storage is unknown, or its package is not installed.
        JobError: By all methods, when the storage fails.

    Example:
        >>> storage = Storage("memory://searches", "first")
        >>> _ = Path("note.txt").write_text("0.5")  # doctest: +SKIP
        >>> storage.send(Path("note.txt"), "trials/0/note.txt")  # doctest: +SKIP
    """

    def __init__(self, url: str, name: str) -> None:
        import fsspec

        self.url = url
        try:
            self._files, root = fsspec.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UsageError(f"{url} cannot be used: {error}", where="storage") from None
        self._root = f"{root.rstrip('/')}/{name}"

    def send(self, file: Path, name: str) -> None:
        """Upload a file; an existing one is replaced."""
        path = f"{self._root}/{name}"
        temporary = f"{path}.{uuid.uuid4().hex[:8]}"
        with self._translate_errors():
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(file), temporary)
            self._files.mv(temporary, path)

    def send_folder(self, folder: Path, name: str) -> None:
        """Upload all files of a folder."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.send(file, f"{name}/{file.relative_to(folder)}")

    def fetch_folder(self, name: str, folder: Path) -> None:
        """Download all files of a folder; none if the folder does not exist."""
        path = f"{self._root}/{name}"
        with self._translate_errors():
            self._files.invalidate_cache()
            for file in self._files.find(path) if self._files.exists(path) else []:
                _, _, relative = file.partition(f"{path}/")
                target = folder / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(file, str(target))

    def drop(self, name: str = "") -> None:
        """Remove a folder and everything in it; without a name, the whole storage of the search."""
        path = f"{self._root}/{name}".rstrip("/")
        with self._translate_errors():
            self._files.invalidate_cache()
            if self._files.exists(path):
                self._files.rm(path, recursive=True)

    @contextlib.contextmanager
    def _translate_errors(self) -> Any:
        try:
            yield
        except Exception as error:  # whatever the package behind the URL raises
            raise JobError(
                f"the storage {self.url} failed: {error or type(error).__name__}", where="storage"
            ) from error
