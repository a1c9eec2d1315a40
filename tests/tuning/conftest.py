from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zoo.tuning.execution.worker_processes import WorkerProcesses


@pytest.fixture(params=["fork", "fresh", "overlap"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., WorkerProcesses]]:
    """Makes workers without heavy imports: forked, as fresh processes, and forked where one begins as one ends."""
    monkeypatch.setenv("ZOO_FORK", "0" if request.param == "fresh" else "1")
    executors: list[WorkerProcesses] = []

    def workers(max_workers: int = 1, preload: tuple[str, ...] = ()) -> WorkerProcesses:
        executors.append(
            WorkerProcesses(max_workers, folder=tmp_path / "calls", preload=preload, overlap=request.param == "overlap")
        )
        return executors[-1]

    yield workers
    for each in executors:
        each.close()
