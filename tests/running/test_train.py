"""Training through the public surface: a run, its page in MLflow, its model in a new process."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

import zoo
from zoo.errors import JobError, UsageError
from zoo.text import format_number
from zoo.tracking.store import Store


def client() -> mlflow.MlflowClient:
    return Store().client


SMALL: dict[str, Any] = {"target": "rich", "epochs": 3, "quiet": True, "hyperparameters": {"units": 8}}


@pytest.fixture
def run(workspace: Path, people: pd.DataFrame) -> Any:
    return zoo.train("classification/mlp", people, baselines="none", figures=False, **SMALL)


@pytest.fixture
def whole_run(workspace: Path, people: pd.DataFrame) -> Any:
    """A run with all that belongs to it: baselines and figures."""
    return zoo.train("classification/mlp", people, **SMALL)


def test_a_run_has_scores_intervals_baselines_and_a_model(whole_run: Any, people: pd.DataFrame) -> None:
    assert {"train_log_loss", "val_log_loss", "test_log_loss", "test_accuracy", "test_roc_auc"} <= set(
        whole_run.metrics
    )
    low, high = whole_run.intervals["test_accuracy"]
    assert low <= whole_run.metrics["test_accuracy"] <= high
    assert set(whole_run.baselines) == {"majority", "logistic", "histogram_boosting"}
    assert set(whole_run.baselines["logistic"]) == set(whole_run.metrics)
    assert whole_run.epochs_run == 3
    assert 1 <= whole_run.best_epoch <= 3
    drawn = {"learning_curve", "confusion_matrix", "reliability", "roc_and_precision_recall", "threshold_cost"}
    assert set(whole_run.figures) == drawn
    assert "test_log_loss" in repr(whole_run)
    assert "<pre>" in whole_run._repr_html_()
    predicted = whole_run.model.predict(people)
    assert list(predicted.columns) == ["prediction", "probability_no", "probability_yes"]
    assert len(predicted) == len(people)
    np.testing.assert_allclose(whole_run.model.predict_proba(people).sum(axis=1), 1)


def test_the_page_of_a_run(whole_run: Any) -> None:
    page = client().get_run(whole_run.run_id)
    assert page.info.status == "FINISHED"
    assert page.data.params["units"] == "8"
    assert (page.data.params["epochs"], whole_run.hyperparameters["epochs"]) == ("3", 3)  # those that were asked for
    assert page.data.metrics["test_log_loss"] == pytest.approx(whole_run.metrics["test_log_loss"])
    assert len(client().get_metric_history(whole_run.run_id, "epoch/val_log_loss")) == 3
    assert len(client().get_metric_history(whole_run.run_id, "test_log_loss")) == 1
    assert page.inputs.dataset_inputs[0].dataset.name == "data"
    assert page.data.tags["zoo.task"] == "classification"
    note = page.data.tags["mlflow.note.content"]
    assert "Best baseline by validation" in note
    assert f"best baseline by validation ({whole_run.best_baseline})" in repr(whole_run)
    for name, scores in whole_run.baselines.items():  # a row of the table for each, with all scores
        row = next(line for line in note.splitlines() if line.startswith(f"| {name} |"))
        assert format_number(scores[whole_run.headline]) in row
        assert name in repr(whole_run)
    files = {file.path for file in client().list_artifacts(whole_run.run_id)}
    assert {"job.yaml", "figures", "result.json", "split.json", "versions.json"} <= files
    others = client().search_runs([page.info.experiment_id], "tags.`zoo.kind` = 'baseline'")
    assert {other.data.tags["zoo.model"] for other in others} == set(whole_run.baselines)
    assert all(other.info.status == "FINISHED" for other in others)


def test_errors_stand_over_inputs_and_what_the_machine_did_stands_beside_the_curves(
    workspace: Path, people: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"target": "income", "epochs": 2, "quiet": True, "baselines": "none"}
    run = zoo.train("regression/linear", people.assign(income=range(len(people))), **options)
    drawn = {"learning_curve", "predicted_against_true", "residuals", "residuals_by_input"}
    assert set(run.figures) == drawn
    read = {name for name in client().get_run(run.run_id).data.metrics if name.startswith("system/")}
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= read
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    run = zoo.train("regression/linear", people.assign(income=range(len(people))), figures=False, **options)
    assert not run.figures
    assert client().list_artifacts(run.run_id, "figures") == []
    assert not any(name.startswith("system/") for name in client().get_run(run.run_id).data.metrics)


def test_baselines_are_computed_once(whole_run: Any, people: pd.DataFrame) -> None:
    again = zoo.train("classification/linear", people, target="rich", epochs=1, quiet=True, figures=False)
    assert again.baselines == whole_run.baselines
    baselines = client().search_runs(
        [client().get_run(whole_run.run_id).info.experiment_id], "tags.`zoo.kind` = 'baseline'"
    )
    assert len(baselines) == 3


def test_a_saved_model_predicts_the_same_in_a_new_process(run: Any, people: pd.DataFrame, workspace: Path) -> None:
    raw = people.drop(columns="rich").sample(frac=1, random_state=1)[["height", "city of birth/état", "job", "age"]]
    raw.iloc[0, 2] = "astronaut"
    raw.to_csv("rows.csv", index=False)
    here = run.model.predict(raw)
    script = f"import zoo; zoo.load({run.run_id!r}).predict('rows.csv').to_csv('made.csv', index=False)"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    elsewhere = pd.read_csv("made.csv")
    assert list(elsewhere.prediction) == list(here.prediction)
    np.testing.assert_allclose(elsewhere.iloc[:, 1:], here.iloc[:, 1:], atol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mlflow_loads_it_and_predicts_the_same(run: Any, people: pd.DataFrame) -> None:
    raw = people.drop(columns="rich")
    loaded = mlflow.pyfunc.load_model(f"runs:/{run.run_id}/model")
    here = run.model.predict(raw)
    predictions = loaded.predict(raw)
    np.testing.assert_allclose(predictions.iloc[:, 1:], here.iloc[:, 1:], atol=1e-6)
    integers = raw.assign(age=[30] * len(raw), job=[None] * len(raw))
    assert len(loaded.predict(integers)) == len(raw)
    assert {column.name for column in loaded.metadata.signature.inputs} == {"age", "job", "height"}


def test_no_pickle_in_what_is_saved(whole_run: Any, workspace: Path) -> None:
    files = [path for path in (workspace / "mlruns" / "artifacts").rglob("*") if path.is_file()]
    assert any(path.suffix == ".keras" for path in files)
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib", ".py")]


def test_the_stored_job_runs_again_with_the_same_scores(workspace: Path) -> None:
    first = zoo.train("regression/linear", "diabetes", epochs=4, seed=3, quiet=True)
    path = client().download_artifacts(first.run_id, "job.yaml", str(workspace))
    values = yaml.safe_load(Path(path).read_text())
    assert values == {
        "command": "train", "source": "diabetes", "seed": 3, "model": "regression/linear", "epochs": 4,
    }  # fmt: skip
    values.pop("command")
    again = zoo.train(quiet=True, **values)
    assert again.metrics == first.metrics


def test_seeds_differ_and_splits_follow_them(workspace: Path) -> None:
    options: dict[str, Any] = {"epochs": 1, "quiet": True, "figures": False, "baselines": "none"}
    scores = {zoo.train("regression/linear", "diabetes", **options, seed=s).metrics["test_rmse"] for s in (0, 1)}
    assert len(scores) == 2


def test_an_active_run_of_mlflow_becomes_the_parent(workspace: Path) -> None:
    Store()
    with mlflow.start_run() as parent:
        run = zoo.train("regression/linear", "diabetes", epochs=1, quiet=True, figures=False, baselines="none")
    assert client().get_run(run.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_mlflows_own_settings_win(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    run = zoo.train("regression/linear", "diabetes", epochs=1, quiet=True, figures=False, baselines="none")
    assert run.experiment == "mine"
    assert (workspace / "elsewhere.db").exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert Store().search() == []


def own_model(width: int) -> keras.Model:
    model = keras.Sequential([keras.Input((width,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer="adam")
    return model


def test_a_users_own_keras_model(workspace: Path, people: pd.DataFrame) -> None:
    class Seen(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append((sorted(self.model.input), set(logs)))

    seen: list[Any] = []
    run = zoo.train(own_model(7), people, target="rich", epochs=2, callbacks=[Seen()], quiet=True, figures=False)
    assert run.task == "classification"
    assert len(seen) == 2
    assert seen[0][0] == ["age", "height", "job"]
    assert {"loss", "val_loss", "val_log_loss"} <= seen[0][1]
    assert zoo.load(run.run_id).predict(people).shape == (200, 3)


def test_a_users_own_model_that_takes_columns_by_name(workspace: Path, people: pd.DataFrame) -> None:
    age, height = (keras.Input((), name=name) for name in ("age", "height"))
    x = keras.ops.stack([keras.ops.nan_to_num(age) / 80, height / 170], axis=-1)
    model = keras.Model([age, height], keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile(loss="binary_crossentropy", optimizer="adam")
    run = zoo.train(
        model, people, target="rich", epochs=2, quiet=True, figures=False, hyperparameters={"batch_size": 16}
    )
    assert run.hyperparameters["batch_size"] == 16
    assert "test_accuracy" in run.metrics


def test_text_that_looks_like_numbers_means_the_same_in_every_file(workspace: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"zip": rng.choice(["01", "02", "A1"], 200), "flag": rng.choice(["True", "False"], 200)})
    table["v"] = rng.choice(["1.0", "2.0", "x"], 200)
    table["y"] = np.where((table.zip == "01") ^ (table.flag == "True"), "a", "b")
    table.to_csv("train.csv", index=False)
    run = zoo.train(
        "classification/linear", "train.csv", target="y", epochs=2, quiet=True, figures=False, baselines="none"
    )
    plain = table[(table.zip != "A1") & (table.v != "x")].reset_index(drop=True)
    plain.to_csv("plain.csv", index=False)
    alone = run.model.predict_proba("plain.csv")
    table.to_csv("all.csv", index=False)
    together = run.model.predict_proba("all.csv")[((table.zip != "A1") & (table.v != "x")).to_numpy()]
    np.testing.assert_allclose(alone, together, atol=1e-6)
    assert len(np.unique(alone[:, 0].round(6))) > 2


def test_the_best_run_is_one_on_the_same_data(workspace: Path, people: pd.DataFrame) -> None:
    small = people.assign(height=people.height / 1000)
    options: dict[str, Any] = {"target": "height", "epochs": 1, "quiet": True, "figures": False, "baselines": "none"}
    zoo.train("regression/linear", small, **options)
    last = zoo.train("regression/linear", people, **options)
    assert zoo.best("data").run_id == last.run_id


def test_a_model_that_does_not_fit_the_data_is_refused(workspace: Path, people: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match=r"do not fit the data.*\(None, 7\)"):
        zoo.train(own_model(3), people, target="rich", quiet=True, figures=False)
    with pytest.raises(UsageError, match="must have shape"):
        zoo.train(own_model(13), "wine", quiet=True, figures=False)
    with pytest.raises(UsageError, match="compiled"):
        zoo.train(
            keras.Sequential([keras.Input((7,)), keras.layers.Dense(1)]),
            people,
            target="rich",
            quiet=True,
            figures=False,
        )
    assert Store().search() == []


def test_a_diverging_run_fails_with_its_reason(workspace: Path, people: pd.DataFrame) -> None:
    with pytest.raises(JobError, match="diverged"):
        zoo.train(
            "regression/mlp", people.assign(age=people.age.fillna(1e30) * 1e30), target="height", quiet=True,
            figures=False, hyperparameters={"learning_rate": 1e30, "optimizer": "sgd", "scaling": "standard"},
        )  # fmt: skip
    (run,) = Store().search()
    assert run.info.status == "FAILED"
    assert "diverged" in run.data.tags["zoo.reason"]


class Killed(BaseException):
    """Stands for the end of a process."""


def crash_after(epoch: int) -> keras.callbacks.Callback:
    class Crash(keras.callbacks.Callback):
        def on_epoch_end(self, number: int, logs: Any = None) -> None:
            if number + 1 == epoch:
                raise Killed

    return Crash()


def weights_of(run: Any) -> list[np.ndarray]:
    return [weight.numpy() for weight in run.model.keras_model.trainable_weights]


def test_a_broken_run_resumes_and_ends_with_the_same_weights(workspace: Path) -> None:
    options: dict[str, Any] = {
        "epochs": 6,
        "quiet": True,
        "figures": False,
        "baselines": "none",
        "hyperparameters": {"units": 8},
    }
    whole = zoo.train("classification/mlp", "wine", **options)
    with pytest.raises(Killed):
        zoo.train("classification/mlp", "wine", callbacks=[crash_after(3)], **options)
    broken = Store().search("attributes.status = 'FAILED'")[0].info.run_id
    resumed = zoo.train(None, resume=broken, quiet=True)
    assert resumed.run_id == broken
    assert resumed.epochs_run == 6
    for a, b in zip(weights_of(whole), weights_of(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed.metrics == whole.metrics
    steps = [metric.step for metric in client().get_metric_history(broken, "epoch/loss")]
    assert sorted(steps) == [1, 2, 3, 4, 5, 6]
    assert not (workspace / "mlruns" / "state" / broken).exists()
    with pytest.raises(UsageError, match="finished"):
        zoo.train(None, resume=broken, quiet=True)


def test_ctrl_c_keeps_the_best_weights_so_far(workspace: Path) -> None:
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zoo.train("classification/mlp", "wine", callbacks=[Interrupt()], quiet=True, figures=False)
    (run,) = Store().search()
    assert run.info.status == "KILLED"
    assert not [name for name in run.data.metrics if name.startswith("test_")]
    early = zoo.load(run.info.run_id).predict_proba("wine")
    resumed = zoo.train(None, resume=run.info.run_id, quiet=True)
    assert resumed.epochs_run > 3
    late = zoo.load(run.info.run_id).predict_proba("wine")
    np.testing.assert_array_equal(late, resumed.model.predict_proba("wine"))
    assert not np.array_equal(early, late)


def test_a_killed_process_leaves_a_run_that_is_closed_and_resumed(workspace: Path) -> None:
    script = (
        "import os, signal, keras, zoo\n"
        "class Kill(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        "        if epoch == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "zoo.train('regression/linear', 'diabetes', epochs=8, callbacks=[Kill()], quiet=True, baselines='none')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr
    (row,) = zoo.runs().rows
    assert row["status"] == "KILLED"
    resumed = zoo.train(None, resume=row["run_id"], quiet=True)
    steps = [metric.step for metric in client().get_metric_history(row["run_id"], "epoch/loss")]
    assert sorted(steps) == [1, 2, 3, 4, 5, 6, 7, 8]
    undisturbed = zoo.train("regression/linear", "diabetes", epochs=8, quiet=True, figures=False, baselines="none")
    assert resumed.metrics == undisturbed.metrics


@pytest.mark.slow
@pytest.mark.parametrize("kills", [[42, 43], [5, 5, 30]])
def test_every_epoch_is_recorded_once_after_any_kills(workspace: Path, kills: list[int]) -> None:
    """A kill loses epochs of MLflow, which lags behind the checkpoint, or of the checkpoint."""
    script = (
        "import os, signal, sys, keras, zoo\n"
        "from zoo.tracking import tracked_run\n"
        "tracked_run.FLUSH_S = float(sys.argv[3])\n"
        "class Kill(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        "        if epoch + 1 == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "resume = sys.argv[1] or None\n"
        "job = {'resume': resume} if resume else {'source': 'diabetes', 'epochs': 50, 'baselines': 'none'}\n"
        "model = None if resume else 'regression/linear'\n"
        "zoo.train(model, callbacks=[Kill()], quiet=True, **job)\n"
    )
    run_id = ""
    for number, epoch in enumerate(kills):
        flush_s = str((0.2, 0.0)[number % 2])
        ended = subprocess.run([sys.executable, "-c", script, run_id, str(epoch), flush_s], check=False)
        assert ended.returncode == -9
        run_id = zoo.runs().rows[0]["run_id"]
    resumed = zoo.train(None, resume=run_id, quiet=True)
    for name in ("epoch/loss", "epoch/val_loss", "epoch/val_rmse"):
        steps = [metric.step for metric in client().get_metric_history(run_id, name)]
        assert sorted(steps) == list(range(1, resumed.epochs_run + 1)), name


def test_resuming_with_other_data_is_refused(workspace: Path, people: pd.DataFrame) -> None:
    with pytest.raises(Killed):
        zoo.train("classification/mlp", people, target="rich", callbacks=[crash_after(1)], quiet=True, figures=False)
    run_id = Store().search()[0].info.run_id
    with pytest.raises(UsageError, match="changed"):
        zoo.train(None, people.iloc[::-1], resume=run_id, quiet=True)
    assert zoo.train(None, people, resume=run_id, quiet=True).run_id == run_id


def test_the_best_run_is_chosen_by_validation(workspace: Path) -> None:
    runs = [
        zoo.train("regression/linear", "diabetes", epochs=n, quiet=True, figures=False, baselines="none")
        for n in (1, 8, 3)
    ]
    best = zoo.best("diabetes")
    assert best.run_id == min(runs, key=lambda run: run.metrics["val_rmse"]).run_id
    assert best.metrics == next(run for run in runs if run.run_id == best.run_id).metrics
    assert zoo.best("diabetes", metric="val_r2").run_id == max(runs, key=lambda run: run.metrics["val_r2"]).run_id
    with pytest.raises(UsageError, match="cannot choose a model"):
        zoo.best("diabetes", metric="test_rmse")
    with pytest.raises(UsageError, match="val_rmse"):
        zoo.best("diabetes", metric="val_rmsee")
    with pytest.raises(UsageError, match="did you mean 'diabetes'"):
        zoo.best("diabetis")


def test_json_of_a_run(run: Any) -> None:
    values = json.loads(json.dumps(run.as_dict(), allow_nan=False))
    assert list(values) == [
        "run_id", "experiment", "task", "model", "source", "metrics", "intervals", "baselines", "hyperparameters",
        "n_parameters", "epochs_run", "best_epoch", "seconds", "artifact_uri", "notes", "diagnosis",
    ]  # fmt: skip
    assert values["model"] == "classification/mlp"
    assert all(value is None or math.isfinite(value) for value in values["metrics"].values())


def test_validation_size_zero_trains_all_epochs_and_keeps_the_last(workspace: Path) -> None:
    run = zoo.train("regression/linear", "diabetes", epochs=5, validation_size=0, quiet=True, figures=False)
    assert run.epochs_run == run.best_epoch == 5
    assert not [name for name in run.metrics if name.startswith("val_")]


def test_scores_are_linked_to_the_logged_model_and_the_data(run: Any) -> None:
    models = mlflow.search_logged_models(
        experiment_ids=[mlflow.get_run(run.run_id).info.experiment_id],
        order_by=[{"field_name": "metrics.test_log_loss", "ascending": True}],
        output_format="list",
    )
    (model,) = [model for model in models if model.source_run_id == run.run_id]
    linked = {metric.key: metric for metric in model.metrics}
    assert linked["test_log_loss"].value == pytest.approx(run.metrics["test_log_loss"])
    assert linked["test_log_loss"].dataset_name
