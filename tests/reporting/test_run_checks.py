"""The report's checks: what is planted is found, and a clean table raises no warning."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.reporting.label_errors import estimate_joint, rank_suspects
from zoo.reporting.report import DataReport


def clean(rows: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, 4)), columns=list("abcd"))
    frame["city"] = rng.choice(["Lyon", "Lille", "Nice"], rows)
    frame["kind"] = np.where(frame["a"] + frame["b"] + rng.normal(0, 0.1, rows) > 0, "yes", "no")
    return frame


def report_of(frame: pd.DataFrame, **options: Any) -> DataReport:
    return zoo.data_report(frame, target="kind", quiet=True, **options)


def warned(report: DataReport, *levels: str) -> list[str]:
    return [f"{f.topic}: {f.text} {f.advice}" for f in report.findings if f.level in (levels or ("warning", "note"))]


def test_a_clean_table_raises_no_warning() -> None:
    report = report_of(clean())
    assert warned(report, "warning") == []
    assert {"enough rows", "split", "class balance", "missing values", "duplicates", "leakage", "drift"} <= {
        finding.topic for finding in report.findings
    }


def _plant_leak(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(outcome=np.where(frame["kind"] == "yes", "done", "open"))


def _plant_number_leak(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        paid=np.where(frame["kind"] == "yes", 5.0, 1.0) + np.random.default_rng(1).normal(0, 0.1, len(frame))
    )


def _plant_missing(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(closed=frame["a"].where((frame["kind"] == "yes") | (frame["b"] > 2)))


def _plant_duplicates(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[:300]], ignore_index=True)


def _plant_near_duplicates(frame: pd.DataFrame) -> pd.DataFrame:
    near = frame.iloc[:300].copy()
    near[list("abcd")] += 1e-5
    return pd.concat([frame, near], ignore_index=True)


def _plant_conflicts(frame: pd.DataFrame) -> pd.DataFrame:
    other = frame.iloc[:60].assign(kind=lambda rows: np.where(rows["kind"] == "yes", "no", "yes"))
    return pd.concat([frame, other], ignore_index=True)


def _plant_groups(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(patient=np.arange(len(frame)) % 150)


def _plant_units(frame: pd.DataFrame) -> pd.DataFrame:
    height = np.random.default_rng(1).normal(1.7, 0.1, len(frame))
    height[::5] *= 100
    return frame.assign(height=height)


def _plant_spellings(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[::7, "city"] = "lyon "
    return frame


def _plant_infinite(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[7, "a"] = np.inf
    return frame


def _plant_rare(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(kind=np.where(np.arange(len(frame)) % 75 == 0, "yes", "no"))


@pytest.mark.usefixtures("without_label_errors")
@pytest.mark.parametrize(
    "plant, says",
    [
        (_plant_leak, "leakage: column outcome alone predicts the target"),
        (_plant_number_leak, "leakage: column paid alone predicts the target"),
        (_plant_missing, "missing values: missing values are associated with the target, most in closed"),
        (_plant_duplicates, "equal a training or validation row in all features"),
        (_plant_near_duplicates, "near-duplicates: "),
        (_plant_conflicts, "equal a row of another class in all features"),
        (_plant_groups, "--split group=patient"),
        (_plant_units, "heterogeneity: column height has two separate scales, around 1.7 and 1"),
        (_plant_spellings, "'Lyon' = 'lyon '"),
        (_plant_infinite, "column a has an infinite value, treated as missing: row 8"),
        (_plant_rare, "class balance: class yes has 8 rows (1.3 %)"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_planted_is_found(plant: Any, says: str) -> None:
    warnings_ = warned(report_of(plant(clean())))
    assert any(says in text for text in warnings_), warnings_


@pytest.mark.usefixtures("without_label_errors")
def test_drift_and_outliers_and_constants_are_noted() -> None:
    frame = clean()
    frame["part"] = np.where(np.arange(len(frame)) < 450, "train", "test")
    frame.loc[frame["part"] == "test", "c"] += 3
    frame.loc[3, "d"] = 5000.0
    frame["same"] = 1
    frame["nearly"] = [2] * 3 + [1] * 597
    report = report_of(frame, split="column=part")
    warnings_ = warned(report)
    assert any("drift: test rows differ from training rows in c" in text for text in warnings_), warnings_
    assert any("d: 1 values such as 5000, rows 4" in line for f in report.findings for line in f.evidence)
    assert any("1 column is nearly constant: nearly --drop nearly" in text for text in warnings_)
    assert any("left out, with only one value: same" in finding.text for finding in report.findings)


def test_flipped_labels_are_the_most_suspect() -> None:
    frame = clean(800)
    frame["kind"] = np.where(frame["a"] + frame["b"] > 0, "yes", "no")
    far = np.flatnonzero((frame["a"] + frame["b"]).abs() > 1)
    flipped = np.random.default_rng(0).choice(far, 30, replace=False)
    frame.loc[flipped, "kind"] = np.where(frame.loc[flipped, "kind"] == "yes", "no", "yes")
    report = report_of(frame)
    finding_ = next(finding for finding in report.findings if finding.topic == "label errors")
    rows = [int(line.split()[1].rstrip(":")) - 1 for line in finding_.evidence]
    assert np.isin(rows, flipped).mean() > 0.9
    assert finding_.level in ("note", "warning")


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.2])
def test_wrong_labels_are_reported_however_many(fraction: float) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 1000)
    x = rng.normal(size=(1000, 4))
    x[:, 0] += 6 * labels
    flipped = rng.choice(1000, round(1000 * fraction), replace=False)
    labels[flipped] = (labels[flipped] + rng.integers(1, 3, len(flipped))) % 3
    frame = pd.DataFrame(x, columns=list("abcd")).assign(kind=np.array(["k", "l", "m"])[labels])
    report = report_of(frame)
    finding_ = next(finding for finding in report.findings if finding.topic == "label errors")
    assert finding_.level in ("warning", "note")
    assert "overlapping classes explain" not in finding_.text
    estimate, _, low, high = (float(text) / 100 for text in re.findall(r"([\d.]+) %", finding_.text)[:4])
    assert low < fraction < high
    assert estimate == pytest.approx(fraction, abs=0.02)
    suspects = 20 + finding_.more
    assert suspects == pytest.approx(len(flipped), abs=10)
    assert f"and {suspects - 8} more" in str(report)


def test_the_confident_joint_of_a_known_noise() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 3000)
    given = np.where(rng.random(3000) < 0.1, (true + 1) % 3, true)
    prediction = np.eye(3)[true] * 0.9 + 0.1 / 3
    joint = estimate_joint(given, prediction)
    assert joint.sum() == pytest.approx(1)
    assert 1 - joint.trace() == pytest.approx(0.1, abs=0.02)
    assert (given != true)[rank_suspects(given, prediction)[: (given != true).sum()]].all()


def test_a_number_far_from_what_its_features_say() -> None:
    frame = clean().drop(columns="kind")
    frame["price"] = frame["a"] * 3 + np.random.default_rng(2).normal(0, 0.1, len(frame))
    frame.loc[5, "price"] = 900.0
    report = zoo.data_report(frame, target="price", quiet=True)
    assert report.task == "regression"
    finding_ = next(finding for finding in report.findings if finding.topic == "label errors")
    assert finding_.evidence[0].startswith("row 6: label 900")


def test_classes_that_overlap_are_no_label_errors() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(2000, 3)), columns=list("abc"))
    frame["kind"] = np.where(rng.random(2000) < 1 / (1 + np.exp(-3 * frame["a"])), "yes", "no")
    finding_ = next(finding for finding in report_of(frame).findings if finding.topic == "label errors")
    assert finding_.level != "warning", finding_
    assert "overlap" in finding_.text or finding_.level == "ok"


def test_models_that_know_nothing_accuse_no_label() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(900, 3)), columns=list("abc"))
    frame["kind"] = rng.choice(list("klmn"), 900)
    findings_ = [finding for finding in report_of(frame).findings if finding.topic == "label errors"]
    assert any("rarely recognise" in finding.text for finding in findings_)
    assert not any(finding.level == "warning" for finding in findings_)


@pytest.mark.usefixtures("without_label_errors")
def test_a_random_split_of_a_series_is_warned_of() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=600, freq="h"), "a": rng.normal(size=600)})
    frame["load"] = np.cumsum(rng.normal(size=600))
    mixed = zoo.data_report(frame, target="load", quiet=True)
    assert any("--split time=when" in f"{f.topic}: {f.advice}" for f in mixed.warnings)
    in_time = zoo.data_report(frame, target="load", split="time=when", quiet=True)
    assert not any(finding.topic == "time" for finding in in_time.findings)


def test_suspects_of_a_test_source_are_named_as_such() -> None:
    train, test = clean(), clean(900)[600:].reset_index(drop=True)
    test.loc[:15, "kind"] = np.where(test.loc[:15, "kind"] == "yes", "no", "yes")
    report = report_of(train, test=test)
    finding_ = next(finding for finding in report.findings if finding.topic == "label errors")
    flipped = [line for line in finding_.evidence if " of the test source" in line.partition(":")[0]]
    assert len(flipped) >= 10
    assert sum(int(line.split()[1]) <= 16 for line in flipped) >= 10
    assert "900" in finding_.text


@pytest.mark.usefixtures("without_label_errors")
def test_rows_of_a_test_source_are_held_against_the_training_rows() -> None:
    frame = clean()
    report = report_of(frame, test=frame[:100])
    finding = next(f for f in report.findings if f.topic == "duplicates" and f.level == "warning")
    assert "test rows" in finding.text
    assert "of the test source" in finding.evidence[0]
    assert not [f for f in report.findings if f.topic == "split"]  # no fraction of it is to be suggested
    moved = frame.assign(a=frame["a"] + 3)
    assert any("drift" in text for text in warned(report_of(frame, test=moved), "warning"))


@pytest.mark.usefixtures("without_label_errors")
@pytest.mark.parametrize("task", ["language", "sequence"])
def test_texts_that_repeat_are_reported(task: str) -> None:
    texts = [f"message {number} of {'abc'[number % 3]}" for number in range(120)]
    frame = pd.DataFrame({"message": [*texts, *texts[:40]], "kind": ["yes", "no"] * 60 + ["no"] * 40})
    words: dict[str, Any] = {"language": {}, "sequence": {"target": "kind"}}[task]
    source = frame[["message"]] if task == "language" else frame
    report = zoo.data_report(source, task=task, options={"text": "message"}, quiet=True, **words)
    texts_of = {finding.topic: finding.text for finding in report.findings}
    assert "40 rows duplicate another in all features (25 %)" in [finding.text for finding in report.findings]
    assert any("test rows equal a training or validation row" in line for line in warned(report, "warning"))
    assert ("conflicting labels" in texts_of) == (task == "sequence")


@pytest.mark.usefixtures("without_label_errors")
def test_texts_that_differ_raise_no_alarm() -> None:
    texts = [f"message {number} of {'abc'[number % 3]}" for number in range(120)]
    report = zoo.data_report({"text": texts}, task="language", options={"text": "text"}, quiet=True)
    assert "no two rows are equal in all features" in [finding.text for finding in report.findings]
