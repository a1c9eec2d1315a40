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
    made: list[WorkerProcesses] = []

    def workers(slots: int = 1, preload: tuple[str, ...] = ()) -> WorkerProcesses:
        made.append(
            WorkerProcesses(slots, folder=tmp_path / "calls", preload=preload, overlap=request.param == "overlap")
        )
        return made[-1]

    yield workers
    for each in made:
        each.close()
