"""Samples of a source: their size, their classes and splits, the same for the same seed, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import Answer
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.data.dataset import Dataset
from zoo.data.raw_table import Table
from zoo.data.splitting.sample_table import sample_table
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.task import load_task

RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "x": RANDOM.normal(size=1000),
        "kind": np.where(np.arange(1000) % 10 == 0, "rare", "usual"),
        "part": np.where(np.arange(1000) % 4 == 0, "test", "train"),
        "price": RANDOM.normal(size=1000),
    }
)


def read(task: str = "classification", source: Any = FRAME, **options: Any) -> Dataset:
    target = options.pop("target", "kind")
    return load_task(task).read(DataJob(source=source, target=target, **options))


@pytest.mark.parametrize("size, rows", [(0.1, 100), (200, 200), ("0.2", 200)])
def test_classes_and_splits_keep_their_fractions(size: Any, rows: int) -> None:
    dataset = read(sample_rows=size, split="column=part")
    assert sum(dataset.sizes.values()) == rows
    assert dataset.sizes["test"] == rows // 4
    drawn = np.concatenate([split.rows for split in dataset.splits.values()])
    assert (FRAME["kind"].iloc[drawn] == "rare").sum() == rows // 10  # numbers of rows in the source
    assert f"a sample of {rows} of the 1,000 rows is used" in dataset.notes


def test_the_split_seed_draws_the_sample() -> None:
    first, same, other = (read(sample_rows=0.1, seed=a, split_seed=b) for a, b in [(0, 1), (5, 1), (1, 2)])
    assert first.split_digest == same.split_digest
    assert len({first.split_digest, other.split_digest, read(split_seed=1).split_digest}) == 3
    assert first.digest != other.digest


def test_a_sample_of_numbers_and_of_images() -> None:
    assert sum(read("regression", target="price", sample_rows=50).sizes.values()) == 50
    images = RANDOM.random((60, 8, 8, 1)), np.arange(60) % 2
    dataset = load_task("image").read(DataJob(source=images, sample_rows=0.5))
    assert sum(dataset.sizes.values()) == 30


def test_more_rows_than_there_are() -> None:
    dataset = read(sample_rows=5000)
    assert sum(dataset.sizes.values()) == 1000
    assert "all 1,000 rows are used: there are no more" in dataset.notes


@pytest.mark.parametrize("size, drawn", [(0.1, (60, 140)), (300, (240, 360))])
def test_a_sample_of_streamed_rows_is_held_in_memory(tmp_path: Path, size: float, drawn: tuple[int, int]) -> None:
    FRAME.to_parquet(tmp_path / "rows.parquet", row_group_size=300)
    dataset = read(source=str(tmp_path / "rows.parquet"), sample_rows=size, stream=True)
    assert drawn[0] < sum(dataset.sizes.values()) < drawn[1]
    split = dataset.splits["train"]
    assert np.array_equal(np.asarray(split.inputs["x"]), FRAME["x"].to_numpy()[split.rows])


@pytest.mark.parametrize("size", [0, -1, 1.5, "many", True])
def test_sizes_that_make_no_sense(size: Any) -> None:
    with pytest.raises(UsageError, match=r"must be a fraction above 0 and below 1, such as 0\.1, or a number of rows"):
        DataJob(source="iris", sample_rows=size)


def test_series_are_not_sampled() -> None:
    with pytest.raises(UsageError, match="forecasting has no rows that could be sampled"):
        load_task("forecasting").read(DataJob(source="air_passengers", sample_rows=0.5))


@given(classes=st.lists(st.integers(0, 4), min_size=1, max_size=80), size=st.integers(1, 80), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_a_class_has_nearly_its_part(classes: list[int], size: int, seed: int) -> None:
    frame = pd.DataFrame({"y": [f"c{number}" for number in classes], "row": range(len(classes))})
    job = DataJob(source=frame, target="y", sample_rows=size, seed=seed)
    sample = sample_table(Table(frame, "t", "t"), job).frame
    assert len(sample) == min(size, len(frame))
    assert sample["row"].is_monotonic_increasing
    for name, count in frame["y"].value_counts().items():
        expected = count * min(1.0, size / len(frame))
        assert abs((sample["y"] == name).sum() - expected) <= 5  # starts of classes differ


@pytest.mark.slow
def test_commands_take_it(workspace: Path, command: Callable[..., Answer]) -> None:
    answer = command("train", "classification/linear", "iris", "--sample-rows", "0.5", "--epochs", "2", "--json")
    assert "a sample of 75 of the 150 rows is used" in answer.json["notes"]
    options = {"epochs": 1, "sample_rows": 60, "baselines": "none"}
    search = zoo.tune("classification/linear", "iris", trials=1, **options)
    assert "a sample of 60 of the 150 rows is used" in search.best.notes
    models = ["classification/linear", "classification/mlp"]
    comparison = command("compare", "iris", "--models", ",".join(models), "--epochs", "1", "--seeds", "2",
                         "--sample-rows", "60", "--json").json  # fmt: skip
    assert "a sample of 60 of the 150 rows is used" in str(comparison)
    report = zoo.data_report("iris", sample_rows=60, quiet=True)
    assert sum(report.splits.values()) == 60
