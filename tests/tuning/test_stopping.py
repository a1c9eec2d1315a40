"""What ends trials early, and where a search begins: halving, budgets, limits, starting points, a fresh start."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.errors import JobError, UsageError
from zoo.jobs.job import make_job
from zoo.jobs.search_options import UNLIMITED_TRIALS, TuneJob
from zoo.tracking.store import Store
from zoo.tuning.pruning import FACTOR, SuccessiveHalving, choose_rungs

QUICK: dict[str, Any] = {"trials": 3, "workers": 2, "epochs": 2, "quiet": True, "baselines": "none", "figures": False}


class Ordered(keras_tuner.Oracle):
    """An oracle of a user's own: tries units 1, 2, 3, …"""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        values = self.hyperparameters.values
        return {"status": "RUNNING", "values": {**values, "units": 1 + len(self.start_order)}}


def slow(hp: Any, spec: Any) -> keras.Model:
    """A network whose second candidate takes its time."""
    if hp.Int("units", 1, 64, default=2) != 2:
        time.sleep(12)
    model = keras.Sequential([keras.Input((len(spec.inputs),)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def greedy(hp: Any, spec: Any) -> keras.Model:
    """A network whose second candidate takes all memory there is."""
    units = hp.Int("units", 1, 64, default=2)
    held = bytearray(4 << 30) if units != 2 else b""
    model = keras.Sequential([keras.Input((len(spec.inputs),)), keras.layers.Dense(1 + len(held))])
    model.compile("adam", "mse")
    return model


@given(st.integers(1, 3000))
def test_rungs_lie_inside_a_training(epochs: int) -> None:
    rungs = choose_rungs(epochs)
    assert all(0 < rung < epochs for rung in rungs)
    assert all(later == FACTOR * rung for rung, later in itertools.pairwise(rungs))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.sampled_from(["min", "max"]))
def test_the_best_so_far_always_goes_on_and_few_others_do(scores: list[float], direction: str) -> None:
    rungs = SuccessiveHalving((3,), direction)
    better = min if direction == "min" else max
    went_on = 0
    for trial, score in enumerate(scores):
        goes_on = rungs.goes_on(str(trial), 3, score)
        went_on += goes_on
        if score == better(scores[: trial + 1]) and scores[: trial + 1].count(score) == 1:
            assert goes_on
    again = SuccessiveHalving((3,), direction, rungs.scores)
    assert again.scores == rungs.scores


def test_halving_stops_what_is_hopeless_and_says_so(workspace: Path) -> None:
    options = {**QUICK, "trials": 6, "epochs": 4, "workers": 1, "search": "asha"}
    search = zoo.tune("classification/mlp", "wine", **options)
    pruned = [trial for trial in search.trials if trial.status == "PRUNED"]
    assert pruned
    assert {trial.status for trial in search.trials} == {"PRUNED", "COMPLETED"}
    client = Store().client
    for trial in pruned:
        page = client.get_run(str(trial.run_id))
        assert page.info.status == "FINISHED"
        assert page.data.tags["zoo.status"] == "pruned"
        assert page.data.tags["zoo.pruned_epoch"] == "3"
        assert len(client.get_metric_history(str(trial.run_id), "epoch/loss")) == int(
            page.data.tags["zoo.pruned_epoch"]
        )


def test_a_budget_ends_a_search_which_is_recalled_and_goes_on_with_more(workspace: Path) -> None:
    options = {**QUICK, "trials": 500, "epochs": 400}
    first = zoo.tune("regression/linear", "diabetes", time_budget="4s", **options)
    assert 0 < len(first.trials) < 500
    assert "test_rmse" in first.best.metrics
    again = zoo.tune("regression/linear", "diabetes", time_budget="4s", **options)
    assert [trial.as_dict() for trial in again.trials] == [trial.as_dict() for trial in first.trials]
    wanted = len(first.trials) + 2
    more = zoo.tune("regression/linear", "diabetes", **{**options, "trials": wanted, "epochs": 400})
    assert more.run_id == first.run_id
    assert len(more.trials) == wanted
    assert {run.info.status for run in Store().search()} == {"FINISHED"}


def test_a_trial_that_takes_too_long_or_too_much_ends_alone(workspace: Path) -> None:
    options: dict[str, Any] = {**QUICK, "task": "regression", "trials": 2, "workers": 1, "epochs": 1}
    timed = zoo.tune(slow, "diabetes", trial_timeout="5s", **options)
    assert [trial.status for trial in timed.trials] == ["COMPLETED", "FAILED"]
    assert "timeout of 5s exceeded" in Store().client.get_run(str(timed.trials[1].run_id)).data.tags["zoo.reason"]
    bounded = zoo.tune(greedy, "diabetes", memory="3GiB", **options)
    assert [trial.status for trial in bounded.trials] == ["COMPLETED", "FAILED"]
    assert "does not fit into memory" in Store().client.get_run(str(bounded.trials[1].run_id)).data.tags["zoo.reason"]


@pytest.mark.parametrize(
    "search", ["random", *(pytest.param(n, marks=pytest.mark.slow) for n in ("bayesian", "hyperband"))]
)
def test_starting_points_come_after_the_default(workspace: Path, search: str) -> None:
    search_ = zoo.tune(
        "regression/linear", "diabetes", search=search, start=["l2=0.25", {"l2": 0.5, "learning_rate": 0.125}], **QUICK
    )
    assert [trial.hyperparameters["l2"] for trial in search_.trials][1:] == [0.25, 0.5]
    assert search_.trials[2].hyperparameters["learning_rate"] == 0.125
    warm = zoo.tune("regression/mlp", "diabetes", start_from=search_.run_id, **{**QUICK, "trials": 2})
    best = search_.best.hyperparameters
    assert warm.trials[1].hyperparameters["learning_rate"] == best["learning_rate"]


def test_an_oracle_of_ones_own(workspace: Path) -> None:
    search = zoo.tune("regression/mlp", "diabetes", search=f"{__name__}:Ordered", **QUICK)
    assert [trial.hyperparameters["units"] for trial in search.trials] == [1, 2, 3]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"search": "bayes"}, "bayesian"),
        ({"search": "no_such_module:Oracle"}, "cannot be imported"),
        ({"search": "json:JSONDecoder"}, "is not a keras_tuner.Oracle"),
        ({"time_budget": "soon"}, "90s, 20m or 1h30m"),
        ({"trial_timeout": "0"}, "90s, 20m or 1h30m"),
        ({"memory": "lots"}, "2GiB or 500MB"),
        ({"start": "units"}, "NAME=VALUE"),
        ({"start": "unit=3"}, "units"),
        ({"start_from": "ffffffff"}, "ffffffff"),
        ({"search": "grid", "start": "units=3"}, "grid"),
        ({"workers": 0}, "workers"),
        ({"trials": -1}, "trials"),
    ],
)
def test_wrong_options(workspace: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        zoo.tune("regression/mlp", "diabetes", **{**QUICK, **options})
    assert says in f"{caught.value} {caught.value.nearest}"
    assert Store().search() == [] or {run.info.status for run in Store().search()} <= {"FINISHED", "FAILED"}


def test_the_number_of_trials_is_unlimited_where_only_time_is_given() -> None:
    def job_of(**values: Any) -> TuneJob:
        return make_job(TuneJob, {"model": "regression/linear", "source": "diabetes", **values})

    assert job_of().most_trials == 20
    assert job_of(time_budget="2m", trials=3).most_trials == 3
    assert job_of(time_budget="2m").most_trials == UNLIMITED_TRIALS
    assert job_of(time_budget="2m").trial_seconds == 108  # the rest is for what follows the trials


@pytest.mark.slow
def test_a_search_by_time_alone_is_recalled(workspace: Path) -> None:
    options: dict[str, Any] = {"epochs": 2, "workers": 2, "baselines": "quick", "figures": False, "quiet": True}
    search = zoo.tune("regression/linear", "diabetes", time_budget="12s", **options)
    assert search.trials
    assert search.best.baselines
    assert len(zoo.tune("regression/linear", "diabetes", time_budget="12s", **options).trials) == len(search.trials)


def test_a_budget_that_no_trial_fits_in(workspace: Path) -> None:
    options: dict[str, Any] = {**QUICK, "task": "regression", "trials": 2, "workers": 1, "epochs": 1}
    with pytest.raises(JobError, match="no trial completed"):
        zoo.tune(slow, "diabetes", hyperparameters={"units": 3}, time_budget="1s", trial_timeout="3s", **options)


@pytest.mark.slow
def test_a_trial_without_an_epoch_ends_with_the_budget_and_goes_on_with_more(workspace: Path) -> None:
    options: dict[str, Any] = {**QUICK, "task": "regression", "trials": 2, "workers": 1, "epochs": 1}
    search = zoo.tune(slow, "diabetes", time_budget="8s", **options)
    assert [trial.status for trial in search.trials] == ["COMPLETED", "STOPPED"]
    page = Store().client.get_run(str(search.trials[1].run_id))
    assert (page.info.status, page.data.tags["zoo.reason"]) == ("KILLED", "the time budget of the search was over")
    more = zoo.tune(slow, "diabetes", time_budget="60s", **options)
    assert [trial.status for trial in more.trials] == ["COMPLETED", "COMPLETED"]
    assert more.trials[1].run_id == search.trials[1].run_id


def test_what_mattered_is_told_drawn_and_recalled(workspace: Path) -> None:
    options = {**QUICK, "trials": 10, "epochs": 3, "figures": True}
    search = zoo.tune("regression/linear", "diabetes", **options)
    assert search.importance
    assert all(0 <= share <= 1 for share, _ in search.importance.values())
    assert "hyperparameter importance" in repr(search)
    assert zoo.tune("regression/linear", "diabetes", **options).importance == search.importance
    client = Store().client
    drawn = {Path(file.path).stem for file in client.list_artifacts(search.run_id, "figures")}
    assert drawn == {"best_so_far", "importance", "slices", "parallel_coordinates"}
    assert client.get_run(search.run_id).data.tags["mlflow.note.content"].startswith("10 trials; the best")
    zoo.tune("regression/linear", "diabetes", **{**options, "trials": 11})
    assert client.get_run(search.run_id).data.tags["mlflow.note.content"].startswith("11 trials")
