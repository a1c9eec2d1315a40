from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zoo.tuning.workers import Workers


@pytest.fixture(params=["fork", "fresh"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Workers]]:
    """Makes workers without heavy imports, both forked and as fresh processes."""
    monkeypatch.setenv("ZOO_FORK", "1" if request.param == "fork" else "0")
    made: list[Workers] = []

    def workers(slots: int = 1, preload: tuple[str, ...] = ()) -> Workers:
        made.append(Workers(slots, folder=tmp_path / "calls", preload=preload))
        return made[-1]

    yield workers
    for each in made:
        each.close()
