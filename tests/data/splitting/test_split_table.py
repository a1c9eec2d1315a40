"""Parts by group, hash, time and order; given folds; sizes that the number of rows asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.calibration.fit_calibration import split_in_two
from zoo.data.dataset import Dataset
from zoo.data.splitting.splitters import suggest_sizes
from zoo.data.table_dataset import create_table_dataset
from zoo.errors import UsageError, ZooError
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job


def table(rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": np.arange(rows, dtype=float),
            "house": [f"h{k}" for k in rng.integers(0, 23, rows)],
            "day": pd.date_range("2024-01-01", periods=rows // 2).repeat(2).astype(str),
            "kind": rng.choice(["a", "b"], rows),
        }
    )


def dataset_of(frame: pd.DataFrame, **options: Any) -> Dataset:
    job = make_job(DataJob, {"source": frame, "target": "kind", **options})
    return create_table_dataset(job, task="t", target_kind="class")


def values(dataset: Dataset, split: str) -> np.ndarray:
    return np.asarray(dataset.splits[split].inputs["x"])


@pytest.mark.parametrize("way", ["group=house", "hash=house"])
def test_a_group_is_on_one_side_whatever_the_order_of_rows(way: str) -> None:
    frame = table()
    dataset = dataset_of(frame, split=way, calibration_size=0.2)
    sides = {split: set(frame["house"][values(dataset, split).astype(int)]) for split in dataset.splits}
    assert set(sides) == {"train", "calibration", "validation", "test"}
    assert sum(map(len, sides.values())) == frame["house"].nunique()
    assert 10 < len(dataset.splits["test"]) < 80
    assert "house" not in [input_.name for input_ in dataset.spec.inputs]
    mixed = dataset_of(frame.sample(frac=1, random_state=1), split=way, calibration_size=0.2)
    for split in dataset.splits:
        assert sorted(values(dataset, split)) == sorted(values(mixed, split))


def test_a_hashed_side_stays_when_rows_come_in() -> None:
    frame = table()
    before = set(frame["house"][values(dataset_of(frame, split="hash=house"), "test").astype(int)])
    more = pd.concat([frame, table(100).assign(house="new")], ignore_index=True)
    after = dataset_of(more, split="hash=house").splits["test"].rows
    assert before == {house for house in more["house"][after] if house != "new"}


@pytest.mark.parametrize("gap", [None, "3d"])
def test_the_latest_are_test_and_moments_stay_whole(gap: str | None) -> None:
    frame = table().sample(frac=1, random_state=0)
    dataset = dataset_of(frame, split="time=day", gap=gap)
    days = {split: pd.to_datetime(frame["day"].to_numpy()[data.rows]) for split, data in dataset.splits.items()}
    between = pd.Timedelta(days=1 if gap is None else 4)
    assert days["validation"].min() - days["train"].max() == between
    assert days["test"].min() - days["validation"].max() == between
    assert abs(len(days["test"]) - 40) <= 2
    assert len(set(days["test"])) * 2 == len(days["test"])


def test_order_takes_the_last_rows() -> None:
    dataset = dataset_of(table(), split="order")
    assert values(dataset, "test").tolist() == list(range(160, 200))
    assert values(dataset, "validation").tolist() == list(range(128, 160))


def test_folds_in_time_train_on_what_came_before() -> None:
    frame = table()
    for number in range(1, 5):
        dataset = dataset_of(frame, split="time=day", fold=f"{number}/4")
        learnt = np.concatenate([values(dataset, "train"), values(dataset, "validation")])
        assert learnt.max() < values(dataset, "test").min()
        assert len(dataset.splits["test"]) == 40


def test_one_group_is_left_out_in_each_fold() -> None:
    frame = table()
    tested = []
    for number in range(1, 24):
        dataset = dataset_of(frame, split="group=house", fold=f"{number}/23", folds="leave-one-group-out")
        assert dataset.folds == 23
        assert frame["house"][dataset.splits["test"].rows].nunique() == 1
        tested += dataset.splits["test"].rows.tolist()
    assert sorted(tested) == list(range(200))


@pytest.mark.parametrize("layout", ["masks", "numbers", "csv"])
def test_given_folds(tmp_path: Path, layout: str) -> None:
    frame = table()
    numbers = np.arange(200) % 4
    path = tmp_path / ("folds.csv" if layout == "csv" else "folds.npz")
    if layout == "csv":
        pd.DataFrame({"fold": numbers}).to_csv(path, index=False)
    else:
        np.savez(path, folds=np.stack([numbers == k for k in range(4)]) if layout == "masks" else numbers)
    frame.loc[7, "kind"] = None  # a row that is left out shifts no other
    dataset = dataset_of(frame, fold="3/4", folds=f"file={path}")
    assert dataset.folds == 4
    assert dataset.splits["test"].rows.tolist() == [row for row in range(200) if row % 4 == 2 and row != 7]


def test_a_split_is_taken_back(tmp_path: Path) -> None:
    frame = table()
    first = dataset_of(frame, seed=5, calibration_size=0.1)
    path = tmp_path / "split.json"
    path.write_text(json.dumps({split: rows.tolist() for split, rows in first.split_rows.items()}))
    again = dataset_of(frame, split=f"file={path}")
    assert {split: sorted(data.rows) for split, data in again.splits.items()} == {
        split: sorted(data.rows) for split, data in first.splits.items()
    }


@pytest.mark.parametrize(
    "values, message",
    [
        ({"train": [0, 1], "test": [1, 2]}, "a row of the test split is also in the train split"),
        ({"train": [0.5, 1]}, "instead of a list of integers"),
        ({"train": [[0, 1]]}, "instead of a list of integers"),
        ({"train": [True]}, "instead of a list of integers"),
        ({"train": "0"}, "instead of a list of integers"),
        ({"train": [0, 10**30]}, "not a split"),
        ({"train": [-1]}, "the train split has the row number -1; in such a file they are from 0 to"),
        ({"train": [], "test": [1]}, "no training rows"),
        ({"learn": [1]}, "not a split"),
        ([1], "not a split"),
        (None, "not a split"),
    ],
)
def test_a_file_that_is_no_split_is_named(tmp_path: Path, values: Any, message: str) -> None:
    (tmp_path / "split.json").write_text(json.dumps(values))
    with pytest.raises(UsageError, match=message):
        dataset_of(table(), split=f"file={tmp_path / 'split.json'}")


@pytest.mark.parametrize(
    "change, options, message",
    [
        ({"house": "one"}, {"split": "group=house"}, "needs at least two groups; all rows belong to 'one'"),
        ({"house": None}, {"split": "group=house"}, "column house, row 1: the group is missing"),
        ({}, {"split": "group=hose"}, "there is no column 'hose' to split by"),
        ({"day": "soon"}, {"split": "time=day"}, "column day, row 1: 'soon' is not a time"),
        ({"day": "2024-01-01"}, {"split": "time=day"}, "all rows have the same time"),
        ({}, {"split": "time=day", "gap": "3"}, "for dates a unit is needed, such as 3d"),
        ({}, {"split": "time=x", "gap": "3d"}, "a number in the column's units"),
        ({}, {"gap": "3d"}, "a gap needs --split time=COLUMN"),
        ({}, {"split": "group=house", "fold": "1/30"}, "30 folds by group need at least 30 groups; there are 23"),
        ({}, {"fold": "1/2", "folds": "leave-one-group-out"}, "leave-one-group-out needs --split group=COLUMN"),
        ({}, {"fold": "1/2", "folds": "file=none.npz"}, "cannot read the folds"),
        ({}, {"split": "file=none.json"}, "cannot read the split"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ZooError, match=message):
        dataset_of(table().assign(**change), **options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cv": "leave-one-group-out"}, "leave-one-group-out needs --split group=COLUMN"),
        ({"cv": 1}, "a number of folds of at least 2"),
        ({"cv": "file=x.npz", "repeats": 2}, "need cv, a number of folds"),
        ({"threshold": "f2"}, "unknown way to choose a threshold 'f2'"),
        ({"sample": "down=0.5"}, "it must be down=N or up=N"),
        ({"class_weight": {"a": -1}}, "factors must be numbers from 0 to"),
    ],
)
def test_a_job_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_job(TrainJob, {"model": "m", "source": "s", **options})


@settings(deadline=None)
@given(st.integers(10, 10_000_000), st.integers(0, 20))
def test_suggested_sizes(rows: int, hyperparameters: int) -> None:
    test, validation, reason = suggest_sizes(rows, hyperparameters)
    assert 0.01 <= test <= 0.2
    assert 0.01 <= validation <= 0.25
    assert suggest_sizes(rows, hyperparameters + 1)[1] >= validation
    assert f"test {test:g}" in reason


@pytest.mark.parametrize("way", ["group=house", "hash=house"])
def test_a_group_calibrates_or_sets_limits_and_never_both(way: str) -> None:
    frame = table()
    halved = []
    for rows in (frame, frame.sample(frac=1, random_state=1)):
        dataset = dataset_of(rows, split=way, calibration_size=0.4)
        split = dataset.splits["calibration"]
        halved.append(
            [set(frame["house"][split.inputs["x"][half].astype(int)]) for half in split_in_two(split, dataset.spec)]
        )
    assert all(first and second and not first & second for first, second in halved)
    assert halved[0] == halved[1]


def test_rows_that_sampling_draws_are_in_the_digest() -> None:
    frame = table()
    frame["part"] = np.where(np.arange(len(frame)) < 150, "train", "test")
    digests = [
        dataset_of(frame, split="column=part", validation_size=0, sample="down=3", seed=seed).split_digest
        for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_suggested_sizes_that_are_not_used_are_not_told() -> None:
    frame = table()
    notes = [
        dataset_of(frame, **options, validation_size="suggested").notes
        for options in ({"test_size": "suggested"}, {"test_size": 0.3})
    ]
    assert any(note.startswith("test 0.2: 40 rows") and "validation" in note for note in notes[0])
    assert any(note.startswith("validation 0.15 of the rest") for note in notes[1])
    frame["part"] = np.where(np.arange(len(frame)) < 150, "train", "test")
    column = dataset_of(frame, split="column=part", test_size="suggested", validation_size=0.1)
    assert not [note for note in column.notes if "percentage points" in note]


def test_suggested_sizes_count_the_hyperparameters_of_the_search(workspace: Path) -> None:
    """One of the four that ``linear`` searches is given a range, the others a value."""
    few = {"hyperparameters": {"l1": 0, "l2": 0, "scaling": "standard"}, "ranges": {"learning_rate": "0.01..0.1"}}
    for options, number in (({}, "4 hyperparameters"), (few, "1 hyperparameter;")):
        search = zoo.tune(
            "classification/linear", "breast_cancer", trials=1, epochs=1, validation_size="suggested", baselines="none",
            quiet=True, figures=False, **options,
        )  # fmt: skip
        assert any(f"to tune {number}" in f"{note};" for note in search.best.notes), search.best.notes


@pytest.mark.parametrize("split", ["group=house", "column=part"])
def test_a_row_is_named_by_its_place_in_the_source_whatever_was_left_out_before_it(split: str) -> None:
    frame = table().assign(part=["train", "test"] * 100)
    frame.loc[0, "kind"] = None  # a row without a target is left out
    frame.loc[5, ["house", "part"]] = [None, "tset"]
    with pytest.raises(ZooError, match=r"row 6: (the group is missing|unknown split 'tset')"):
        dataset_of(frame, split=split)
