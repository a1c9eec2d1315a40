"""The report's checks of values, and of images: what is planted is found, and what is clean stays unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.reporting import image_checks as images
from zoo.reporting.report import DataReport
from zoo.tracking.store import Store

pytestmark = pytest.mark.usefixtures("without_label_errors")


def clean(rows: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, 4)), columns=list("abcd"))
    frame["age"] = rng.integers(18, 90, rows)
    frame["city"] = rng.choice(["Lyon", "Lille", "Nice"], rows)
    frame["kind"] = np.where(frame["a"] + frame["b"] + rng.normal(0, 0.1, rows) > 0, "yes", "no")
    return frame


def said(report: DataReport) -> list[str]:
    return [f"{f.topic}: {f.text}" for f in report.findings if f.level != "ok"]


def _mixed_dates(frame: pd.DataFrame) -> pd.DataFrame:
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(frame)) % 300, unit="D")
    texts = np.where(np.arange(len(frame)) % 4 == 0, days.strftime("%d/%m/%Y"), days.strftime("%Y-%m-%d"))
    return frame.assign(day=texts)


def _decimals(frame: pd.DataFrame) -> pd.DataFrame:
    texts = frame["a"].round(2).astype(str)
    return frame.assign(size=texts.where(np.arange(len(frame)) % 3 > 0, texts.str.replace(".", ",")))


def _units(frame: pd.DataFrame) -> pd.DataFrame:
    texts = frame["age"].astype(str) + np.where(np.arange(len(frame)) % 5 == 0, " lb", " kg")
    return frame.assign(mass=texts)


def _unit(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(mass=frame["age"].astype(str) + " kg")


def _code(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[::30, "age"] = -999
    return frame


def _code_of_nines(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[::30, "age"] = 999
    return frame


def _cap(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(income=np.minimum(frame["c"], 1.0))


def _recoded(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(town=frame["city"].map({"Lyon": 69, "Lille": 59, "Nice": 6}))


def _fahrenheit(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(fahrenheit=frame["c"] * 1.8 + 32)


@pytest.mark.parametrize(
    "plant, says",
    [
        (_mixed_dates, "column day has dates in 2 formats: 2024-01-31 and 31/01/2024"),
        (_decimals, "column size has decimals in 2 formats: 1.5 and 1,5"),
        (_units, "column mass has numbers in 2 units: kg, lb"),
        (_unit, "column mass has numbers with the unit kg, so it is text"),
        (_code, "column age is -999 in 20 rows (3.3 %), far from all other values"),
        (_code_of_nines, "column age is 999 in 20 rows"),
        (_cap, "values accumulate at the maximum or minimum of income"),
        (_recoded, "town is equivalent to city"),
        (_fahrenheit, "fahrenheit is equivalent to c"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_planted_is_found(plant: Any, says: str) -> None:
    texts = said(zoo.data_report(plant(clean()), target="kind", quiet=True))
    assert any(says in text for text in texts), texts


def test_a_clean_table_has_none_of_them() -> None:
    texts = said(zoo.data_report(clean(), target="kind", quiet=True))
    assert not [text for text in texts if text.startswith(("heterogeneity", "capped", "columns"))], texts


def test_a_target_that_was_capped_is_told() -> None:
    frame = clean().drop(columns="kind")
    frame["price"] = np.minimum(frame["a"] * 3 + frame["b"], 4.0)
    assert any("of the target: possibly capped" in text for text in said(zoo.data_report(frame, target="price")))


def test_the_same_remark_on_many_columns_is_one_finding() -> None:
    rng = np.random.default_rng(0)
    frame = clean()
    for number in range(12):
        frame[f"mark{number}"] = rng.integers(1, 4 + number % 3, len(frame))
    texts = [text for text in said(zoo.data_report(frame, target="kind", quiet=True)) if text.startswith("columns")]
    assert len(texts) == 1
    assert "mark0, mark1" in texts[0]
    assert "and 4 more" in texts[0]
    assert "3 to 5 distinct values" in texts[0]


def test_pictures_that_hardly_differ_across_the_split() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 256, (120, 12, 12, 1)).astype(np.uint8)
    again = np.clip(drawn[:60] * 0.9 + 5, 0, 255).astype(np.uint8)
    labels = np.arange(180) % 2
    both = (np.concatenate([drawn, again]), labels)
    report = zoo.data_report(both, task="image", quiet=True)
    findings_ = [finding for finding in report.findings if finding.topic == "near-duplicates"]
    assert {finding.level for finding in findings_} == {"warning"}
    assert any("of the test images are near-duplicates of a training image" in finding.text for finding in findings_)
    one = zoo.data_report((drawn, labels[:120]), task="image", quiet=True)
    assert [f.level for f in one.findings if f.topic == "near-duplicates"] == ["ok"]
    for source, sizes in ((both, {"test_size": 0, "validation_size": 0}), ((np.full_like(drawn, 7), labels[:120]), {})):
        report_ = zoo.data_report(source, task="image", quiet=True, **sizes)
        assert not [f for f in report_.findings if f.topic == "near-duplicates"]  # nothing was compared


def test_a_sample_of_pictures_is_told_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_TRAIN", 50)
    drawn = np.random.default_rng(0).integers(0, 256, (120, 12, 12, 1)).astype(np.uint8)
    report = zoo.data_report((drawn, np.arange(120) % 2), task="image", quiet=True)
    text = next(finding.text for finding in report.findings if finding.topic == "near-duplicates")
    assert text.endswith("a near-duplicate of a training image, among 50 compared training images")


def test_units_that_differ_in_case_alone() -> None:
    rng = np.random.default_rng(2)
    frame = clean()
    frame["power"] = [f"{value} {'MW' if value % 2 else 'mW'}" for value in rng.integers(1, 99, len(frame))]
    frame["dose"] = [f"{value}{'MG' if value % 2 else 'mg'}" for value in rng.integers(1, 99, len(frame))]
    frame["flat"] = [f"{value}A" for value in rng.integers(1, 99, len(frame))]
    texts = [text for text in said(zoo.data_report(frame, target="kind", quiet=True)) if "unit" in text]
    assert len(texts) == 2
    assert any("power has numbers in 2 units" in text and "MW" in text and "mw" in text for text in texts)
    assert any("dose has numbers with the unit mg, so it is text" in text for text in texts)


def test_names_are_told_whole_and_typed_as_a_shell_takes_them() -> None:
    frame = clean().rename(columns={"d": "ratio a:b"})
    frame.loc[5, "ratio a:b"] = 1e6
    frame["town name"] = frame["city"].map({"Lyon": "L", "Lille": "I", "Nice": "N"})
    frame["none"] = np.nan
    frame["code"] = np.where(np.arange(len(frame)) % 20, frame["a"], 9999999)
    report = zoo.data_report(frame, target="kind", quiet=True)
    texts = [finding.text for finding in report.findings]
    assert any("interquartile range in ratio a:b" in text for text in texts)
    assert any("--drop 'town name'" in finding.advice for finding in report.findings)
    assert any("column code is 9999999 in 30 rows (5 %)" in text for text in texts)
    assert any("without values: none" in text for text in texts)


def test_the_order_of_dates_in_a_format_that_was_told() -> None:
    days = pd.date_range("2022-01-01", periods=600, freq="D")
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=600), "load": np.arange(600.0)})
    frame["when"] = days.strftime("%d.%m.%y")
    report = zoo.data_report(frame, target="load", column={"when": "date:%d.%m.%y"}, quiet=True)
    assert any("100 % of the test rows are before the last training row" in f.text for f in report.findings)


def test_house_numbers_ordinals_and_thousands_are_no_units() -> None:
    rng = np.random.default_rng(1)
    frame = clean()
    frame["flat"] = [f"{number}{'abcd'[number % 4]}" for number in rng.integers(1, 99, len(frame))]
    frame["floor"] = rng.choice(["1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "22nd", "23rd", "24th"], 600)
    frame["people"] = [f"{value},{value + 100}" if value % 2 else f"{value}.5" for value in rng.integers(1, 99, 600)]
    texts = said(zoo.data_report(frame, target="kind", quiet=True))
    assert not [text for text in texts if "units" in text or "formats" in text], texts


def test_a_run_reports_its_times_and_no_rows_that_sampling_repeats(workspace: Path) -> None:
    rng = np.random.default_rng(0)
    frame = clean()
    frame["when"] = pd.date_range("2024-01-01", periods=len(frame), freq="h").strftime("%d/%m/%Y %H:%M")
    frame["kind"] = np.where(rng.random(len(frame)) < 0.1, "yes", "no")
    run = zoo.train(
        "classification/linear", frame, target="kind", sample="up=5", epochs=1, baselines="none", quiet=True
    )
    client = Store().client
    report = json.loads(Path(client.download_artifacts(run.run_id, "data_report.json")).read_text())
    topics = [finding["topic"] for finding in report["findings"]]
    assert "time" in topics
    assert "report" not in topics
    assert [f["text"] for f in report["findings"] if f["topic"] == "duplicates"] == [
        "no two rows are equal in all features"
    ]


def test_the_column_that_rows_are_split_by_is_no_feature_of_the_report() -> None:
    frame = clean().assign(patient=np.arange(600) // 10)
    report = zoo.data_report(frame, target="kind", split="group=patient", quiet=True)
    assert "patient" not in [column.name for column in report.columns]
