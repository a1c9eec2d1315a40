"""Intervals of test scores in runs: their sample, and what is said where there are too few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo

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
