"""What zoo 0.1.0 saved before its modules were moved: models of each task, a stopped run, a stopped search."""

from __future__ import annotations

import sqlite3
import tarfile
from pathlib import Path

import mlflow
import pandas as pd
import pytest

import zoo
from zoo.data.sources.bundled import load_bundled
from zoo.saving.model_folder import load_model

EARLIER = Path(__file__).parent / "zoo_0.1.0"
ROWS = {
    "classification": "wine", "regression": "diabetes", "clustering": "iris", "sequence": EARLIER / "sequence/rows.csv",
    "image": EARLIER / "image/rows.npz", "rl": EARLIER / "rl/rows.csv",
}  # fmt: skip
STOPPED_RUN, STOPPED_SEARCH = "cb124395a0c847f0981613693d039bd3", "099cd2ec3ce046eab301b57cd8cd588b"


@pytest.mark.parametrize("task", ROWS)
def test_a_model_predicts_the_same(task: str) -> None:
    expected = pd.read_csv(EARLIER / task / "predictions.csv")
    predicted = load_model(EARLIER / task / "data/zoo").predict(str(ROWS[task])).head(len(expected))
    pd.testing.assert_frame_equal(predicted, expected, rtol=1e-4, atol=1e-5, check_dtype=False)


def test_mlflow_loads_one() -> None:
    frame, _, _ = load_bundled("wine")
    predicted = mlflow.pyfunc.load_model(str(EARLIER / "classification")).predict(frame.head(40))
    expected = pd.read_csv(EARLIER / "classification/predictions.csv").head(40)
    pd.testing.assert_frame_equal(predicted, expected, rtol=1e-4, atol=1e-5, check_dtype=False)


@pytest.fixture
def earlier_store(workspace: Path) -> Path:
    """The working folder of zoo 0.1.0, moved here."""
    with tarfile.open(EARLIER / "store.tar.xz") as archive:
        archive.extractall(workspace, filter="data")
    database = sqlite3.connect(workspace / "mlruns/mlflow.db")
    for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
        database.execute(f"UPDATE {table} SET {column} = replace({column}, '/tmp/fix2', ?)", (str(workspace),))
    database.execute(
        "UPDATE logged_models SET artifact_location = replace(artifact_location, '/tmp/fix2', ?)", (str(workspace),)
    )
    database.commit()
    database.close()
    return workspace


def test_a_stopped_run_resumes_and_ends_like_one_that_was_never_stopped(earlier_store: Path) -> None:
    resumed = zoo.train(None, resume=STOPPED_RUN, quiet=True)
    assert resumed.run_id == STOPPED_RUN
    fresh = zoo.train(
        "classification/mlp", "wine", epochs=400, hyperparameters={"patience": 1000, "units": 16}, seed=3,
        baselines="none", figures=False, quiet=True,
    )  # fmt: skip
    assert resumed.metrics["test_log_loss"] == pytest.approx(fresh.metrics["test_log_loss"], rel=1e-4)
    assert resumed.epochs_run == fresh.epochs_run


def test_a_stopped_search_goes_on_with_its_trials(earlier_store: Path) -> None:
    search = zoo.tune(None, resume=STOPPED_SEARCH, quiet=True)
    assert [trial.status for trial in search.trials] == ["COMPLETED"] * 4
    assert search.trials[0].score == pytest.approx(0.2941294489601338)  # as it was stored, not trained again
    assert search.best.metrics["test_accuracy"] > 0.7
