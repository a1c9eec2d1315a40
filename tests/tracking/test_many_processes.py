"""Processes that track into one store at once: nothing is missing, nothing mixed up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from zoo.tracking.store import Store

ROOT = Path(__file__).parents[2]
PROCESS = """
import dataclasses, sys
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from zoo.task import load_task
from zoo.tracking.tracked_run import TrackedRun
from zoo.tracking.store import Store
number, runs = map(int, sys.argv[1:])
store = Store()
experiment = store.experiment("crowd")
dataset = load_task("classification").read(make_job(TrainJob, {"model": "classification/linear", "source": "iris"}))
for i in range(runs):
    run = TrackedRun.create(store, experiment, f"{number}-{i}", tags={"who": f"{number}-{i}"})
    run.dataset(dataclasses.replace(dataset, digest=f"the same in all processes {i}"))
    run.params({"number": number, "i": i})
    for epoch in (1, 2, 3):
        run.epoch(epoch, {"loss": 1000 * number + i + epoch / 10})
    run.metrics({"score": 1000 * number + i})
    run.text(f"{number}-{i}", "who.txt")
    run.end("FINISHED")
"""


def check_a_crowd(processes: int, runs: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(number), str(runs)], env=environment, stderr=subprocess.PIPE, text=True
        )
        for number in range(processes)
    ]
    for process in started:
        _, said = process.communicate(timeout=900)
        assert process.returncode == 0, said
    store = Store()
    tracked = {run.data.tags["who"]: run for run in store.search(experiment=store.known_experiment("crowd"))}
    assert set(tracked) == {f"{number}-{i}" for number in range(processes) for i in range(runs)}
    for who, run in tracked.items():
        number, i = map(int, who.split("-"))
        assert run.info.run_name == who
        assert run.info.status == "FINISHED"
        assert run.data.params == {"number": str(number), "i": str(i)}
        assert run.data.metrics == {"score": 1000 * number + i, "epoch/loss": 1000 * number + i + 0.3}
        history = store.client.get_metric_history(run.info.run_id, "epoch/loss")
        assert sorted((m.step, m.value) for m in history) == [
            (e, 1000 * number + i + e / 10) for e in (1, 2, 3)
        ]  # fmt: skip
        assert store.read_text(run.info.run_id, "who.txt") == who


def test_a_few_processes_in_sqlite(workspace: Path) -> None:
    check_a_crowd(2, 6)


@pytest.mark.slow
def test_eight_processes_and_400_runs_in_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no store yet, and eight come at once
    mlflow.set_tracking_uri(None)
    check_a_crowd(8, 50)
    mlflow.set_tracking_uri(None)


@pytest.mark.slow
def test_eight_processes_and_400_runs_in_postgresql(
    postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow itself cannot make its tables where the folder's name has an apostrophe
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgresql.replace("postgresql://", "postgresql+psycopg://"))
    check_a_crowd(8, 50)
