"""What a search is after: ranges, objectives, constraints, seeds, races, several models, refit, resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.errors import UsageError
from zoo.jobs.search_options import parse_constraint, parse_range
from zoo.tracking.store import Store
from zoo.tuning.oracles.ask_tell import AskTell
from zoo.tuning.oracles.choose_search import choose_search, is_finite
from zoo.tuning.pruning import Racing

QUICK: dict[str, Any] = {"trials": 4, "workers": 2, "epochs": 3, "quiet": True, "figures": False, "baselines": "none"}


def tune(model: str = "regression/mlp", **options: Any) -> zoo.Search:
    return zoo.tune(model, "diabetes", **{**QUICK, **options})


def test_ranges_say_where_to_look(workspace: Path) -> None:
    ranges = {"units": "5..9", "activation": "relu|tanh", "weight_decay": "0.1..0.2", "dropout": "0..0.5"}
    search = tune(ranges=ranges, trials=6)
    values = [trial.hyperparameters for trial in search.trials]
    assert values[0]["dropout"] == 0.2  # the default, which its range holds
    assert {5 <= hyperparameters["units"] <= 9 for hyperparameters in values} == {True}
    activations = {hyperparameters["activation"] for hyperparameters in values}
    assert activations == {"relu", "tanh"}  # the model alone does not vary it
    assert {0.1 <= hyperparameters["weight_decay"] <= 0.2 for hyperparameters in values} == {True}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ranges": {"units": "9..5"}}, "its lower end must be below its upper end"),
        ({"ranges": {"units": "-4..5"}}, "units: received -4.0; it must be at least 1"),
        ({"ranges": {"unit": "4..5"}}, "units"),
        ({"ranges": {"units": "four"}}, "it must be LOW..HIGH"),
        ({"ranges": {"activation": "1..2"}}, "has no range"),
        ({"ranges": {"activation": "relu|rellu"}}, "received 'rellu'|rellu"),
        ({"ranges": {"units": "4..5"}, "hyperparameters": {"units": 4}}, "fixed by --set"),
        ({"objective": "val_acuracy"}, "val_rmse"),
        ({"objective": "n_parameters"}, "minimising n_parameters needs a constraint"),
        ({"subject_to": "n_parameters"}, "a constraint is a name, a sign and a number"),
        ({"subject_to": "n_params<5"}, "n_parameters"),
        ({"seeds": 2, "cv": 3}, "exclude each other"),
        ({"resume": "0" * 32}, "there is no run"),
        ({"keep": 0}, "keep"),
    ],
)
def test_wrong_use(workspace: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        tune(**options)
    assert any(word in f"{caught.value} {caught.value.nearest}" for word in says.split("|"))


def test_a_trial_that_breaks_a_constraint_is_not_trained(workspace: Path) -> None:
    search = tune(subject_to=["n_parameters<2000", "latency_ms<5000"], ranges={"units": "4..64"}, trials=6)
    for trial in search.trials:
        run = Store().client.get_run(str(trial.run_id))
        if run.data.metrics["n_parameters"] < 2000:
            assert trial.status == "COMPLETED"
            assert run.data.metrics["latency_ms"] > 0
        else:
            assert (trial.status, trial.score) == ("PRUNED", None)
            assert run.data.metrics["epochs_run"] == 0
            assert "violates n_parameters < 2000" in run.data.tags["zoo.reason"]
    assert {trial.status for trial in search.trials} == {"COMPLETED", "PRUNED"}
    assert search.best.n_parameters < 2000


def test_another_objective_ranks_the_trials(workspace: Path) -> None:
    search = tune(objective="mae")
    scores = [trial.score for trial in search.trials]
    metrics = [Store().client.get_run(str(trial.run_id)).data.metrics for trial in search.trials]
    assert scores == pytest.approx([run_metrics["val_mae"] for run_metrics in metrics])
    best = min(search.trials, key=lambda trial: trial.score or 0)
    assert search.best.run_id == best.run_id
    assert search.best.metrics["val_mae"] == pytest.approx(best.score, rel=1e-4)


def test_seeds_judge_by_the_mean(workspace: Path) -> None:
    search = tune(seeds=2, trials=2, objective="seconds", subject_to="val_rmse<1000")
    for trial in search.trials:
        assert 0 < trial.score < trial.seconds  # of one training, on average
        metrics = Store().client.get_run(str(trial.run_id)).data.metrics
        assert metrics["seconds_std"] > 0
    assert search.best.metrics["test_rmse"] > 0
    assert search.best.epochs_run == 3  # of the training whose weights are kept


@pytest.mark.parametrize("options", [{"start": ["unts=3"]}, {"start_from": "deadbeef"}])
def test_a_start_that_is_wrong_leaves_no_run(workspace: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"did you mean 'units'|no run 'deadbeef'"):
        zoo.tune("classification/mlp", "wine", trials=2, quiet=True, figures=False, **options)
    assert not Store().search()


def test_a_start_beyond_the_range_is_told(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tune(trials=2, quiet=False, search="random", start=["units=600", "dropout=0.1"])
    output = capsys.readouterr().err
    assert "the starting point units=600 is outside the search space" in output
    assert "dropout=0.1 is outside" not in output


@pytest.mark.parametrize("sampling", ["linear", "log"])
def test_no_proposal_is_beyond_its_range(sampling: str) -> None:
    space = keras_tuner.HyperParameters()
    space.Int("units", 16, 64, sampling=sampling)
    space.Float("rate", 0.1, 0.5)
    oracle = AskTell("bayesian", space, objective="loss", direction="min", trials=40, epochs=1, seed=0)
    tried = []
    while (asked := oracle.ask()).hyperparameters is not None:
        tried.append(asked.hyperparameters)
        oracle.tell(asked.oracle_id, -float(asked.hyperparameters["units"]))
    assert len(tried) == 40
    assert max(values["units"] for values in tried) == 64
    assert all(0.1 <= values["rate"] <= 0.5 for values in tried)


def test_several_models_are_one_search(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = tune("regression/*", trials=6, quiet=False)
    shown = capsys.readouterr().err + repr(search)
    assert "units=" in shown
    assert "=–" not in shown  # a model's own hyperparameters alone
    assert "epochs=" not in shown  # all trials have those that were asked for
    models = [trial.hyperparameters["model"] for trial in search.trials]
    assert models[:2] == ["regression/linear", "regression/mlp"]  # each by its own defaults
    first = search.trials[0].hyperparameters
    assert first["learning_rate"] == 0.01
    assert "units" not in first
    linear_trials = [
        trial.hyperparameters for trial in search.trials if trial.hyperparameters["model"] == "regression/linear"
    ]
    assert len({hyperparameters["learning_rate"] for hyperparameters in linear_trials}) == len(linear_trials)
    assert search.best.model_name in set(models)
    assert zoo.load(search.best.run_id).predict(zoo.spec_of("diabetes", task="regression") and "diabetes").shape[1] == 1
    with pytest.raises(UsageError, match="models of several tasks"):
        tune("*/mlp")
    with pytest.raises(UsageError, match="zoo tune searches among them"):
        zoo.train("regression/*", "diabetes", quiet=True, figures=False)


def test_refit_trains_on_validation_rows_too(workspace: Path) -> None:
    search = tune(refit=True, trials=2)
    runs = {run.info.run_id: run for run in Store().search()}
    refitted = runs[search.best.run_id]
    assert refitted.data.tags["zoo.kind"] == "refit"
    split = json.loads(
        Path(Store().client.download_artifacts(search.best.run_id, "split.json", str(workspace))).read_text()
    )
    assert set(split) == {"train", "test"}
    assert len(split["train"]) + len(split["test"]) == 442
    # The test part has been looked at by this model alone.
    tested = [run for run in runs.values() if "test_rmse" in run.data.metrics]
    assert [run.info.run_id for run in tested] == [search.best.run_id]
    page = Store().client.get_experiment_by_name(search.best.experiment).tags
    view = json.loads(next(text for name, text in page.items() if name.startswith("mlflow.sharedViewState")))
    assert view["orderByKey"] == "metrics.`val_rmse`"  # by which trials are ranked: they have no score on test
    assert tune(refit=True, trials=2).best.run_id == search.best.run_id


def test_a_search_goes_on_by_its_run(workspace: Path) -> None:
    search = tune(trials=2)
    more = zoo.tune(resume=search.trials[1].run_id, trials=3, quiet=True)
    assert more.run_id == search.run_id
    assert [trial.run_id for trial in more.trials][:2] == [trial.run_id for trial in search.trials]
    assert len(more.trials) == 3
    with pytest.raises(UsageError, match="only trials, workers"):
        zoo.tune(resume=search.run_id, epochs=9, quiet=True)


def test_checkpoints_of_the_best_are_kept(workspace: Path) -> None:
    search = tune(trials=3, keep=2)
    kept = {path.parent.name for path in Path("mlruns/state").glob("searches/*/trials/*/weights.npz")}
    best = sorted(search.trials, key=lambda trial: trial.score or 0)[:2]
    assert kept == {trial.trial_id for trial in best}


@pytest.mark.slow
def test_what_is_clearly_worse_in_each_fold_is_stopped(workspace: Path) -> None:
    search = tune("regression/linear", workers=1, cv=4, trials=2, epochs=20, start=["learning_rate=0.00001"])
    assert search.trials[1].status == "PRUNED"
    assert search.trials[1].estimated
    run = Store().client.get_run(str(search.trials[1].run_id))
    assert "of 4 folds: clearly worse than trial 0" in run.data.tags["zoo.reason"]
    assert search.best.run_id != search.trials[1].run_id


def test_how_a_search_is_chosen() -> None:
    space = keras_tuner.HyperParameters()
    space.Choice("a", [1, 2, 3])
    options: dict[str, Any] = {"epochs": 100, "full_trials": False}
    assert choose_search(space, trials=5, **options)[0] == "grid"
    space.Float("b", 0, 1)
    assert not is_finite(space)
    assert choose_search(space, trials=5, **options)[0] == "random"
    assert choose_search(space, trials=20, **options)[0] == "asha"
    assert choose_search(space, trials=20, epochs=100, full_trials=True)[0] == "bayesian"


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8), st.floats(0.1, 5), st.sampled_from(["min", "max"]))
def test_a_race_stops_who_is_worse_everywhere_and_never_the_best(
    scores: list[float], gap: float, direction: str
) -> None:
    sign = 1 if direction == "min" else -1
    racing = Racing(direction)
    for number, score in enumerate(scores, start=1):
        assert racing.take("best", number, score) is None
    racing.ended("best", complete=True)
    assert racing.take("worse", 1, scores[0] + sign * gap) is None
    assert racing.take("worse", 2, scores[1] + sign * gap) == "best"
    assert racing.estimate("worse", "best") == pytest.approx(sum(scores) / len(scores) + sign * gap)
    assert [racing.take("better", n, score - sign * gap) for n, score in enumerate(scores, start=1)] == [None] * len(
        scores
    )


@given(st.floats(-1e6, 1e6), st.floats(0.001, 1e6))
def test_ranges_and_constraints_are_read_back(low: float, width: float) -> None:
    wanted = parse_range("x", f"{low!r}..{low + width + 1e-3!r}")
    assert (wanted.low, wanted.high) == (low, low + width + 1e-3)
    constraint = parse_constraint(f"x <= {low!r}")
    assert constraint.excess(low) == 0 < constraint.excess(low + width)


def test_workers_beyond_memory_and_time_beyond_a_trial_are_told(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {**QUICK, "quiet": False, "trials": 3, "workers": 3, "memory": "900GiB"}
    zoo.tune("regression/linear", "diabetes", **options)
    assert "3 workers of 9e+02 GiB each need more than" in capsys.readouterr().err
    options = {**QUICK, "quiet": False, "trials": 2, "workers": 500, "epochs": 20_000, "time_budget": "1s"}
    zoo.tune("regression/linear", "diabetes", hyperparameters={"patience": 20_000}, **options)
    output = capsys.readouterr().err
    assert "2 trials, 2 at a time" in output
    assert "no trial finished within 1s: the first ran" in output
