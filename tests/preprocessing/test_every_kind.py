"""The preparation inside the model is the one that was trained on, for every kind of column and whatever comes."""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from zoo.data.columns.describe_table import describe_table
from zoo.data.columns.encode import extract_inputs
from zoo.data.dataset import Split
from zoo.data.ragged import Ragged
from zoo.networks import preprocess_table
from zoo.portable.preprocessing import encode_inputs
from zoo.portable.rows import read_inputs as portable_inputs
from zoo.saving.export_formats import convert_to_columns, list_steps
from zoo.saving.portable_inputs import describe_input
from zoo.spec import ImageInput, Spec
from zoo.training import category_lookup as bulk
from zoo.training.preprocessed_arrays import convert_to_tensor, preprocess

ROOT = Path(__file__).parents[2]
DATES = st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59))
WORDS = st.lists(st.sampled_from(["red", "Green", "ÉTÉ", "blue2", "a-b", "İ"]), min_size=3, max_size=9).map(" ".join)
ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
# What a cell of training may hold, and what may come later beside it.
CELLS = {
    # TensorFlow takes numbers below 2e-308 for nothing, and NumPy does not.
    "number": (st.none() | st.floats(-1e6, 1e6, allow_subnormal=False), st.floats(width=64, allow_subnormal=False)),
    "whole": (st.none() | st.integers(0, 4), st.integers(-(10**9), 10**9)),
    "flag": (st.booleans(), st.booleans()),
    "answer": (st.none() | st.sampled_from(["yes", "no"]), ANY_TEXT),
    "town": (st.none() | st.sampled_from(["Ulm", "Bonn", "Köln", "1", "2.0"]), ANY_TEXT),
    "wide": (st.none() | st.integers(0, 50).map("w{}".format), ANY_TEXT),
    "code": (st.none() | st.text("abcdef", min_size=1, max_size=3), ANY_TEXT),
    "size": (st.none() | st.sampled_from(["low", "medium", "high"]), ANY_TEXT),
    "day": (st.none() | DATES.map(lambda day: f"{day:%d.%m.}{day.year:04}"), ANY_TEXT),
    "moment": (st.none() | DATES, st.none() | DATES),
    "note": (st.none() | WORDS, ANY_TEXT | WORDS),
}
TOLD = {"code": "hashed:8", "note": "text", "size": "ordered:low<medium<high", "day": "date:%d.%m.%Y"}
# Every table has these rows, so that each column is of its kind.
SURE = {
    "number": [0.5, -3.25, None, 16_777_217.0],
    "whole": [0, 1, None, 2],
    "flag": [True, False, True, True],
    "answer": ["yes", "no", None, "no"],
    "town": ["Ulm", "Bonn", None, "1"],
    "wide": ["w1", "w2", None, "w3"],
    "code": ["a", "b", None, "c"],
    "size": ["low", "high", None, "medium"],
    "day": ["13.01.2020", "01.02.2021", None, "29.02.2024"],
    "moment": [datetime.datetime(1969, 12, 31, 23), datetime.datetime(2024, 2, 29), None, None],
    "note": ["a red red thing", "a blue thing", None, "the thing is Green"],
}
WAYS = ("last", "most_frequent", "median", "mean", None)


@st.composite
def tables(draw):
    """A table, new rows beside it, the kinds that are told, and ways for missing values."""
    rows, new = draw(st.integers(6, 30)), draw(st.integers(1, 6))
    columns, later = {}, {}
    for name, (values, strange) in CELLS.items():
        columns[name] = SURE[name] + draw(st.lists(values, min_size=rows, max_size=rows))
        later[name] = draw(st.lists(values | strange, min_size=new, max_size=new))
    way = draw(st.sampled_from(WAYS))
    day = later["day"] = [None if text in ("", None) else text for text in later["day"]]
    kinds = dict(TOLD)
    if any(text is not None and not _is_day(text) for text in day):
        del kinds["day"]  # what was told to be a date must be one; what seems to be one need not
    return _frame(columns), _frame(later), kinds, {"*": way} if way else {}


def _is_day(text):
    return len(text) == 10 and text[2] == text[5] == "." and (text[:2] + text[3:5] + text[6:]).isdecimal()


def _frame(columns):
    types = {"number": float, "whole": "Int64", "flag": bool, "moment": "datetime64[us]"}
    return pd.DataFrame({name: pd.Series(cells, dtype=types.get(name, "str")) for name, cells in columns.items()})


@pytest.fixture(scope="module")
def other_process(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).with_name("preprocess.py"))]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
    ) as process:

        def ask(number):
            process.stdin.write(json.dumps(str(folder / str(number))) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"

        yield folder, ask
        process.stdin.close()


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if phase is not Phase.shrink],  # each example is a model saved and loaded
)
@given(tables(), st.sampled_from(["standard", "robust_quantile", "minmax"]))
def test_a_saved_model_prepares_as_training_did(other_process, table, scaling):
    frame, later, kinds, ways = table
    spec = describe_table(frame, (), "t", column=kinds, missing=ways)[0]
    assert {input_.name for input_ in spec.inputs} == set(CELLS)
    assert Spec.from_json(spec.to_json()) == spec
    preprocessing = preprocess_table(spec, scaling=scaling)
    model, folder = preprocessing.model(), other_process[0] / str(len(list(other_process[0].iterdir())))
    folder.mkdir()
    rows = pd.concat([later, frame.iloc[:3]], ignore_index=True)
    expected = _in_bulk(model, extract_inputs(rows, spec))
    assert {name: array.shape[1:] for name, array in expected.items()} == {
        name: tuple(tensor.shape[1:]) for name, tensor in preprocessing.tensors().items()
    }
    assert all(np.isfinite(array).all() for array in expected.values())
    model.save(folder / "model.keras")
    (folder / "spec.json").write_text(spec.to_json())
    rows.to_parquet(folder / "rows.parquet")
    other_process[1](folder.name)
    for size in ("one", "many"):
        arrays = np.load(folder / f"{size}.npz")
        assert sorted(arrays) == sorted(expected)
        for name, array in expected.items():
            np.testing.assert_allclose(arrays[name], array, rtol=1e-6, atol=1e-6, err_msg=f"{name} {size}")


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(), st.sampled_from(["standard", "robust_quantile", "minmax", "common", "quantile", "robust"]))
def test_an_export_prepares_by_numpy_as_the_model_does(table, scaling):
    frame, later, kinds, ways = table
    kinds = {name: kind for name, kind in kinds.items() if name != "code"}  # hashes are TensorFlow's alone
    spec = describe_table(frame, (), "t", column=kinds, missing=ways)[0]
    model = preprocess_table(spec, scaling=scaling).model()
    rows = pd.concat([later, frame.iloc[:3]], ignore_index=True)
    expected = {name: np.asarray(value) for name, value in model(_tensors(extract_inputs(rows, spec))).items()}
    steps, tensors = list_steps(model, "onnx")
    assert steps == json.loads(json.dumps(steps))
    plain = [describe_input(input_) for input_ in spec.inputs]
    dtypes = {name: {"from": held, "dtype": str(expected[name].dtype)} for name, held in tensors.items()}
    tensors_ = encode_inputs(
        portable_inputs(convert_to_columns(rows), plain), {"inputs": plain, "steps": steps, "tensors": dtypes}
    )
    for name, array in expected.items():
        np.testing.assert_allclose(tensors_[name], array, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_export_reads_pictures_of_other_channels_as_the_model_does(channels):
    generator = np.random.default_rng(0)
    shapes = [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)]
    spec = Spec("image", (ImageInput("image", "image", shape=(None, None, channels)),))
    plain = [describe_input(input_) for input_ in spec.inputs]
    for cast in (np.uint8, np.float32):
        images = [(255 * generator.random(shape)).astype(cast) for shape in shapes]
        frame = pd.DataFrame({"image": pd.Series(images, dtype=object)})
        images_ = portable_inputs({"image": images}, plain)["image"]
        received, expected = Ragged.of(images_, axes=2), extract_inputs(frame, spec)["image"]
        np.testing.assert_array_equal(received.values, expected.values)
        np.testing.assert_array_equal(received.sizes, expected.sizes)
    with pytest.raises(ValueError, match="row 1: expected an image of shape"):
        portable_inputs({"image": [np.zeros((4, 5, 2))]}, plain)


DAYS = [
    "2024-01-31",
    " 2024-01-31 08:00",
    "2024-01-31T08:00:59.123456",
    "1969-12-31 23:59:59+05:30",
    "2024-01-31T08:00:00Z",
    "",
    "unknown",
]


def test_an_export_reads_a_date_as_the_model_does_or_says_that_it_cannot():
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-02-29", "2021-01-01", None, "2020-05-05"]), "x": range(4)})
    spec = describe_table(frame, (), "t")[0]
    plain = [describe_input(input_) for input_ in spec.inputs]
    rows = pd.DataFrame({"day": pd.Series(DAYS, dtype=object), "x": range(len(DAYS))})
    received = portable_inputs({"day": DAYS, "x": list(range(len(DAYS)))}, plain)["day"]
    np.testing.assert_array_equal(received, extract_inputs(rows, spec)["day"])
    for text in ("20240131", "2024-W05-3", "2024-01", "2024-01-31T08", "31.01.2024"):
        with pytest.raises(ValueError, match="is not a date; expected 2024-01-31"):
            portable_inputs({"day": [text], "x": [1]}, plain)


def _tensors(raw):
    return {key: convert_to_tensor(values) for key, values in raw.items()}


def _in_bulk(model, raw):
    """What a network is trained on: levels looked up once each."""
    least, bulk.LEAST_ROWS = bulk.LEAST_ROWS, 1
    try:
        return preprocess(model, Split(raw, None, np.arange(len(next(iter(raw.values())))))).x
    finally:
        bulk.LEAST_ROWS = least
