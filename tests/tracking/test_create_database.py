"""A process that is killed while it creates the store leaves none, or a whole one."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from zoo.tracking.store import Store

SCRIPT = "from zoo.tracking.store import Store; import mlflow; print('begins', flush=True); Store(); print('done')"


def kill_after(seconds: float) -> bool:
    """Kill a process some time after it began to create a store; return whether it was still at it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    return "done" not in process.communicate()[0]


@pytest.mark.parametrize(
    "moments",
    [[0.4], pytest.param([0.1 * number for number in range(20)], marks=pytest.mark.slow)],
    ids=["once", "often"],
)
def test_the_next_command_works_after_a_kill(workspace: Path, moments: list[float]) -> None:
    killed = 0
    for moment in moments:
        shutil.rmtree("mlruns")
        killed += kill_after(moment)
        subprocess.run([sys.executable, "-m", "zoo", "runs"], check=True, capture_output=True)
        assert list(Path("mlruns").glob(".begun-*")) == []
    assert killed


@pytest.mark.parametrize(
    "statement", ["DELETE FROM alembic_version", "UPDATE alembic_version SET version_num = 'cf4c'"]
)
def test_a_store_that_was_left_unfinished_is_created_anew(workspace: Path, statement: str) -> None:
    with closing(sqlite3.connect("mlruns/mlflow.db")) as database:
        database.execute(statement)
        database.execute("DROP TABLE trace_tags")
        database.commit()
    assert Store().search() == []


def test_a_store_with_an_experiment_is_kept(workspace: Path) -> None:
    Store().experiment("mine")
    before = Path("mlruns/mlflow.db").stat().st_ino
    Store()
    assert Path("mlruns/mlflow.db").stat().st_ino == before
    assert Store().client.get_experiment_by_name("mine") is not None
