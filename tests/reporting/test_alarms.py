"""Alarms by evidence: what is planted is warned of, and what chance explains is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.columns.describe_table import describe_columns
from zoo.reporting.check_inputs import Facts, Finding
from zoo.reporting.column_checks import check_constants, check_missing_values
from zoo.reporting.distributions import count_categories, count_numbers
from zoo.reporting.drift_checks import check_drift
from zoo.reporting.duplicate_checks import check_duplicates
from zoo.reporting.leak_checks import check_leaks, score_classes
from zoo.reporting.page import format_bars
from zoo.reporting.row_checks import check_groups, check_parameters, check_row_count, check_sizes
from zoo.reporting.run_checks import prepare_table

ROWS, TEST = 600, 120


def table(rows: int = ROWS, seed: int = 0, classes: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 5)), columns=list("abcde"))
    frame["city"] = rng.choice(["Lyon", "Lille", "Nice"], rows)
    noisy = frame["a"] + frame["b"] + rng.normal(size=rows)
    frame["y"] = noisy if classes == 0 else pd.qcut(noisy, classes, labels=list("klmn")[:classes]).astype(str)
    return frame


def facts_of(frame: pd.DataFrame, test: int = TEST) -> Facts:
    rows = np.arange(len(frame))
    split = {"train": rows[: len(rows) - test - 60], "validation": rows[len(rows) - test - 60 : len(rows) - test]}
    split["test"] = rows[len(rows) - test :]
    columns = describe_columns(frame.drop(columns="y").iloc[split["train"]])
    classes = frame["y"].dtype.kind != "f"
    return prepare_table(frame, columns, target="y", classes=classes, split_rows=split, seed=0)


def warned(found: Any) -> list[Finding]:
    return [finding for finding in found if finding.level == "warning"]


def _number(frame: pd.DataFrame, rng: np.random.Generator) -> Any:
    """Numbers 3.55 standard deviations apart: an AUC of 0.994."""
    return 3.55 * pd.factorize(frame["y"], sort=True)[0] + rng.normal(size=len(frame))


def _far_number(frame: pd.DataFrame, rng: np.random.Generator) -> Any:
    return 4 * pd.factorize(frame["y"], sort=True)[0] + rng.normal(size=len(frame))


def _noisy_target(frame: pd.DataFrame, rng: np.random.Generator) -> Any:
    return -np.exp(frame["y"] + rng.normal(0, frame["y"].std() / 8, len(frame)))


def _category(frame: pd.DataFrame, rng: np.random.Generator) -> Any:
    other = rng.choice(frame["y"].unique(), len(frame))
    return "state " + frame["y"].where(rng.random(len(frame)) > 0.01, other)


def _half_missing(frame: pd.DataFrame, rng: np.random.Generator) -> Any:
    return pd.Series(_number(frame, rng)).where(rng.random(len(frame)) > 0.4)


def _as_text(frame: pd.DataFrame, rng: np.random.Generator) -> Any:
    return [f"{value:.3f}".replace(".", ",") for value in _number(frame, rng)]


@pytest.mark.parametrize(
    "classes, plant",
    [
        (2, _number),
        (2, _category),
        (2, _half_missing),
        (2, _as_text),
        (3, _far_number),
        (4, _category),
        (0, _noisy_target),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_leak_is_warned_of_and_no_other_column(classes: int, plant: Any, seed: int) -> None:
    frame = table(seed=seed, classes=classes)
    frame["paid"] = plant(frame, np.random.default_rng(100 + seed))
    (finding,) = warned(check_leaks(facts_of(frame)))
    assert finding.text.startswith("column paid alone predicts the target")
    assert finding.advice == "if not, use --drop paid"


def test_a_strong_column_among_equals_is_no_leak() -> None:
    """The best measurement of tumours has an AUC of 0.975, and the others together a higher one."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.data.assign(y=data.target.map({0: "malignant", 1: "benign"}))
    assert not warned(check_leaks(facts_of(frame)))


def test_few_positives_are_no_evidence_of_a_leak() -> None:
    frame = table()
    frame["y"] = np.where(np.arange(ROWS) < 3, "yes", "no")
    frame["first"] = np.where(np.arange(ROWS) < 3, 5.0, 0.0) + np.random.default_rng(0).normal(size=ROWS)
    assert not warned(check_leaks(facts_of(frame)))


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 4))
@settings(max_examples=10, deadline=None)
def test_a_score_is_that_of_the_class_order(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    target = np.repeat(np.arange(classes), 40)
    assert score_classes(target + rng.uniform(0, 0.9, len(target)), target).value > 0.99
    assert score_classes(rng.normal(size=len(target)), target).value < 0.8


@pytest.mark.parametrize("of", ["test", "validation"])
@pytest.mark.parametrize("original", [0, 430])  # of the training and of the validation split
def test_three_copies_across_splits_are_warned_of(of: str, original: int) -> None:
    frame = table()
    place = ROWS - 3 if of == "test" else ROWS - TEST - 3
    frame.iloc[place : place + 3] = frame.iloc[original : original + 3].to_numpy()
    found = warned(check_duplicates(facts_of(frame.infer_objects())))
    if (of, original) == ("validation", 430):  # within a split
        assert found == []
    else:
        assert f"3 {of} rows equal" in found[0].text
        assert str(place + 1) in found[0].evidence[0]


def test_row_numbers_do_not_hide_copies() -> None:
    frame = table()
    frame.iloc[-3:] = frame.iloc[:3].to_numpy()
    frame = frame.infer_objects()
    for name, values in {"id": np.arange(ROWS), "visit": np.arange(ROWS) * 7 + 3}.items():
        assert "3 test rows equal" in warned(check_duplicates(facts_of(frame.assign(**{name: values}))))[0].text


@pytest.mark.parametrize("seed", range(5))
def test_equal_rows_of_few_values_are_no_copies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.integers(0, 5, ROWS) for name in "abc"}).assign(
        city=rng.choice(["Lyon", "Nice"], ROWS), y=rng.choice(["k", "l"], ROWS)
    )
    found = list(check_duplicates(facts_of(frame)))
    assert any("columns of few values explain" in finding.text for finding in found)
    assert warned(found) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rows, test", [(600, 120), (150, 40)])
def test_a_shift_by_one_standard_deviation_is_warned_of(rows: int, test: int, seed: int) -> None:
    frame = table(rows, seed)
    frame.loc[rows - test :, "d"] += 1.0
    (finding,) = check_drift(facts_of(frame, test))
    assert finding.level == "warning"
    assert "differ from training rows in d" in finding.text
    assert "--drop d" in finding.advice


def test_other_categories_and_missing_values_are_drift() -> None:
    frame = table()
    frame.loc[ROWS - TEST :, "city"] = np.random.default_rng(1).choice(["Lyon", "Nice", "Rome"], TEST)
    frame.loc[ROWS - 60 :, "a"] = np.nan
    (finding,) = check_drift(facts_of(frame))
    assert finding.level == "warning"
    lines = dict(line.split(": ", 1) for line in finding.evidence)
    assert set(lines) == {"a", "city"}
    assert lines["a"] == "0 % missing in training, 50 % in test"


def test_clean_tables_have_no_drift() -> None:
    levels = [next(iter(check_drift(facts_of(table(300, seed))))).level for seed in range(20)]
    assert levels.count("ok") >= 19


@pytest.mark.parametrize(
    "name, values",
    [
        ("id", np.repeat(np.arange(300), 2)),
        ("PassengerId", np.arange(ROWS) % 5),
        ("patient no", np.arange(ROWS) % 100),
        ("house_id", np.array([f"H{value}" for value in np.arange(ROWS) % 200])),
    ],
)
def test_repeated_ids_are_groups(name: str, values: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    frame = table().assign(**{name: rng.permutation(values)})
    (finding,) = check_groups(facts_of(frame))
    assert finding.level == "warning"
    assert finding.advice.startswith("--split ")
    assert f"group={name}" in finding.advice


@pytest.mark.parametrize("name", ["rooms_per_person", "blood_group", "a", "identity", "valid"])
def test_other_names_are_no_groups(name: str) -> None:
    frame = table().assign(**{name: np.random.default_rng(0).integers(0, 8, ROWS)})
    assert list(check_groups(facts_of(frame))) == []


def test_texts_like_ids_are_noted_as_groups() -> None:
    frame = table().assign(origin=[f"P-{n:04d}" for n in np.random.default_rng(0).integers(0, 150, ROWS)])
    (finding,) = check_groups(facts_of(frame))
    assert (finding.level, "--split group=origin" in finding.advice) == ("note", True)


def test_ids_are_not_counted_as_predictors() -> None:
    (finding,) = check_row_count(400, {"age": 1, "title": 4096}, ids=["title"])
    assert finding.level == "ok"
    assert "1 predictors would be 10" in finding.text
    (finding,) = check_row_count(400, {"age": 1, "town": 90})
    assert finding.level == "warning"
    assert finding.advice.startswith("--drop town")
    assert finding.evidence == ("column town: 90 predictors",)


def test_rows_are_compared_with_the_parameters_of_a_model() -> None:
    assert "10 for each of 40 parameters" in check_parameters(400).text
    enough = check_parameters(400, 40, "regression/linear")
    assert (enough.level, enough.advice) == ("ok", "")
    few = check_parameters(400, 41, "regression/mlp")
    assert few.level == "note"
    assert few.text == "400 training rows; 10 for each of the 41 parameters of regression/mlp would be 410"


def test_sizes_depend_on_what_is_searched() -> None:
    assert "--validation-size 0.062 " in f"{check_sizes(10_000).advice} "
    few, many = (check_sizes(10_000, searched, "classification/mlp") for searched in (2, 12))
    assert "for 10,000 rows and zoo tune classification/mlp: " in few.text
    assert few.advice == "--test-size 0.2 --validation-size 0.188"
    assert "is enough to tune 2 hyperparameters" in few.text
    assert many.advice == "--test-size 0.2 --validation-size 0.25"
    assert "is less than the 6,500 rows that it takes to tune 12 hyperparameters" in many.text


@pytest.mark.parametrize("rare, told", [(1, True), (2, True), (30, False)])
@pytest.mark.parametrize("of_test", [False, True])
def test_a_nearly_constant_column_is_noted_wherever_its_other_rows_are(rare: int, told: bool, of_test: bool) -> None:
    frame = table(150).assign(flag="no")
    rows = np.arange(150)[-rare:] if of_test else np.arange(rare)
    frame.loc[rows, "flag"] = "yes"
    found = [f for f in check_constants(facts_of(frame, 40)) if f.level == "note"]
    assert [f.text for f in found] == (["1 column is nearly constant: flag"] if told else [])
    if told:
        assert f"{150 - rare} of 150 values are no" in found[0].evidence[0]


def test_infinite_values_are_counted_once() -> None:
    frame = table()
    frame.loc[[3, ROWS - 1], "a"] = [np.inf, -np.inf]
    found = list(check_missing_values(facts_of(frame)))
    assert [f.text for f in found] == [f"column a has 2 infinite values, treated as missing: rows 4, {ROWS}"]
    assert not any("infinite" in remark for column in facts_of(frame).columns for remark in column.remarks)


def test_histograms_and_bars_count_every_row() -> None:
    split = np.array(["train"] * 900 + ["test"] * 100)
    values = np.append(np.random.default_rng(0).normal(size=999), 1e9)
    shown = count_numbers("a", values, split)
    assert (sum(shown.counts["train"]), sum(shown.counts["test"])) == (900, 100)
    assert max(shown.counts["train"]) < 300  # the outlier does not squeeze the others into one bin
    names = pd.Series([f"c{index % 30}" for index in range(1000)])
    shown = count_categories("b", names, split)
    assert shown.labels[-1] == "18 others"
    assert sum(shown.counts["train"]) + sum(shown.counts["test"]) == 1000
    drawn = format_bars(["<a>", "b"], {"train": [1, 3], "test": [1, 1]})
    assert drawn.count("<rect") == 4
    assert "&lt;a&gt;: 1 train, 1 test" in drawn
