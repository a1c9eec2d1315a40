"""Streamed rows: the same split and statistics whatever the pieces, scores as of all rows, memory bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import zoo
from zoo.data.dataset import Dataset
from zoo.data.streaming import stream as streams
from zoo.data.streaming import streamed_dataset as streamed
from zoo.data.streaming.stream import RowSample, Totals, hash_rows, open_stream
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.metrics.classes import create_class_metrics
from zoo.metrics.metric import evaluate
from zoo.spec import CategoryInput
from zoo.task import load_task
from zoo.training import streamed_arrays as streaming
from zoo.training.streamed_arrays import StreamedArrays, accumulate


def frame_of(rows: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": rng.normal(50, 3, rows), "b": rng.normal(size=rows), "c": rng.choice(["x", "yy", "z"], rows)}
    )
    frame.loc[::10, "a"] = np.nan
    frame["kind"] = np.where(frame["b"] + (frame["c"] == "z") + rng.normal(0, 0.3, rows) > 0.5, "on", "off")
    return frame


@pytest.fixture
def folder(workspace: Path) -> Path:
    """Three parts of unequal size, one of them in several row groups."""
    frame = frame_of()
    (workspace / "rows").mkdir()
    for name, rows in (("p0", slice(0, 500)), ("p1", slice(500, 2200)), ("p2", slice(2200, 3000))):
        frame[rows].to_parquet(workspace / "rows" / f"{name}.parquet", index=False, row_group_size=400)
    return workspace / "rows"


def read(source: Any, **options: Any) -> Dataset:
    values = {
        "source": str(source) if isinstance(source, Path) else source,
        "target": "kind",
        "stream": True,
        **options,
    }
    dataset: Dataset = load_task("classification").read(make_job(DataJob, values))
    return dataset


def rows_of(dataset: Dataset, split: str) -> list[int]:
    data = dataset.splits[split]
    if isinstance(data, streamed.StreamedSplit):
        return sorted(int(row) for chunk in data.chunks(None) for row in chunk.rows)
    return sorted(data.rows.tolist())


def test_each_row_is_in_one_part_whatever_the_pieces(
    folder: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_ = read(folder, calibration_size=0.1)
    rows = {split: rows_of(dataset_, split) for split in dataset_.splits}
    assert set(rows) == {"train", "calibration", "validation", "test"}
    assert sorted(row for split_rows in rows.values() for row in split_rows) == list(range(3000))
    assert {split: data.total for split, data in dataset_.splits.items()} == {
        split: len(split_rows) for split, split_rows in rows.items()
    }
    monkeypatch.setattr(streams, "CHUNK_ROWS", 64)
    frame_of().to_parquet(workspace / "one.parquet", index=False)
    again = read(workspace / "one.parquet", calibration_size=0.1)
    assert {split: rows_of(again, split) for split in again.splits} == rows
    for one, two in zip(again.spec.inputs, dataset_.spec.inputs, strict=True):
        assert (type(one), one.missing) == (type(two), two.missing)
        for name in ("categories", "quantiles"):
            assert getattr(one, name, None) == getattr(two, name, None)
        assert getattr(one, "mean", None) == pytest.approx(getattr(two, "mean", None))


def test_statistics_are_of_all_training_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "SAMPLE_ROWS", 200)
    dataset_ = read(folder)
    train = frame_of().iloc[rows_of(dataset_, "train")]
    assert len(dataset_.splits["train"]) <= 200 < dataset_.splits["train"].total
    facts = dataset_.spec.input("a")
    assert facts.mean == pytest.approx(train["a"].mean())
    assert facts.std == pytest.approx(train["a"].std(ddof=0))
    assert (facts.min, facts.max) == (train["a"].min(), train["a"].max())
    assert dataset_.spec.input("a").missing == train["a"].isna().sum()
    assert list(dataset_.spec.input("c").categories) == train["c"].value_counts().index.tolist()
    assert sum(dataset_.spec.target.counts) == len(train)


def test_scores_by_accumulation_are_those_of_all_rows(folder: Path) -> None:
    test = read(folder).splits["test"]
    assert isinstance(test, streamed.StreamedSplit)
    p = {int(row): share for row, share in zip(range(3000), hash_rows(np.arange(3000), 9), strict=True)}

    def probabilities(split: Any) -> np.ndarray:
        probability = np.array([p[int(row)] for row in split.rows])
        return np.stack([1 - probability, probability], axis=1)

    truth, prediction, counts = accumulate(test, probabilities)
    chunks = list(test.chunks(None))
    every = np.concatenate([probabilities(chunk) for chunk in chunks])
    target = np.concatenate([np.asarray(chunk.target) for chunk in chunks])
    scores, _ = evaluate(create_class_metrics(2), truth, prediction, weight=counts, counts=True, resamples=0)
    wanted, _ = evaluate(create_class_metrics(2), target, every, resamples=0)
    assert scores == pytest.approx(wanted, abs=2e-3)
    assert scores["log_loss"] == pytest.approx(wanted["log_loss"], abs=1e-5)
    assert counts.sum() == test.total


@pytest.mark.parametrize("model", ["classification/mlp", pytest.param("classification/linear", marks=pytest.mark.slow)])
def test_what_passes_by_is_learnt(folder: Path, model: str) -> None:
    options: dict[str, Any] = {"target": "kind", "stream": True, "epochs": 6, "quiet": True, "figures": False}
    run = zoo.train(model, str(folder), hyperparameters={"batch_size": 64}, **options)
    assert run.metrics["test_accuracy"] > 0.8
    assert run.baselines["logistic"]["test_accuracy"] > 0.8
    assert any("stream" in note for note in run.notes)
    assert zoo.load(run.run_id).predict(frame_of(20)).shape == (20, 3)
    again = zoo.train(model, str(folder), hyperparameters={"batch_size": 64}, baselines="none", **options)
    assert again.metrics["val_log_loss"] == run.metrics["val_log_loss"]


def test_a_number_is_learnt_from_tensors(workspace: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3)).astype("float32")
    rows = tf.data.Dataset.from_tensor_slices(({"a": x[:, 0], "b": x[:, 1]}, x[:, 0] - 2 * x[:, 1])).batch(100)
    run = zoo.train(
        "regression/linear", rows, stream=True, epochs=15, quiet=True, baselines="none", figures=False,
        hyperparameters={"learning_rate": 0.1},
    )  # fmt: skip

    assert run.metrics["test_r2"] > 0.95


def test_kept_rows_are_bounded_and_alike() -> None:
    kept = RowSample(1.0, 100)
    frame = pd.DataFrame({"row": np.arange(5000)})
    for start in range(0, 5000, 250):
        rows = np.arange(start, start + 250)
        kept.add(frame[start : start + 250], rows, hash_rows(rows, 0))
    sample = kept.frame()
    assert sample is not None
    assert 25 <= len(sample) <= 100
    assert set(sample.index) == set(np.flatnonzero(hash_rows(np.arange(5000), 0) < kept.fraction))


def test_totals_of_a_column_far_from_zero() -> None:
    values = np.random.default_rng(0).normal(1e9, 1, 10_000)
    totals = Totals(numeric=True)
    for piece in np.split(values, 10):
        totals.add(pd.Series(piece))
    assert totals.mean == pytest.approx(values.mean(), rel=1e-15)
    assert totals.std == pytest.approx(values.std(), rel=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"target": "knd"}, "there is no column 'knd' to predict"),
        ({"sample": "down=2"}, "it needs all rows in memory"),
        ({"split": "group=c"}, "only --split random and --split column=NAME are available"),
        ({"missing": {"a": "last"}}, "needs the rows in order"),
        ({"drop": ["d"]}, "there is no column 'd' to drop"),
    ],
)
def test_what_cannot_pass_by(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        read(folder, **options)


def test_sources_and_commands_that_cannot_stream(folder: Path, workspace: Path) -> None:
    with pytest.raises(DataError, match="streaming needs a Parquet file"):
        open_stream("wine")
    with pytest.raises(UsageError, match="a search trains many times"):
        zoo.tune("classification/linear", str(folder), target="kind", stream=True, trials=1, quiet=True, figures=False)
    (workspace / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"bad\.parquet: cannot be read"):
        read(workspace / "bad.parquet")


def test_suggested_sizes_go_by_the_number_of_rows(folder: Path) -> None:
    dataset = read(folder, test_size="suggested", validation_size="suggested")
    assert dataset.sizes["test"] / 3000 == pytest.approx(0.2, abs=0.03)
    assert dataset.sizes["validation"] / 2400 == pytest.approx(0.15, abs=0.05)
    assert any("percentage points" in note for note in dataset.notes)


def test_parts_that_a_column_names_are_taken_whole(workspace: Path) -> None:
    frame = frame_of()
    frame["part"] = np.random.default_rng(1).choice(["train", "validation", "test"], len(frame))
    (workspace / "given").mkdir()
    frame[:1500].to_parquet(workspace / "given" / "a.parquet", index=False)
    frame[1500:].to_parquet(workspace / "given" / "b.parquet", index=False)
    dataset = read(workspace / "given", split="column=part")
    assert dataset.sizes == frame["part"].value_counts()[["train", "validation", "test"]].to_dict()
    assert rows_of(dataset, "validation") == np.flatnonzero(frame["part"] == "validation").tolist()


def test_rows_that_go_back_to_training_are_counted_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "HELD_ROWS", 50)
    frame = frame_of()
    x = {name: frame[name].to_numpy() for name in ("b", "c")}
    source = tf.data.Dataset.from_tensor_slices((x, (frame["kind"] == "on").astype(int).to_numpy())).batch(100)
    source = source.filter(lambda *_: True)  # how many rows there are is not known before
    dataset = load_task("classification").read(make_job(DataJob, {"source": source, "stream": True}))
    assert sum(dataset.sizes.values()) == 3000
    train = rows_of(dataset, "train")
    assert dataset.sizes["train"] == len(train)
    assert dict(zip(dataset.spec.target.classes, dataset.spec.target.counts, strict=True)) == {
        "0": int((frame["kind"][train] == "off").sum()),
        "1": int((frame["kind"][train] == "on").sum()),
    }
    input_ = next(input_ for input_ in dataset.spec.inputs if input_.name == "b")
    assert input_.mean == pytest.approx(frame["b"][train].mean())


def test_what_stands_for_a_missing_level_is_a_level_of_rows_that_pass_by(workspace: Path) -> None:
    frame = frame_of()
    frame.loc[::7, "c"] = None
    frame.to_parquet(workspace / "one.parquet", index=False)
    dataset = read(workspace / "one.parquet", missing={"c": "constant:none"})
    assert "none" in dataset.spec.of_kind(CategoryInput)[0].categories


def test_vectors_by_name_become_columns_of_rows_that_pass_by() -> None:
    x = {"a": np.zeros((40, 2), np.float32), "b": np.arange(40.0)}
    source = tf.data.Dataset.from_tensor_slices((x, np.arange(40) % 2)).batch(10)
    assert list(open_stream(source).columns) == ["a0", "a1", "b", "y"]


def test_a_class_that_the_sample_lacks_is_a_class(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "SAMPLE_ROWS", 100)
    frame = frame_of()
    frame.loc[[7, 1007, 2007], "kind"] = "rare"
    frame.loc[8, "kind"] = "  "  # is no target
    frame.to_parquet(workspace / "one.parquet", index=False)
    dataset = read(workspace / "one.parquet")
    assert dataset.spec.target.classes == ("off", "on", "rare")
    assert sum(dataset.sizes.values()) == 2999
    train = [row for row in rows_of(dataset, "train") if frame["kind"][row] == "rare"]
    assert dataset.spec.target.counts[2] == len(train)


def test_weights_are_one_on_average_over_all_pieces_of_raw_columns(workspace: Path) -> None:
    frame = frame_of().assign(w=np.r_[np.ones(1500), np.full(1500, 99.0)])
    (workspace / "two").mkdir()
    frame[:1500].to_parquet(workspace / "two" / "a.parquet", index=False)
    frame[1500:].to_parquet(workspace / "two" / "b.parquet", index=False)
    split = read(workspace / "two", weight="w").splits["train"]
    assert isinstance(split, streamed.StreamedSplit)
    arrays = StreamedArrays(split, None, {"b"}, 0)
    means = [float(np.mean(arrays.preprocessed(chunk).weight)) for chunk in split.chunks(None)]
    np.testing.assert_allclose(means, [1 / 50, 99 / 50], rtol=0.05)


def test_every_row_that_passes_by_is_scored(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of numbers and of more than two classes too, though a sample of the part is all that is held."""
    monkeypatch.setattr(streamed, "SAMPLE_ROWS", 60)
    frame = frame_of()
    frame.to_parquet(workspace / "one.parquet", index=False)
    options: dict[str, Any] = {
        "target": "b",
        "stream": True,
        "epochs": 1,
        "quiet": True,
        "figures": False,
        "baselines": "none",
    }
    run = zoo.train("regression/linear", str(workspace / "one.parquet"), **options)
    dataset = load_task("regression").read(
        make_job(DataJob, {"source": str(workspace / "one.parquet"), "target": "b", "stream": True})
    )
    test = dataset.splits["test"]
    assert isinstance(test, streamed.StreamedSplit)
    assert len(test) < test.total / 2
    rows = np.concatenate([chunk.rows for chunk in test.chunks(None)])
    prediction_ = zoo.load(run.run_id).predict(frame.iloc[rows].drop(columns="b"))["prediction"].to_numpy()
    error = np.abs(frame["b"].to_numpy()[rows] - prediction_).mean()
    assert run.metrics["test_mae"] == pytest.approx(error, rel=1e-5)

    monkeypatch.setattr(streaming, "MOST_VALUES", 300)
    target, prediction, weight = streaming.collect(test, lambda split: np.asarray(split.target))
    assert 200 < len(target) < 400
    assert weight is None
    np.testing.assert_array_equal(target, prediction)
