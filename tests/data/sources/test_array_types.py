"""Arrays of types that pandas and TensorFlow lack are read, or refused in words before they are read."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.data.sources.read import compute_frame_digest, read_table
from zoo.errors import DataError

VALUES = np.arange(12).reshape(6, 2)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", ">i8", ">u4", "<f2", ">f2", np.longdouble, bool, "S3", "U3"])
@pytest.mark.parametrize("source", ["npz", "array", "pair", "dict", "frame"])
def test_arrays_of_any_type_are_read(tmp_path: Path, dtype, source):
    x = VALUES.astype(dtype)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(6).astype(">i4"))
    columns = {"x0": x[:, 0], "x1": x[:, 1]}
    made = {
        "npz": str(tmp_path / "a.npz"), "array": x, "pair": (x, np.arange(6, dtype=">i4")), "dict": columns,
        "frame": pd.DataFrame(columns),
    }[source]  # fmt: skip
    frame = read_table(made).frame
    compute_frame_digest(frame)
    for place, name in enumerate(("x0", "x1")):
        assert not isinstance(frame[name].dtype, np.dtype) or frame[name].dtype.isnative
        texts = np.dtype(dtype).kind in "SU"
        expected = [str(value) for value in VALUES[:, place]] if texts else x[:, place].tolist()
        assert frame[name].tolist() == expected
        assert texts or frame[name].dtype.itemsize <= 8


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((6, 2), "V8"), "raw bytes"),
        (np.zeros(6, [("a", "f4"), ("b", "i4")]), "records with the fields a, b"),
        (np.zeros((6, 2), complex), "complex numbers"),
        (np.array([[b"\xff", b"a"]] * 6), "UTF-8"),
    ],
)
def test_others_are_refused_in_words(tmp_path: Path, array, message):
    np.savez(tmp_path / "a.npz", x=array, y=np.arange(6))
    for source in (str(tmp_path / "a.npz"), array, (array, np.arange(6)), {"x": array}):
        with pytest.raises(DataError, match=message):
            read_table(source)


def test_an_archive_is_refused_by_its_declared_size_before_it_is_read(tmp_path: Path):
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((10**7, 2)))
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"decompress to 160 MB; the limit is a factor of 200. Save it without"):
        read_table(str(tmp_path / "bomb.npz"))
    assert time.perf_counter() - start < 1
    np.savez_compressed(tmp_path / "small.npz", x=np.zeros((1000, 2)))
    assert read_table(str(tmp_path / "small.npz")).frame.shape == (1000, 2)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(
    "target",
    [
        pd.Categorical(["x"] * 20),
        pd.Categorical(["x"] * 20, ["x", "z"]),
        pd.Categorical(["x"] * 20, ["x", "z"], ordered=True),
        pd.Categorical([None] * 20, ["x"]),
        pd.Categorical([True] * 20),
        ["x"] * 20,
        [True] * 20,
    ],
)
def test_a_constant_target_is_refused(target, task):
    frame = pd.DataFrame({"a": np.arange(20) / 3, "y": target})
    with pytest.raises(DataError, match=r"constant|missing in every row|not a number"):
        zoo.spec_of(frame, target="y", task=task)
