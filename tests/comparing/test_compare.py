"""Comparisons: the same parts for all, ties called ties, a board that is an MLflow run and a page, and going on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.comparing.board import Comparison
from zoo.errors import UsageError
from zoo.running.progress import Progress
from zoo.tracking.store import Store
from zoo.tracking.tags import unpack_tags

LINEAR, MLP = "classification/linear", "classification/mlp"
OPTIONS: dict[str, Any] = {"epochs": 2, "seeds": 2, "quiet": True, "figures": False}


def below(run_id: str) -> list[Any]:
    runs = Store().search(f"tags.`mlflow.parentRunId` = '{run_id}'")
    return sorted(runs, key=lambda run: run.info.start_time)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(240, 4)), columns=list("abcd"))
    frame["y"] = np.where(frame["a"] + generator.normal(0, 0.3, 240) > 0, "yes", "no")
    frame["part"] = np.repeat(["train", "validation", "test"], 80)
    return frame


def test_all_are_on_the_same_parts_and_baselines_are_always_in(workspace: Path) -> None:
    comparison = zoo.compare("wine", f"{LINEAR},{MLP}", output=str(workspace / "c.html"), **OPTIONS)
    (board,) = comparison.boards
    assert board.score == "test_log_loss"
    assert "each with its own split" in board.evaluation
    entries = {entry.name: entry for entry in board.entries}
    assert {LINEAR, MLP, "majority"} <= set(entries)
    means = [float(np.mean(entry.scores)) for entry in board.entries]
    assert means == sorted(means)
    runs = below(comparison.run_id)
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    digests: dict[str, list[str]] = {run.data.tags["zoo.model"]: [] for run in runs}
    for run in runs:
        digests[run.data.tags["zoo.model"]].append(unpack_tags(run)["zoo.split_digest"])
    assert digests[LINEAR] == digests[MLP]
    assert len(set(digests[LINEAR])) == 2
    # A board's means are those of its runs.
    values = [run.data.metrics["test_log_loss"] for run in runs if run.data.tags["zoo.model"] == MLP]
    assert entries[MLP].scores == pytest.approx(values)
    assert entries[MLP].latency_ms
    assert entries[MLP].n_parameters
    assert entries["majority"].seconds >= 0
    page = Store().client.get_run(comparison.run_id)
    assert {run.data.tags["zoo.kind"] for run in runs} == {"compared"}
    with pytest.raises(UsageError, match="is a comparison"):
        zoo.load(comparison.run_id)
    with pytest.raises(UsageError, match="no finished run of a model"):
        zoo.best()  # each seed has another validation part
    assert len(zoo.load(runs[0].info.run_id).predict("wine")) == 178
    assert page.info.status == "FINISHED"
    assert page.data.tags["zoo.kind"] == "comparison"
    assert board.summary in page.data.tags["mlflow.note.content"]
    stored = json.loads(Store().read_text(comparison.run_id, "comparison.json") or "")
    assert stored["boards"] == comparison.as_dict()["boards"]
    text = (workspace / "c.html").read_text()
    assert MLP in text
    assert "<svg" in text
    assert not re.search(r"(src|href)=.http", text)


def test_on_one_test_part_its_luck_is_in_the_intervals_and_equals_are_tied(
    workspace: Path, table: pd.DataFrame
) -> None:
    comparison = zoo.compare(
        table, [LINEAR, MLP], target="y", split="column=part", **{**OPTIONS, "seeds": 3, "epochs": 60}
    )
    (board,) = comparison.boards
    assert "one test split" in board.evaluation
    entries = {entry.name: entry for entry in board.entries}
    assert entries[LINEAR].noise > 0
    assert entries["majority"].noise > 0
    pairs = {frozenset(pair.names): pair for pair in board.pairs}
    assert pairs[frozenset((LINEAR, MLP))].tied
    assert not pairs[frozenset((LINEAR, "majority"))].tied
    assert board.verdict(entries["majority"]) == "worse"


def test_folds_and_several_sources_are_ranked(workspace: Path) -> None:
    comparison = zoo.compare("wine", [LINEAR], others=("iris", "breast_cancer"), cv=2, epochs=2, quiet=True)
    assert [board.source for board in comparison.boards] == ["wine", "iris", "breast_cancer"]
    assert all(
        board.evaluation == "2 folds" and board.test_ratio == pytest.approx(1.0, abs=0.05)
        for board in comparison.boards
    )
    assert comparison.ranks is not None
    assert set(comparison.ranks.mean) >= {LINEAR, "majority"}
    assert "critical_difference" in comparison.figures
    assert {run.info.experiment_id for run in below(comparison.run_id)} == {
        Store().run(comparison.run_id).info.experiment_id
    }


class CutShort(Progress):
    """Interrupts, as Ctrl-C would, before the third run."""

    def say(self, text: str) -> None:
        if text.endswith("2 of 2"):
            raise KeyboardInterrupt


def test_a_comparison_that_was_cut_goes_on(workspace: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        zoo.compare("wine", [LINEAR, MLP], epochs=2, seeds=2, figures=False, progress=CutShort(quiet=True))
    (cut,) = Store().search("tags.`zoo.kind` = 'comparison'")
    assert cut.info.status == "KILLED"
    assert len(below(cut.info.run_id)) == 2
    before = {run.info.run_id for run in below(cut.info.run_id)}
    comparison = zoo.compare("wine", [LINEAR, MLP], **OPTIONS)
    assert comparison.run_id == cut.info.run_id
    after = {run.info.run_id for run in below(comparison.run_id)}
    assert before < after
    assert len(after) == 4


def test_runs_that_were_made_are_compared_as_they_are(workspace: Path) -> None:
    first = zoo.train(LINEAR, "wine", epochs=3, quiet=True, figures=False)
    second = zoo.train(MLP, "wine", epochs=3, quiet=True, figures=False)
    comparison = zoo.compare(runs=[first.run_id[:10], second.run_id])
    (board,) = comparison.boards
    models = {entry.name.split()[0]: entry for entry in board.entries if entry.kind == "model"}
    assert models[LINEAR].scores == [first.metrics["test_log_loss"]]
    assert "do not include the variance between trainings" in board.evaluation
    assert not below(comparison.run_id)


@pytest.mark.slow
def test_runs_on_other_rows_do_not_compare_unless_they_are_trained_again(workspace: Path) -> None:
    first = zoo.train(LINEAR, "wine", epochs=2, quiet=True)
    second = zoo.train(MLP, "wine", epochs=2, hyperparameters={"units": 16}, seed=1, quiet=True)
    runs = [first.run_id, second.run_id]
    with pytest.raises(UsageError, match="different test rows; train both"):
        zoo.compare(runs=runs)
    comparison = zoo.compare(runs=runs, refit=True, **OPTIONS)
    assert isinstance(comparison, Comparison)
    trained = [run for run in below(comparison.run_id) if run.data.tags["zoo.model"] == MLP]
    assert [run.data.params["units"] for run in trained] == ["16", "16"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "wine"}, "either models to train"),
        ({"source": "wine", "models": "classification/mpl"}, "did you mean 'classification/mlp'"),
        ({"source": "wine", "models": [MLP, "regression/mlp"]}, "have different metrics"),
        ({"source": "wine", "models": [MLP, "classification/*"]}, "given twice"),
        ({"source": "wine", "models": MLP, "baselines": "none"}, "a comparison always includes baselines"),
        ({"source": "wine", "models": MLP, "seeds": 1}, "greater than or equal to 2"),
        ({"models": MLP}, "the source is missing"),
        ({"source": "wine", "runs": ["abc"]}, "leave the source out"),
        ({"runs": ["abc"], "epochs": 3}, "train them again with refit"),
        ({"runs": ["abc"]}, "there is no run 'abc'"),
        ({"source": "wine", "models": MLP, "output": "/nowhere/x.html"}, "the folder does not exist"),
    ],
)
def test_wrong_use_is_named(workspace: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        zoo.compare(**given)
