"""Whole examples out of every kind of source: images, sequences laid out in three ways, texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.data.dataset import Dataset
from zoo.data.example_layouts import SequenceLayout, create_image_layout, read_image_table
from zoo.data.examples.describe_examples import (
    describe_image,
    describe_sequence,
    describe_text,
    join_numbered_columns,
    prepare_values,
    split_into_tokens,
)
from zoo.data.ragged import Ragged
from zoo.data.sources.read import read_table
from zoo.data.table_dataset import create_table_dataset
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob
from zoo.spec import ObservationInput, Spec

rng = np.random.default_rng(0)
LABELS = np.array(["a", "b"] * 5)


def column(*examples: Any) -> pd.Series:
    cells = np.empty(len(examples), object)
    for row, example in enumerate(examples):
        cells[row] = np.asarray(example)
    return pd.Series(cells)


def images(source: Any, *, size: int | None = None, **options: Any) -> Dataset:
    job = DataJob(source=source, **options)
    return create_table_dataset(job, task="image", target_kind="class", layout=create_image_layout(size))


def sequences(source: Any, *, layout: SequenceLayout | None = None, **options: Any) -> Dataset:
    layout_ = (layout or SequenceLayout()).layout()
    return create_table_dataset(
        DataJob(source=source, **options), task="sequence", target_kind="either", layout=layout_
    )


def whole(dataset: Dataset) -> dict[int, np.ndarray]:
    """Every example of a dataset by its row in the source."""
    examples = {}
    for split in dataset.splits.values():
        values = next(iter(split.inputs.values()))
        assert isinstance(values, Ragged)
        examples.update({int(row): values.example(place) for place, row in enumerate(split.rows)})
    return examples


# Images


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_arrays_of_images(channels: int | None, kind: Any) -> None:
    shape = (10, 5, 7) if channels is None else (10, 5, 7, channels)
    x = rng.integers(0, 256, shape).astype(kind)
    dataset = images((x, LABELS))
    input_ = dataset.spec.inputs[0]
    wanted = x[..., None] if channels is None else x[..., :3]
    assert (input_.kind, input_.shape) == ("image", (None, None, wanted.shape[-1]))
    assert (input_.height, input_.width) == (5, 7)
    assert input_.integer is (kind is np.uint8)
    for row, image in whole(dataset).items():
        assert np.array_equal(image, wanted[row])
    train = wanted[dataset.splits["train"].rows].astype(float)
    np.testing.assert_allclose(input_.mean, train.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(input_.std, train.std(axis=(0, 1, 2)))


def test_pictures_of_several_sizes_are_brought_to_the_median_side() -> None:
    sides = [(4, 9), (6, 5), (8, 8), (7, 30), (200, 6)]
    cells = column(*[np.ones((height, width), np.uint8) for height, width in sides])
    facts = describe_image("image", cells, size=None, where="t")
    assert (facts.height, facts.width) == (6, 6)  # of 4, 5, 8, 7, 6
    facts = describe_image("image", cells, size=9, where="t")
    assert (facts.height, facts.width) == (9, 9)
    large = column(np.ones((90, 80), np.uint8), np.ones((80, 90), np.uint8))
    facts = describe_image("image", large, size=None, where="t")
    assert (facts.height, facts.width) == (64, 64)
    facts = describe_image("image", large[:1], size=None, where="t")
    assert (facts.height, facts.width) == (90, 80)


def test_many_pixels_are_counted_in_pieces() -> None:
    image = rng.normal(1000, 3, (1100, 1000, 1))
    facts = describe_image("image", column(image), size=None, where="t")
    np.testing.assert_allclose([facts.mean, facts.std], [[image.mean()], [image.std()]], rtol=1e-5)


def test_grey_among_colour_and_colour_where_grey_was_learnt() -> None:
    grey, colour = rng.integers(0, 256, (3, 4), dtype=np.uint8), rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    mixed = describe_image("image", column(grey, colour), size=None, where="t")
    assert mixed.shape == (None, None, 3)
    read = prepare_values(column(grey, colour), mixed, "t")
    assert np.array_equal(read.example(0), np.stack([grey] * 3, axis=-1))
    assert np.array_equal(read.example(1), colour)
    learnt = describe_image("image", column(grey), size=None, where="t")
    read = prepare_values(column(colour, colour.astype(float)), learnt, "t")
    for place in range(2):
        assert read.example(place).shape == (2, 2, 1)
        assert np.abs(read.example(place)[..., 0] - colour.mean(axis=-1)).max() < 1


@pytest.mark.parametrize(
    "bad, message",
    [
        (np.ones((2, 2, 2)), r"with 1 or 3 channels; received \(2, 2, 2\)"),
        (np.ones(4), r"received \(4,\)"),
        (np.ones((0, 3)), r"the image is empty, with shape \(0, 3\)"),
        (np.full((2, 2), "x"), "an image needs numeric values"),
    ],
)
def test_what_is_no_image_is_named_by_its_row(bad: np.ndarray, message: str) -> None:
    good = np.ones((2, 2))
    with pytest.raises(DataError, match=message) as caught:
        describe_image("image", column(good, good, bad), size=None, where="t")
    assert caught.value.where == "t, column image, row 3"
    input_ = describe_image("image", column(good), size=None, where="t")
    with pytest.raises(DataError, match=message):
        prepare_values(column(good, bad), input_, "t")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pictures_are_finite(bad: float) -> None:
    with pytest.raises(DataError, match="not finite"):
        describe_image("image", column(np.full((2, 2), bad)), size=None, where="t")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A table of ten files in a folder beside it, each image of its own shade."""
    (tmp_path / "files").mkdir()
    for row in range(10):
        Image.fromarray(np.full((3, 4), row, np.uint8)).save(tmp_path / "files" / f"{row}.png")
    names = [f"files/{row}.png" for row in range(10)]
    frame = pd.DataFrame({"when": range(10), "image": names, "kind": LABELS})
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


def test_a_table_with_a_column_of_files(files: Path) -> None:
    dataset = images(files / "table.csv", target="kind")
    assert [input_.name for input_ in dataset.spec.inputs] == ["image"]
    assert {row: int(image.max()) for row, image in whole(dataset).items()} == {row: row for row in range(10)}
    assert dataset.notes == ("unused columns: when",)
    assert images(files / "table.csv", target="kind", drop=("when",)).notes == ()


def test_a_frame_names_files_from_where_one_is(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.read_csv(files / "table.csv")
    absolute = frame.assign(image=[str(files / name) for name in frame["image"]])
    assert len(read_image_table(absolute).frame["image"][9]) == 3
    with pytest.raises(DataError, match="No such file"):
        read_image_table(frame)
    monkeypatch.chdir(files)
    assert len(read_image_table(frame).frame["image"][9]) == 3


def test_a_table_below_the_home_folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(files))
    assert read_table("~/table.csv").frame.shape == (10, 3)


def test_files_beside_a_table_below_the_home_folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(files))
    assert len(read_image_table("~/table.csv").frame) == 10


def test_a_file_that_is_missing_or_broken_is_named(files: Path) -> None:
    (files / "files" / "4.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot be read as an image") as caught:
        read_image_table(files / "table.csv")
    assert caught.value.where == str(files / "files" / "4.png")


def test_folders_keep_their_parts(tmp_path: Path) -> None:
    for row, split in enumerate(["train", "test"]):
        for kind in ("cat", "dog"):
            for number in range(4):
                path = tmp_path / split / kind / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((3, 4), 100 * row, np.uint8)).save(path)
    dataset = images(tmp_path, validation_size=0.5)
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 4, "validation": 4, "test": 8}
    shown = whole(dataset)
    assert all((shown[int(row)] == 100).all() for row in dataset.splits["test"].rows)
    assert dataset.notes == ()  # names of files are no features


# Sequences


def long_table(lengths: dict[str, int], order: np.random.Generator, moments: Any = None) -> pd.DataFrame:
    """A row for each step, in no order: ``size`` counts the steps, so that it tells the right one."""
    rows = [
        (name, step, 10 * number + step, 2 * step, f"kind {number % 2}")
        for number, (name, length) in enumerate(lengths.items())
        for step in range(length)
    ]
    frame = pd.DataFrame(rows, columns=["who", "when", "size", "twice", "kind"])
    if moments is not None:
        frame["when"] = [moments(step) for step in frame["when"]]
    return frame.iloc[order.permutation(len(frame))].reset_index(drop=True)


LENGTHS = {"ann": 3, "bob": 2, "cyd": 4, "dan": 1}


@pytest.mark.parametrize(
    "moments",
    [
        None,
        lambda step: step - 2.5,
        lambda step: f"2024-01-{step + 9:02}",  # as text 09 stands before 10, as it should, and 9 would not
        lambda step: f"2024-01-01T{step + 7:02}:00:00Z",
        lambda step: pd.Timestamp("2024-01-01") + pd.Timedelta(days=step),
        lambda step: pd.Timestamp("2024-01-01", tz="Europe/Berlin") + pd.Timedelta(days=step),
        lambda step: f"1/{step + 8}/2024",  # sorted as text the tenth would stand before the eighth
    ],
)
def test_long_tables_in_any_order(moments: Any) -> None:
    frame = long_table(LENGTHS, np.random.default_rng(1), moments)
    table = SequenceLayout(series="who", time="when", targets=["kind"]).read(frame)
    assert list(table.frame) == ["who", "sequence", "kind"]
    assert table.frame["who"].tolist() == frame["who"].drop_duplicates().tolist()
    for name, steps, kind in table.frame.itertuples(index=False):
        number = list(LENGTHS).index(name)
        wanted = [[10 * number + step, 2 * step] for step in range(LENGTHS[name])]
        assert steps.tolist() == wanted
        assert kind == f"kind {number % 2}"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 999))
def test_any_long_table(lengths: list[int], seed: int) -> None:
    named = {f"s{number}": length for number, length in enumerate(lengths)}
    table = SequenceLayout(series="who", time="when", targets=["kind"]).read(
        long_table(named, np.random.default_rng(seed))
    )
    assert {name: len(steps) for name, steps, _ in table.frame.itertuples(index=False)} == named
    for name, steps, _ in table.frame.itertuples(index=False):
        assert steps[:, 0].tolist() == [10 * int(name[1:]) + step for step in range(named[name])]


def test_columns_of_text_and_dropped_ones_are_no_steps() -> None:
    frame = long_table(LENGTHS, rng).assign(note="x", spare=1.0)
    table = SequenceLayout(series="who", time="when", targets=["kind"], drop=("spare",)).read(frame)
    assert table.frame["sequence"][0].shape[1] == 2
    assert set(table.frame) == {"who", "sequence", "kind", "note", "spare"}


def test_a_long_table_becomes_a_dataset() -> None:
    named = {f"s{number}": 2 + number % 3 for number in range(12)}
    frame = long_table(named, np.random.default_rng(2))
    layout = SequenceLayout(series="who", time="when", targets=["kind"])
    dataset = sequences(frame, layout=layout, target="kind")
    input_ = dataset.spec.inputs[0]
    assert (input_.name, input_.kind, input_.shape) == ("sequence", "sequence", (None, 2))
    assert input_.columns == ("size", "twice")
    assert sum(len(split) for split in dataset.splits.values()) == 12
    assert dataset.notes == ()
    order = frame["who"].drop_duplicates().tolist()
    assert {row: len(steps) for row, steps in whole(dataset).items()} == {
        row: named[name] for row, name in enumerate(order)
    }


def test_a_test_part_of_its_own() -> None:
    train, test = (long_table({f"{split}{number}": 3 for number in range(8)}, rng) for split in ("a", "b"))
    layout = SequenceLayout(series="who", time="when", targets=["kind"])
    dataset = sequences(train, layout=layout, target="kind", test=test[test.columns[::-1]].assign(more=1.0))
    shown = dataset.splits["test"].inputs["sequence"]
    assert isinstance(shown, Ragged)
    order = test["who"].drop_duplicates().tolist()
    wanted = [[[10 * int(name[1:]) + step, 2 * step] for step in range(3)] for name in order]
    assert shown.padded().tolist() == wanted


def test_rows_are_named_by_their_place_though_some_have_no_target() -> None:
    steps = column(*[rng.normal(size=(3, 2)) for _ in range(9)], np.zeros((0, 2)))
    with pytest.raises(DataError, match="no steps") as caught:
        sequences({"sequence": steps, "y": [None, *LABELS[1:]]}, target="y")
    assert (caught.value.where or "").endswith("row 10")


def trained_spec(frame: pd.DataFrame) -> Spec:
    layout = SequenceLayout(series="who", time="when", targets=["kind"])
    spec = sequences(frame, layout=layout, target="kind").spec
    return Spec.from_json(
        Spec(spec.task, spec.inputs, spec.targets, spec.rows, {"series": "who", "time": "when"}).to_json()
    )


def test_rows_for_a_trained_model() -> None:
    frame = long_table({f"s{number}": 3 for number in range(12)}, np.random.default_rng(3))
    layout = SequenceLayout.of_spec(trained_spec(frame))
    new = long_table({"x": 2, "y": 5}, rng).drop(columns="kind").assign(more=1.0)
    new = new[["more", "twice", "when", "size", "who"]]
    table = layout.read(new)
    assert [len(steps) for steps in table.frame["sequence"]] == [2 if name == "x" else 5 for name in table.frame["who"]]
    first = table.frame["sequence"][0]
    assert first.shape[1] == 2
    assert first[:, 1].tolist() == [2 * step for step in range(len(first))]  # columns in the order of training
    served = layout.read({"sequence": column(np.zeros((4, 2)), np.zeros((1, 2)))})
    assert [len(steps) for steps in served.frame["sequence"]] == [4, 1]
    with pytest.raises(DataError, match="columns that the model needs are missing: twice"):
        layout.read(new.drop(columns="twice"))


def changed(**columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"who": list("aabb"), "when": [1, 2, 1, 2], "v": [1.0, 2, 3, 4], "kind": list("ppqq")})
    return frame.assign(**columns)


@pytest.mark.parametrize(
    "frame, options, kind, message, where",
    [
        (changed(), {"time": None}, UsageError, "needs both --series COLUMN and --time COLUMN", "time"),
        (changed(), {"series": None}, UsageError, "needs both --series COLUMN and --time COLUMN", "series"),
        (changed(), {"time": "wen"}, DataError, "no column 'wen' for --time; columns: who, when, v, kind", "memory)"),
        (changed(), {"series": "whom"}, DataError, "no column 'whom' for --series", "memory)"),
        (changed(v=list("wxyz")), {}, DataError, "no numeric column is left", "memory)"),
        (changed(), {"drop": ("v",)}, DataError, "no numeric column is left", "memory)"),
        (changed(when=[1, 2, 2, 2]), {}, DataError, "series b has two rows at when 2", "memory), row 4"),
        (changed(when=[1, None, 1, 2]), {}, DataError, "missing or cannot be read", "column when, row 2"),
        (changed(who=["a", "a", None, "b"]), {}, DataError, "missing or cannot be read", "column who, row 3"),
        (
            changed(kind=list("ppqp")),
            {},
            DataError,
            "the target 'kind' changes within series b; it must be constant",
            "memory)",
        ),
    ],
)
def test_long_tables_that_do_not_fit(frame: pd.DataFrame, options: Any, kind: Any, message: str, where: str) -> None:
    layout = SequenceLayout(**{"series": "who", "time": "when", "targets": ["kind"], **options})
    with pytest.raises(kind, match=message) as caught:
        layout.read(frame)
    assert (caught.value.where or "").endswith(where)


def test_a_misspelt_column_has_a_nearest() -> None:
    with pytest.raises(DataError) as caught:
        SequenceLayout(series="whoo", time="when").read(changed())
    assert caught.value.nearest == "who"


def test_a_series_of_numbers_is_named_as_it_stands() -> None:
    with pytest.raises(DataError, match="series 7 has two rows at when 2"):
        SequenceLayout(series="who", time="when").read(changed(who=[5, 5, 7, 7], when=[1, 2, 2, 2]))


def test_moments_that_are_none() -> None:
    with pytest.raises(DataError, match="missing or cannot be read"):
        SequenceLayout(series="who", time="when").read(changed(when=["soon", "later", "soon", "later"]))


def test_moments_of_summer_and_winter_time() -> None:
    moments = ["2024-03-31T01:30:00+01:00", "2024-03-31T03:00:00+02:00"] * 2
    table = SequenceLayout(series="who", time="when", targets=["kind"]).read(changed(when=moments))
    assert table.frame["sequence"][0].ravel().tolist() == [1, 2]


@pytest.mark.parametrize("role", ["target", "other"])
def test_a_column_may_be_called_sequence(role: str) -> None:
    frame = changed().rename(columns={"kind": "sequence"}) if role == "target" else changed(sequence="w")
    table = SequenceLayout(series="who", time="when", targets=["sequence" if role == "target" else "kind"]).read(frame)
    assert any(isinstance(cell, np.ndarray) for cell in table.frame.iloc[0])


def test_a_target_may_stand_in_any_row_of_its_series() -> None:
    frame = changed(kind=[None, "p", "q", None])
    table = SequenceLayout(series="who", time="when", targets=["kind"]).read(frame)
    assert table.frame["kind"].tolist() == ["p", "q"]


def test_positions_in_the_source_though_some_have_no_target() -> None:
    steps = [np.full((2, 1), float(row)) for row in range(10)]
    dataset = sequences({"sequence": column(*steps), "y": [None, "b", None, *LABELS[3:]]}, target="y")
    shown = whole(dataset)
    assert len(shown) == 8
    for row, example in shown.items():
        assert example.tolist() == steps[row].tolist()


def test_a_target_called_sequence_is_not_needed_to_predict() -> None:
    frame = long_table({f"s{number}": 3 for number in range(12)}, rng).rename(columns={"kind": "sequence"})
    spec = sequences(
        frame, layout=SequenceLayout(series="who", time="when", targets=["sequence"]), target="sequence"
    ).spec
    again = Spec(spec.task, spec.inputs, spec.targets, spec.rows, {"series": "who", "time": "when"})
    new = SequenceLayout.of_spec(again).read(frame.drop(columns="sequence")).frame
    assert spec.inputs[0].name in new.columns


def test_a_series_of_numbers_whose_target_changes_is_named_as_it_stands() -> None:
    with pytest.raises(DataError, match="within series 7; it must be constant"):
        SequenceLayout(series="who", time="when", targets=["kind"]).read(changed(who=[5, 5, 7, 7], kind=list("ppqp")))


@st.composite
def some_sequences(draw: st.DrawFn) -> list[np.ndarray]:
    features = draw(st.sampled_from([None, 1, 3]))
    lengths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=7))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return [rng.integers(0, 99, (length,) if features is None else (length, features)) for length in lengths]


def padded_with_junk(sequences_: list[np.ndarray], more: int) -> np.ndarray:
    width = max(map(len, sequences_)) + more
    return np.stack(
        [np.concatenate([each, np.full((width - len(each), *each.shape[1:]), -7)], axis=0) for each in sequences_]
    )


@settings(max_examples=60, deadline=None)
@given(sequences_=some_sequences(), more=st.integers(0, 2), short=st.booleans())
def test_padded_and_end_to_end_files_hold_the_same(
    tmp_path_factory: Any, sequences_: list[np.ndarray], more: int, short: bool
) -> None:
    lengths = np.array([len(each) for each in sequences_])
    more = 0 if lengths.max() == 1 else more  # single steps in several columns are rows of features
    path = tmp_path_factory.getbasetemp() / "any.npz"
    suffix = "" if short else "_train"
    for values in (np.concatenate(sequences_), padded_with_junk(sequences_, more)):
        arrays: dict[str, Any] = {
            f"x{suffix}": values,
            f"len{suffix}": lengths,
            f"y{suffix}": np.arange(len(sequences_)),
        }
        np.savez(path, **arrays)
        table = read_table(path, cells="sequence")
        assert (table.target, table.notes, table.split) == ("y", (), None)
        assert table.frame["y"].tolist() == list(range(len(sequences_)))
        for read, wanted in zip(table.frame["sequence"], sequences_, strict=True):
            np.testing.assert_array_equal(read.reshape(wanted.shape), wanted)


def test_parts_of_a_file_may_be_padded_to_different_widths(tmp_path: Path) -> None:
    train, test = [np.ones((2, 2)), np.zeros((3, 2))], [np.full((5, 2), 2.0)]
    np.savez(
        tmp_path / "a.npz",
        x_train=padded_with_junk(train, 0), len_train=[2, 3], y_train=[0, 1],
        x_test=padded_with_junk(test, 1), len_test=[5], y_test=[1],
    )  # fmt: skip
    table = read_table(tmp_path / "a.npz", cells="sequence")
    assert table.split is not None
    assert table.split.tolist() == ["train", "train", "test"]
    assert [steps.tolist() for steps in table.frame["sequence"]] == [each.tolist() for each in train + test]


@pytest.mark.parametrize(
    "x, lengths, message",
    [
        (np.zeros((5, 2)), [2, 2], "len_train sums to 4, but x_train has 5 steps"),
        (np.zeros((5, 2)), [7, -2], "len_train sums to 5"),
        (np.zeros((5, 2)), [2.0, 3.0], "len_train sums to 5.0"),
        (np.zeros((5, 2)), ["2", "3"], "sums to no number"),
        (np.zeros((5, 2)), [[2, 3]], "sums to 5"),
        (np.zeros((2, 4, 1)), [3, 5], "len_train has lengths 3 to 5, but x_train has 4 steps"),
        (np.zeros((2, 4, 1)), [3, -1], "len_train has lengths -1 to 3, but x_train has 4 steps"),
        (np.zeros((2, 4)), [3, 5], "len_train has lengths 3 to 5, but x_train has 4 steps"),
        (np.zeros(4), [3, 2], "len_train sums to 5, but x_train has 4 steps"),
    ],
)
def test_lengths_that_do_not_fit(tmp_path: Path, x: np.ndarray, lengths: Any, message: str) -> None:
    np.savez(tmp_path / "a.npz", x=x, len=np.array(lengths))
    with pytest.raises(DataError, match=message) as caught:
        read_table(tmp_path / "a.npz", cells="sequence")
    assert caught.value.where == str(tmp_path / "a.npz")


@pytest.mark.parametrize("padded", [False, True])
def test_a_sequence_without_steps_is_named_by_its_row(tmp_path: Path, padded: bool) -> None:
    sequences_ = [rng.normal(size=(length, 2)) for length in [2, 3] * 4 + [0, 4]]
    values = padded_with_junk(sequences_, 0) if padded else np.concatenate(sequences_)
    np.savez(tmp_path / "a.npz", x=values, len=[len(each) for each in sequences_], y=[0, 1] * 5)
    with pytest.raises(DataError, match="the sequence has no steps") as caught:
        sequences(tmp_path / "a.npz")
    assert (caught.value.where or "").endswith("column sequence, row 9")


def test_arrays_of_sequences() -> None:
    lists = [rng.normal(size=(2 + row % 3, 2)) for row in range(10)]
    for source in ((lists, LABELS), {"sequence": column(*lists), "y": LABELS}):
        dataset = sequences(source, target="y")
        assert all(np.allclose(steps, lists[row]) for row, steps in whole(dataset).items())
    dataset = sequences((rng.normal(size=(10, 4)), LABELS))
    assert dataset.spec.inputs[0].shape == (None, 1)
    assert dataset.spec.inputs[0].greatest_length == 4


@settings(max_examples=40, deadline=None)
@given(sequences_=some_sequences(), holes=st.integers(0, 5), seed=st.integers(0, 99))
def test_what_is_known_of_sequences(sequences_: list[np.ndarray], holes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    arrays = [each.astype(float).reshape(len(each), -1) for each in sequences_]
    for _ in range(holes):
        chosen = arrays[random.integers(len(arrays))]
        chosen[random.integers(len(chosen)), random.integers(chosen.shape[1])] = random.choice([np.nan, np.inf])
    steps = np.concatenate(arrays)
    steps[np.isinf(steps)] = np.nan
    full = ~np.isnan(steps).all(axis=0)
    if not full.all() or not (np.nanstd(steps, axis=0) > 0).any():
        return
    input_ = describe_sequence("sequence", column(*arrays), where="t")
    np.testing.assert_allclose(input_.mean, np.nanmean(steps, axis=0), rtol=1e-5)
    np.testing.assert_allclose(input_.std, np.nanstd(steps, axis=0), rtol=1e-5, atol=1e-6)
    assert list(input_.has_missing) == np.isnan(steps).any(axis=0).tolist()
    assert input_.missing == np.isnan(steps).any(axis=1).sum()
    lengths = [len(each) for each in arrays]
    assert (input_.least_length, input_.greatest_length) == (min(lengths), max(lengths))
    assert input_.mean_length == pytest.approx(np.mean(lengths))
    read = prepare_values(column(*arrays), input_, "t")
    np.testing.assert_array_equal(read.values, steps.astype(np.float32))


@pytest.mark.parametrize(
    "bad, message",
    [
        (np.zeros((3, 3)), "the sequence has 3 features; expected 2"),
        (np.zeros(3), "the sequence has 1 features; expected 2"),
        (np.zeros((2, 2, 2)), r"received float64 of shape \(2, 2, 2\)"),
        (np.array([["a", "b"]]), r"a sequence needs numbers of shape \(steps,\) or \(steps, features\); received <U1"),
        (np.zeros((0, 2)), "the sequence has no steps"),
        (np.zeros(0), "the sequence has no steps"),
    ],
)
def test_what_is_no_sequence_is_named_by_its_row(bad: np.ndarray, message: str) -> None:
    good = rng.normal(size=(3, 2))
    input_ = describe_sequence("sequence", column(good), where="t")
    rows = column(good, bad).set_axis([4, 11])  # a part of a table keeps the numbers of its rows
    for read in (
        lambda: describe_sequence("sequence", rows, where="t"),
        lambda: prepare_values(rows, input_, "t"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            read()
        assert caught.value.where == "t, column sequence, row 12"


def test_sequences_that_never_change() -> None:
    with pytest.raises(DataError, match="column sequence is constant"):
        describe_sequence("sequence", column(np.ones((2, 2)), np.ones((3, 2))), where="t")


# Texts

TEXTS = [f"the {'cat' if row % 2 else 'dog'} number{row} sat on the mat" for row in range(24)]
KINDS = ["cat" if row % 2 else "dog" for row in range(24)]


@pytest.mark.parametrize("unit, named", [(None, "word"), ("word", "word"), ("character", "character")])
def test_texts_are_cut_into_words_or_letters(unit: str | None, named: str) -> None:
    dataset = sequences(
        {"text": TEXTS, "kind": KINDS}, layout=SequenceLayout(targets=["kind"], unit=unit), target="kind"
    )
    input_ = dataset.spec.inputs[0]
    assert (input_.name, input_.kind, input_.shape, input_.unit) == ("text", "text", (), named)
    train = [TEXTS[row] for row in dataset.splits["train"].rows]
    counts: dict[str, int] = {}
    for text in train:
        for token in text.split() if named == "word" else text:
            counts[token] = counts.get(token, 0) + 1
    assert set(input_.vocabulary) == {token for token, count in counts.items() if count > 1}
    assert [counts[token] for token in input_.vocabulary] == sorted(
        (counts[token] for token in input_.vocabulary), reverse=True
    )
    test = dataset.splits["test"].inputs["text"]
    assert isinstance(test, np.ndarray)
    assert test.tolist() == [TEXTS[row] for row in dataset.splits["test"].rows]


def test_letters_where_texts_have_no_words() -> None:
    strands = ["".join(rng.choice(list("acgt"), 30)) for _ in range(24)]
    input_ = sequences(
        {"dna": strands, "kind": KINDS}, layout=SequenceLayout(targets=["kind"]), target="kind"
    ).spec.inputs[0]
    assert (input_.unit, input_.greatest_length, input_.mean_length) == ("character", 30, 30.0)
    assert sorted(input_.vocabulary) == list("acgt")


def test_a_vocabulary_holds_the_most_frequent() -> None:
    texts = pd.Series(["a a a a b b b", "c c d", "b d once"])
    for most, wanted in ((9, ("a", "b", "c", "d")), (2, ("a", "b")), (1, ("a",))):
        assert describe_text("t", texts, unit="word", vocabulary=most, where="t").vocabulary == wanted
    with pytest.raises(DataError, match="no word occurs twice"):
        describe_text("t", pd.Series(["a b", "c d"]), unit="word", vocabulary=9, where="t")


@pytest.mark.parametrize(
    "text, words",
    [
        ("Ça va?", ["ça", "va"]),
        ("it's 10_000 x-y", ["it", "s", "10", "000", "x", "y"]),
        ("ΟΔΟΣ Straße", ["οδος", "straße"]),
        ("日本 2024年", ["日本", "2024年"]),
        (" ?! ", []),
    ],
)
def test_words_are_letters_and_digits(text: str, words: list[str]) -> None:
    assert split_into_tokens(text, "word") == words
    assert split_into_tokens(text, "character") == list(text)


@pytest.mark.parametrize(
    "bad, unit",
    [
        (None, "word"),
        ("", None),
        ("  \n", None),
        (None, None),
    ],
)
def test_a_text_that_is_empty_is_named_by_its_row(bad: str | None, unit: str | None) -> None:
    texts = [*TEXTS[:5], bad, *TEXTS[6:]]
    with pytest.raises(DataError, match="the text is empty") as caught:
        sequences({"text": texts, "kind": KINDS}, layout=SequenceLayout(targets=["kind"], unit=unit), target="kind")
    assert (caught.value.where or "").endswith("column text, row 6")


def test_which_column_holds_the_texts() -> None:
    source = {"one": TEXTS, "two": [text[::-1] for text in TEXTS], "kind": KINDS, "size": range(24)}
    with pytest.raises(DataError, match="Use --text COLUMN; columns of text: one, two"):
        sequences(source, layout=SequenceLayout(targets=["kind"]), target="kind")
    dataset = sequences(source, layout=SequenceLayout(targets=["kind"], text="two"), target="kind")
    assert [input_.name for input_ in dataset.spec.inputs] == ["two"]
    assert dataset.notes == ("unused columns: one, size",)
    read = SequenceLayout.of_spec(dataset.spec).read({"two": ["new"], "one": ["x"]})
    assert read.frame["two"].tolist() == ["new"]


def test_dates_are_no_texts() -> None:
    days = [f"2024-01-{day + 1:02}" for day in range(24)]
    dataset = sequences({"day": days, "one": TEXTS, "kind": KINDS}, target="kind")
    assert [input_.name for input_ in dataset.spec.inputs] == ["one"]
    with pytest.raises(DataError, match="a column of texts --text COLUMN"):
        sequences({"day": days, "size": range(24), "kind": KINDS}, target="kind")


@pytest.mark.parametrize("name", ["txet", "kind"])
def test_a_column_of_texts_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match="column"):
        sequences({"text": TEXTS, "kind": KINDS}, layout=SequenceLayout(targets=["kind"], text=name), target="kind")


# Sources of another kind


@pytest.mark.parametrize(
    "source, holds, able",
    [
        ("iris", "a table", "classification"),
        ("digits", "a table", "classification"),
        ({"a": [1.0, 2.0], "b": ["x", "y"]}, "a table", "classification"),
        ("CartPole-v1", "an environment", "rl"),
    ],
)
def test_a_source_without_sequences_names_who_reads_it(source: Any, holds: str, able: str) -> None:
    with pytest.raises(DataError, match=rf"has {holds}, which this task does not read; tasks that do: .*{able}"):
        SequenceLayout().read(source)


@pytest.mark.parametrize(
    "source, holds, able",
    [
        ("iris", "a table", "classification"),
        ("japanese_vowels", "sequences", "sequence"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": ["x.png", None]}), "a table", "classification"),
        ("CartPole-v1", "an environment", "rl"),
    ],
)
def test_a_source_without_pictures_names_who_reads_it(source: Any, holds: str, able: str) -> None:
    with pytest.raises(DataError, match=rf"has {holds}, which this task does not read; tasks that do: .*{able}"):
        read_image_table(source)


def test_rows_of_numbers_are_no_images() -> None:
    with pytest.raises(DataError, match="column image has vectors of 4 numbers, not images"):
        read_image_table((np.zeros((3, 4)), [0, 1, 0]))


def test_tables_are_not_read_from_sequences(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((5, 2)), len=[2, 3])
    for source in ("japanese_vowels", tmp_path / "a.npz"):
        with pytest.raises(DataError, match="has sequences, which this task does not read; tasks that do: sequence"):
            read_table(source)


def test_pictures_are_not_read_from_sequences(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((5, 2)), len=[2, 3], y=[0, 1])
    with pytest.raises(DataError, match="has sequences, which this task does not read; tasks that do: sequence"):
        read_image_table(tmp_path / "a.npz")


def test_tables_are_not_read_from_lists_of_unequal_arrays() -> None:
    with pytest.raises(DataError, match="sequence"):
        read_table(([np.zeros(3), np.zeros(5)], [0, 1]))


# Arrays in single cells


def test_columns_of_an_array_in_cells() -> None:
    input_ = ObservationInput("seen", "seen", shape=(2, 2))
    frame = pd.DataFrame({f"seen_{index}": [index, 10.0 + index] for index in (3, 1, 0, 2)})
    cells = join_numbered_columns(frame.set_axis([5, 6]), input_)
    assert cells is not None
    assert cells.index.tolist() == [5, 6]
    assert cells[6].tolist() == [[10, 11], [12, 13]]
    assert join_numbered_columns(frame.drop(columns="seen_2"), input_) is None
    for shape in ((), (None, 2)):
        assert join_numbered_columns(frame, ObservationInput("seen", "seen", shape=shape)) is None
    assert prepare_values(cells, input_, "t").tolist() == [[[0, 1], [2, 3]], [[10, 11], [12, 13]]]
    with pytest.raises(DataError, match=r"expected finite numbers of shape \(2, 2\); received shape \(3,\)") as caught:
        prepare_values(column(np.zeros((2, 2)), np.zeros(3)), input_, "t")
    assert caught.value.where == "t, column seen, row 2"
