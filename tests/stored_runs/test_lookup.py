"""What is done with runs that were made: shown in order, made again, registered, described, removed."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.errors import UsageError
from zoo.metrics.direction import Direction
from zoo.metrics.significance import cautious_difference
from zoo.stored_runs.lookup import load_job
from zoo.stored_runs.results import Run
from zoo.stored_runs.ties import find_ties, select_among_ties
from zoo.tracking.store import Store

QUICK: dict[str, Any] = {"epochs": 3, "quiet": True, "figures": False, "baselines": "none", "target": "y"}


def rows(count: int, seed: int) -> pd.DataFrame:
    """Two classes that a line tells apart only in part."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 2))
    y = np.where(2 * x[:, 0] + x[:, 0] * x[:, 1] + random.normal(size=count) > 0, "yes", "no")
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "sex": random.choice(["f", "m"], count), "y": y})


@pytest.fixture
def january(workspace: Path) -> Path:
    path = workspace / "january.csv"
    rows(300, 1).to_csv(path, index=False)
    return path


# --- made again ---


def test_a_run_is_made_again_with_equal_scores(january: Path, command: Callable[..., Answer]) -> None:
    run = zoo.train("classification/mlp", str(january), **QUICK, deterministic=True)
    answer = command("reproduce", run.run_id[:10], "--json")
    assert answer.status == 0
    result = answer.json
    assert result["agrees"] is True
    assert {score["verdict"] for score in result["scores"].values()} == {"equal"}
    assert result["scores"]["test_log_loss"]["then"] == run.metrics["test_log_loss"]
    assert zoo.best().run_id == run.run_id  # what was reproduced is there once
    again = mlflow.get_run(result["run_id"])
    assert again.data.tags["zoo.reproduces"] == run.run_id
    weights = [zoo.load(run_id).keras_model.get_weights() for run_id in (run.run_id, result["run_id"])]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_has_changed_since_is_named_and_a_score_that_differs_fails(
    january: Path, command: Callable[..., Answer]
) -> None:
    run = zoo.train("classification/mlp", str(january), **QUICK)
    rows(300, 7).to_csv(january, index=False)
    answer = command("reproduce", run.run_id)
    assert answer.status == 1
    assert "changed since: the data: digest" in answer.out
    assert "differs" in answer.out
    assert "--seeds 5" in answer.out


def test_options_of_the_task_are_those_of_the_run() -> None:
    options = {"epochs": 1, "quiet": True, "figures": False, "baselines": "none"}
    run = zoo.train("clustering/autoencoder", "iris", options={"clusters": 4}, **options)
    again = zoo.reproduce(run.run_id)
    assert again.agrees
    assert all(load_job(Store(), each).options == {"clusters": 4} for each in (run.run_id, again.run.run_id))


def test_recorded_seeds_tell_noise(january: Path) -> None:
    seeds = zoo.train("classification/mlp", str(january), seeds=3, **QUICK)
    first = seeds.runs[0]
    Store().client.log_metric(first.run_id, "unrelated", 1.0)
    reproduction = zoo.reproduce(first.run_id, quiet=True)
    assert reproduction.seeds == 3
    scores = {score.name: score for score in reproduction.scores}
    spread = np.std([run.metrics["test_log_loss"] for run in seeds.runs], ddof=1)
    assert scores["test_log_loss"].noise == pytest.approx(4.3027 * np.sqrt(2) * spread, rel=1e-3)


def test_what_cannot_be_made_again(january: Path) -> None:
    with pytest.raises(UsageError, match="there is no run"):
        zoo.reproduce("abcdef", quiet=True)
    folds = zoo.train("classification/linear", str(january), cv=2, **QUICK)
    with pytest.raises(UsageError, match="name a run below it"):
        zoo.reproduce(folds.run_id, quiet=True)


# --- registered ---


def test_the_champion_is_who_wins_on_rows_that_neither_has_seen(january: Path, command: Callable[..., Answer]) -> None:
    longer = {**QUICK, "epochs": 40}
    weak = zoo.train("classification/linear", str(january), drop=("a", "sex"), **longer)
    strong = zoo.train("classification/mlp", str(january), **longer)
    first = zoo.register(weak.run_id, "income")
    assert first.promoted
    second = zoo.register(strong.run_id, "income")
    assert not second.promoted
    assert "with --on SOURCE" in repr(second)
    june = january.with_name("june.csv")
    pd.concat([rows(300, 2), pd.read_csv(january)[:50]]).to_csv(june, index=False)
    third = command("register", strong.run_id, "income", "--on", june, "--json").json
    assert third["promoted"] is True
    assert third["version"] == 2
    split_rows = json.loads(Store().read_text(strong.run_id, "split.json"))  # the weak one has the same
    held_out = sum(row < 50 for row in split_rows["test"])
    assert (third["contest"]["rows"], third["contest"]["seen"]) == (300 + held_out, 50 - held_out)
    assert third["contest"]["challenger"] < third["contest"]["champion"]
    back = zoo.register(weak.run_id, "income", on=str(june))
    assert not back.promoted
    assert "not significantly better" in repr(back)
    expected = zoo.load(strong.run_id).predict(str(june))
    pd.testing.assert_frame_equal(zoo.load("income@champion").predict(str(june)), expected)
    assert f"run {strong.run_id[:8]}".lower() in command("show", "income@champion").out.lower()
    served = mlflow.pyfunc.load_model("models:/income@champion").predict(pd.read_csv(june))
    pd.testing.assert_frame_equal(served, expected)
    same = zoo.register(weak.run_id, "income", on=str(january)).contest
    assert (same.rows, same.seen) == (60, 240)  # the test rows of both runs


@pytest.mark.parametrize("option", [{"sample": "down=4"}, {"fold": "1/5"}, {"split_seed": 3}])
def test_rows_that_a_run_used_do_not_count_however_they_were_drawn(january: Path, option: dict[str, Any]) -> None:
    champion, challenger = (
        zoo.train("classification/linear", str(january), **QUICK, **({"seed": seed} | option)) for seed in (0, 1)
    )
    zoo.register(champion.run_id, "income")
    june = january.with_name("june.csv")
    table = pd.read_csv(january)
    pd.concat([table, rows(40, 2)]).to_csv(june, index=False)
    splits = [json.loads(Store().read_text(run.run_id, "split.json")) for run in (champion, challenger)]
    unseen = set(splits[0].get("test", [])) & set(splits[1].get("test", []))
    contest = zoo.register(challenger.run_id, "income", on=str(june)).contest
    assert contest.rows == 40 + len(unseen)
    table.iloc[splits[0]["train"]].to_csv(june, index=False)
    with pytest.raises(UsageError, match=r"only 0 of .* rows are unseen"):
        zoo.register(challenger.run_id, "income", on=str(june))


def test_a_contest_reads_classes_and_cells_as_training_does(january: Path) -> None:
    """A class spelled None is a class, and a cell that is no number is missing."""
    table = rows(300, 1).assign(y=lambda frame: frame["y"].replace("no", "None"))
    table["a"] = table["a"].astype(object)
    splits = json.loads(
        Store().read_text(zoo.train("classification/linear", rows(300, 1), **QUICK).run_id, "split.json")
    )
    table.loc[splits["validation"][0], "a"] = "oops"
    table.to_csv(january, index=False)
    runs = [zoo.train("classification/linear", str(january), **QUICK, seed=seed, split_seed=0) for seed in (0, 1)]
    zoo.register(runs[0].run_id, "income")
    june = january.with_name("june.csv")
    rows(80, 2).assign(y=lambda frame: frame["y"].replace("no", "None")).to_csv(june, index=False)
    contest = zoo.register(runs[1].run_id, "income", on=str(june)).contest
    assert contest.rows == 80


def test_a_run_of_data_in_memory_cannot_be_compared(january: Path) -> None:
    runs = [zoo.train("classification/linear", rows(100, 1), **QUICK, seed=seed) for seed in (0, 1)]
    zoo.register(runs[0].run_id, "income")
    with pytest.raises(UsageError, match="was trained on data in memory"):
        zoo.register(runs[1].run_id, "income", on=rows(60, 2))


def test_weights_count_in_a_contest(january: Path) -> None:
    table = rows(300, 1).assign(w=1.0)
    table.to_csv(january, index=False)
    runs = [zoo.train("classification/linear", str(january), **QUICK, weight="w", seed=seed) for seed in (0, 1)]
    zoo.register(runs[0].run_id, "income")
    june = rows(60, 2).assign(w=np.arange(60) < 30)
    contest = zoo.register(runs[1].run_id, "income", on=june).contest
    losses = []
    for run in runs:
        probability = zoo.load(run.run_id).predict_proba(june)[:30]
        truth = june["y"].to_numpy()[:30, None] == np.array(zoo.load(run.run_id).classes)
        losses.append(np.square(probability - truth).sum(axis=1).mean())
    np.testing.assert_allclose([contest.champion, contest.challenger], losses, rtol=1e-6)


def test_a_model_that_is_rarely_but_badly_wrong_is_no_champion_by_few_rows() -> None:
    """Better on most rows, and wrong with certainty on 2 %: worse on average, which 30 rows often do not show."""
    random = np.random.default_rng(0)
    promoted = {30: 0, 300: 0}
    for number in promoted:
        for _ in range(200):
            wrong = random.random(number) < 0.02
            difference = np.where(wrong, 2.0 - 0.02, 2 * 0.03**2 - 2 * 0.1**2)
            promoted[number] += cautious_difference(difference, np.zeros(number), worst=2.0)[1] < 0
    assert promoted == {30: 0, 300: 0}


@pytest.mark.parametrize(
    ("words", "message"),
    [(("income@champion", "x.csv"), "no registered model 'income' has the alias 'champion'")],
)
def test_an_alias_that_nobody_has(
    workspace: Path, command: Callable[..., Answer], words: tuple[str, ...], message: str
) -> None:
    answer = command("predict", *words)
    assert answer.status == 2
    assert message in answer.err


# --- described ---


def test_a_card_tells_scores_by_subgroup(january: Path, command: Callable[..., Answer]) -> None:
    run = zoo.train("classification/linear", str(january), drop=("sex",), **QUICK)
    card = command("card", run.run_id, "--by", "sex", "--by", "a", "--output", "card.md", "--json").json
    assert sum(group["rows"] for group in card["subgroups"] if group["column"] == "sex") == 60
    assert {group["name"] for group in card["subgroups"] if group["column"] == "sex"} == {"f", "m"}
    text = Path("card.md").read_text(encoding="utf-8")
    assert text == Store().read_text(run.run_id, "model_card.md")
    for section in ("The model", "Intended use", "The data", "Scores", "Scores by subgroup", "Limits", "How to use it"):
        assert f"\n## {section}\n" in text
    wrong = command("card", run.run_id, "--by", "sax")
    assert wrong.status == 2
    assert "did you mean 'sex'?" in wrong.err


# --- shown in order, and removed ---


def test_runs_are_listed_by_task_and_metric(workspace: Path, command: Callable[..., Answer]) -> None:
    trained = [
        zoo.train("classification/linear", "wine", epochs=epochs, quiet=True, figures=False) for epochs in (1, 12)
    ]
    zoo.train("regression/linear", "diabetes", epochs=1, quiet=True, figures=False, baselines="none")
    listed = command("runs", "--json").json["runs"]
    assert [row["kind"] for row in listed] == ["train"] * 3  # baselines only on demand
    assert len(command("runs", "--all", "--json").json["runs"]) == 6
    best_first = command("runs", "--task", "classification", "--sort", "test_log_loss", "--json").json["runs"]
    assert [row["run_id"] for row in best_first] == [trained[1].run_id, trained[0].run_id]
    by_accuracy = command("runs", "--model", "classification/linear", "--sort", "val_accuracy", "--json").json["runs"]
    accuracies = [row["sorted_by"] for row in by_accuracy]
    assert accuracies == sorted(accuracies, reverse=True)
    ranked = command("best", "wine", "--json").json
    assert ranked["run_id"] == trained[1].run_id
    assert [row["run_id"] for row in ranked["ranking"]] == [trained[1].run_id, trained[0].run_id]
    assert "the test split is not used to choose" in command("best", "wine").out
    for words, message in (
        (("--task", "clasification"), "did you mean 'classification'?"),
        (("--sort", "test_los"), "did you mean 'test_log_loss'?"),
        (("--model", "classification/liner"), "classification/linear"),
    ):
        wrong = command("runs", "wine", *words)
        assert wrong.status == 2
        assert message in wrong.err


def test_the_best_is_ranked_among_runs_with_the_same_validation_rows(
    workspace: Path, command: Callable[..., Answer]
) -> None:
    options = {**QUICK, "experiment": "january"}
    few = zoo.train("classification/linear", rows(300, 1), **options, validation_size=0.05)
    other = zoo.train("classification/linear", rows(300, 1), **options, split_seed=1)
    first = zoo.train("classification/linear", rows(300, 1), **options)
    # Other features, seeds and samples of the training split leave the validation rows as they are.
    last = zoo.train("classification/linear", rows(300, 1), **{**options, "epochs": 30}, drop=["sex"], sample="up=2")
    ranked = command("best", "january", "--json").json
    ids = sorted([first, last], key=lambda run: run.metrics["val_log_loss"])
    assert [row["run_id"] for row in ranked["ranking"]] == [run.run_id for run in ids]
    assert {row["run_id"] for row in ranked["left_out"]} == {few.run_id, other.run_id}
    shown = command("best", "january").out
    assert "ranked by val_log_loss on the same 48 rows" in shown
    assert "are left out, such as" in shown
    assert few.run_id[:8] in shown
    weighted = zoo.train("classification/linear", rows(300, 1).assign(w=np.arange(300) + 1.0), **options, weight="w")
    assert zoo.best("january").run_id == weighted.run_id  # a weighted score is not comparable with the others


def test_what_came_to_nothing_is_removed_when_a_person_says_so(workspace: Path, command: Callable[..., Answer]) -> None:
    kept = zoo.train("classification/linear", "iris", epochs=1, quiet=True, baselines="none")
    words = ["--set", "learning_rate=1e30", "--set", "optimizer=sgd", "--epochs", 3, "--baselines", "none"]
    assert command("train", "regression/mlp", "diabetes", *words).status == 1
    (failed,) = (row for row in zoo.runs().rows if row["status"] == "FAILED")
    shutil.rmtree(workspace / "mlruns" / "state" / failed["run_id"], ignore_errors=True)
    lost = workspace / "mlruns" / "artifacts" / ("0" * 32) / "artifacts"
    lost.mkdir(parents=True)
    (lost / "figure.png").write_bytes(b"1" * 1000)
    asked = command("runs", "--prune")
    assert asked.status == 0
    assert "nothing was removed; confirm with --yes" in asked.out
    assert {"failed run", "files without a run"} == {
        leftover["what"] for leftover in command("runs", "--prune", "--json").json["leftovers"]
    }
    assert command("runs", "--prune", "--yes", "--json").json["removed"] is True
    assert not lost.parent.exists()
    assert not (workspace / "mlruns" / "artifacts" / failed["run_id"]).exists()
    assert [row["run_id"] for row in zoo.runs().rows] == [kept.run_id]
    assert command("runs", "--prune").out.startswith("nothing to remove")
    assert len(zoo.load(kept.run_id).predict("iris")) == 150


def test_a_lucky_score_with_a_wide_interval_is_not_preferred() -> None:
    def run_of(name: str, score: float, low: float, high: float) -> Run:
        facts = {"experiment": "e", "task": "t", "model_name": "m", "source": "s", "objective": "log_loss"}
        return Run(
            run_id=name, direction="min", metrics={"val_log_loss": score}, intervals={"val_log_loss": (low, high)},
            baselines={}, hyperparameters={}, n_parameters=1, epochs_run=1, best_epoch=1, seconds=0, artifact_uri="",
            **facts,
        )  # fmt: skip

    lucky, sober = run_of("lucky", 9e-11, 0.0, 0.42), run_of("sober", 0.02, 0.003, 0.2)
    worse, unknown = run_of("worse", 0.5, 0.3, 0.7), run_of("unknown", 0.001, math.nan, math.nan)
    tied = find_ties([lucky, sober, worse], "val_log_loss", Direction.MIN)
    assert [run.run_id for run in tied] == ["lucky", "sober"]
    assert select_among_ties(tied, "val_log_loss", Direction.MIN) is sober
    assert find_ties([unknown, sober], "val_log_loss", Direction.MIN) == [unknown]
    assert select_among_ties([unknown, sober], "val_log_loss", Direction.MIN) is sober


def test_best_names_the_runs_that_validation_cannot_tell_apart(workspace: Path, command: Any) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc")).assign(y=rng.choice(["m", "n"], 200))
    options = {"target": "y", "epochs": 3, "baselines": "none", "quiet": True, "experiment": "noise"}
    runs = [zoo.train("classification/linear", frame, **options, hyperparameters={"l2": l2}) for l2 in (0.0, 0.001)]
    ranked = command("best", "noise", "--json").json
    assert set(ranked["tied"]) == {run.run_id for run in runs}
    assert "validation cannot tell these runs apart" in command("best", "noise").out
    low, high = runs[0].intervals["val_log_loss"]
    assert low < runs[0].metrics["val_log_loss"] < high
