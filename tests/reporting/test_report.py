"""The report's door: the command, JSON, the page, and what each run keeps of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.reporting.report import DataReport
from zoo.tracking.store import Store


def test_the_command(people: pd.DataFrame, workspace: Path, command: Callable[..., Answer]) -> None:
    people.to_csv("people.csv", index=False)
    answer = command("data", "people.csv", "--target", "rich", "--model", "classification/mlp")
    assert answer.status == 0
    assert "age                   number" in answer.out
    assert "enough rows" in answer.out
    assert re.search("10 for each of the [0-9,]+ parameters of classification/mlp would be", answer.out)
    assert "hyperparameters" in answer.out
    small = command("data", "people.csv", "--target", "rich", "--model", "classification/mlp", "--set", "units=4")
    assert small.out != answer.out
    wrong = command("data", "people.csv", "--target", "rich", "--set", "units=4")
    assert (wrong.status, wrong.err) == (2, "zoo: hyperparameters: --set needs --model NAME\n")
    report = command("data", "people.csv", "--target", "rich", "--column", "age=category", "--json").json
    assert {column["name"]: column["kind"] for column in report["columns"]}["age"] == "category"
    keys = {"source", "target", "task", "splits", "columns", "findings", "notes", "output"}
    assert set(report) == keys | {"distributions", "target_distribution"}
    keys = {"topic", "level", "text", "advice", "evidence", "more"}
    assert all(keys == set(finding) for finding in report["findings"])
    assert DataReport.from_dict(report).as_dict() == report


def test_without_a_target_the_columns_are_looked_at(people: pd.DataFrame, command: Callable[..., Answer]) -> None:
    people.to_csv("people.csv", index=False)
    answer = command("data", "people.csv")
    assert answer.status == 0
    assert "each column is only checked on its own" in answer.out


@pytest.mark.usefixtures("without_label_errors")
@pytest.mark.parametrize(
    "source, task",
    [
        pytest.param("digits", "classification", marks=pytest.mark.slow),
        ("iris", "classification"),
        ("japanese_vowels", "sequence"),
        ("diabetes", "regression"),
    ],
)
def test_the_task_is_told_by_the_source(workspace: Path, source: str, task: str) -> None:
    assert zoo.data_report(source, quiet=True).task == task


def test_the_page_escapes_what_a_source_says(workspace: Path, command: Callable[..., Answer]) -> None:
    frame = pd.DataFrame({"<script>alert(1)</script>": np.arange(40.0) % 7, "kind": ["<b>", "c"] * 20})
    frame.to_csv("odd.csv", index=False)
    answer = command("data", "odd.csv", "--target", "kind", "--output", "page.html")
    assert answer.status == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    "words, says",
    [
        (["wine", "--target", "clas"], "there is no column 'clas' to predict"),
        (["wine", "--task", "clasification"], "unknown task 'clasification'"),
        (["wine", "--column", "ash=nmber"], "'nmber'"),
        (["wine", "--column", "ash"], "it must be NAME=VALUE, such as age=number"),
        (["wine", "--output", "nowhere/page.html"], "the folder does not exist"),
        (["none.csv"], "no such file"),
    ],
)
def test_wrong_input(workspace: Path, command: Callable[..., Answer], words: list[str], says: str) -> None:
    answer = command("data", *words)
    assert answer.status == 2
    assert says in answer.err
    assert answer.out == ""
    assert list(workspace.glob("*.html*")) == []


def test_each_run_keeps_the_report_of_its_data(workspace: Path, people: pd.DataFrame) -> None:
    frame = pd.concat([people] * 3, ignore_index=True)
    run = zoo.train("classification/linear", frame, target="rich", epochs=2, quiet=True)
    client = Store().client
    names = {file.path for file in client.list_artifacts(run.run_id)}
    assert {"data_report.html", "data_report.json", "data_report.txt"} <= names
    note = client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert "Data report:" in note
    assert "equal a training or validation row in all features" in note
    kept = json.loads(Path(client.download_artifacts(run.run_id, "data_report.json", str(workspace))).read_text())
    assert {"leakage", "label errors"} <= {finding["topic"] for finding in kept["findings"]}
    assert any("parameters of classification/linear would be" in finding["text"] for finding in kept["findings"])
    assert len(list((Store().state / "reports").glob("*.json"))) == 1


def test_a_kept_report_that_is_damaged_is_made_anew(workspace: Path, people: pd.DataFrame) -> None:
    frame = pd.concat([people] * 3, ignore_index=True)
    zoo.train("classification/linear", frame, target="rich", epochs=1, quiet=True, figures=False)
    (kept,) = (Store().state / "reports").glob("*.json")
    whole = kept.read_text()
    kept.write_text(whole[:100])
    zoo.train("classification/linear", frame, target="rich", epochs=1, seed=0, quiet=True, figures=False)
    assert json.loads(kept.read_text())["findings"] == json.loads(whole)["findings"]
