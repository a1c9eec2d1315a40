"""Repeats over seeds and over folds: runs below one parent run, which go on after a kill."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import pytest
from command import Answer

import zoo
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.metrics.significance import compute_standard_error, estimate_mean
from zoo.reporting.check_inputs import Finding
from zoo.running.repeats import Repeats
from zoo.stored_runs.lookup import load_run
from zoo.stored_runs.results import Run
from zoo.task import load_task
from zoo.tracking.store import Store

OPTIONS: dict[str, Any] = {"epochs": 2, "quiet": True, "figures": False}


def list_figures(run_id: str) -> list[str]:
    return [file.path for file in client().list_artifacts(run_id, "figures")]


def client() -> mlflow.MlflowClient:
    return Store().client


def children(parent: str) -> list[Any]:
    runs = Store().search(f"tags.`mlflow.parentRunId` = '{parent}'")
    return sorted(runs, key=lambda run: run.info.start_time)


def test_seeds_share_the_split_and_stand_below_one_run(workspace: Path) -> None:
    parent = zoo.train("classification/linear", "wine", seeds=3, seed=5, **OPTIONS)
    assert parent.kind == "seeds"
    below = children(parent.run_id)
    assert [run.data.params["seed"] for run in below] == ["5", "6", "7"]
    digests = {run.inputs.dataset_inputs[0].dataset.digest for run in below}
    assert len(digests) == 1
    values = np.array([run.metrics["test_log_loss"] for run in parent.runs])
    assert len(set(values)) == 3
    page = client().get_run(parent.run_id)
    assert page.info.status == "FINISHED"
    assert page.data.metrics["test_log_loss_mean"] == pytest.approx(values.mean())
    assert page.data.metrics["test_log_loss_std"] == pytest.approx(values.std(ddof=1))
    noise = compute_standard_error([run.intervals["test_log_loss"] for run in parent.runs])
    low, high = parent.intervals["test_log_loss"]
    assert high - values.mean() == pytest.approx(estimate_mean(values, noise=noise).high - values.mean())
    assert min(values) - low > 1.5 * noise  # seeds of one test split share its sampling error
    assert not any(name.startswith(("train_", "val_")) for name in parent.intervals)
    assert "5" in repr(parent)
    assert list_figures(parent.run_id) == []
    # The split is the parent's: a baseline that needs no seed is the same in each run.
    assert len({run.baselines["majority"]["test_log_loss"] for run in parent.runs}) == 1
    best = min(parent.runs, key=lambda run: run.metrics["val_log_loss"])
    np.testing.assert_array_equal(zoo.load(parent.run_id).predict_proba("wine"), best.model.predict_proba("wine"))


def test_each_row_is_in_one_test_part_of_a_cross_validation() -> None:
    task = load_task("classification")
    seen = []
    for number in range(1, 5):
        dataset = task.read(make_job(DataJob, {"source": "wine", "fold": f"{number}/4"}))
        splits = [set(split.rows.tolist()) for split in dataset.splits.values()]
        assert sum(map(len, splits)) == len(set().union(*splits)) == 178
        classes = np.bincount(dataset.splits["test"].target)
        assert (abs(classes - np.array([59, 71, 48]) / 4) < 1).all()
        seen += dataset.splits["test"].rows.tolist()
    assert sorted(seen) == list(range(178))


def test_a_cross_validation_has_a_model_for_each_fold_and_none_for_all(workspace: Path) -> None:
    parent = zoo.train("regression/linear", "diabetes", cv=3, **OPTIONS)
    assert [run.data.params["fold"] for run in children(parent.run_id)] == ["1/3", "2/3", "3/3"]
    assert {run.data.tags["zoo.kind"] for run in children(parent.run_id)} == {"fold"}
    with pytest.raises(UsageError, match="is a cross-validation, with one model per fold"):
        zoo.load(parent.run_id)
    with pytest.raises(UsageError, match="cross-validation"):
        _ = parent.model
    assert zoo.load(parent.runs[1].run_id).predict("diabetes").shape == (442, 1)
    # A fold's model has seen the others' test rows, so that none of them can be the best run of the experiment.
    plain = zoo.train("regression/linear", "diabetes", **OPTIONS)
    assert zoo.best("diabetes").run_id == plain.run_id


def test_folds_leave_a_given_test_part_alone() -> None:
    task = load_task("sequence")
    whole = task.read(make_job(DataJob, {"source": "japanese_vowels"}))
    dataset = task.read(make_job(DataJob, {"source": "japanese_vowels", "fold": "1/2"}))
    used = {row for split in dataset.splits.values() for row in split.rows.tolist()}
    assert used.isdisjoint(whole.splits["test"].rows.tolist())
    assert len(used) == 270
    assert "the test split is not used: each fold has its own" in " ".join(dataset.notes)


class Killed(BaseException):
    """Stands for the end of a process."""


class CrashIn(keras.callbacks.Callback):
    """Ends the process in the second epoch of the second training."""

    def __init__(self) -> None:
        super().__init__()
        self.trainings = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.trainings += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.trainings == 2 and epoch == 1:
            raise Killed


def test_repeats_go_on_after_a_kill(workspace: Path) -> None:
    options: dict[str, Any] = {"epochs": 4, "quiet": True, "figures": False, "baselines": "none", "seeds": 3}
    undisturbed = zoo.train("classification/linear", "wine", name="whole", **options)
    with pytest.raises(Killed):
        zoo.train("classification/linear", "wine", name="broken", callbacks=[CrashIn()], **options)
    (broken,) = [run for run in Store().search() if run.info.run_name == "broken"]
    assert broken.info.status == "FAILED"
    first = children(broken.info.run_id)[0]
    parent = zoo.train(None, resume=broken.info.run_id, quiet=True)
    assert parent.run_id == broken.info.run_id
    assert len(children(parent.run_id)) == 3
    assert children(parent.run_id)[0].info.end_time == first.info.end_time  # what was finished is not run again
    assert parent.metrics == undisturbed.metrics
    assert client().get_run(parent.run_id).info.status == "FINISHED"
    with pytest.raises(UsageError, match="finished"):
        zoo.train(None, resume=parent.run_id, quiet=True)


def test_at_the_command_line(command: Callable[..., Answer]) -> None:
    answer = command(
        "train", "rl/dqn", "CartPole-v1", "--seeds", 2, "--epochs", 1, "--set", "period=256", "--no-figures", "--json"
    )
    assert answer.status == 0, answer.err
    assert answer.json["kind"] == "seeds"
    assert len(answer.json["runs"]) == 2
    assert answer.json["metrics"]["test_return_mean_std"] >= 0
    assert "random" in answer.json["baselines"]
    shown = command(
        "train", "clustering/autoencoder", "iris", "--clusters", 3, "--cv", 2, "--epochs", 1, "--no-figures"
    )
    assert shown.status == 0, shown.err
    assert "2 folds" in shown.out
    assert "silhouette" in shown.out


def seeds(scores: np.ndarray, error: float, baseline: float) -> Repeats:
    """Runs over seeds with these test scores, whose test rows have this standard error."""
    runs = [
        Run(
            run_id="0" * 32,
            experiment="planted",
            task="regression",
            model_name="mlp",
            source="planted",
            objective="rmse",
            direction="min",
            metrics={"val_rmse": 0.0, "test_rmse": score},
            intervals={"test_rmse": (score - 1.96 * error, score + 1.96 * error)},
            baselines={"ridge": {"val_rmse": 0.0, "test_rmse": baseline}},
            hyperparameters={},
            n_parameters=1,
            epochs_run=1,
            best_epoch=1,
            seconds=0.0,
            artifact_uri="",
        )
        for score in scores.tolist()
    ]
    return Repeats("0" * 32, "seeds", runs)


@pytest.mark.parametrize("spread", [0.1, 0.3, 1.0])
def test_seeds_include_the_sampling_error_of_the_test_rows(spread: float) -> None:
    """The deviation between seeds is a fraction of the standard error of the test rows, 1."""
    rng, simulations = np.random.default_rng(0), 600
    covered, decided = 0, 0
    for _ in range(simulations):
        # Two equal models, whose errors on the same rows are correlated, as those of real models are.
        shared, model, baseline = rng.normal(0, np.sqrt(0.5), 3)
        repeats = seeds(100 + shared + model + rng.normal(0, spread, 5), 1.0, 100 + shared + baseline)
        low, high = repeats.intervals["test_rmse"]
        covered += low <= 100 <= high
        decided += repeats.verdict != "tie"
    assert 0.92 <= covered / simulations <= 0.98
    assert decided / simulations <= 0.05


def test_a_clear_difference_over_seeds_is_decided() -> None:
    values = np.array([99.0, 100.0, 101.0])
    assert seeds(values, 1.0, 110.0).verdict == "model better"
    assert seeds(values, 1.0, 90.0).verdict == "baseline better"
    assert seeds(values, math.nan, 110.0).verdict == "tie"  # the sampling error is unknown


def test_the_baseline_s_score_is_apart_from_the_longest_interval() -> None:
    repeats = seeds(np.array([-43211.0, -42000.0, -41000.0]), 600.0, -54321.0)
    for shown in (repeats, repeats.runs[0]):
        row = next(line for line in repr(shown).splitlines() if line.startswith("test_rmse"))
        assert "]  " in row


def test_intervals_of_means_are_within_the_limits_of_the_metrics_of_the_task(workspace: Path) -> None:
    repeats = seeds(np.array([0.1, 2.0, 0.2]), 1.0, 5.0)
    assert repeats.intervals["test_rmse"][0] < 0
    repeats.runs = [dataclasses.replace(run, limits={"rmse": (0.0, math.inf)}) for run in repeats.runs]
    assert repeats.intervals["test_rmse"][0] == 0
    run = zoo.train("classification/linear", "wine", baselines="none", **{**OPTIONS, "epochs": 1})
    expected = {"test_accuracy": (0.0, 1.0), "val_brier": (0.0, 2.0), "test_log_loss": (0.0, math.inf), "test_x": None}
    for stored in (run, load_run(Store(), run.run_id)):
        assert {score: stored.find_limits(score) for score in expected} == expected


def test_the_diagnosis_and_the_verdict_agree() -> None:
    """Each of two runs is worse than the baseline by its own interval, but their differences vary too much."""
    worse = Finding("worse than a baseline", "warning", "ridge is better", "zoo tune")
    tie = seeds(np.array([91.0, 130.0]), 0.1, 90.0)
    tie.runs = [dataclasses.replace(run, diagnosis=(worse,)) for run in tie.runs]
    assert tie.verdict == "tie"
    assert "worse than a baseline" not in [finding.topic for finding in tie.diagnosis]
    better = seeds(np.array([99.0, 100.0, 101.0]), 1.0, 90.0)
    assert better.verdict == "baseline better"
    (finding,) = better.diagnosis
    assert (finding.topic, finding.text) == ("worse than a baseline", "ridge has test_rmse 90, the network 100")


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        estimate = estimate_mean(rng.normal(3, 2, 4))
        held += estimate.low <= 3 <= estimate.high
    assert held / 2000 == pytest.approx(0.95, abs=0.02)


def test_the_curves_of_all_runs_are_a_figure(workspace: Path) -> None:
    parent = zoo.train("classification/linear", "wine", seeds=2, epochs=3, quiet=True, baselines="none")
    assert list_figures(parent.run_id) == ["figures/runs.png"]
    agents = zoo.train(
        "rl/q_table", "FrozenLake-v1", seeds=2, epochs=2, quiet=True, baselines="none", hyperparameters={"period": 200}
    )
    assert list_figures(agents.run_id) == ["figures/runs.png"]
