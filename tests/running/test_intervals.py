"""Intervals of test scores in runs: their sample, and what is said where there are too few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.errors import UsageError

QUICK: dict[str, Any] = {"epochs": 2, "quiet": True, "figures": False, "baselines": "none"}


def visits(patients: int, seed: int) -> pd.DataFrame:
    """Ten rows of each patient, with an error that they share."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), 10)
    dose = rng.normal(size=len(patient))
    effect = dose + 2 * rng.normal(size=patients)[patient] + 0.2 * rng.normal(size=len(patient))
    return pd.DataFrame({"dose": dose, "patient": [f"p{seed}-{p}" for p in patient], "effect": effect})


def width(run: Any) -> float:
    low, high = run.intervals["test_rmse"]
    return float(high - low)


@pytest.mark.parametrize("test", [None, visits(20, 1)], ids=["split", "source"])
@pytest.mark.parametrize("split", ["group=patient", "hash=patient"])
def test_groups_of_the_split_are_the_sample_of_intervals(workspace: Path, test: Any, split: str) -> None:
    options = {"target": "effect", "seed": 1, "test": test, **QUICK}
    grouped = zoo.train("regression/linear", visits(100, 0), split=split, **options)
    rows = zoo.train("regression/linear", visits(100, 0), drop=["patient"], **options)
    assert width(grouped) > 1.8 * width(rows)


def test_what_has_too_few_rows_is_said(workspace: Path, people: pd.DataFrame) -> None:
    run = zoo.train("classification/linear", people.iloc[:60], target="rich", **QUICK)  # 12 test rows
    assert np.isnan(run.intervals["test_roc_auc"]).all()
    assert not np.isnan([*run.intervals["test_log_loss"], *run.intervals["test_accuracy"]]).any()
    (note,) = [note for note in run.notes if "interval of" in note]
    assert note.startswith("the interval of roc_auc, pr_auc, f1, f1_macro is unknown: the test split needs at least 10")
    line = next(line for line in repr(run).splitlines() if line.startswith("test_roc_auc"))
    assert line.split()[2] == "unknown"
    assert run.as_dict()["intervals"]["test_roc_auc"] == [None, None]
    assert zoo.best().intervals["test_roc_auc"][0] is None or np.isnan(zoo.best().intervals["test_roc_auc"][0])


def imbalanced(rows: int = 2000) -> pd.DataFrame:
    """Classes of which one in ten rows is of the rare one, and not easily told from the other."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    return pd.DataFrame({"x": x, "kind": np.where(rng.random(rows) < 1 / (1 + np.exp(3 - 1.5 * x)), "rare", "usual")})


def test_sets_of_a_rare_class(workspace: Path) -> None:
    options = {"target": "kind", "calibration_size": 0.3, **QUICK, "epochs": 20}
    marginal = zoo.train("classification/linear", imbalanced(), **options)
    assert marginal.metrics["test_conformal_coverage_90_rare"] < 0.6
    (note,) = [note for note in marginal.notes if "prediction sets" in note]
    assert "of rare among the rows set aside; --conformal by-class holds it in each class" in note
    by_class = zoo.train("classification/linear", imbalanced(), conformal="by-class", **options)
    assert by_class.metrics["test_conformal_coverage_90_rare"] > 0.75
    assert not any("prediction sets" in note for note in by_class.notes)
    sets = zoo.load(by_class.run_id).predict(imbalanced(50), intervals=90)["set_90"]  # after saving and loading
    wanted = by_class.model.predict(imbalanced(50), intervals=90)["set_90"]
    assert sets.tolist() == wanted.tolist()
    assert "test_conformal_set_size_90" in by_class.metrics


def test_by_class_says_where_a_class_has_too_few_rows(workspace: Path) -> None:
    options = {"target": "kind", "calibration_size": 0.3, "conformal": "by-class", **QUICK}
    run = zoo.train("classification/linear", imbalanced(120), **options)
    assert any("every prediction set of 90 % contains rare" in note for note in run.notes)
    assert run.metrics["test_conformal_coverage_90_rare"] == 1


@pytest.mark.parametrize(
    "model, source, options, message",
    [
        ("regression/linear", "diabetes", {"calibration_size": 0.2}, "intervals of a number have no classes"),
        ("classification/linear", "wine", {}, "prediction sets need a calibration split"),
        ("clustering/autoencoder", "iris", {"clusters": 3}, "for tasks with a target"),
    ],
)
def test_by_class_where_it_has_no_use(
    workspace: Path, model: str, source: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        zoo.train(model, source, conformal="by-class", **options, **QUICK)
