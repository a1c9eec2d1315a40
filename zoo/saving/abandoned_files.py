"""Temporary files of processes that were killed: recognised as such, and removed by a later command."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_TEMPORARY = "zoo"
_AUTOGRAPH_FILES = "__autograph_generated_file*.py"


def read_start_time(process: int) -> str:
    """Return the start time of a process, in the system's own format; empty if there is no such process.

    Process ids are reused, so an id alone does not identify a process.
    """
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        pass
    try:  # no /proc: macOS
        answer = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return answer.stdout.strip()


def create_prefix(name: str) -> str:
    """Return the beginning of the name of a temporary file or folder, which identifies this process.

    Args:
        name: What it is for, without a dash.
    """
    return f".{name}-{os.getpid()}-{_read_start(os.getpid())}-{socket.gethostname()}-"


def remove_abandoned(folder: Path, name: str) -> None:
    """Remove files and folders named by :func:`create_prefix` whose process on this host has ended.

    Args:
        folder: Where they are.
        name: As given to :func:`create_prefix`.
    """
    for path in folder.glob(f".{name}-*-*-*-*"):
        process, start, rest = path.name.removeprefix(f".{name}-").split("-", 2)
        on_this_host = rest.startswith(f"{socket.gethostname()}-")
        if on_this_host and process.isdigit() and _read_start(int(process)) != start:
            shutil.rmtree(path, ignore_errors=True)


@cache
def _remove_abandoned_temporary(folder: str) -> None:
    remove_abandoned(Path(folder), _TEMPORARY)


@contextmanager
def open_temporary_folder() -> Iterator[Path]:
    """Create a temporary folder and remove it at the end, also those that killed processes have left behind.

    Example:
        >>> with open_temporary_folder() as folder:
        ...     _ = (folder / "a.txt").write_text("a")
        >>> folder.exists()
        False
    """
    _remove_abandoned_temporary(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix=create_prefix(_TEMPORARY)) as folder:
        yield Path(folder)


def remove_autograph_files() -> None:
    """Remove this user's files that TensorFlow generated for processes that have ended.

    TensorFlow removes them when it exits, but not if it is killed, and their names do not say whose they are. One that
    is older than each running process of this user with TensorFlow and the same temporary folder belongs to none of
    them. Where the system has no ``/proc``, nothing is removed.
    """
    files = [path for path in Path(tempfile.gettempdir()).glob(_AUTOGRAPH_FILES) if _is_own(path)]
    if not files or not Path("/proc/self/maps").exists():
        return
    processes = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _may_own_autograph_files(path)]
    starts = [int(start) for start in map(read_start_time, processes) if start]
    booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    oldest_s = booted_s + min(starts) / os.sysconf("SC_CLK_TCK") if starts else time.time()
    for file in files:
        with contextlib.suppress(OSError):  # its process has just removed it
            if file.stat().st_mtime < oldest_s:
                file.unlink()


def _is_own(path: Path) -> bool:
    try:
        return path.stat().st_uid == os.getuid()
    except OSError:  # it has just been removed
        return False


def _read_start(process: int) -> str:
    return re.sub(r"\W", "_", read_start_time(process))


def _may_own_autograph_files(folder: Path) -> bool:
    """Whether a process, as a folder of ``/proc``, may have generated files in this process's temporary folder."""
    try:
        if folder.stat().st_uid != os.getuid() or "tensorflow" not in (folder / "maps").read_text(errors="replace"):
            return False
        return _read_temporary_folder(folder) == _read_temporary_folder(Path("/proc/self"))
    except OSError:  # it has ended
        return False


def _read_temporary_folder(process: Path) -> list[str]:
    """Return the settings of the temporary folder with which a process was started."""
    settings = (process / "environ").read_text(errors="replace").split("\0")
    return [setting for setting in settings if setting.startswith(("TMPDIR=", "TEMP=", "TMP="))]
