"""Folds: each row is tested exactly once, classes are shared out evenly, and what was test stays out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zoo.data.dataset import Dataset
from zoo.data.splitting.folds import take_fold
from zoo.data.splitting.splitters import Splitter
from zoo.data.table_dataset import create_table_dataset
from zoo.errors import DataError
from zoo.jobs.data_options import DataJob


def dataset_of(frame: pd.DataFrame, **options: Any) -> Dataset:
    return create_table_dataset(DataJob(source=frame, target="kind", **options), task="t", target_kind="class")


def folds(
    rows: int,
    count: int,
    *,
    classes: np.ndarray | None = None,
    validation: float = 0.2,
    seed: int = 0,
    given: np.ndarray | None = None,
) -> list[np.ndarray]:
    """The parts of each row in every fold."""
    method = "random" if classes is None else "stratified"
    splitter = Splitter(method, validation_size=validation, seed=seed, classes=classes)
    folds_ = []
    for number in range(1, count + 1):
        splits = np.full(rows, "train", "<U11") if given is None else given.astype("<U11")
        take_fold(splits, number, count, splitter, masks=None)
        folds_.append(splitter.inner_splits(splits))
    return folds_


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_each_row_is_tested_once(rows: int, count: int, seed: int) -> None:
    assume(count <= rows)
    tested = np.array([splits == "test" for splits in folds(rows, count, validation=0, seed=seed)])
    assert (tested.sum(axis=0) == 1).all()
    sizes = tested.sum(axis=1)
    assert sizes.max() - sizes.min() <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 20), min_size=2, max_size=5), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_classes_are_shared_out_evenly(sizes: list[int], count: int, seed: int) -> None:
    assume(count <= min(sizes))
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    tested = np.array(
        [splits == "test" for splits in folds(len(classes), count, classes=classes, validation=0, seed=seed)]
    )
    assert (tested.sum(axis=0) == 1).all()
    for code in range(len(sizes)):
        shares = tested[:, classes == code].sum(axis=1)
        assert shares.max() - shares.min() <= 1


@pytest.mark.parametrize("stratified", [False, True])
def test_the_rest_trains_and_validates(stratified: bool) -> None:
    classes = np.repeat([0, 1], 50) if stratified else None
    for splits in folds(100, 5, classes=classes):
        assert {split: int((splits == split).sum()) for split in np.unique(splits)} == {
            "test": 20,
            "train": 64,
            "validation": 16,
        }
        if stratified:
            assert (splits[:50] == "validation").sum() == 8


def test_the_seed_decides() -> None:
    one, same, other = (np.array(folds(40, 4, seed=seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0] == "test", np.arange(40) < 10)  # the rows are shuffled


def test_rows_that_are_test_already_are_in_no_fold() -> None:
    given = np.array(["train"] * 9 + ["validation"] * 3 + ["test"] * 4)
    result = np.array(folds(16, 3, given=given))
    assert (result[:, 12:] == "").all()
    assert ((result[:, :12] == "test").sum(axis=0) == 1).all()  # what validated takes turns like the rest
    assert not (result[:, :12] == "").any()
    assert given.tolist() == ["train"] * 9 + ["validation"] * 3 + ["test"] * 4


@pytest.mark.parametrize(
    "rows, classes, message",
    [
        (3, None, "4 folds need at least 4 rows; there are 3"),
        (10, np.array(["rare"] * 3 + ["usual"] * 7, object), "need 4 rows of each class; class 'rare' has 3"),
    ],
)
def test_too_few_rows(rows: int, classes: np.ndarray | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        folds(rows, 4, classes=classes)


def test_folds_of_a_table() -> None:
    frame = pd.DataFrame({"x": np.arange(30.0), "kind": ["a", "b", "b"] * 10})
    seen: list[float] = []
    for number in range(1, 6):
        dataset = dataset_of(frame, fold=f"{number}/5")
        values = {name: split.inputs["x"] for name, split in dataset.splits.items()}
        test = values["test"]
        assert isinstance(test, np.ndarray)
        assert dataset.splits["test"].target is not None
        assert np.bincount(dataset.splits["test"].target).tolist() == [2, 4]
        assert sum(map(len, values.values())) == 30
        seen += test.tolist()
        assert dataset.notes == ()
    assert sorted(seen) == frame["x"].tolist()


def test_a_test_part_of_ones_own_is_left_alone() -> None:
    frame = pd.DataFrame({"x": np.arange(30.0), "kind": ["a", "b"] * 15, "part": ["train"] * 20 + ["test"] * 10})
    dataset = dataset_of(frame, split="column=part", fold="2/4")
    test = dataset.splits["test"]
    assert len(test) == 5
    assert test.rows.max() < 20
    assert dataset.notes == ("the test split is not used: each fold has its own",)
    assert sum(len(split) for split in dataset.splits.values()) == 20
