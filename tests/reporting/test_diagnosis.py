"""Trainings whose trouble is known, because it was made: does the diagnosis name it, and leave healthy ones alone?"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from command import Answer
from hypothesis import example, given, settings
from hypothesis import strategies as st

import zoo
from zoo.errors import JobError
from zoo.reporting.check_inputs import Finding
from zoo.reporting.diagnosis import Training, diagnose
from zoo.running import finish


def table(rows: int, columns: int, target: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> pd.DataFrame:
    """Columns of standard normal numbers, and a target made of them."""
    random = np.random.default_rng(1)
    x = random.normal(size=(rows, columns))
    frame = pd.DataFrame(x, columns=[f"x{number}" for number in range(columns)])
    return frame.assign(y=target(x, random))


def named(flags: np.ndarray) -> np.ndarray:
    return np.where(flags, "yes", "no").astype(object)


def interaction(rows: int = 900) -> pd.DataFrame:
    return table(rows, 2, lambda x, random: named(x[:, 0] * x[:, 1] > 0))


def wave(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.sin(2 * x[:, 0]) * 3 + x[:, 1] + random.normal(0, 0.2, len(x))


def noisy(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return x[:, 0] + random.normal(0, 2.0, len(x))


def stripes(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return named(np.floor(4 * x[:, 0]) % 2 == 0)


def leaking(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return named(x[:, 2] > 0)


# For each: the model, the data, what is set, and the verdict that must be there.
MADE: dict[str, tuple[str, Callable[[], Any], dict[str, Any], str]] = {
    "a line through an interaction": ("classification/linear", interaction, {}, "under-fitting"),
    "nearly all units left out": (
        "regression/mlp", lambda: table(900, 3, wave), {"dropout": 0.95, "units": 16, "layers": 2}, "under-fitting"
    ),
    "a wide network on noise": (
        "regression/mlp", lambda: table(200, 12, noisy),
        {"dropout": 0, "weight_decay": 0, "patience": 150, "epochs": 150}, "over-fitting",
    ),
    "a hundred columns for two hundred rows": (
        "classification/mlp", lambda: table(300, 100, lambda x, random: named(x[:, :5].sum(axis=1) > 0)),
        {"dropout": 0}, "over-fitting",
    ),
    "steps of a thousand times the size": ("regression/mlp", lambda: table(900, 3, wave), {"learning_rate": 1.0},
                                          "learning rate too high"),
    "a rate at which the loss overflows": (
        "regression/mlp", lambda: table(900, 3, wave), {"optimizer": "sgd", "learning_rate": 3.0, "patience": 200},
        "learning rate too high",
    ),
    "steps of a thousandth of the size": (
        "classification/mlp", lambda: "digits", {"learning_rate": 1e-6, "epochs": 40}, "learning rate too low"
    ),
    "three epochs": ("classification/mlp", lambda: "digits", {"epochs": 3}, "not converged"),
    "two units for an interaction": (
        "classification/mlp", lambda: interaction(400),
        {"units": 2, "layers": 1, "dropout": 0, "activation": "relu", "seeds": 6}, "unstable over seeds",
    ),
    "twelve layers of sigmoids": (
        "classification/mlp", lambda: "wine", {"layers": 12, "activation": "sigmoid", "epochs": 20},
        "vanishing gradient",
    ),
    "a state over forty steps": (
        "sequence/rnn", lambda: "adding_problem",
        {"bidirectional": False, "statistics": False, "dropout": 0, "learning_rate": 0.01, "epochs": 12},
        "vanishing gradient",
    ),
    "sixty rows": ("classification/mlp", lambda: table(60, 20, lambda x, random: named(x[:, 0] > 0)), {},
                   "too few rows"),
    "a column that is the answer": ("classification/mlp", lambda: table(900, 5, leaking), {}, "leakage suspected"),
    "narrow stripes among noise": ("classification/mlp", lambda: table(2000, 5, stripes), {}, "worse than a baseline"),
}  # fmt: skip
HEALTHY = {
    "wine": ("classification/mlp", lambda: "wine"),
    "digits": ("classification/mlp", lambda: "digits"),
    "diabetes": ("regression/linear", lambda: "diabetes"),
    "a wave": ("regression/mlp", lambda: table(900, 3, wave)),
}
# Not slow; the others are.
FEW = ("a line through an interaction",)


def diagnosed(model: str, source: Any, settings: dict[str, Any]) -> list[str]:
    given = dict(settings)
    options = {name: given.pop(name) for name in ("seeds", "epochs") if name in given}
    target = {"target": "y"} if isinstance(source, pd.DataFrame) else {}
    try:
        run = zoo.train(model, source, hyperparameters=given, quiet=True, figures=False, **target, **options)
    except JobError as error:  # there are no weights to keep, and the run says so
        return ["learning rate too high"] if "try a lower learning rate" in str(error) else [str(error)]
    return [finding.topic for finding in run.diagnosis]


@pytest.mark.parametrize("case", [pytest.param(c, marks=() if c in FEW else pytest.mark.slow) for c in MADE])
def test_a_trouble_that_was_made_is_named(workspace: Path, case: str) -> None:
    model, data, chosen, verdict = MADE[case]
    assert verdict in diagnosed(model, data(), chosen)


@pytest.mark.parametrize("case", [pytest.param(c, marks=() if c == "wine" else pytest.mark.slow) for c in HEALTHY])
def test_a_healthy_run_gets_no_verdict(workspace: Path, case: str) -> None:
    model, data = HEALTHY[case]
    assert diagnosed(model, data(), {}) == []


def test_chance_is_known_without_baselines(workspace: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(300, 3)), columns=list("abc")).assign(
        y=np.array(list("klm"))[np.arange(300) % 3]
    )
    run = zoo.train("classification/linear", frame, target="y", baselines="none", quiet=True, figures=False, epochs=20)
    assert run.baselines == {}
    assert "under-fitting" in [finding.topic for finding in run.diagnosis]


def test_a_vanishing_gradient_takes_the_place_of_under_fitting() -> None:
    training = Training(
        {"loss": [1.0, 1.0]}, best_epoch=2, stopped="early", steps=10, objective="rmse",
        metrics={"train_rmse": 1.0, "val_rmse": 1.0}, dummy="mean",
        baselines={"mean": {"train_rmse": 1.0, "val_rmse": 1.0}, "boosting": {"train_rmse": 0.5, "val_rmse": 0.6}},
    )  # fmt: skip
    assert training.learnt_nothing
    assert [finding.topic for finding in diagnose(training)] == ["under-fitting"]
    gradient = Finding("vanishing gradient", "warning", "the gradient is small", "fewer layers")
    assert diagnose(training, [gradient]) == [gradient]
    slow = [1.0 - 0.001 * epoch for epoch in range(20)]
    curves = {"loss": slow, "val_loss": slow, "val_rmse": slow}
    low = dataclasses.replace(training, history=curves, best_epoch=20, stopped="epochs", steps=100)
    assert [finding.topic for finding in diagnose(low, [gradient])] == ["learning rate too low", "vanishing gradient"]
    nothing = {name: {"train_rmse": 1.0, "val_rmse": 1.0} for name in training.baselines}
    (noise,) = diagnose(dataclasses.replace(training, baselines=nothing), [gradient])
    assert noise.advice == "other inputs: these may not be informative"
    (short,) = diagnose(dataclasses.replace(training, history={"loss": [1.0]}, best_epoch=1))
    assert short.advice.startswith("more --epochs, ")
    assert noise.text.startswith("neither the network nor any baseline is better than the constant")
    (alone,) = diagnose(dataclasses.replace(training, baselines={"mean": nothing["mean"]}))
    assert alone.text == "the network is no better than the constant baseline"
    learnt = dataclasses.replace(training, metrics={"train_rmse": 0.5, "val_rmse": 0.5})
    assert not learnt.learnt_nothing


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no gradient"),
        AttributeError("no such layer"),
        tf.errors.ResourceExhaustedError(None, None, "no memory"),
    ],
)
def test_a_failing_check_of_gradients_does_not_fail_the_run(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(finish, "check_gradients", fail)
    task = SimpleNamespace(probe=lambda *_: ())
    fitted = SimpleNamespace(task=task, built_model=SimpleNamespace(network=None), dataset=None, hyperparameters={})
    assert finish._check_gradients(SimpleNamespace(learnt_nothing=True), fitted) == []  # type: ignore[arg-type]


def test_a_recurrent_network_on_noise_has_no_vanishing_gradient(workspace: Path) -> None:
    random = np.random.default_rng(0)
    rows = [json.dumps({"steps": random.normal(size=(30, 1)).tolist(), "y": random.normal()}) for _ in range(120)]
    Path("rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    run = zoo.train(
        "sequence/rnn", "rows.jsonl", target="y", epochs=2, quiet=True, figures=False,
        hyperparameters={"bidirectional": False, "statistics": False, "units": 8, "learning_rate": 1e-5},
    )  # fmt: skip
    topics = [finding.topic for finding in run.diagnosis]
    assert "under-fitting" in topics
    assert "vanishing gradient" not in topics


@pytest.mark.parametrize(
    ("trained", "validated", "says"),
    [
        (0.9, 0.2, "it removes 90% of the constant baseline's error on training rows, 20% on validation rows"),
        (0.9, -3.1, "on training rows and is worse than the constant baseline on validation rows"),
    ],
)
def test_a_negative_skill_is_worse_than_the_constant_baseline(trained: float, validated: float, says: str) -> None:
    training = Training(
        {"loss": [1.0, 0.5]}, best_epoch=2, stopped="early", steps=10, objective="log_loss",
        metrics={"train_log_loss": 1 - trained, "val_log_loss": 1 - validated}, dummy="majority",
        baselines={"majority": {"train_log_loss": 1.0, "val_log_loss": 1.0}},
    )  # fmt: skip
    (finding,) = [finding for finding in diagnose(training) if finding.topic == "over-fitting"]
    assert finding.text.endswith(says)


@pytest.mark.parametrize(("trained", "validated", "topic"), [(0.6, 0.3, "over-fitting"), (0.4, 0.25, "under-fitting")])
def test_of_opposite_cures_one_is_advised(trained: float, validated: float, topic: str) -> None:
    training = Training(
        {"loss": [1.0, 0.5]}, best_epoch=2, stopped="early", steps=10, objective="log_loss",
        metrics={"train_log_loss": 1 - trained, "val_log_loss": 1 - validated}, dummy="majority",
        baselines={
            "majority": {"train_log_loss": 1.0, "val_log_loss": 1.0},
            "boosting": {"train_log_loss": 0.1, "val_log_loss": 0.2},
        },
    )  # fmt: skip
    topics = [finding.topic for finding in diagnose(training)]
    assert [name for name in topics if name.endswith("fitting")] == [topic]


def test_no_more_epochs_are_advised_for_over_fitting() -> None:
    falling = [1.0, 0.9, 0.8, 0.7]
    training = Training(
        {"loss": falling, "val_loss": falling, "val_log_loss": falling}, best_epoch=4, stopped="epochs", steps=10,
        objective="log_loss", metrics={"train_log_loss": 0.7, "val_log_loss": 0.7}, dummy="majority",
        baselines={"majority": {"train_log_loss": 1.0, "val_log_loss": 1.0}},
    )  # fmt: skip
    assert [finding.topic for finding in diagnose(training)] == ["not converged"]
    over = dataclasses.replace(training, metrics={"train_log_loss": 0.1, "val_log_loss": 0.7})
    assert [finding.topic for finding in diagnose(over)] == ["over-fitting"]


@pytest.mark.parametrize(
    ("hyperparameters", "advice"),
    [
        ({"units": 8, "weight_decay": 0.0}, "--set weight_decay=0.001, fewer units, or more rows"),
        ({"dropout": 0.5, "weight_decay": 0.01}, "more rows"),
        ({"dropout": 0.2}, "--set dropout=0.3, or more rows"),
        ({}, "more rows"),
    ],
)
def test_only_what_regularises_the_model_more_is_advised(hyperparameters: dict[str, Any], advice: str) -> None:
    training = Training(
        {"loss": [1.0, 0.5]}, best_epoch=2, stopped="early", steps=10, objective="rmse",
        metrics={"train_rmse": 0.1, "val_rmse": 0.9}, dummy="mean",
        baselines={"mean": {"train_rmse": 1.0, "val_rmse": 1.0}}, hyperparameters=hyperparameters,
    )  # fmt: skip
    assert [finding.advice for finding in diagnose(training)] == [advice]


@pytest.mark.parametrize(("verdict", "topics"), [("tie", ["nothing learned"]), ("model better", [])])
def test_an_agent_that_is_no_better_than_chance_has_learned_nothing(verdict: str, topics: list[str]) -> None:
    training = Training(
        {"loss": [1.0, 1.0]}, 1, "epochs", 0, "return_mean", {"test_return_mean": -498.0}, interval=(-500.0, -490.0),
        baselines={"random": {"test_return_mean": -498.5}}, dummy="random", verdict=verdict, best_baseline="random",
        perfect=math.nan,
    )  # fmt: skip
    findings = diagnose(training)
    assert [finding.topic for finding in findings] == topics
    assert all("--epochs 8" in finding.advice for finding in findings)


def test_skill_of_a_metric_that_is_one_for_perfect_predictions() -> None:
    """Three quarters of the way from the constant baseline to perfect, whether more or less is better."""
    scores = {"dummy": {"val_iou": 0.6, "val_error": 0.4}}
    maximised = Training({}, 1, "epochs", 1, "iou", baselines=scores, dummy="dummy", perfect=1.0)
    assert maximised.skill({"val_iou": 0.9}, "val_") == pytest.approx(0.75)
    minimised = Training({}, 1, "epochs", 1, "error", baselines=scores, dummy="dummy")
    assert minimised.skill({"val_error": 0.1}, "val_") == pytest.approx(0.75)


def test_the_diagnosis_stands_on_the_page_and_in_show(workspace: Path, command: Callable[..., Answer]) -> None:
    report = command("train", "classification/mlp", "wine", "--epochs", 2, "--baselines", "none", "--json").json
    (finding,) = [entry for entry in report["diagnosis"] if entry["topic"] == "not converged"]
    assert finding["advice"] == "--epochs 8"
    assert "learning_curve" in " ".join(finding["evidence"])
    shown = command("show", report["run_id"][:8])
    assert "not converged: validation was still improving" in shown.out
    assert "next: --epochs 8" in shown.out
    again = command("show", report["run_id"], "--json").json
    assert again["result"]["diagnosis"] == report["diagnosis"]
    assert "**not converged**" in again["note"]
    wrong = command("show", "0123abcd")
    assert wrong.status == 2
    assert "there is no run '0123abcd'" in wrong.err


def test_a_run_that_failed_is_shown_with_its_reason(workspace: Path, command: Callable[..., Answer]) -> None:
    words = ["--set", "learning_rate=1e30", "--set", "optimizer=sgd", "--epochs", 3, "--baselines", "none"]
    assert command("train", "regression/mlp", "diabetes", *words).status == 1
    (row,) = command("runs", "--json").json["runs"]
    shown = command("show", row["run_id"])
    assert shown.status == 0
    assert "FAILED" in shown.out
    assert "try a lower learning rate" in shown.out


number = st.one_of(st.floats(0, 1e6), st.sampled_from([np.nan, np.inf]))
curve = st.lists(number, min_size=0, max_size=30)


@settings(deadline=None)
@example(loss=[0.0, 1.0], validation=[1.0, 2e-309], best=0, scores=[0.0, 1.0, 0.0, 1.0])
@given(loss=curve, validation=curve, best=st.integers(0, 30), scores=st.lists(st.floats(0, 10), min_size=4, max_size=4))
def test_any_course_gets_an_answer(loss: list[float], validation: list[float], best: int, scores: list[float]) -> None:
    epochs = min(len(loss), len(validation))
    history = {"loss": loss[:epochs], "val_loss": validation[:epochs], "val_rmse": validation[:epochs]}
    training = Training(
        history, min(best, epochs), "epochs", 10, "rmse", {"train_rmse": scores[0], "val_rmse": scores[1]}, None,
        {"mean": {"train_rmse": scores[2], "val_rmse": scores[3]}}, "mean",
    )  # fmt: skip
    assert all(finding.text and finding.advice for finding in diagnose(training))
