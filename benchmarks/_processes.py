"""Parts of a benchmark in fresh processes: their measurements as they come, and the memory they take."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo import quiet_import as quietly

CHILD = "--child"
_PROC = Path("/proc")
# Proportional shares cost 25 ms a GiB to read, so the tree is looked at less often, lest that slows the search.
_SAMPLE_S, _TREE_EVERY = 0.2, 5


def child_payload() -> dict[str, Any] | None:
    """Return what the parent gave this process, or None in a process that a person started."""
    return json.loads(sys.argv[2]) if len(sys.argv) == 3 and sys.argv[1] == CHILD else None


def tell_parent(values: dict[str, Any]) -> None:
    """Hand a measurement to the parent."""
    print(json.dumps(values), flush=True)


class Child:
    """A benchmark's script in a fresh process, which does the part that the payload names.

    Args:
        script: The script, which asks :func:`child_payload` what to do.
        payload: JSON for it.
    """

    def __init__(self, script: str, payload: dict[str, Any]) -> None:
        command = [sys.executable, str(Path(script).resolve()), CHILD, json.dumps(payload)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield each measurement as the child makes it.

        Raises:
            RuntimeError: When the child fails.
        """
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
            if self._process.wait():
                raise RuntimeError(f"a part of the benchmark ended with status {self._process.returncode}")
        finally:
            if self._process.poll() is None:
                self._process.terminate()
                self._process.wait()


class MemorySamples:
    """Anonymous memory of a process and of it with all its descendants, by time.

    The tree's is the sum of proportional shares: a page that a forked process shares with its parent
    counts once; the whole of it has mapped files, too. Without ``/proc`` (macOS) there are no samples.
    """

    def __init__(self) -> None:
        self.own: list[tuple[float, float]] = []
        self.tree: list[tuple[float, float]] = []
        self.whole: list[tuple[float, float]] = []
        self._count = 0

    def take(self, pid: int) -> None:
        """Add a sample: time and MiB."""
        status = _status_mib(pid)
        if status is None:
            return
        self.own.append((time.time(), status))
        if self._count % _TREE_EVERY == 0:
            shares = [_shares_mib(member) for member in _with_descendants(pid)]
            self.tree.append((time.time(), sum(anonymous for anonymous, _ in shares)))
            self.whole.append((time.time(), sum(whole for _, whole in shares)))
        self._count += 1

    def peaks(self, spans: Sequence[Sequence[float]], which: str) -> list[float]:
        """Return the greatest sample within each span of time; spans without one are left out."""
        inside = [[mib for when, mib in getattr(self, which) if span[0] <= when <= span[1]] for span in spans]
        return [max(samples) for samples in inside if samples]


@contextmanager
def sampled_memory(pid: int) -> Iterator[MemorySamples]:
    """Sample a process's memory while the block runs, five times a second, that of its descendants once."""
    samples = MemorySamples()
    with repeated(lambda: samples.take(pid), _SAMPLE_S):
        yield samples


@contextmanager
def repeated(function: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call a function again and again, in a thread of its own, while the block runs."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(every_s):
            function()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _with_descendants(pid: int) -> list[int]:
    pids = [pid]
    for parent in pids:
        for task in _PROC.glob(f"{parent}/task/*/children"):
            try:
                pids += [int(child) for child in task.read_text().split()]
            except OSError:  # it has just ended
                continue
    return pids


def _status_mib(pid: int) -> float | None:
    return _fields_mib(_PROC / str(pid) / "status").get("RssAnon:")


def _shares_mib(pid: int) -> tuple[float, float]:
    """The proportional share of anonymous memory, and of all."""
    fields = _fields_mib(_PROC / str(pid) / "smaps_rollup")
    anonymous = fields.get("Pss_Anon:", _status_mib(pid) or 0.0)
    return anonymous, fields.get("Pss:", anonymous)


def _fields_mib(path: Path) -> dict[str, float]:
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) / 1024 for words in lines if words[-1] == "kB"}


def import_tensorflow() -> None:
    """Import TensorFlow without the lines and warnings that would drown the progress."""
    quietly.import_tensorflow()
    # A benchmark makes many networks in one process, which TensorFlow takes for a mistake.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """Work in a folder, with the tracking store in it, whatever the user's own settings say."""
    before = Path.cwd()
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        os.environ.pop(name, None)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
