"""A search's files on storage that all nodes of a cluster reach: anything that fsspec has a name for."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import Any

from zoo.errors import JobError, UsageError


class Storage:
    """A folder behind a URL.

    What is sent is there whole or not at all: it goes by another name first.

    Args:
        url: Such as ``s3://bucket/searches``, ``gs://…`` or ``file:///mnt/shared``; credentials are the file
            system's own business.
        name: Of the folder below it.

    Raises:
        UsageError: When there is no such kind of storage, or its package is missing.
        JobError: By all methods, when the storage refuses.

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
        """Put a file there, in place of what had the name."""
        path = f"{self._root}/{name}"
        arriving = f"{path}.{uuid.uuid4().hex[:8]}"
        with self._told():
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(file), arriving)
            self._files.mv(arriving, path)

    def send_folder(self, folder: Path, name: str) -> None:
        """Put all files of a folder there."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.send(file, f"{name}/{file.relative_to(folder)}")

    def fetch_folder(self, name: str, folder: Path) -> None:
        """Take all files from there; none where there is no such folder."""
        path = f"{self._root}/{name}"
        with self._told():
            self._files.invalidate_cache()
            for found in self._files.find(path) if self._files.exists(path) else []:
                _, _, rest = found.partition(f"{path}/")
                target = folder / rest
                target.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(found, str(target))

    def drop(self, name: str = "") -> None:
        """Remove a folder with all that is in it; without a name, everything."""
        path = f"{self._root}/{name}".rstrip("/")
        with self._told():
            self._files.invalidate_cache()
            if self._files.exists(path):
                self._files.rm(path, recursive=True)

    @contextlib.contextmanager
    def _told(self) -> Any:
        try:
            yield
        except Exception as error:  # of whatever package stands behind the URL
            raise JobError(
                f"the storage {self.url} failed: {error or type(error).__name__}", where="storage"
            ) from error
