"""Calibration, thresholds, intervals and weights, from a command to a served prediction; and what they never see."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.errors import UsageError
from zoo.tracking.store import Store

QUICK: dict[str, Any] = {
    "epochs": 3, "quiet": True, "baselines": "none", "figures": False, "hyperparameters": {"units": 8},
    "target": "rich",
}  # fmt: skip


def many(people: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([people] * 3, ignore_index=True)


def rare(rows: int, seed: int) -> pd.DataFrame:
    """Classes of which one is rare, and which a line separates in part."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3))
    risk = 1 / (1 + np.exp(3.5 - 1.5 * x[:, 0]))
    return pd.DataFrame(x, columns=list("abc")).assign(ill=np.where(random.random(rows) < risk, "yes", "no"))


@pytest.mark.parametrize("how", ["train", "without validation", pytest.param("refit", marks=pytest.mark.slow)])
def test_the_mean_of_probabilities_is_that_of_the_rows_before_down_sampling(workspace: Path, how: str) -> None:
    options: dict[str, Any] = {"target": "ill", "sample": "down=5", "quiet": True, "figures": False, "split_seed": 0}
    table, later = rare(6000, 0), rare(20_000, 1)
    if how == "refit":
        tuned = zoo.tune("classification/linear", table, trials=1, refit=True, epochs=8, **options)
        model = zoo.load(tuned.best.run_id)
    else:
        size = 0.0 if how == "without validation" else 0.2
        options |= {"baselines": "none", "epochs": 8, "validation_size": size}
        model = zoo.train("classification/linear", table, **options).model
    mean = model.predict_proba(later)[:, list(model.classes).index("yes")].mean()
    assert mean == pytest.approx((table["ill"] == "yes").mean(), rel=0.12)


def test_validation_rows_do_not_correct_the_probabilities_of_a_sampled_run(workspace: Path) -> None:
    """They choose the epoch and score the model; with a single epoch, other labels for them change nothing."""
    table = rare(2000, 0).assign(part=np.tile(["train", "train", "validation", "test"], 500))
    other = table.copy()
    other.loc[other["part"] == "validation", "ill"] = "yes"
    options = {"target": "ill", "sample": "down=5", "quiet": True, "figures": False, "baselines": "none"}
    options |= {"split": "column=part", "epochs": 1}
    models = [zoo.train("classification/linear", frame, **options).model for frame in (table, other)]
    assert np.array_equal(*(model.predict_proba(rare(50, 1)) for model in models))


def test_from_training_to_served_sets(workspace: Path, people: pd.DataFrame, command: Callable[..., Answer]) -> None:
    many(people).to_csv("people.csv", index=False)
    words = ["--target", "rich", "--calibrate", "isotonic", "--threshold", "cost=1:5", "--positive", "yes"]
    run = command(
        "train", "classification/linear", "people.csv", *words, "--baselines", "none", "--epochs", 3, "--json"
    ).json
    assert {"test_ece", "test_ece_uncalibrated", "test_conformal_coverage_90", "threshold"} <= set(run["metrics"])
    assert {"reliability_uncalibrated", "interval_coverage"} <= set(zoo.best("people").figures)
    rows = many(people).head(7).drop(columns="rich")
    rows.to_csv("rows.csv", index=False)
    served = command("predict", run["run_id"], "rows.csv", "--intervals", 90, "--json").json["predictions"]
    assert list(served[0]) == ["prediction", "probability_no", "probability_yes", "set_90"]
    threshold = run["metrics"]["threshold"]
    assert [row["prediction"] == "yes" for row in served] == [row["probability_yes"] >= threshold for row in served]
    assert all(set(json.loads(row["set_90"])) <= {"no", "yes"} for row in served)
    loaded = mlflow.pyfunc.load_model(f"runs:/{run['run_id']}/model")
    pd.testing.assert_frame_equal(
        loaded.predict(rows, params={"intervals": 90.0}), pd.DataFrame(served), check_dtype=False
    )
    assert "set_90" not in loaded.predict(rows)


def test_a_model_without_a_calibration_part_says_how_to_get_intervals(workspace: Path, people: pd.DataFrame) -> None:
    run = zoo.train("classification/linear", people, **{**QUICK, "hyperparameters": {}})
    with pytest.raises(UsageError, match="--calibration-size"):
        run.model.predict(people, intervals=90)


def test_quantiles_and_their_intervals(workspace: Path) -> None:
    options: dict[str, Any] = {"quantiles": "0.1,0.5,0.9", "calibration_size": 0.3, "epochs": 3, "quiet": True}
    run = zoo.train("regression/linear", "diabetes", **options)
    assert {"test_pinball", "test_interval_score_80", "test_conformal_interval_score_90"} <= set(run.metrics)
    assert set(run.baselines) == {"quantiles_of_train", "quantile_boosting"}
    predictions = zoo.load(run.run_id).predict("diabetes", intervals=80)
    assert list(predictions)[-2:] == ["lower_80", "upper_80"]
    assert (predictions["quantile_0.1"] <= predictions["quantile_0.9"]).all()
    assert (predictions["prediction"] == predictions["quantile_0.5"]).all()


@pytest.mark.parametrize(
    "run_job",
    [pytest.param(zoo.train, id="train"), pytest.param(partial(zoo.tune, trials=1), id="tune", marks=pytest.mark.slow)],
)
def test_baselines_choose_their_threshold_as_the_model_does(workspace: Path, run_job: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    frame = pd.DataFrame({"x": x, "ill": np.where(rng.random(2000) < 1 / (1 + np.exp(3 - 1.2 * x)), "yes", "no")})
    options: dict[str, Any] = {"target": "ill", "epochs": 30, "quiet": True, "figures": False}
    plain, chosen = (run_job("classification/linear", frame, **options, threshold=way) for way in (None, "f1"))
    plain, chosen = (getattr(run, "best", run) for run in (plain, chosen))
    without, with_threshold = plain.baselines["logistic"], chosen.baselines["logistic"]
    assert with_threshold["test_f1"] > without["test_f1"] + 0.1
    assert abs(with_threshold["test_f1"] - chosen.metrics["test_f1"]) < 0.1  # the same model, by the same rule
    assert with_threshold["test_log_loss"] == without["test_log_loss"]
    # Calling every row ill is the best that the majority can do.
    rate = (frame["ill"] == "yes").mean()
    assert chosen.baselines["majority"]["test_f1"] == pytest.approx(2 * rate / (1 + rate), abs=0.05)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"calibrate": "temperature"}, "probabilities are calibrated, and the target has none"),
        ({"threshold": "f1"}, "a threshold needs a target with two classes"),
        ({"sample": "down=2"}, "needs a target with classes"),
        ({"quantiles": "0.9,0.1"}, "levels rise between 0 and 1"),
    ],
)
def test_what_a_number_has_no_use_for(workspace: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        zoo.train("regression/linear", "diabetes", quiet=True, figures=False, **options)


def test_nothing_held_out_reaches_what_is_fitted(workspace: Path, people: pd.DataFrame) -> None:
    """Other test rows change no weight, limit, threshold or statistic; a marker in them is nowhere in the model."""
    frame = many(people).assign(part=np.tile(["train", "train", "train", "validation", "test"], 120))
    other = frame.copy()
    held = other["part"] == "test"
    other.loc[held, "age"] = 987654.0
    other.loc[held, "job"] = "MARKER"
    other.loc[held, "rich"] = np.where(other.loc[held, "rich"] == "yes", "no", "yes")
    models = []
    for table in (frame, other):
        options = {"split": "column=part", "calibrate": "temperature", "threshold": "f1", "sample": "down=2"}
        run = zoo.train("classification/mlp", table, **QUICK, **options)
        models.append((run, [weight.numpy() for weight in run.model.keras_model.weights]))
    (first, weights), (second, others) = models
    for one, two in zip(weights, others, strict=True):
        assert np.array_equal(one, two)
    assert first.model.conformal_quantiles == second.model.conformal_quantiles
    assert first.model.spec == second.model.spec
    assert first.metrics["temperature"] == second.metrics["temperature"]
    folder = Store().download_model(second.run_id, workspace / "model")
    assert folder is not None
    text = second.model.spec.to_json() + json.dumps(second.model.keras_model.get_config())
    assert "MARKER" not in text
    assert "987654" not in text


def test_validation_reaches_neither_preparation_nor_calibration_rows(workspace: Path, people: pd.DataFrame) -> None:
    from zoo.jobs.data_options import DataJob
    from zoo.jobs.job import make_job
    from zoo.task import load_task

    frame = many(people).assign(part=np.tile(["train", "train", "train", "validation", "test"], 120))
    other = frame.copy()
    other.loc[other["part"] == "validation", ["age", "job"]] = [987654.0, "MARKER"]
    keys = {"target": "rich", "split": "column=part", "calibrate": "isotonic", "sample": "up=3"}
    one, two = (load_task("classification").read(make_job(DataJob, {"source": f, **keys})) for f in (frame, other))
    assert one.spec == two.spec
    for split in ("train", "calibration"):
        assert np.array_equal(one.splits[split].rows, two.splits[split].rows)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_as_frequency_weight_two_is_the_row_twice_in_full_batch_training(
    workspace: Path, people: pd.DataFrame, task: str
) -> None:
    """The same losses, epoch by epoch, and the same weights at the end, from weights as from repeated rows."""
    frame = people.drop(columns="city of birth/état").dropna().reset_index(drop=True)
    target = "rich" if task == "classification" else "height"
    frame["w"] = np.random.default_rng(0).integers(1, 4, len(frame))
    frame["part"] = np.where(np.arange(len(frame)) % 3 == 0, "validation", "train")
    repeated = frame.loc[frame.index.repeat(frame["w"])].drop(columns="w")
    options: dict[str, Any] = {
        "target": target,
        "split": "column=part",
        "epochs": 4,
        "quiet": True,
        "figures": False,
        "baselines": "none",
    }
    fixed = {"batch_size": "full", "scaling": "minmax", "optimizer": "sgd", "learning_rate": 0.1}
    if task == "regression":  # the target's own scale is of rows, not of weights
        frame[target] = repeated[target] = 0.0
        frame[target] = np.arange(len(frame)) % 2
        repeated = frame.loc[frame.index.repeat(frame["w"])].drop(columns="w")
    runs = [
        zoo.train(f"{task}/linear", frame, weight="w", weight_kind="frequency", hyperparameters=fixed, **options),
        zoo.train(f"{task}/linear", repeated, hyperparameters=fixed, **options),
    ]
    if task == "classification":
        for name in ("val_log_loss", "val_accuracy", "val_ece", "train_log_loss"):
            assert runs[0].metrics[name] == pytest.approx(runs[1].metrics[name], rel=1e-5)
        one, two = ([w.numpy() for w in run.model.keras_model.get_layer("network").weights] for run in runs)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
    assert runs[0].metrics["val_" + runs[0].objective] == pytest.approx(
        runs[1].metrics["val_" + runs[0].objective], rel=0.05
    )


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_statistics_and_baselines_of_frequency_weights_are_those_of_the_repeated_rows(
    workspace: Path, people: pd.DataFrame, task: str
) -> None:
    frame = people.drop(columns="city of birth/état")
    target = "rich" if task == "classification" else "height"
    random = np.random.default_rng(0)
    frame["w"] = np.where(frame["job"] == "cook", 5, random.integers(0, 3, len(frame)))
    frame["part"] = np.where(np.arange(len(frame)) % 3 == 0, "validation", "train")
    repeated = frame.loc[frame.index.repeat(frame["w"])].drop(columns="w")
    options: dict[str, Any] = {"target": target, "split": "column=part"}
    weights: dict[str, Any] = {"weight": "w", "weight_kind": "frequency"}
    specs = [zoo.spec_of(table, task=task, **options, **more) for table, more in ((frame, weights), (repeated, {}))]
    assert specs[0].inputs == specs[1].inputs
    assert specs[0].target == specs[1].target
    quick: dict[str, Any] = {"epochs": 1, "quiet": True, "figures": False}
    runs = [
        zoo.train(f"{task}/linear", table, **quick, **options, **more)
        for table, more in ((frame, weights), (repeated, {}))
    ]
    deterministic = [name for name in runs[0].baselines if name not in ("random_forest", "histogram_boosting")]
    assert deterministic
    for name in deterministic:
        scores = [run.baselines[name][f"val_{run.objective}"] for run in runs]
        assert scores[0] == pytest.approx(scores[1], rel=1e-3), name


def test_as_importance_the_loss_is_scaled_and_not_its_unit(workspace: Path, people: pd.DataFrame) -> None:
    frame = people.assign(w=np.random.default_rng(0).integers(1, 4, len(people)))
    runs = [zoo.train("classification/mlp", frame.assign(w=frame["w"] * k), weight="w", **QUICK) for k in (1, 1000)]
    assert runs[0].metrics["val_log_loss"] == pytest.approx(runs[1].metrics["val_log_loss"], rel=1e-5)


def test_a_user_s_own_model_is_calibrated_too(workspace: Path) -> None:
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    run = zoo.train(
        model,
        "breast_cancer",
        task="classification",
        epochs=2,
        quiet=True,
        figures=False,
        calibrate="temperature",
        baselines="none",
    )
    assert zoo.load(run.run_id).predict("breast_cancer", intervals=90).shape == (569, 4)


def test_cross_validation_keeps_what_each_row_was_predicted_as(workspace: Path) -> None:
    options: dict[str, Any] = {"epochs": 2, "quiet": True, "figures": False, "baselines": "none"}
    run = zoo.train("classification/linear", "wine", cv=3, repeats=2, **options)
    assert len(run.runs) == 6
    kept = Store().read_csv(run.run_id, "out_of_fold.csv")
    assert len(kept) == 2 * 178
    assert kept.groupby("repeat")["row"].apply(lambda rows: sorted(rows) == list(range(178))).all()
    first = kept[(kept["repeat"] == 1) & (kept["fold"] == 1)]
    assert (first["truth"] == first["prediction"]).mean() == pytest.approx(run.runs[0].metrics["test_accuracy"])
    values = np.array([run.metrics["test_log_loss"] for run in run.runs])
    from scipy import stats

    tested = run.tested
    assert tested == pytest.approx(60 / 118, abs=0.02)
    half = stats.t.ppf(0.975, 5) * values.std(ddof=1) * np.sqrt(1 / 6 + tested)
    assert run.intervals["test_log_loss"] == pytest.approx((values.mean() - half, values.mean() + half))
