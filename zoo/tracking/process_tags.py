"""The process of a run, and whether it is still alive."""

from __future__ import annotations

import os
import socket
from functools import cache
from typing import Any

from zoo.saving.abandoned_files import read_start_time
from zoo.tracking.tags import HOST_TAG, PROCESS_TAG, STARTED_TAG, unpack_tags


@cache
def _own_start() -> str:
    return read_start_time(os.getpid())


def create_process_tags() -> dict[str, str]:
    """Return the tags that identify the process of a run."""
    return {HOST_TAG: socket.gethostname(), PROCESS_TAG: str(os.getpid()), STARTED_TAG: _own_start()}


def is_running(run: Any) -> bool:
    """Return whether a run is RUNNING and its process on this host is alive."""
    tags = unpack_tags(run)
    return run.info.status == "RUNNING" and is_alive(int(tags[PROCESS_TAG]), tags[STARTED_TAG])


def is_orphan(run: Any) -> bool:
    """Return whether a run's process ran on this host and is gone."""
    tags = unpack_tags(run)
    on_this_host = tags.get(HOST_TAG) == socket.gethostname()
    return on_this_host and not is_alive(int(tags[PROCESS_TAG]), tags[STARTED_TAG])


def is_of_another(run: Any) -> bool:
    """Return whether another process may still write to a run.

    A process of this host may while it is alive; one of another host may until the run has ended.
    """
    tags = unpack_tags(run)
    if tags.get(HOST_TAG) != socket.gethostname():
        return bool(run.info.status == "RUNNING")
    own_tags = create_process_tags()
    return any(tags[name] != own_tags[name] for name in own_tags) and not is_orphan(run)


def is_alive(process: int, started: str) -> bool:
    """Return whether the process with this start time is still alive."""
    return bool(started) and read_start_time(process) == started
