"""Which process a run belongs to, and whether it is still there."""

from __future__ import annotations

import os
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

HOST_TAG, PROCESS_TAG, STARTED_TAG = "zoo.host", "zoo.process", "zoo.process_started"


def process_started(process: int) -> str:
    """Return when a process began, in the system's own words; empty when it is not there.

    A process number alone is given again to other processes.
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


@cache
def _own_start() -> str:
    return process_started(os.getpid())


def own_process_tags() -> dict[str, str]:
    """Return the tags by which a run whose process is gone is known."""
    return {HOST_TAG: socket.gethostname(), PROCESS_TAG: str(os.getpid()), STARTED_TAG: _own_start()}


def is_running(run: Any) -> bool:
    """Tell whether a run is RUNNING and its process, of this host, is there."""
    tags = run.data.tags
    return run.info.status == "RUNNING" and alive(int(tags[PROCESS_TAG]), tags[STARTED_TAG])


def is_orphan(run: Any) -> bool:
    """Tell whether a run's process was one of this host, and is gone."""
    tags = run.data.tags
    here = tags.get(HOST_TAG) == socket.gethostname()
    return here and not alive(int(tags[PROCESS_TAG]), tags[STARTED_TAG])


def is_of_another(run: Any) -> bool:
    """Tell whether another process may still write to a run.

    One of this host that is there may; one of another host as long as the run has not ended.
    """
    tags = run.data.tags
    if tags.get(HOST_TAG) != socket.gethostname():
        return bool(run.info.status == "RUNNING")
    own = own_process_tags()
    return any(tags[name] != own[name] for name in own) and not is_orphan(run)


def alive(process: int, started: str) -> bool:
    """Tell whether the process that began then is still there."""
    return bool(started) and process_started(process) == started
