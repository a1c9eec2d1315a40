"""From a job's data options to a dataset: targets, parts, features, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.dataset import load_dataset, map_numbers, save_dataset
from zoo.data.layout import create_layout
from zoo.data.sources.read import read_table
from zoo.data.table_dataset import create_table_dataset, encode_table
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job

ROWS = 40
FRAME = pd.DataFrame(
    {
        "size": np.arange(ROWS) / 4,
        "town": ["Ulm", "Bonn", None, "Köln"] * (ROWS // 4),
        "kind": ["a", "b"] * (ROWS // 2),
        "price": np.linspace(-3, 9, ROWS),
    }
)


def dataset(source=FRAME, target="kind", target_kind="class", **options):
    return create_table_dataset(DataJob(source=source, target=target, **options), task="t", target_kind=target_kind)


def numbers(source=FRAME, **options):
    return dataset(source, "price", "number", **options)


def sizes(data):
    return {name: len(split) for name, split in data.splits.items()}


def test_classes():
    data = dataset()
    assert sizes(data) == {"train": 25, "validation": 7, "test": 8}
    assert [input_.name for input_ in data.spec.inputs] == ["size", "town", "price"]
    assert [input_.kind for input_ in data.spec.inputs] == ["number", "category", "number"]
    assert data.spec.rows == 25
    target = data.spec.target
    assert (target.classes, target.dtype, target.positive) == (("a", "b"), "str", "b")
    assert sum(target.counts) == 25
    for split in data.splits.values():
        assert np.array_equal(np.array(["a", "b"])[split.target], FRAME["kind"].to_numpy()[split.rows])
        assert np.array_equal(split.inputs["size"], FRAME["size"].to_numpy()[split.rows])
    assert repr(data) == "<Dataset data: 3 inputs, train 25, validation 7, test 8>"


def test_numbers_are_standardised_by_the_training_part():
    data = numbers()
    train = data.splits["train"]
    prices = FRAME["price"].to_numpy()[train.rows]
    assert data.spec.target.mean == pytest.approx(prices.mean())
    assert data.spec.target.std == pytest.approx(prices.std())
    assert train.target.mean() == pytest.approx(0, abs=1e-12)
    size = data.spec.input("size")
    sizes_seen = train.inputs["size"]
    assert size.mean == pytest.approx(sizes_seen.mean())
    assert (size.min, size.max) == (sizes_seen.min(), sizes_seen.max())
    assert size.quantiles[::16] == pytest.approx(np.quantile(sizes_seen, [0, 0.25, 0.5, 0.75, 1]))
    assert data.spec.input("town").missing == (train.inputs["town"] == "").sum()


@pytest.mark.parametrize("positive, kept", [(None, "b"), ("a", "a")])
def test_the_positive_class_is_the_rarer(positive, kept):
    frame = FRAME.assign(kind=["a"] * 30 + ["b"] * 10)
    assert dataset(frame, positive=positive).spec.target.positive == kept


def test_the_positive_class_is_the_rarer_of_training_rows():
    """Test rows name nothing, not even the class that f1 is of; folds share one class."""
    part = np.where(np.arange(ROWS) < 24, "train", "test")
    frame = FRAME.assign(kind=np.where(np.arange(ROWS) < 8, "a", "b"), part=part)  # 8 of a, 16 of b in training
    other = frame.assign(kind=np.where(part == "test", "a", frame["kind"]))  # of all rows, b is the rarer
    positives = {dataset(table, split="column=part").spec.target.positive for table in (frame, other)}
    assert positives == {"a"}
    halves = FRAME.assign(kind=["a", "b"] * (ROWS // 2 - 1) + ["b", "b"])
    assert {dataset(halves, fold=f"{k}/5").spec.target.positive for k in range(1, 6)} == {"a"}


@pytest.mark.parametrize(
    "cells, positive, dtype, classes",
    [
        ([10, 9], 9.0, "int", ("9", "10")),
        ([1.0, 0.0], 1, "int", ("0", "1")),
        ([True, False], True, "bool", ("false", "true")),
        (["10", "9"], 9, "str", ("10", "9")),
    ],
)
def test_classes_of_other_types(cells, positive, dtype, classes):
    data = dataset(FRAME.assign(kind=cells * (ROWS // 2)), positive=positive)
    target = data.spec.target
    assert (target.dtype, target.classes) == (dtype, classes)
    assert target.positive in classes


@st.composite
def _tables(draw):
    rows = draw(st.integers(20, 60))
    cells = {
        "number": st.none() | st.floats(-1e6, 1e6),
        "text": st.none() | st.text(st.characters(codec="utf-8"), max_size=3),
        "flag": st.booleans(),
        "whole": st.integers(-5, 5),
    }
    names = draw(st.lists(st.sampled_from(sorted(cells)), unique=True, min_size=1))
    columns = {name: draw(st.lists(cells[name], min_size=rows, max_size=rows)) for name in names}
    labels = draw(st.lists(st.sampled_from(["p", "n"]), min_size=rows - 10, max_size=rows - 10))
    return pd.DataFrame({"sure": np.arange(rows) % 7, **columns, "y": ["p", "n"] * 5 + labels})


@settings(max_examples=40, deadline=None)
@given(_tables(), st.sampled_from([None, "random", "stratified"]), st.integers(0, 2**32 - 1), st.data())
def test_every_row_is_in_one_part(frame, method, seed, data):
    validation = data.draw(st.sampled_from([0, 0.2, 0.4]))
    data_ = dataset(frame, "y", split=method, seed=seed, validation_size=validation)
    rows = np.concatenate([split.rows for split in data_.splits.values()])
    assert sorted(rows) == list(range(len(frame)))
    assert set(data_.splits) == {"train", "test"} | ({"validation"} if validation else set())
    for split in data_.splits.values():
        assert np.array_equal(np.array(data_.spec.target.classes)[split.target], frame["y"].to_numpy()[split.rows])
        assert all(len(values) == len(split) for values in split.inputs.values())
    again = dataset(frame, "y", split=method, seed=seed, validation_size=validation)
    assert again.split_digest == data_.split_digest


def test_digests_tell_data_split_and_target_apart():
    data, again = dataset(), dataset(FRAME.copy())
    assert (data.digest, data.split_digest) == (again.digest, again.split_digest)
    for other in (dataset(seed=1), dataset(drop=("size",)), dataset(validation_size=0), numbers()):
        assert other.digest == data.digest
        assert other.split_digest != data.split_digest
    assert dataset(FRAME.assign(size=0.5 + FRAME["size"])).digest != data.digest
    assert dataset(test=FRAME).digest != data.digest


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"validation_size": 0}, {"train": 32, "test": 8}),
        ({"test_size": 0}, {"train": 32, "validation": 8}),
        ({"test": FRAME[:12]}, {"train": 32, "validation": 8, "test": 12}),
        ({"test": FRAME[["price", "kind", "town", "size"]][:12]}, {"train": 32, "validation": 8, "test": 12}),
    ],
)
def test_sizes(options, expected):
    assert sizes(dataset(**options)) == expected


def test_a_column_may_name_the_parts():
    column = np.array(["train"] * 30 + ["valid"] * 6 + ["Test"] * 4)
    data = dataset(FRAME.assign(use=column), split="column=use")
    assert sizes(data) == {"train": 30, "validation": 6, "test": 4}
    assert "use" not in [input_.name for input_ in data.spec.inputs]
    assert data.splits["test"].rows.tolist() == [36, 37, 38, 39]


def test_parts_of_an_npz_are_kept(tmp_path):
    x, y = np.arange(60.0).reshape(20, 3), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", x_train=x[:16], y_train=y[:16], x_test=x[16:], y_test=y[16:])
    data = dataset(tmp_path / "a.npz", None)
    assert sizes(data) == {"train": 12, "validation": 4, "test": 4}
    assert data.splits["test"].rows.tolist() == [16, 17, 18, 19]
    with pytest.raises(UsageError, match="already has a test split"):
        dataset(tmp_path / "a.npz", None, test=tmp_path / "a.npz")


def test_bundled_names_know_their_target():
    assert dataset("iris", None).spec.target.classes == ("setosa", "versicolor", "virginica")
    assert (
        create_table_dataset(DataJob(source="diabetes"), task="t", target_kind="number").spec.target.name
        == "progression"
    )


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_rows_without_a_target_are_left_out(empty):
    frame = FRAME.assign(kind=FRAME["kind"].where(np.arange(ROWS) > 1, empty))
    data = dataset(frame)
    assert sum(sizes(data).values()) == ROWS - 2
    assert data.notes[0] == "2 rows without a target are left out"
    frame = FRAME.assign(price=FRAME["price"].astype(object).where(np.arange(ROWS) > 1, empty))
    assert sum(sizes(numbers(frame)).values()) == ROWS - 2


def test_rows_without_a_target_keep_the_parts_of_the_others():
    column = ["train"] * 20 + ["valid"] * 10 + ["test"] * 10
    frame = FRAME.assign(use=column, kind=FRAME["kind"].where(np.arange(ROWS) > 0))
    assert sizes(dataset(frame, split="column=use")) == {"train": 19, "validation": 10, "test": 10}


def with_kind(values):
    return FRAME.assign(kind=values)


@pytest.mark.parametrize(
    "options, message, nearest",
    [
        ({"target": None}, "which column is the target.*columns: size, town, kind, price; most likely", None),
        ({"target": "kid"}, "there is no column 'kid' to predict; columns: size, town", "kind"),
        ({"source": with_kind(None)}, "the target 'kind' is missing in every row", None),
        ({"source": with_kind("a")}, "the target 'kind' is constant: every row is 'a'", None),
        ({"source": with_kind(["a"] * 39 + ["c"])}, "class 'c' of the target 'kind' has only one row", None),
        ({"source": with_kind(np.arange(ROWS) / 8)}, "40 different values in 40 rows: to predict numbers", None),
        ({"positive": "B"}, "the positive class 'B' is not among a, b", "b"),
        ({"drop": ("towm",)}, "there is no column 'towm' to drop", "town"),
        ({"drop": ("kind",)}, "the column 'kind' is both the target and dropped", None),
        ({"drop": ("size", "town", "price")}, "no usable feature", None),
        ({"split": "column=twon"}, "there is no column 'twon' to split by", "town"),
        ({"split": "column=town"}, "column town, row 1: unknown split 'Ulm'", None),
        ({"split": "column=town", "test": FRAME}, "a test source cannot be combined with a split column", None),
        ({"test": FRAME.drop(columns="kind")}, "the test source has no column 'kind'", None),
        ({"test": FRAME.drop(columns="town")}, "columns that the model needs are missing: town", None),
        ({"test": FRAME.assign(kind="c")}, "column kind, row 1: class 'c' does not occur in the training split", None),
        ({"test": FRAME.assign(size="big")}, "column size, row 1: 'big' is not a number", None),
        ({"test": FRAME.assign(kind=None)}, "the target 'kind' is missing in every row", None),
        ({"source": FRAME[:4]}, "cannot take a test split of 0.2 from 4 rows", None),
    ],
)
def test_classes_that_cannot_be_used(options, message, nearest):
    with pytest.raises(UsageError, match=message) as caught:
        dataset(**options)
    assert caught.value.nearest == nearest


@pytest.mark.parametrize(
    "price, message",
    [
        (3, "the target 'price' is constant: every row is 3"),
        (["1", "2"] * 19 + ["many", "4"], r"column price, row 39: 'many' is not a number"),
        ([1.0, np.inf] * 20, r"column price, row 2: the target must be a finite number; received inf"),
        (None, "missing in every row"),
    ],
)
def test_numbers_that_cannot_be_predicted(price, message):
    with pytest.raises(DataError, match=message):
        numbers(FRAME.assign(price=price))


@pytest.mark.parametrize(
    "columns, note",
    [
        ({"flat": 1}, "column flat is left out: it has only one value"),
        ({"empty": None}, "column empty is left out: it has no value"),
        ({"fold": FRAME["size"]}, "column fold looks like a split and is used as a feature; --split column=fold?"),
        ({"row_id": np.arange(ROWS)}, "column row_id is left out: it looks like an id"),
        ({"town_id": [4, 5] * 20}, "column town_id looks like an id and is used as a feature; --drop town_id?"),
        (
            {"weight": FRAME["size"]},
            "column weight looks like a weight and is used as a feature; --weight weight, or --drop weight?",
        ),
        ({"wide": [np.inf] * 20 + [1, 2] * 10}, "infinite values in the training rows, treated as missing"),
    ],
)
def test_what_is_noticed_about_columns(columns, note):
    assert [text for text in dataset(FRAME.assign(**columns)).notes if note in text]


def test_text_that_never_repeats_is_left_out():
    frame = pd.DataFrame({"text": [f"t{i}" for i in range(200)], "a": np.arange(200), "kind": ["a", "b"] * 100})
    (note,) = dataset(frame).notes
    assert note.startswith("column text is left out: it looks like an id, since no value repeats; --column")
    job = DataJob(source=frame, target="kind", column={"text": "hashed"})
    data = create_table_dataset(job, task="t", target_kind="class", layout=create_layout(job.column, job.missing))
    assert data.spec.input("text").buckets == 128


def test_levels_stand_most_frequent_first():
    towns = ["Ulm"] * 25 + ["Bonn"] * 10 + [None] * 5
    input_ = dataset(FRAME.assign(town=towns)).spec.input("town")
    assert input_.categories == ("Ulm", "Bonn")


@pytest.mark.parametrize("target, target_kind", [("kind", "class"), ("price", "number")])
@pytest.mark.parametrize("options", [{}, {"validation_size": 0}])
def test_a_dataset_is_written_and_mapped(tmp_path, target, target_kind, options):
    data = dataset(FRAME, target, target_kind, **options)
    save_dataset(data, tmp_path / "deep" / "data")
    again = load_dataset(tmp_path / "deep" / "data")
    for name in ("name", "source", "digest", "split_digest", "spec", "notes"):
        assert getattr(again, name) == getattr(data, name)
    assert list(again.splits) == list(data.splits)
    for name, split in data.splits.items():
        other = again.splits[name]
        assert isinstance(other.inputs["size"], np.memmap)
        assert list(other.inputs) == list(split.inputs)
        assert all(np.array_equal(other.inputs[key], values) or key == "town" for key, values in split.inputs.items())
        assert other.inputs["town"].tolist() == split.inputs["town"].tolist()
        assert np.array_equal(other.target, split.target)
        assert np.array_equal(other.rows, split.rows)
        assert other.weight is None
    numbers = {name: split.inputs["size"].copy() for name, split in data.splits.items()}
    map_numbers(data, tmp_path / "deep" / "data")
    for name, split in data.splits.items():
        assert isinstance(split.inputs["size"], np.memmap)
        np.testing.assert_array_equal(split.inputs["size"], numbers[name])
        assert isinstance(split.inputs["town"], pd.Categorical)


def test_arrays_of_raw_rows():
    data = dataset()
    inputs, target, weight = encode_table(FRAME[:3], data.spec)
    assert inputs["town"].tolist() == ["Ulm", "Bonn", ""]
    assert target.tolist() == [0, 1, 0]
    assert weight is None
    assert encode_table(FRAME[["town", "size", "price"]], data.spec)[1] is None
    assert read_table(FRAME).frame is not FRAME


def test_a_number_that_is_none_is_named():
    numbers = [f"{index / 7:.3f}" for index in range(60)]
    frame = pd.DataFrame({"rm": [*numbers, "unknown"] * 2, "town": list("ab") * 61, "y": list("yn") * 61})
    data = create_table_dataset(make_job(DataJob, {"source": frame, "target": "y"}), task="t", target_kind="class")
    (note,) = [note for note in data.notes if "rm" in note]
    assert "treated as a category" in note
    assert "'unknown' is not" in note
    assert not [note for note in data.notes if "town" in note]


def test_a_split_gives_back_the_source_s_rows() -> None:
    frame = pd.DataFrame(
        {
            "size": [1.5, None, 3.0, 4.0] * 10,
            "town": ["Ulm", None, "Bonn", "Ulm"] * 10,
            "day": ["01.02.2024", "05.06.2023", "24.12.2022", "03.03.2021"] * 10,
            "y": [0, 1, 1, 0] * 10,
        }
    )
    data = create_table_dataset(
        make_job(DataJob, {"source": frame, "target": "y", "column": {"day": "date:%d.%m.%Y"}}),
        task="t",
        target_kind="class",
    )
    for split in data.splits.values():
        rows = split.frame(data.spec)
        expected = frame.loc[split.rows, ["size", "town", "day"]].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows[list(expected)], expected, check_dtype=False)
    assert data.splits["train"].frame(data.spec, most_rows=2, columns=["town"]).shape == (2, 1)
