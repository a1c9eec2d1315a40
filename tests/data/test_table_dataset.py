"""From a job's data options to a dataset: targets, parts, features, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.dataset import load_dataset, map_numbers, save_dataset
from zoo.data.layout import column_layout
from zoo.data.sources.read import read_table
from zoo.data.table_dataset import table_arrays, table_dataset
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
    return table_dataset(DataJob(source=source, target=target, **options), task="t", target_kind=target_kind)


def numbers(source=FRAME, **options):
    return dataset(source, "price", "number", **options)


def sizes(made):
    return {name: len(split) for name, split in made.splits.items()}


def test_classes():
    made = dataset()
    assert sizes(made) == {"train": 25, "validation": 7, "test": 8}
    assert [known.name for known in made.spec.inputs] == ["size", "town", "price"]
    assert [known.kind for known in made.spec.inputs] == ["number", "category", "number"]
    assert made.spec.rows == 25
    target = made.spec.target
    assert (target.classes, target.dtype, target.positive) == (("a", "b"), "str", "b")
    assert sum(target.counts) == 25
    for split in made.splits.values():
        assert np.array_equal(np.array(["a", "b"])[split.target], FRAME["kind"].to_numpy()[split.rows])
        assert np.array_equal(split.inputs["size"], FRAME["size"].to_numpy()[split.rows])
    assert repr(made) == "<Dataset data: 3 inputs, train 25, validation 7, test 8>"


def test_numbers_are_standardised_by_the_training_part():
    made = numbers()
    train = made.splits["train"]
    own = FRAME["price"].to_numpy()[train.rows]
    assert made.spec.target.mean == pytest.approx(own.mean())
    assert made.spec.target.std == pytest.approx(own.std())
    assert train.target.mean() == pytest.approx(0, abs=1e-12)
    statistics = made.spec.input("size").statistics
    sizes_seen = train.inputs["size"]
    assert statistics["mean"] == pytest.approx(sizes_seen.mean())
    assert (statistics["min"], statistics["max"]) == (sizes_seen.min(), sizes_seen.max())
    assert statistics["quantiles"][::16] == pytest.approx(np.quantile(sizes_seen, [0, 0.25, 0.5, 0.75, 1]))
    assert made.spec.input("town").missing == (train.inputs["town"] == "").sum()


@pytest.mark.parametrize("positive, kept", [(None, "b"), ("a", "a")])
def test_the_positive_class_is_the_rarer(positive, kept):
    frame = FRAME.assign(kind=["a"] * 30 + ["b"] * 10)
    assert dataset(frame, positive=positive).spec.target.positive == kept


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
    made = dataset(FRAME.assign(kind=cells * (ROWS // 2)), positive=positive)
    target = made.spec.target
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
    made = dataset(frame, "y", split=method, seed=seed, validation_size=validation)
    rows = np.concatenate([split.rows for split in made.splits.values()])
    assert sorted(rows) == list(range(len(frame)))
    assert set(made.splits) == {"train", "test"} | ({"validation"} if validation else set())
    for split in made.splits.values():
        assert np.array_equal(np.array(made.spec.target.classes)[split.target], frame["y"].to_numpy()[split.rows])
        assert all(len(values) == len(split) for values in split.inputs.values())
    again = dataset(frame, "y", split=method, seed=seed, validation_size=validation)
    assert again.split_digest == made.split_digest


def test_digests_tell_data_split_and_target_apart():
    made, again = dataset(), dataset(FRAME.copy())
    assert (made.digest, made.split_digest) == (again.digest, again.split_digest)
    for other in (dataset(seed=1), dataset(drop=("size",)), dataset(validation_size=0), numbers()):
        assert other.digest == made.digest
        assert other.split_digest != made.split_digest
    assert dataset(FRAME.assign(size=0.5 + FRAME["size"])).digest != made.digest
    assert dataset(test=FRAME).digest != made.digest


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
    made = dataset(FRAME.assign(use=column), split="column=use")
    assert sizes(made) == {"train": 30, "validation": 6, "test": 4}
    assert "use" not in [known.name for known in made.spec.inputs]
    assert made.splits["test"].rows.tolist() == [36, 37, 38, 39]


def test_parts_of_an_npz_are_kept(tmp_path):
    x, y = np.arange(60.0).reshape(20, 3), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", x_train=x[:16], y_train=y[:16], x_test=x[16:], y_test=y[16:])
    made = dataset(tmp_path / "a.npz", None)
    assert sizes(made) == {"train": 12, "validation": 4, "test": 4}
    assert made.splits["test"].rows.tolist() == [16, 17, 18, 19]
    with pytest.raises(UsageError, match="holds a test part of its own"):
        dataset(tmp_path / "a.npz", None, test=tmp_path / "a.npz")


def test_bundled_names_know_their_target():
    assert dataset("iris", None).spec.target.classes == ("setosa", "versicolor", "virginica")
    assert table_dataset(DataJob(source="diabetes"), task="t", target_kind="number").spec.target.name == "progression"


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_rows_without_a_target_are_left_out(empty):
    frame = FRAME.assign(kind=FRAME["kind"].where(np.arange(ROWS) > 1, empty))
    made = dataset(frame)
    assert sum(sizes(made).values()) == ROWS - 2
    assert made.notes[0] == "2 rows without a target are left out"
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
        ({"target": None}, "which column is to be predicted.*columns: size, town, kind, price; most likely", None),
        ({"target": "kid"}, "there is no column 'kid' to predict; columns: size, town", "kind"),
        ({"source": with_kind(None)}, "the target 'kind' is missing in every row", None),
        ({"source": with_kind("a")}, "the target 'kind' is constant: every row is 'a'", None),
        ({"source": with_kind(["a"] * 39 + ["c"])}, "class 'c' of the target 'kind' has one row only", None),
        ({"source": with_kind(np.arange(ROWS) / 8)}, "40 different values in 40 rows: numbers to predict", None),
        ({"positive": "B"}, "the positive class 'B' is not among a, b", "b"),
        ({"drop": ("towm",)}, "there is no column 'towm' to drop", "town"),
        ({"drop": ("kind",)}, "the column 'kind' is both the target and dropped", None),
        ({"drop": ("size", "town", "price")}, "no column is left to learn from", None),
        ({"split": "column=twon"}, "there is no column 'twon' to split by", "town"),
        ({"split": "column=town"}, "column town, row 1: unknown part 'Ulm'", None),
        ({"split": "column=town", "test": FRAME}, "exclude each other", None),
        ({"test": FRAME.drop(columns="kind")}, "the test source has no column 'kind'", None),
        ({"test": FRAME.drop(columns="town")}, "columns that the model needs are missing: town", None),
        ({"test": FRAME.assign(kind="c")}, "column kind, row 1: class 'c' is not among", None),
        ({"test": FRAME.assign(size="big")}, "column size, row 1: 'big' is not a number", None),
        ({"test": FRAME.assign(kind=None)}, "the target 'kind' is missing in every row", None),
        ({"source": FRAME[:4]}, "cannot take a test part of 0.2 from 4 rows", None),
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
        ({"flat": 1}, "column flat is left out: it has one value only"),
        ({"empty": None}, "column empty is left out: it has no value"),
        ({"fold": FRAME["size"]}, "column fold looks like a split and is used as a feature; --split column=fold?"),
        ({"row_id": np.arange(ROWS)}, "column row_id is left out: it looks like an id"),
        ({"town_id": [4, 5] * 20}, "column town_id looks like an id and is used as a feature; --drop town_id?"),
        (
            {"weight": FRAME["size"]},
            "column weight looks like a weight and is used as a feature; --weight weight, or --drop weight?",
        ),
        ({"wide": [np.inf] * 20 + [1, 2] * 10}, "infinite values, taken as missing"),
    ],
)
def test_what_is_noticed_about_columns(columns, note):
    assert [text for text in dataset(FRAME.assign(**columns)).notes if note in text]


def test_text_that_never_repeats_is_left_out():
    frame = pd.DataFrame({"text": [f"t{i}" for i in range(200)], "a": np.arange(200), "kind": ["a", "b"] * 100})
    (note,) = dataset(frame).notes
    assert note.startswith("column text is left out: it looks like an id, for none of its values repeats; --column")
    job = DataJob(source=frame, target="kind", column={"text": "hashed"})
    made = table_dataset(job, task="t", target_kind="class", layout=column_layout(job.column, job.missing))
    assert made.spec.input("text").statistics == {"buckets": 128}


def test_levels_stand_most_frequent_first():
    towns = ["Ulm"] * 25 + ["Bonn"] * 10 + [None] * 5
    known = dataset(FRAME.assign(town=towns)).spec.input("town")
    assert known.levels == ("Ulm", "Bonn")


@pytest.mark.parametrize("target, target_kind", [("kind", "class"), ("price", "number")])
@pytest.mark.parametrize("options", [{}, {"validation_size": 0}])
def test_a_dataset_is_written_and_mapped(tmp_path, target, target_kind, options):
    made = dataset(FRAME, target, target_kind, **options)
    save_dataset(made, tmp_path / "deep" / "data")
    again = load_dataset(tmp_path / "deep" / "data")
    for name in ("name", "source", "digest", "split_digest", "spec", "notes"):
        assert getattr(again, name) == getattr(made, name)
    assert list(again.splits) == list(made.splits)
    for name, split in made.splits.items():
        other = again.splits[name]
        assert isinstance(other.inputs["size"], np.memmap)
        assert list(other.inputs) == list(split.inputs)
        assert all(np.array_equal(other.inputs[key], values) or key == "town" for key, values in split.inputs.items())
        assert other.inputs["town"].tolist() == split.inputs["town"].tolist()
        assert np.array_equal(other.target, split.target)
        assert np.array_equal(other.rows, split.rows)
        assert other.weight is None
    numbers = {name: split.inputs["size"].copy() for name, split in made.splits.items()}
    map_numbers(made, tmp_path / "deep" / "data")
    for name, split in made.splits.items():
        assert isinstance(split.inputs["size"], np.memmap)
        np.testing.assert_array_equal(split.inputs["size"], numbers[name])
        assert isinstance(split.inputs["town"], pd.Categorical)


def test_arrays_of_raw_rows():
    made = dataset()
    inputs, target, weight = table_arrays(FRAME[:3], made.spec)
    assert inputs["town"].tolist() == ["Ulm", "Bonn", ""]
    assert target.tolist() == [0, 1, 0]
    assert weight is None
    assert table_arrays(FRAME[["town", "size", "price"]], made.spec)[1] is None
    assert read_table(FRAME).frame is not FRAME


def test_a_number_that_is_none_is_named():
    numbers = [f"{index / 7:.3f}" for index in range(60)]
    frame = pd.DataFrame({"rm": [*numbers, "unknown"] * 2, "town": list("ab") * 61, "y": list("yn") * 61})
    made = table_dataset(make_job(DataJob, {"source": frame, "target": "y"}), task="t", target_kind="class")
    (note,) = [note for note in made.notes if "rm" in note]
    assert "taken as a category" in note
    assert "'unknown' is none" in note
    assert not [note for note in made.notes if "town" in note]
