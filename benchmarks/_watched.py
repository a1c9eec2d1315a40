"""Calls in forked processes that are watched: the time and memory that each may take are limited."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_S = 0.05


@dataclass
class Ended:
    """How a call ended.

    Args:
        status: Exit status; negative for a signal.
        output: What it wrote to standard output and error.
        seconds: Time it took.
        mib: Greatest memory of it and its descendants.
        limit: ``slow`` or ``large`` if it was killed for a limit, else empty.
    """

    status: int
    output: str
    seconds: float
    mib: float
    limit: str = ""


class _Child:
    def __init__(self, key: str, call: Callable[[], int], folder: Path) -> None:
        self.key, self.log, self.start, self.mib = key, folder / "output.log", time.monotonic(), 0.0
        self.pid = os.fork()
        if self.pid == 0:
            self._run(call, folder)

    def _run(self, call: Callable[[], int], folder: Path) -> None:
        status = 70
        try:
            os.setsid()
            os.chdir(folder)
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            status = call()
        except BaseException:  # also SystemExit: whatever comes out here is a finding
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def poll(self, seconds: float, mib: float) -> Ended | None:
        """Return how the call ended; None if it has not."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        passed = time.monotonic() - self.start
        limit = ""
        if pid == 0:
            self.mib = max(self.mib, _measure_mib(self.pid))
            limit = "slow" if passed > seconds else "large" if self.mib > mib else ""
            if not limit:
                return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # and what it left behind
        if pid == 0:
            _, status = os.waitpid(self.pid, 0)
        output = self.log.read_text(errors="replace") if self.log.exists() else ""
        return Ended(os.waitstatus_to_exitcode(status), output, passed, self.mib, limit)


def watch_calls(
    calls: Iterable[tuple[str, Callable[[], int], Path]], *, seconds: float, mib: float, at_once: int
) -> Iterator[tuple[str, Path, Ended]]:
    """Run each call in a forked process in its folder, and yield its key and folder and how it ended.

    Args:
        calls: Key, call (which returns an exit status) and folder.
        seconds: Time that a call may take.
        mib: Memory that a call may take, with what it shares with this process.
        at_once: Number of processes.
    """
    waiting, running = iter(calls), dict[str, tuple[_Child, Path]]()
    more = True
    while more or running:
        while more and len(running) < at_once:
            following = next(waiting, None)
            if following is None:
                more = False
                break
            key, call, folder = following
            running[key] = (_Child(key, call, folder), folder)
        for key, (child, folder) in list(running.items()):
            if (ended := child.poll(seconds, mib)) is not None:
                del running[key]
                yield key, folder, ended
        time.sleep(POLL_S)


def _measure_mib(pid: int) -> float:
    try:
        process = psutil.Process(pid)
        members = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in members) / 2**20
    except psutil.Error:
        return 0.0
