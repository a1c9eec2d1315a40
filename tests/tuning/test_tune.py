"""Searches through the public surface: trials in processes, nested runs, kills, and going on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import mlflow
import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.data.sources.bundled import load_bundled
from zoo.errors import JobError, UsageError
from zoo.tracking.store import Store

QUICK: dict[str, Any] = {"trials": 3, "workers": 2, "epochs": 2, "quiet": True, "figures": False, "baselines": "none"}


def statuses() -> dict[str, int]:
    values = [run.info.status for run in Store().search()]
    return {status: values.count(status) for status in set(values)}


@pytest.mark.parametrize(
    "search", ["bayesian", "hyperband", *(pytest.param(name, marks=pytest.mark.slow) for name in ("random", "grid"))]
)
def test_every_oracle_starts_with_the_default_and_ranks_its_trials(workspace: Path, search: str) -> None:
    result = zoo.tune("regression/linear", "diabetes", search=search, **{**QUICK, "epochs": 4})
    assert [trial.status for trial in result.trials] == ["COMPLETED"] * 3
    default = zoo.describe("regression/linear", "diabetes").hyperparameters
    first = result.trials[0].hyperparameters
    wanted = {name: facts["default"] for name, facts in default.items()} | {"epochs": 4}
    assert {name: first[name] for name in default} == wanted
    scores = [trial.score for trial in result.trials if trial.score is not None]
    assert result.best.metrics["val_rmse"] == pytest.approx(min(scores))
    assert "test_rmse" in result.best.metrics
    assert result.best.run_id in {trial.run_id for trial in result.trials}


def test_a_search_in_mlflow_and_its_model(workspace: Path) -> None:
    search = zoo.tune("classification/mlp", "wine", hyperparameters={"units": 8}, **QUICK)
    client = Store().client
    for trial in search.trials:
        page = client.get_run(str(trial.run_id))
        assert page.data.tags["mlflow.parentRunId"] == search.run_id
        assert page.info.status == "FINISHED"
        assert page.data.params["units"] == "8"
        assert (page.data.params["epochs"], trial.hyperparameters["epochs"]) == ("2", 2)  # those that were asked for
        assert page.data.metrics["val_log_loss"] == pytest.approx(trial.score)
        curve = client.get_metric_history(str(trial.run_id), "epoch/val_log_loss")
        assert [metric.step for metric in curve] == [1, 2]
    parent = client.get_run(search.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["zoo.best"] == search.best.run_id
    best = {name: value for name, value in parent.data.tags.items() if name.startswith("best.")}
    assert "best.learning_rate" in best
    assert all(value == str(search.best.hyperparameters[name.removeprefix("best.")]) for name, value in best.items())
    scored = client.search_runs([parent.info.experiment_id], "metrics.test_log_loss < 1e9")
    assert [run.info.run_id for run in scored] == [search.best.run_id]
    mine, theirs = zoo.load(search.run_id).predict("wine"), zoo.load(search.best.run_id).predict("wine")
    pd.testing.assert_frame_equal(mine, theirs)
    loaded = mlflow.pyfunc.load_model(f"runs:/{search.best.run_id}/model")
    assert len(loaded.predict(zoo_table("wine"))) == 178
    assert "the best of them" in repr(search)


def zoo_table(name: str) -> pd.DataFrame:
    return load_bundled(name)[0].drop(columns="class")


def test_the_same_search_is_recalled_and_added_to(workspace: Path) -> None:
    first = zoo.tune("regression/linear", "diabetes", **QUICK)
    again = zoo.tune("regression/linear", "diabetes", **{**QUICK, "workers": 1})
    assert again.run_id == first.run_id
    assert [trial.as_dict() for trial in again.trials] == [trial.as_dict() for trial in first.trials]
    assert again.best.metrics == first.best.metrics
    more = zoo.tune("regression/linear", "diabetes", **{**QUICK, "trials": 5})
    assert more.run_id == first.run_id
    assert [t.as_dict() for t in more.trials[:3]] == [t.as_dict() for t in first.trials]
    assert len(more.trials) == 5
    other = zoo.tune("regression/linear", "diabetes", **{**QUICK, "seed": 1})
    assert other.run_id != first.run_id


@pytest.mark.slow
@pytest.mark.parametrize("search", ["hyperband", "bayesian", "grid"])
def test_every_search_is_added_to(workspace: Path, search: str) -> None:
    options = {**QUICK, "epochs": 3, "search": search}
    first = zoo.tune("regression/linear", "diabetes", **options)
    more = zoo.tune("regression/linear", "diabetes", **{**options, "trials": 6})
    assert more.run_id == first.run_id
    assert len(more.trials) == 6
    assert len({str(sorted(trial.hyperparameters.items())) for trial in more.trials}) == 6


def test_hyperband_promotes_and_a_promoted_trial_stays_one_run(workspace: Path) -> None:
    search = zoo.tune("regression/linear", "diabetes", search="hyperband", **{**QUICK, "trials": 9, "epochs": 9})
    assert len(search.trials) == 9
    epochs = {}
    for trial in search.trials:
        assert not [name for name in trial.hyperparameters if name.startswith("tuner/")]
        steps = [metric.step for metric in Store().client.get_metric_history(str(trial.run_id), "epoch/loss")]
        assert sorted(steps) == list(range(1, len(steps) + 1))
        epochs[trial.trial_id] = len(steps)
    assert len(set(epochs.values())) > 1, "no trial was promoted"
    assert max(epochs.values()) == 9
    assert search.best.epochs_run == 9
    kinds = [run.data.tags["zoo.kind"] for run in Store().search()]
    assert kinds.count("trial") == 9


@pytest.mark.slow
def test_hyperband_begins_with_a_bracket_that_its_trials_fill(workspace: Path) -> None:
    search = zoo.tune("regression/linear", "diabetes", search="hyperband", **{**QUICK, "trials": 6, "epochs": 12})
    history = Store().client.get_metric_history
    epochs = [len(history(str(trial.run_id), "epoch/loss")) for trial in search.trials]
    # Six of 4 epochs, of which two go on; the largest bracket has 12 of 2.
    assert sorted(epochs) == [4, 4, 4, 4, 12, 12]


def test_hyperparameters_that_depend_on_others_are_searched(workspace: Path) -> None:
    def build(hp: Any, spec: Any) -> keras.Model:
        model = keras.Sequential([keras.Input((10,))])
        for index in range(hp.Int("layers", 1, 3, default=1)):
            model.add(keras.layers.Dense(hp.Int(f"units_{index}", 2, 32, 2), activation="relu"))
        model.add(keras.layers.Dense(1))
        model.compile(loss="mse", optimizer="adam")
        return model

    search = zoo.tune(build, "diabetes", task="regression", **{**QUICK, "trials": 8})
    for trial in search.trials:
        assert f"units_{trial.hyperparameters['layers'] - 1}" in trial.hyperparameters
    assert len({t.hyperparameters["units_1"] for t in search.trials if "units_1" in t.hyperparameters}) > 1


def test_a_search_is_known_by_the_model_s_code_and_values(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def builder(width: int) -> Any:
        def build(hp: Any, spec: Any) -> keras.Model:
            model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(width), keras.layers.Dense(1)])
            model.compile(loss="mse", optimizer=keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1)))
            return model

        return build

    options = {**QUICK, "trials": 1, "task": "regression"}
    runs = [zoo.tune(builder(width), "diabetes", **options).run_id for width in (2, 3, 2)]
    assert runs[0] == runs[2] != runs[1]
    file = workspace / "mine" / "regression" / "small.py"
    file.parent.mkdir(parents=True)
    monkeypatch.setenv("ZOO_TASKS", str(workspace / "mine"))
    text = (Path(zoo.__file__).parent.parent / "tasks" / "regression" / "linear.py").read_text()
    file.write_text(text)
    options = {**QUICK, "trials": 1}
    first = zoo.tune("regression/small", "diabetes", **options)
    file.write_text(text.replace('"epochs": 300', '"epochs": 299'))
    second = zoo.tune("regression/small", "diabetes", **options)
    assert second.run_id != first.run_id
    inner = file.parent / "_parts" / "inner"
    inner.mkdir(parents=True)
    (inner / "layers.py").write_text("UNITS = 8\n")  # a private package of the task, which its models may use
    third = zoo.tune("regression/small", "diabetes", **options)
    assert third.run_id not in (first.run_id, second.run_id)
    assert zoo.tune("regression/small", "diabetes", **options).run_id == third.run_id


def test_a_search_refuses_another_job_and_another_version(workspace: Path) -> None:
    search = zoo.tune("regression/linear", "diabetes", name="mine", **QUICK)
    with pytest.raises(UsageError, match="epochs was 2, is 3"):
        zoo.tune("regression/linear", "diabetes", name="mine", **{**QUICK, "epochs": 3})
    (file,) = Path("mlruns/state/searches").glob("*/search.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "zoo": "0.0.9"}))
    assert zoo.tune("regression/linear", "diabetes", name="mine", **QUICK).run_id == search.run_id  # as it was
    with pytest.raises(UsageError, match=r"started with zoo 0\.0\.9"):
        zoo.tune("regression/linear", "diabetes", name="mine", **{**QUICK, "trials": QUICK["trials"] + 1})
    assert {run.info.status for run in Store().search()} == {"FINISHED"}


STOPPED = """
import keras_tuner


class Oracle(keras_tuner.oracles.RandomSearchOracle):
    def __init__(self, *args, **kwargs):
        raise KeyboardInterrupt
"""


def test_what_a_search_left_before_it_was_stored_is_not_taken_up(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "stopped.py").write_text(STOPPED)
    monkeypatch.syspath_prepend(str(workspace))
    x = np.random.default_rng(0).normal(size=(200, 2))
    first, second = (pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}) for y in (x[:, 0], 5 * x[:, 1]))
    options = {**QUICK, "target": "y", "trials": 1, "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        zoo.tune("regression/linear", first, name="one", search="stopped:Oracle", **options)
    again = zoo.tune("regression/linear", second, name="one", search="random", **options)
    fresh = zoo.tune("regression/linear", second, name="another", search="random", **options)
    assert [trial.score for trial in again.trials] == [trial.score for trial in fresh.trials]


def test_one_worker_and_one_seed_give_the_same_search_twice(workspace: Path) -> None:
    searches = [
        zoo.tune("regression/linear", "diabetes", name=n, **{**QUICK, "trials": 2, "workers": 1}) for n in ("a", "b")
    ]
    facts = [[(trial.hyperparameters, trial.score) for trial in search.trials] for search in searches]
    assert facts[0] == facts[1]


def test_a_users_own_build_function_and_hypermodel(workspace: Path) -> None:
    def build(hp: Any) -> keras.Model:
        model = keras.Sequential([keras.Input((26,)), keras.layers.Dense(hp.Int("width", 2, 8, default=4)),
                                  keras.layers.Dense(3, activation="softmax")])  # fmt: skip
        model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
        return model

    class Mine(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return build(hp)

    def build_for(hp: Any, spec: Any) -> keras.Model:
        model = keras.Sequential([keras.Input((len(spec.inputs),)), keras.layers.Dense(3, activation="softmax")])
        model.compile(
            loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(hp.Float("rate", 1e-3, 1))
        )
        return model

    with pytest.raises(UsageError, match="do not fit"):
        zoo.tune(build, "wine", **QUICK)
    search = zoo.tune(build_for, "wine", task="classification", **QUICK)
    assert {"rate", "batch_size", "epochs"} <= set(search.trials[0].hyperparameters)
    assert zoo.load(search.run_id).predict("wine").shape == (178, 4)
    iris = zoo.tune(Mine(), (np.random.default_rng(0).normal(size=(90, 26)), np.arange(90) % 3), target="y", **QUICK)
    assert {trial.hyperparameters["width"] for trial in iris.trials} <= set(range(2, 9))


@pytest.mark.parametrize("options", [{}, {"cv": 2}, {"refit": True}], ids=["split", "cv", "refit"])
def test_the_test_score_of_the_best_can_be_computed_again(workspace: Path, options: dict[str, Any]) -> None:
    search = zoo.tune("classification/linear", "wine", trials=2, epochs=2, quiet=True, figures=False, **options)
    split = json.loads(Store().read_text(search.best.run_id, "split.json") or "{}")
    assert sorted(row for rows in split.values() for row in rows) == list(range(178))
    assert not set(split["test"]) & set(split["train"])
    frame = load_bundled("wine")[0].iloc[split["test"]]
    probability = search.model.predict_proba(frame.drop(columns="class"))
    places = [search.model.classes.index(str(name)) for name in frame["class"]]
    loss = -np.log(probability[np.arange(len(places)), places]).mean()
    assert search.best.metrics["test_log_loss"] == pytest.approx(loss, rel=1e-4)


def test_any_stock_tuner_takes_a_model_of_the_catalogue(workspace: Path) -> None:
    spec = zoo.spec_of("wine", task="classification")
    x, y, _ = zoo.arrays("wine", spec)
    oracle = keras_tuner.oracles.RandomSearchOracle(objective=keras_tuner.Objective("val_loss", "min"), max_trials=2)
    hypermodel = zoo.hypermodel("classification/mlp", spec)
    hp = oracle.get_space()
    model = hypermodel.build(hp)
    history = hypermodel.fit(hp, model, x, y, epochs=2, validation_data=(x, y), verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    assert {"units", "layers"} <= set(hp.values)
    assert model.predict({key: values[:3] for key, values in x.items()}, verbose=0).shape == (3, 3)


def test_a_mistake_in_the_models_code_stops_the_search(workspace: Path) -> None:
    def wrong(hp: Any, spec: Any) -> keras.Model:
        if hp.Int("width", 1, 8, default=4) != 4 or not hp.values.get("width"):
            raise ZeroDivisionError("the width must be 4")
        model = keras.Sequential([keras.Input((13,)), keras.layers.Dense(3, activation="softmax")])
        model.compile(loss="sparse_categorical_crossentropy")
        return model

    with pytest.raises(JobError, match=r"(?s)test_tune\.py.*the width must be 4"):
        zoo.tune(wrong, "wine", task="classification", **{**QUICK, "trials": 6})
    assert set(statuses()) <= {"FAILED", "FINISHED"}


def test_a_trial_that_diverges_fails_alone(workspace: Path) -> None:
    def build(hp: Any, spec: Any) -> keras.Model:
        rate = hp.Choice("rate", [0.01, 1e30], default=0.01)
        model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])
        model.compile(loss="mse", optimizer=keras.optimizers.SGD(rate))
        return model

    search = zoo.tune(build, "diabetes", task="regression", search="grid", **{**QUICK, "trials": 2})
    assert [trial.status for trial in search.trials] == ["COMPLETED", "FAILED"]
    assert statuses() == {"FINISHED": 2, "FAILED": 1}


SCRIPT = """
import zoo
options = dict(trials=6, workers=2, epochs=150, quiet=True, baselines="none", figures=False)
search = zoo.tune("regression/linear", "diabetes", **options)
print(search.run_id, len(search.trials))
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["stdin", "file", "-c"])
def test_a_search_from_a_plain_script(workspace: Path, way: str) -> None:
    script = SCRIPT.replace("trials=6", "trials=2").replace("150", "2")
    Path("plain.py").write_text(script)
    words = {"file": ["plain.py"], "-c": ["-c", script], "stdin": ["-"]}[way]
    given = script if way == "stdin" else None
    ended = subprocess.run([sys.executable, *words], input=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split()[1] == "2"


def start_and_stop(signal_number: int, after: int) -> None:
    """Run the search in a process of its own, and send it a signal once so many trials are over."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], start_new_session=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        done = [p for p in Path("mlruns/state").glob("searches/*/trials/*/weights.npz")]
        if len(done) >= after:
            os.kill(process.pid, signal_number)
            break
        time.sleep(0.02)
    process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("number", "after"),
    [(signal.SIGKILL, 1), pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow)],
    ids=["kill", "ctrl-c"],
)
def test_a_search_that_was_stopped_goes_on(workspace: Path, number: int, after: int) -> None:
    start_and_stop(number, after)
    assert "RUNNING" not in {row["status"] for row in zoo.runs(limit=100).rows}
    options: dict[str, Any] = {
        "trials": 6,
        "workers": 2,
        "epochs": 150,
        "quiet": True,
        "figures": False,
        "baselines": "none",
    }
    search = zoo.tune("regression/linear", "diabetes", **options)
    assert [trial.status for trial in search.trials] == ["COMPLETED"] * 6
    assert len({str(sorted(trial.hyperparameters.items())) for trial in search.trials}) == 6
    kinds = [run.data.tags["zoo.kind"] for run in Store().search()]
    assert kinds.count("search") == 1
    assert kinds.count("trial") == 6
    assert statuses() == {"FINISHED": 7}
    client = Store().client
    for trial in search.trials:
        steps = [metric.step for metric in client.get_metric_history(str(trial.run_id), "epoch/loss")]
        assert sorted(steps) == list(range(1, len(steps) + 1))


@pytest.mark.slow
def test_what_was_asked_for_ahead_is_not_run_where_fewer_trials_are_wanted(workspace: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], start_new_session=True)
    stored = ""
    while process.poll() is None and '"trial_id": "2"' not in stored:  # while two are running
        time.sleep(0.01)
        with contextlib.suppress(FileNotFoundError):  # it has just been replaced
            stored = "".join(file.read_text() for file in Path("mlruns/state").glob("searches/*/*.json*"))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    search = zoo.tune("regression/linear", "diabetes", trials=2, workers=2, epochs=150, quiet=True, baselines="none")
    assert [trial.status for trial in search.trials] == ["COMPLETED"] * 2


def test_a_build_without_inputs_is_refused(workspace: Path) -> None:
    def build(hp: Any) -> keras.Model:
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 4)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    with pytest.raises(UsageError, match=r"start it with keras\.Input"):
        zoo.tune(build, "diabetes", task="regression", **QUICK)


@pytest.mark.slow
def test_two_drivers_on_one_search(workspace: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], start_new_session=True)
    try:
        while not list(Path("mlruns/state").glob("searches/*/search.json")):
            time.sleep(0.02)
        with pytest.raises(UsageError, match=f"already running in process {process.pid}"):
            zoo.tune(
                "regression/linear",
                "diabetes",
                trials=6,
                workers=2,
                epochs=150,
                quiet=True,
                figures=False,
                baselines="none",
            )
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
