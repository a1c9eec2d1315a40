"""The Ray actor on a node: runs trials, and transfers their files from and to the shared storage."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import JobError, ZooError
from zoo.tuning.execution.worker_processes import WorkerProcesses
from zoo.tuning.storage.shared_storage import Storage

SAME_VERSION = ("keras-task-zoo", "tensorflow", "keras")
DATA = "data"
ERROR = "error"


def list_node_versions() -> dict[str, str]:
    """Return the package versions that must be the same on all nodes, so that checkpoints are compatible."""
    return {name: importlib.metadata.version(name) for name in SAME_VERSION}


class RayWorker:
    """A worker on a node: runs one trial after another, each in a process forked from its server.

    Args:
        folder: The search's folder, as the driver names it.
        storage: The storage between driver and node; None if the folder itself is shared.
        token: Identifies the driver; workers of one driver share the files copied to the node.
        expected: The driver's :func:`list_node_versions`.
        preload: Modules that the server imports.
    """

    def __init__(
        self,
        folder: str,
        storage: Storage | None,
        token: str,
        expected: Mapping[str, str],
        preload: Sequence[str],
    ) -> None:
        self._expected, self._preload = dict(expected), tuple(preload)
        self._storage = storage
        self._root = Path(tempfile.gettempdir()) / f"zoo-{token}" if storage is not None else Path(folder)
        self._calls = Path(tempfile.mkdtemp(prefix="zoo-calls-"))
        self._workers: WorkerProcesses | None = None
        self._lock: Any = None
        self._trial = ""
        self._sent: dict[Path, int] = {}

    def work(self, requests: Sequence[Mapping[str, Any]], wait_s: float) -> list[tuple[str, str, Any]]:
        """Carry out the driver's requests, and return the first events that occur within ``wait_s``.

        Returns:
            Key, kind and value of each event; kind ``error`` if this node cannot be used, whatever the trial.
        """
        try:
            workers = self._open()
            for request in requests:
                self._carry_out(workers, request)
            events = workers.wait(wait_s)
            self._send_new()
        except ZooError as error:
            return [("", ERROR, {**error.as_dict(), "node": os.uname().nodename})]
        return [(event.key, event.kind, event.value) for event in events]

    def close(self) -> None:
        """End running calls, and remove the files copied to this node unless another worker uses them."""
        if self._workers is not None:
            self._workers.close()
        shutil.rmtree(self._calls, ignore_errors=True)
        if self._lock is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(self._root, ignore_errors=True)
            self._lock.close()

    def _open(self) -> WorkerProcesses:
        if self._workers is not None:
            return self._workers
        installed = list_node_versions()
        if differing := [name for name in installed if installed[name] != self._expected[name]]:
            here, there = (
                ", ".join(f"{name} {all_[name]}" for name in differing) for all_ in (installed, self._expected)
            )
            raise JobError(f"it has {here}, but the driver has {there}", where="cluster")
        if self._storage is not None:
            self._fetch_data(self._storage)
        elif not (self._root / DATA / "dataset.json").exists():
            raise JobError(
                f"it cannot read {self._root}; pass --storage with a URL that all nodes and this machine can reach",
                where="cluster",
            )
        os.chdir(self._root)  # the driver names files relative to the search's folder
        self._workers = WorkerProcesses(1, folder=self._calls, preload=self._preload)
        return self._workers

    def _fetch_data(self, storage: Storage) -> None:
        """Copy the data to this node, once for all of its workers."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (self._root / "in-use").open("a")
        fcntl.flock(self._lock, fcntl.LOCK_SH)  # held as long as this worker exists
        with (self._root / "fetching").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self._root / DATA).exists():
                arriving = self._root / f".{DATA}"
                storage.fetch_folder(DATA, arriving)
                arriving.replace(self._root / DATA)

    def _carry_out(self, workers: WorkerProcesses, request: Mapping[str, Any]) -> None:
        key = request["key"]
        if "call" in request:
            self._trial, self._sent = request["folder"], {}
            if self._storage is not None:
                folder = self._root / self._trial
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                self._storage.fetch_folder(self._trial, folder)
                self._sent = self._files()
            workers.start_packed(key, request["call"], memory_bytes=request["memory_bytes"])
        elif "message" in request:
            workers.tell(key, request["message"])
        else:
            workers.kill(key)

    def _files(self) -> dict[Path, int]:
        """Return the trial's files with their modification times, without those still being written (dot files)."""
        modified_ns: dict[Path, int] = {}
        for path in (self._root / self._trial).rglob("[!.]*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    modified_ns[path] = path.stat().st_mtime_ns
        return modified_ns

    def _send_new(self) -> None:
        """Send the files that the trial has written since the last call."""
        if self._storage is None or not self._trial:
            return
        for path, written in self._files().items():
            if self._sent.get(path) != written:
                self._storage.send(path, str(path.relative_to(self._root)))
                self._sent[path] = written
