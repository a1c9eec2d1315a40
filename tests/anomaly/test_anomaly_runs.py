"""Anomaly detection as a user meets it: scores, alarms, reasons, labels that only score, and wrong input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo

FEW = {"epochs": 20, "quiet": True, "figures": False, "baselines": "none", "hyperparameters": {"units": 64}}


@pytest.fixture
def payments(workspace: Path) -> pd.DataFrame:
    """Payments whose tax follows from the amount, except in a few; normal ones train, and both kinds test."""
    rng = np.random.default_rng(0)
    rows = 400
    amount = rng.normal(100, 20, rows)
    tax = 0.2 * amount + rng.normal(0, 0.3, rows)
    shop = rng.choice(["books", "bread"], rows)
    fraud = np.arange(rows) % 20 == 0
    tax[fraud] += rng.choice([-6, 6], fraud.sum())  # inside its usual range, but not for this amount
    frame = pd.DataFrame({"amount": amount, "tax": tax, "shop": shop, "fraud": np.where(fraud, "yes", "no")})
    frame["split"] = np.select(
        [fraud | (np.arange(rows) % 5 == 1), np.arange(rows) % 5 == 2], ["test", "validation"], "train"
    )
    frame.to_csv("payments.csv", index=False)
    return frame


@pytest.mark.parametrize("model", ["ksdm", "autoencoder"])
def test_it_finds_what_is_unlikely_only_together_and_says_which_column(model: str, payments: pd.DataFrame) -> None:
    settings = {"latent": 2} if model == "autoencoder" else {}
    run = zoo.train(
        f"anomaly/{model}", payments, labels="fraud", split="column=split", alarm_rate=0.05,
        epochs=150, quiet=True, figures=False, baselines="all", hyperparameters={"units": 64, **settings},
    )  # fmt: skip
    assert run.metrics["test_roc_auc"] > 0.95
    assert run.metrics["test_roc_auc"] > run.baselines["isolation_forest"]["test_roc_auc"]
    assert "local_outlier_factor" in run.baselines
    assert run.metrics["val_alarm_rate"] <= 0.05
    frauds = payments[payments["fraud"] == "yes"]
    predicted = run.model.predict(frauds)
    assert predicted["prediction"].isin([0, 1]).all()
    assert predicted["prediction"].mean() > 0.6
    assert ((predicted["score"] > run.metrics["threshold"]) == (predicted["prediction"] == 1)).all()
    reasons = [json.loads(text) for text in predicted["columns"]]
    assert all(
        1.001 > sum(parts.values()) > 0.9 and list(parts.values()) == sorted(parts.values())[::-1] for parts in reasons
    )
    assert np.mean([next(iter(parts)) in ("tax", "amount") for parts in reasons]) >= 0.8


def test_labels_change_no_prediction(payments: pd.DataFrame) -> None:
    """Neither training, the threshold nor a split see them: without them, and with false ones, all stays the same."""
    frame = payments.drop(columns="split")
    shuffled = frame.assign(fraud=np.roll(frame["fraud"], 7))
    models = [
        zoo.train("anomaly/ksdm", source, **options, **FEW).model
        for source, options in (
            (frame, {"labels": "fraud"}),
            (shuffled, {"labels": "fraud"}),
            (frame.drop(columns="fraud"), {}),
        )
    ]
    first, *others = [model.predict(frame) for model in models]
    for other in others:
        pd.testing.assert_frame_equal(first, other)


def test_without_labels_there_is_a_loss_and_no_baseline(payments: pd.DataFrame) -> None:
    run = zoo.train(
        "anomaly/autoencoder", payments.drop(columns=["fraud", "split"]), epochs=2, quiet=True, figures=False
    )
    assert {"train_loss", "val_loss", "test_loss"} <= set(run.metrics)
    assert not any("auc" in name for name in run.metrics)
    assert dict(run.baselines) == {}


def test_unlabelled_rows_count_for_no_score(payments: pd.DataFrame) -> None:
    given = {"labels": "fraud", "split": "column=split", **FEW}
    few = payments.assign(fraud=payments["fraud"].where(np.arange(len(payments)) % 3 > 0))
    run, partly = zoo.train("anomaly/ksdm", payments, **given), zoo.train("anomaly/ksdm", few, **given)
    assert partly.metrics["test_loss"] == run.metrics["test_loss"]
    assert partly.metrics["test_roc_auc"] != run.metrics["test_roc_auc"]


def test_a_rare_category_and_a_date_are_named_as_columns(workspace: Path) -> None:
    rng = np.random.default_rng(0)
    kind = np.where(np.arange(300) % 100 == 7, "odd", rng.choice(["a", "b"], 300))
    day = pd.date_range("2024-01-01", periods=300).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"kind": kind, "day": day, "x": rng.normal(size=300), "gap": rng.normal(size=300)})
    frame.loc[::9, "gap"] = np.nan
    model = zoo.train("anomaly/ksdm", frame, **FEW).model
    columns = [list(json.loads(text)) for text in model.predict(frame[frame["kind"] == "odd"])["columns"]]
    assert all("kind" in names for names in columns)
    assert {name for names in columns for name in names} <= {"kind", "day", "x", "gap"}


WRONG = {
    "--target fraud": "anomaly detection predicts no column; --labels COLUMN scores by one",
    "--positive yes": "it is the label of anomalies; --labels COLUMN says where the labels are",
    "--labels frau": "there is no column 'frau' of labels",
    "--labels amount --drop tax": "the labels 'amount' have 400 distinct values in 400 rows, like an id",
    "--labels split": "split has 3 values (",
    "--labels fraud --positive maybe": "no row has fraud 'maybe', which --positive names; its values are no, yes",
    "--labels fraud --alarm-rate 1": "alarm",
    "--labels fraud --alarm-rate many": "alarm",
    "--weight amount": "for tasks with a target",
    "--drop amount --drop tax --drop shop --drop split --drop fraud": "",
}


@pytest.mark.parametrize("words", WRONG)
@pytest.mark.usefixtures("payments")
def test_wrong_input_is_named(words: str, command: Callable[..., Answer]) -> None:
    answer = command("train", "anomaly/ksdm", "payments.csv", *words.split(), "--epochs", 1)
    assert answer.status == 2
    assert WRONG[words] in answer.err
    assert "Traceback" not in answer.err


def test_several_values_of_a_label_need_the_anomalous_one(payments: pd.DataFrame) -> None:
    frame = payments.assign(fraud=np.where(np.arange(len(payments)) % 7 == 0, "unsure", payments["fraud"]))
    with pytest.raises(zoo.DataError, match=r"fraud has 3 values .* --positive VALUE says which"):
        zoo.train("anomaly/ksdm", frame, labels="fraud", **FEW)
    run = zoo.train("anomaly/ksdm", frame, labels="fraud", positive="unsure", **FEW)
    assert any("are anomalies by the labels: fraud is unsure" in note for note in run.notes)


def test_models_are_compared_by_labels_and_never_by_their_losses(payments: pd.DataFrame) -> None:
    models = ["anomaly/ksdm", "anomaly/autoencoder"]
    few = {"models": models, "seeds": 2, "epochs": 1, "quiet": True, "figures": False, "hyperparameters": {"units": 32}}
    with pytest.raises(zoo.UsageError, match="losses of different models mean different things"):
        zoo.compare(payments.drop(columns="fraud"), **few)
    board = zoo.compare(payments, labels="fraud", split="column=split", **few).boards[0].as_dict()
    assert board["score"] == "test_pr_auc"
    assert {row["name"] for row in board["entries"]} == {*models, "isolation_forest"}
