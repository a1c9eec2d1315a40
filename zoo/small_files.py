"""Read small files that a user names, such as jobs and splits: only regular files, up to a limit of size.

A pipe or a device such as ``/dev/zero`` never ends, and a sparse file of 50 GB takes no space on the disk.
"""

from __future__ import annotations

from pathlib import Path

from zoo.errors import UsageError

MOST_BYTES = 500_000


def check_regular_file(
    path: Path, what: str, *, most_bytes: int | None = None, kind: type[UsageError] = UsageError
) -> None:
    """Raise an error unless a path is a regular file of at most a size; nothing is opened.

    Args:
        path: The path; a symbolic link stands for what it refers to.
        what: What the file is, as in ``the job``.
        most_bytes: Largest size; None for any.
        kind: Class of the error.

    Raises:
        UsageError: If there is no such file, it is a folder, a pipe or a device, or it is too large.

    Example:
        >>> check_regular_file(Path("/dev/null"), "the job")
        Traceback (most recent call last):
        ...
        zoo.errors.UsageError: /dev/null: cannot read the job: it is not a regular file but a device or a pipe
    """
    where = str(path)
    try:
        size_bytes, is_file, is_folder = path.stat().st_size, path.is_file(), path.is_dir()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise kind(f"cannot read {what}: {reason}", where=where) from None
    if not is_file:
        received = "it is a folder" if is_folder else "it is not a regular file but a device or a pipe"
        raise kind(f"cannot read {what}: {received}", where=where)
    if most_bytes is not None and size_bytes > most_bytes:
        raise kind(f"cannot read {what}: it has {size_bytes:,} bytes; the limit is {most_bytes:,}", where=where)


def read_small_text(path: Path, what: str, *, most_bytes: int = MOST_BYTES, kind: type[UsageError] = UsageError) -> str:
    """Read a text file in UTF-8.

    Args:
        path: The file.
        what: What the file is, as in ``the job``.
        most_bytes: Largest size.
        kind: Class of the error.

    Raises:
        UsageError: If it cannot be read, is not a regular file, is too large, or is not text in UTF-8.
    """
    check_regular_file(path, what, most_bytes=most_bytes, kind=kind)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise kind(f"cannot read {what}: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise kind(f"cannot read {what}: not a text file in UTF-8", where=str(path)) from None
