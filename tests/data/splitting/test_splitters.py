"""Splits: each row in one part, the same by seed, shares and classes as asked for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zoo.data.splitting.splitters import Splitter, read_split_column
from zoo.errors import DataError


def split(rows=100, method="random", test=0.2, validation=0.2, seed=0, **options):
    given_splits = options.pop("given", None)
    splitter = Splitter(method, test_size=test, validation_size=validation, seed=seed, **options)
    return splitter.splits(rows, given_splits)


def counts(splits):
    return {name: int((splits == name).sum()) for name in ("train", "validation", "test")}


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, (64, 16, 20)),
        ({"validation": 0}, (80, 0, 20)),
        ({"test": 0}, (80, 20, 0)),
        ({"test": 0, "validation": 0}, (100, 0, 0)),
        ({"test": 0.5, "validation": 0.5}, (25, 25, 50)),
        ({"rows": 3}, (1, 1, 1)),
    ],
)
def test_sizes(options, expected):
    assert tuple(counts(split(**options)).values()) == expected


def test_the_seed_decides():
    assert np.array_equal(split(seed=3), split(seed=3))
    assert not np.array_equal(split(seed=3), split(seed=4))
    assert counts(split(seed=2**32 - 1)) == counts(split())


def test_other_sizes_of_validation_keep_the_test_part():
    assert np.array_equal(split(validation=0) == "test", split(validation=0.5) == "test")


@settings(deadline=None)
@given(
    st.lists(st.integers(5, 60), min_size=2, max_size=5),
    st.floats(0.2, 0.5),
    st.floats(0.2, 0.5),
    st.integers(0, 2**32 - 1),
)
def test_stratified_shares_are_kept_within_rounding(sizes, test, validation, seed):
    left = sum(sizes) - round(sum(sizes) * test) - 1
    assume(left * validation >= len(sizes))  # a stratified split with fewer rows than classes is refused
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    splits = split(len(classes), "stratified", test, validation, seed, classes=classes)
    for code, size in enumerate(sizes):
        of_class = splits[classes == code]
        assert abs((of_class == "test").sum() - size * test) < 2
        assert abs((of_class == "validation").sum() - (of_class != "test").sum() * validation) < 2


def test_a_class_with_one_row_left_stays_in_training():
    classes = np.array([0] * 20 + [1])
    for seed in range(5):
        assert split(21, "stratified", seed=seed, classes=classes)[-1] == "train"


@pytest.mark.parametrize(
    "given_splits, expected",
    [
        (["train"] * 8 + ["test"] * 2, {"train": 6, "validation": 2, "test": 2}),
        (["train"] * 7 + ["validation", "test", "test"], {"train": 7, "validation": 1, "test": 2}),
        (["train"] * 7 + ["validation"] * 3, {"train": 7, "validation": 3, "test": 0}),
        (["train"] * 10, {"train": 8, "validation": 2, "test": 0}),
    ],
)
def test_given_parts_stay(given_splits, expected):
    given_splits = np.array(given_splits)
    splits = split(10, given=given_splits)
    assert counts(splits) == expected
    assert all(splits[given_splits != "train"] == given_splits[given_splits != "train"])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rows": 1}, "1 row is too few for a test split: at least 2 are needed; --test-size 0 leaves this split out"),
        ({"rows": 2}, "2 rows are too few for a validation split: at least 3 are needed; --validation-size 0 leaves"),
        ({"rows": 5, "method": "stratified", "classes": np.array([0, 0, 1, 1, 1])}, "cannot take a test split of 0.2"),
        ({"method": "stratified"}, "a stratified split needs a target with classes"),
        ({"given": np.array(["test"] * 100), "validation": 0}, "the split leaves no training rows"),
    ],
)
def test_too_few_rows(options, message):
    with pytest.raises(DataError, match=message):
        split(**options)


def test_parts_of_a_column():
    values = pd.Series(["Train", "training ", "valid", "VAL", "validation", "test"])
    assert read_split_column(values, where="t").tolist() == ["train"] * 2 + ["validation"] * 3 + ["test"]


@pytest.mark.parametrize("value, nearest", [("tset", "test"), (None, None), (1, None)])
def test_a_value_that_names_no_part(value, nearest):
    with pytest.raises(DataError, match=r"t\.csv, column part, row 2: unknown split") as caught:
        read_split_column(pd.Series(["train", value], name="part", dtype=object), where="t.csv")
    if nearest:
        assert caught.value.nearest == nearest
