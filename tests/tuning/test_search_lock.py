"""One driver at a time works on a search; a lock that another command holds for a moment is waited for."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from zoo.errors import UsageError
from zoo.jobs.search_options import TuneJob
from zoo.tuning.storage.search_folder import LOCK_FILE, SearchFolder


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return SearchFolder(tmp_path, TuneJob(model="regression/linear", source="diabetes"), "digest", {})


def test_a_second_driver_is_refused(folder: SearchFolder) -> None:
    with (
        folder.locked(),
        pytest.raises(UsageError, match=f"already running in process {os.getpid()}"),
        folder.locked(),
    ):
        pass


def test_a_lock_held_for_a_moment_is_waited_for(folder: SearchFolder) -> None:
    folder.path.mkdir()
    lock = (folder.path / LOCK_FILE).open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)
    threading.Timer(0.2, lock.close).start()
    with folder.locked():
        assert (folder.path / LOCK_FILE).read_text() == str(os.getpid())
