"""Baskets as a user meets them: train, complete, find similar items, export, rules, and wrong input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.data.dataset import Dataset
from zoo.data.sources.bundled import load_bundled
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.task import load_task
from zoo.tracking.store import Store

SMALL = ("--set", "units=16", "--epochs", 8, "--set", "learning_rate=0.02")


@pytest.fixture
def baskets(workspace: Path) -> list[str]:
    lines = list(load_bundled("composed_baskets")[0]["text"][:600])
    (workspace / "baskets.txt").write_text("\n".join([*lines, "", " , "]) + "\n", encoding="utf-8")
    return lines


def test_from_a_file_of_baskets_to_completed_ones(
    baskets: list[str], command: Callable[..., Answer], caplog: pytest.LogCaptureFixture
) -> None:
    run = command("train", "association/basket_autoencoder", "baskets.txt", *SMALL, "--baselines", "all", "--json").json
    rate = "test_hit_rate_at_10"
    assert list(run["baselines"]) == ["popularity", "item_counts", "ease"]
    assert run["metrics"][rate] > run["baselines"]["popularity"][rate]
    assert run["baselines"]["ease"][rate] > run["baselines"]["popularity"][rate] + 0.1
    assert run["metrics"]["test_hit_rate_at_1"] < run["metrics"][rate] < run["metrics"]["test_hit_rate_at_20"]
    assert "empty baskets are left out" in " ".join(run["notes"])
    _completed(run["run_id"], command, caplog)
    _hidden_items(run, baskets)
    store = Store()
    figures = {file.path for file in store.client.list_artifacts(run["run_id"], "figures")}
    assert {f"figures/{name}.png" for name in ("rules", "strongest_rules", "hit_rates")} <= figures
    rules = json.loads(store.read_text(run["run_id"], "tables/rules.json"))
    assert rules["columns"] == ["if", "then", "count", "support", "confidence", "lift"]
    assert len(rules["data"]) > 20
    similar = command("similar", run["run_id"], "--item", "beer", "-n", 3, "--json").json["similar"]
    assert [row["item"] for row in similar] == ["beer"] * 3
    assert all(-1 <= row["similarity"] <= 1 for row in similar)
    wrong = command("similar", run["run_id"], "--item", "beeer")
    assert (wrong.status, "did you mean 'beer'" in wrong.err) == (2, True), wrong.err
    assert "similar to which item" in command("similar", run["run_id"]).err
    unnamed = command("similar", run["run_id"], "beer")
    assert unnamed.status == 2
    assert "unexpected argument 'beer'; usage: zoo similar RUN [--item ITEM] [-n <int>]" in unnamed.err
    formats = ("--format", "savedmodel", "--format", "onnx")
    exported = command("export", run["run_id"], *formats, "--output", "exported", "--json").json
    assert [each["format"] for each in exported["exports"]] == ["savedmodel", "onnx"]
    assert max(each["difference"] for each in exported["exports"]) < 1e-4


def _completed(run_id: str, command: Callable[..., Answer], caplog: pytest.LogCaptureFixture) -> None:
    Path("new.txt").write_text("beer, crisps, beer\ncaviar, milk\n", encoding="utf-8")
    caplog.clear()
    answer = command("predict", run_id, "new.txt", "--top-k", 3, "--json").json["predictions"]
    assert "1 item is not among those of the training baskets and is ignored: 'caviar' in row 2" in caplog.text
    assert [row["unseen"] for row in answer] == [0, 1]
    for row in answer:
        best, scores = json.loads(row["prediction"]), json.loads(row["score"])
        assert len(best) == len(scores) == 3
        assert scores == sorted(scores, reverse=True)
        assert not {"beer", "crisps", "milk"} <= {*best}
    assert not {"beer", "crisps"} & {*json.loads(answer[0]["prediction"])}
    model = zoo.load(run_id)
    lists = pd.DataFrame({"basket": [["beer", "crisps"], ["milk"]]})
    texts = model.predict(["beer, crisps", "milk"])
    pd.testing.assert_frame_equal(model.predict(lists), texts)
    assert len(json.loads(texts["prediction"][0])) == 10
    pd.testing.assert_frame_equal(model.predict({"basket": "beer;crisps"}), texts[:1])  # another separator
    with pytest.raises(zoo.DataError, match="row 2: the basket has no items"):
        model.predict(["milk", " , "])


def _hidden_items(run: dict, lines: list[str]) -> None:
    """The test score is that of the predictions for the test baskets without one item."""
    split = json.loads(Store().read_text(run["run_id"], "split.json"))
    draws = np.random.default_rng(0).random(max(split["test"]) + 1)
    rests, hidden = [], []
    for row in split["test"]:
        items = lines[row].split(", ")
        if len(items) > 1:
            hidden.append(items.pop(int(draws[row] * len(items))))
            rests.append(", ".join(items))
    best = zoo.load(run["run_id"]).predict(rests)["prediction"].map(json.loads)
    hits = [item in found for item, found in zip(hidden, best, strict=True)]
    assert np.mean(hits) == pytest.approx(run["metrics"]["test_hit_rate_at_10"])


def test_a_long_table(baskets: list[str], command: Callable[..., Answer], caplog: pytest.LogCaptureFixture) -> None:
    rows = [(f"i{number}", item) for number, line in enumerate(baskets[:300]) for item in line.split(", ")]
    rows += [("i0", rows[0][1]), ("i1", None)]
    pd.DataFrame(rows, columns=["invoice", "product"]).to_csv("sales.csv", index=False)
    columns = ("--basket", "invoice", "--item", "product")
    small = ("--epochs", 2, "--baselines", "none", "--no-figures", "--json")
    run = command("train", "association/elsa", "sales.csv", *columns, "--set", "rank=8", *small).json
    notes = " ".join(run["notes"])
    assert "1 items are in their basket more than once" in notes
    assert "1 rows without a basket or an item are left out" in notes
    new = pd.DataFrame({"invoice": [7, 7, 8], "product": ["beer", "crisps", "milk"]})
    model = zoo.load(run["run_id"])
    pd.testing.assert_frame_equal(model.predict(new), model.predict(["beer, crisps", "milk"]))
    Path("new.txt").write_text("beer\n\nmilk\n", encoding="utf-8")
    assert len(command("predict", run["run_id"], "new.txt", "--json").json["predictions"]) == 2
    assert "new.txt: 1 empty line is left out: line 2" in caplog.text
    Path("job.yaml").write_text(
        "command: train\nmodel: association/elsa\nsource: sales.csv\nepochs: 2\nhyperparameters: {rank: 8}\n"
        "options: {basket: invoice, item: product}\nbaselines: none\nfigures: false\n"
    )
    again = command("run", "job.yaml", "--json").json
    assert again["metrics"]["test_hit_rate_at_10"] == run["metrics"]["test_hit_rate_at_10"]
    folds = command("train", "association/elsa", "sales.csv", *columns, "--set", "rank=4", "--epochs", 1, "--cv", 2,
                    "--baselines", "none", "--no-figures", "--json").json  # fmt: skip
    assert len(folds["runs"]) == 2


def test_a_basket_may_be_named_by_several_columns(workspace: Path) -> None:
    """Numbers of baskets that each customer begins anew; a price and a department are of the item."""
    lines = list(load_bundled("composed_baskets")[0]["text"][:300])
    names = ("ann", "bob", "eve")
    frame = pd.DataFrame(
        [
            {"number": row // 3, "customer": names[row % 3], "product": item, "price": 1.5, "shelf": item[0]}
            for row, line in enumerate(lines)
            for item in line.split(", ")
        ]
    )
    task = load_task("association")

    def read(*basket: str) -> Dataset:
        options = {"basket": basket, "item": "product"}
        return task.read(make_job(DataJob, {"source": frame, "options": options}))

    (note,) = [note for note in read("number").notes if note.startswith("rows with the same number")]
    assert note.startswith("rows with the same number are one basket, such as '0', although customer may differ in it")
    assert note.endswith("use --basket number --basket customer")
    dataset = read("customer", "number")
    assert sum(dataset.sizes.values()) == 300
    assert not [note for note in dataset.notes if note.startswith("rows with the same")]
    rows = task.rows(frame[frame["number"] == 7], dataset.spec).frame
    expected = [sorted(line.split(", ")) for line in lines[21:24]]
    assert [sorted(text.split(",")) for text in rows["basket"]] == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("single.txt",), "has one item only"),
        (("empty.txt",), "empty"),
        (
            ("parts.csv", "--basket", "invoice", "--item", "product", "--split", "column=part"),
            "the basket '3' has rows with 'train' and with 'test' in the column part",
        ),
        (("sales.csv",), "which columns have the baskets?"),
        (("sales.csv", "--basket", "invoice"), "needs --basket COLUMN and --item COLUMN"),
        (("sales.csv", "--basket", "invoce", "--item", "product"), "did you mean 'invoice'"),
        (("sales.csv", "--basket", "invoice", "--item", "prodct"), "did you mean 'product'"),
        (("baskets.txt", "--min-support", "0"), "min_support: received"),
        (("many.txt", "--min-support", "0.01"), "use a higher --min-support"),
        (("baskets.txt", "--target", "text"), "it predicts the items of baskets"),
        (("japanese_vowels",), "which this task does not read"),
    ],
)
def test_wrong_input(arguments: tuple[str, ...], says: str, baskets: list[str], command: Callable[..., Answer]) -> None:
    Path("single.txt").write_text("beer\nmilk\nbread\nmilk\nbeer\nbread\nmilk\nbeer\nbread\nmilk\n")
    Path("empty.txt").write_text("\n\n")
    Path("sales.csv").write_text("invoice,product\n" + "".join(f"{row // 2},p{row % 7}\n" for row in range(80)))
    parts = [f"{row // 2},p{row % 7},{'test' if row > 60 or row == 7 else 'train'}\n" for row in range(80)]
    Path("parts.csv").write_text("invoice,product,part\n" + "".join(parts))
    Path("many.txt").write_text("\n".join(" ".join(f"i{item}" for item in range(25)) for _ in range(20)) + "\n")
    answer = command("train", "association/elsa", *arguments)
    assert answer.status == 2, answer.err
    assert says in answer.err
    assert "Traceback" not in answer.err
