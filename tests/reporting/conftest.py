from __future__ import annotations

import pytest

from zoo.reporting import run_checks


@pytest.fixture
def without_label_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the search for label errors, which fits models on folds and takes most of the time of a report."""
    monkeypatch.setattr(run_checks, "find_suspects", lambda *_: None)
    monkeypatch.setattr(run_checks, "check_labels", lambda _: [])
