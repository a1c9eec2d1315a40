"""A tracking server dies in the middle of a training: nothing is missing once it is back."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import mlflow
import pandas as pd
import pytest

import zoo
from zoo.tracking.offline_store import OfflineStore
from zoo.tracking.store import Store
from zoo.tracking.tracked_run import FLUSH_S

EPOCHS = 8


class Server:
    """MLflow's server on a port of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri, self.folder, self.process = f"http://127.0.0.1:{self.port}", folder, None

    def start(self) -> None:
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        options += ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"]
        options += ["--artifacts-destination", str(self.folder / "artifacts")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options], cwd=self.folder, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.25)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        import os
        import signal

        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    shutil.copy(empty_store, tmp_path / "server" / "server.db")
    mlflow_server = Server(tmp_path / "server")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    mlflow_server.start()
    mlflow.MlflowClient(mlflow_server.uri).create_experiment("of somebody else")  # ours is not the first one
    yield mlflow_server
    mlflow_server.kill()


class At(keras.callbacks.Callback):
    """Does something after an epoch, and lets each last long enough to be written by itself."""

    def __init__(self, what: dict[int, Any]) -> None:
        super().__init__()
        self.what = what

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch in self.what:
            self.what[epoch]()
        time.sleep(0.5)


def train(**options: Any) -> Any:
    return zoo.train("classification/linear", "iris", epochs=EPOCHS, quiet=True, baselines="quick", **options)


def everything(run_id: str) -> dict[str, Any]:
    """What the server has of a run."""
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    # What the machine does is read every few seconds, however many that are.
    names = [name for name in run.data.metrics if not name.startswith("system/")]
    curves = {name: len(client.get_metric_history(run_id, name)) for name in names}
    children = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    files = [file.path for path in ("", "figures", "tables") for file in client.list_artifacts(run_id, path)]
    return {
        "status": run.info.status,
        "curves": curves,
        "params": run.data.params,
        "tags": sorted(name for name in run.data.tags if name != "zoo.reason"),
        "inputs": len(run.inputs.dataset_inputs),
        "models": len(run.outputs.model_outputs),
        "files": sorted(files),
        "children": sorted(child.info.run_name for child in children),
        "children's metrics": sorted(name for child in children for name in child.data.metrics),
        "ended": {child.info.status for child in children},
    }


@pytest.mark.slow
def test_nothing_is_missing_after_the_server_was_away(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    whole = everything(train(name="undisturbed").run_id)
    assert whole["curves"]["epoch/loss"] == EPOCHS
    missed = lambda: time.sleep(FLUSH_S + 1)  # noqa: E731 - so that something is written while it is away
    run = train(callbacks=[At({1: server.kill, 2: missed, 5: server.start})], name="disturbed")
    assert everything(run.run_id) == whole
    assert f"{server.uri} does not answer" in caplog.text
    assert "answers again" in caplog.text
    assert zoo.load(run.run_id).predict("iris").shape[0] == 150


def test_what_was_kept_is_sent_by_the_next_command_and_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    whole = everything(train(name="undisturbed").run_id)
    run = train(callbacks=[At({3: server.kill})], name="disturbed")
    assert run.metrics["test_accuracy"] > 0
    with pytest.raises(zoo.UsageError, match="does not answer"):
        zoo.runs()
    server.start()
    assert "disturbed" in str(zoo.runs())
    assert everything(run.run_id) == whole
    before = len(Store().search())
    Store()
    assert len(Store().search()) == before
    assert not list(Path("mlruns/state/unsent").glob("*/artifacts/*/*"))
    spare = OfflineStore(next(Path("mlruns/state/unsent").resolve().iterdir()))
    lost = spare.run_for("0" * 32)  # of a run that somebody removed at the server
    spare.client.set_terminated(lost)
    assert "disturbed" in str(zoo.runs())
    assert "the server refuses" in caplog.text
    assert spare.client.get_run(lost).info.lifecycle_stage == "active"
    rows = pd.DataFrame(zoo.load(run.run_id).predict("iris"))
    pd.testing.assert_frame_equal(mlflow.pyfunc.load_model(f"runs:/{run.run_id}/model").predict(rows_of_iris()), rows)


@pytest.mark.slow
def test_folds_and_trials_begin_without_the_server_too(server: Server) -> None:
    folds = everything(train(cv=3, name="undisturbed").run_id)
    # In the second fold: what the first one predicted is at the server only.
    moments = iter([lambda: None, server.kill, lambda: None])
    run = train(cv=3, callbacks=[At({2: lambda: next(moments)()})], name="disturbed")
    with pytest.raises(zoo.UsageError, match="does not answer"):
        train()
    server.start()
    zoo.runs()
    assert everything(run.run_id) == folds
    assert all(
        zoo.load(fold).predict("iris").shape[0] == 150 for fold in (child.run_id for child in run.runs)
    )  # one had another id when it ended
    search = {"trials": 4, "workers": 1, "epochs": 2, "baselines": "none", "quiet": True, "figures": False}
    first = zoo.tune("classification/linear", "iris", name="begun with it", **search)
    server.kill()
    with pytest.raises(zoo.UsageError, match="does not answer"):
        zoo.tune("classification/linear", "iris", name="other", **search)
    server.start()
    again = zoo.tune("classification/linear", "iris", name="begun with it", **search)
    assert [trial.run_id for trial in again.trials] == [trial.run_id for trial in first.trials]


CUT = """
import os, signal, sys
import keras
import zoo

class Cut(keras.callbacks.Callback):
    folds = 0
    def on_train_begin(self, logs=None):
        Cut.folds += 1
    def on_epoch_end(self, epoch, logs=None):
        if Cut.folds == 1 and epoch == 1:
            os.killpg(int(sys.argv[1]), signal.SIGKILL)
        if Cut.folds == 2 and epoch == 4:
            os.kill(os.getpid(), signal.SIGKILL)

zoo.train("classification/linear", "iris", epochs=8, cv=2, quiet=True, baselines="none", callbacks=[Cut()])
"""


@pytest.mark.slow
def test_a_run_that_began_without_the_server_goes_on_after_a_kill(server: Server) -> None:
    assert server.process is not None
    ended = subprocess.run([sys.executable, "-c", CUT, str(server.process.pid)], check=False)
    assert ended.returncode == -9
    server.process.wait()
    server.start()
    (parent,) = [run for run in Store().search() if run.data.tags["zoo.kind"] == "cross_validation"]
    seen: list[int] = []
    zoo.train(
        resume=parent.info.run_id,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=lambda n, _: seen.append(n))],
    )
    assert seen[0] > 0
    assert seen == list(range(seen[0], 8))  # from the second fold's checkpoint, and no other fold
    facts = everything(parent.info.run_id)
    assert facts["status"] == "FINISHED"
    assert facts["children"] == ["fold 1/2", "fold 2/2"]
    assert facts["ended"] == {"FINISHED"}


def rows_of_iris() -> pd.DataFrame:
    from zoo.data.sources.read import read_table

    return read_table("iris").frame
