"""Every kind of source becomes the same table, and what cannot be read says why."""

import contextlib
import gzip
import zlib
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.data.sources.bundled import BUNDLED, load_bundled
from zoo.data.sources.read import compute_frame_digest, read_table
from zoo.data.streaming.stream import open_stream
from zoo.errors import DataError, UsageError

FRAME = pd.DataFrame({"a": [1.5, 2.5, np.nan], "b": ["x", None, "z"], "y": [0, 1, 0]})


def written(folder, ending):
    path = folder / f"table{ending}"
    FRAME.to_parquet(path) if ending == ".parquet" else FRAME.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".CSV", ".parquet"])
def test_files_hold_the_same_table(tmp_path, ending):
    path = written(tmp_path, ending)
    for source in (path, str(path)):
        table = read_table(source)
        pd.testing.assert_frame_equal(table.frame, FRAME)
        assert (table.name, table.source, table.target) == ("table", str(path), None)


def test_a_file_called_data_is_named_after_its_folder(tmp_path):
    (tmp_path / "flowers").mkdir()
    FRAME.to_csv(tmp_path / "flowers" / "data.csv", index=False)
    assert read_table(tmp_path / "flowers" / "data.csv").name == "flowers"


def test_sources_in_memory():
    indexed = FRAME.set_index(pd.Index([7, 8, 9]))
    for source in (FRAME, indexed, FRAME.to_dict("list")):
        pd.testing.assert_frame_equal(read_table(source).frame, FRAME)
    x, y = np.arange(12.0).reshape(3, 2, 2), np.array([0, 1, 1])
    table = read_table((x, y))
    assert table.target == "y"
    assert list(table.frame) == ["x0", "x1", "x2", "x3", "y"]
    assert table.frame.to_numpy()[2].tolist() == [8, 9, 10, 11, 1]
    pd.testing.assert_frame_equal(read_table((x, y[:, None])).frame, table.frame)
    assert list(read_table(x).frame) == ["x0", "x1", "x2", "x3"]
    assert read_table(np.arange(3)).frame.shape == (3, 1)
    pd.testing.assert_frame_equal(read_table((FRAME[["a", "b"]], FRAME["y"])).frame, FRAME)
    assert list(read_table({0: [1], 1: [2]}).frame) == ["0", "1"]
    assert read_table(table) is table


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_tables(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)  # a folder of that name is not in the way
    cells = {"japanese_vowels": "sequence", "adding_problem": "sequence", "digit_scenes": "mask"}.get(name)
    table = read_table(name, cells=cells)
    frame, target, split = load_bundled(name, cells=cells)
    assert (table.name, table.source, table.target) == (name, name, target)
    assert (table.split is None) == (split is None)
    assert list(frame)[-1] == (target or cells or "text")
    assert not frame.isna().any().any()
    assert not [column for column in frame if " " in column]


def test_boston_says_what_is_wrong_with_it():
    table = read_table("boston")
    assert table.frame.shape == (506, 14)
    assert table.frame["medv"].max() == 50
    assert "column b encodes race" in table.notes[0]
    assert not read_table("wine").notes


def test_a_bundled_name_has_a_nearest():
    with pytest.raises(UsageError, match="did you mean 'wine'"):
        load_bundled("winee")


X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize(
    "arrays, splits, labels",
    [
        ({"x": X, "y": Y}, None, [0, 1, 0, 1, 0, 1]),
        ({"x_train": X, "y_train": Y}, None, [0, 1, 0, 1, 0, 1]),
        (
            {"x_train": X[:3], "y_train": Y[:3], "x_test": X[3:], "y_test": Y[3:]},
            ["train"] * 3 + ["test"] * 3,
            [0, 1, 0, 1, 0, 1],
        ),
        (
            {"x_test": X[5:], "y_test": Y[5:], "x_train": X[:4], "y_train": Y[:4], "x_val": X[4:5], "y_val": Y[4:5]},
            ["train"] * 4 + ["validation", "test"],
            [0, 1, 0, 1, 0, 1],
        ),
        ({"x": X, "y": Y, "names": np.array(["no", "yes"])}, None, ["no", "yes"] * 3),
        ({"x_train": X, "y_train": Y / 2}, None, [0, 0.5] * 3),
    ],
)
def test_npz(tmp_path, arrays, splits, labels):
    np.savez(tmp_path / "a.npz", **arrays)
    table = read_table(tmp_path / "a.npz")
    assert table.target == "y"
    assert (None if table.split is None else table.split.tolist()) == splits
    assert table.frame["y"].tolist() == labels
    assert np.array_equal(table.frame[["x0", "x1"]], X)
    assert table.notes == ()


def test_npz_without_labels_and_with_more(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, extra=Y, other=Y)
    table = read_table(tmp_path / "a.npz")
    assert table.target is None
    assert table.notes == ("a.npz: ignored the arrays extra, other",)


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"y_train": Y}, "has no array x_train; it has y_train"),
        ({"x_train": X, "y_train": Y[:2]}, r"y_train has shape \(2,\), but x_train has 6 rows"),
        ({"x_train": X, "x_test": X[:, :1]}, r"x_test has shape \(6, 1\), but x_train has shape \(6, 2\)"),
        ({"x": X, "y": Y - 1, "names": np.array(["a", "b"])}, "y_train has codes -1 to 0, but there are 2 names"),
        ({"x": X, "y": Y + 1, "names": np.array(["a", "b"])}, "codes 1 to 2"),
        ({"x": np.float64(3)}, "single value"),
        ({"x": X[:0]}, "no rows"),
        ({"x": np.array([1, "a"], dtype=object)}, "cannot be read"),
    ],
)
def test_npz_that_does_not_fit(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "a.npz")


# Without the time: these bytes name tests, and each process of the suite must give the same names.
_broken = bytearray(gzip.compress(b"a,b\n" * 9, mtime=0))
_broken[12] ^= 0xFF


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "the file is empty"),
        ("a.csv", b"\n\n", "no columns"),
        ("a.csv", b"a,b\n", "no rows"),
        ("a.csv", b"a,b\n1,\x002\n", "not a text file: byte 6 is NUL"),
        ("a.csv", b"a,b,a\n1,2,3\n", "two columns have the name 'a'"),
        ("a.csv", b"a,b\n1,2,3\n4,5,6\n", "row 1 has 3 values, but the header has 2 names"),
        ("a.csv", b"a,b\n0,5,2\n1,6,3\n", "row 1 has 3 values"),
        ("a.csv", b"a,b\n1,2\n4,5,6\n", "row 2 has 3 values, but the header has 2 names$"),
        ("a.csv", b"a,b\n1,2\n\n4\n", "row 2 has 1 value, but the header has 2 names$"),
        ("a.csv.gz", b"a,b\n1,2\n", "Not a gzipped file"),
        ("a.csv.gz", gzip.compress(b"a,b\n" * 99, mtime=0)[:20], "ended before the end-of-stream"),
        ("a.csv.gz", bytes(_broken), "cannot be read"),
        ("a.parquet", b"hello", "cannot be read"),
        ("a.parquet", b"", "cannot be read"),
        ("a.npz", b"hello", "cannot be read"),
        ("a.npz", b"", "cannot be read"),
        ("a.npz", b"PK\x03\x04hello", "not a zip file"),
        ("a.xlsx", b"hello", r"cannot read a file that ends in '\.xlsx' as a table; known endings: \.csv, \.csv\.gz"),
        ("folder/a", b"hello", "a file that ends in ''"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert caught.value.where == str(path)


def test_a_single_array_is_no_npz(tmp_path):
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(DataError, match="a single array without a name"):
        read_table(tmp_path / "a.npz")


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_no_bytes_break_the_csv_reader(tmp_path_factory, content):
    for name, bytes_ in (("any.csv", content), ("any.csv.gz", b"\x1f\x8b\x08" + content), ("any.npz", b"PK" + content)):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(bytes_)
        with contextlib.suppress(DataError):
            assert read_table(path).frame.size


@pytest.mark.parametrize(("width", "row"), [("1 value", b"\xff\n"), ("3 values", b"\xe9,1,2\n")])
def test_a_ragged_row_in_another_encoding_is_found(tmp_path, width, row):
    (tmp_path / "a.csv").write_bytes(b"a,b\nx,1\n" + row)
    with pytest.raises(DataError, match=f"row 2 has {width}, but the header has 2 names"):
        read_table(tmp_path / "a.csv")


def test_the_deflated_bytes_may_be_wrong(tmp_path):
    content = bytearray(gzip.compress(bytes(range(1, 250)) * 50))
    content[60:90] = b"\xff" * 30
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(zlib.error):
        gzip.decompress(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "a.csv.gz")


def test_files_that_are_not_there(tmp_path):
    written(tmp_path, ".csv")
    with pytest.raises(DataError, match="no such file") as caught:
        read_table(tmp_path / "tabel.csv")
    assert caught.value.nearest == str(tmp_path / "table.csv")
    with pytest.raises(DataError, match="no such file") as caught:
        read_table(tmp_path / "sal.csv")  # whose ending alone is near
    assert caught.value.nearest is None
    with pytest.raises(DataError, match="no such file") as caught:
        read_table(str(tmp_path / "nowhere" / "table.csv"))
    assert caught.value.nearest is None
    with pytest.raises(DataError, match="not a file, folder or bundled dataset; bundled: iris, wine") as caught:
        read_table("irsi")
    assert caught.value.nearest == "iris"
    with pytest.raises(DataError, match="not a file, folder or bundled dataset"):
        read_table("x" * 300)
    with pytest.raises(DataError, match="the folder has no images; expected class folders"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    "source, message",
    [
        ([1, 2], "cannot read a list as a table"),
        (None, "cannot read a NoneType"),
        (pd.DataFrame(), "the table has no columns"),
        (FRAME[:0], "the table has no rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns have the name 'a'"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "two columns have the name '1'"),
        ({"a": [1], "b": [1, 2]}, "cannot make a table of these columns"),
        ((X, Y[:2]), r"x has 6 rows and y has shape \(2,\)"),
        ((FRAME, Y[:3]), "two columns have the name 'y'"),
        (np.float64(3), "cannot read a float64"),
        (np.array(3), "single value"),
    ],
)
def test_sources_in_memory_that_do_not_fit(source, message):
    with pytest.raises(DataError, match=message):
        read_table(source)


def test_the_digest_is_stable_and_sees_every_change():
    digest = compute_frame_digest(FRAME)
    assert digest == compute_frame_digest(FRAME.copy())
    assert len(digest) == 16
    others = [
        FRAME.assign(a=[1.5, 2.5, 3.5]),
        FRAME.assign(b=["x", "", "z"]),
        FRAME.assign(y=FRAME["y"].astype(float)),
        FRAME.rename(columns={"a": "c"}),
        FRAME[["b", "a", "y"]],
        FRAME[::-1].reset_index(drop=True),
        FRAME[:2],
    ]
    assert len({digest, *map(compute_frame_digest, others)}) == len(others) + 1


def test_a_cell_that_holds_a_list():
    with pytest.raises(DataError, match="column 'a' has a list in a cell"):
        compute_frame_digest(pd.DataFrame({"a": [[1, 2], [3]]}))


def test_arrays_of_several_axes_by_name_become_columns_or_examples() -> None:
    columns = {"x": np.zeros((3, 2)), "z": np.ones((3, 1)), "y": [0, 1, 1]}
    assert list(read_table(columns).frame) == ["x0", "x1", "z", "y"]
    with pytest.raises(DataError, match="which already exists"):
        read_table({"x": np.zeros((3, 2)), "x1": [1, 2, 3]})


def test_a_level_that_only_held_out_rows_have_is_none_of_the_spec(workspace: Path) -> None:
    frame = pd.DataFrame({"a": range(40), "c": pd.Categorical(["u", "v"] * 18 + ["w"] * 4), "kind": ["p", "q"] * 20})
    spec = zoo.spec_of(frame[:30], task="classification", target="kind")
    assert spec.inputs[1].categories == ("u", "v")
    run = zoo.train(
        "classification/linear",
        frame,
        target="kind",
        split="order",
        epochs=1,
        baselines="none",
        quiet=True,
        figures=False,
    )
    assert "test_log_loss" in run.metrics


def test_durations_periods_and_decimals_are_numbers_and_dates(tmp_path: Path) -> None:
    frame = pd.DataFrame({"took": pd.to_timedelta([60, 90, None], unit="s")})
    frame["month"] = pd.period_range("2024-01", periods=3, freq="M")
    frame["price"] = [Decimal("1.5"), None, Decimal("2.25")]
    read = read_table(frame).frame
    np.testing.assert_array_equal(read["took"], [60.0, 90.0, np.nan])
    np.testing.assert_array_equal(read["price"], [1.5, np.nan, 2.25])
    assert read["month"].tolist() == list(pd.date_range("2024-01-01", periods=3, freq="MS"))
    frame.drop(columns="month").to_parquet(tmp_path / "t.parquet")
    (_, chunk), *_ = open_stream(tmp_path / "t.parquet").chunks()
    np.testing.assert_array_equal(chunk["took"], [60.0, 90.0, np.nan])
    np.testing.assert_array_equal(chunk["price"], [1.5, np.nan, 2.25])
    with pytest.raises(DataError, match="column z: complex numbers are not supported"):
        read_table(pd.DataFrame({"z": [1 + 1j]}))
