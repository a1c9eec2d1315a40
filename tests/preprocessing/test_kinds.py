"""Ordered levels, hashes, dates and words inside the model, against plain Python and scikit-learn."""

import keras
import numpy as np
import pandas as pd
import pytest

from zoo.data.columns.describe_table import describe_table
from zoo.data.columns.encode import extract_inputs
from zoo.networks import preprocess_table
from zoo.portable.preprocessing import extract_calendar_parts
from zoo.training.preprocessed_arrays import convert_to_tensor


def preprocessed(frame, later=None, **options):
    spec, _ = describe_table(frame, (), "t", **options)
    raw = extract_inputs(frame if later is None else later, spec)
    tensors = preprocess_table(spec).model()({key: convert_to_tensor(values) for key, values in raw.items()})
    return {name: value.numpy() for name, value in tensors.items()}, spec


def test_ordered_levels_are_steps():
    frame = pd.DataFrame({"size": ["low", "high", "medium", None]})
    tensors, _ = preprocessed(frame, pd.DataFrame({"size": ["low", "medium", "high", None, "huge"]}))
    assert tensors["features"].tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 0]]


def test_hashes_are_the_same_everywhere():
    frame = pd.DataFrame({"city": ["Ulm", "Bonn", None, "Rom"]})
    tensors, _ = preprocessed(frame, pd.DataFrame({"city": ["Ulm", None, "new"]}), column={"city": "hashed:1000"})
    assert tensors["codes"][1, 0] == 1
    assert tensors["codes"].min() >= 1
    again, _ = preprocessed(frame, pd.DataFrame({"city": ["new", "Ulm"]}), column={"city": "hashed:1000"})
    assert again["codes"][:, 0].tolist() == [tensors["codes"][2, 0], tensors["codes"][0, 0]]


def test_dates_are_parts_of_the_calendar():
    days = pd.Series(pd.date_range("2019-11-03 05:00", periods=300, freq="31h"))
    tensors, spec = preprocessed(pd.DataFrame({"day": days}))
    parts = extract_calendar_parts(extract_inputs(pd.DataFrame({"day": days}), spec)["day"])
    names = list(spec.input("day").parts)
    assert names == list(parts)
    for column, name in enumerate(names):
        values = parts[name]
        scaled = values if name.startswith("season") else (values - values.mean()) / values.std()
        np.testing.assert_allclose(tensors["features"][:, column], scaled, atol=1e-5, err_msg=name)


def test_parts_that_do_not_vary_are_none():
    days = pd.DataFrame({"day": pd.date_range("2020-03-01", periods=20)})
    _, spec = preprocessed(days)
    assert list(spec.input("day").parts) == ["day", "weekday", "season_sin", "season_cos", "elapsed"]


def test_a_missing_date_is_the_middle_with_an_indicator():
    frame = pd.DataFrame({"day": ["2020-01-05", "2020-02-07", None, "2020-03-08"] * 5})
    tensors, spec = preprocessed(frame)
    assert tensors["features"][2].tolist() == [0.0] * len(spec.input("day").parts) + [1.0]
    tensors, _ = preprocessed(frame, missing={"day": "constant:2020-02-07"})
    np.testing.assert_array_equal(tensors["features"][2, :-1], tensors["features"][1, :-1])


def test_words_are_scikit_learns():
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [f"the {a} Parcel came {b} and {b} late" for a in "xyz" for b in ("soon", "never", "ÉTÉ")] * 2
    tensors, spec = preprocessed(pd.DataFrame({"note": texts}), column={"note": "text"})
    vocabulary = spec.input("note").vocabulary
    vectors = TfidfVectorizer(vocabulary=list(vocabulary), sublinear_tf=True, token_pattern=r"[^\W_]+")
    np.testing.assert_allclose(tensors["features"], vectors.fit_transform(texts).toarray(), atol=1e-6)
    tensors, _ = preprocessed(
        pd.DataFrame({"note": texts}), pd.DataFrame({"note": [None, "", "?"]}), column={"note": "text"}
    )
    assert not tensors["features"].any()


@pytest.mark.parametrize("way, filled", [("mean", 4), ("median", 3), ("constant:-2", -2), ("most_frequent", 1)])
def test_what_stands_for_a_missing_number(way, filled):
    frame = pd.DataFrame({"age": [1.0, 1.0, None, 3.0, 5.0, 10.0]})
    tensors, _ = preprocessed(frame, missing={"age": way})
    mean, std = frame["age"].mean(), frame["age"].std(ddof=0)
    assert tensors["features"][2].tolist() == pytest.approx([(filled - mean) / std, 1], abs=1e-6)


def test_what_stands_for_a_missing_level_keeps_an_indicator():
    tensors, _ = preprocessed(pd.DataFrame({"town": ["Ulm", "Ulm", None, "Rom"]}), missing={"town": "most_frequent"})
    assert tensors["features"].tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_kinds_side_by_side_are_prepared_in_32_bits(policy):
    frame = pd.DataFrame({"age": [1.001, 2.002, 3.003, None], "town": ["Ulm", "Rom", None, "Ulm"]})
    before = keras.config.dtype_policy()
    expected = preprocessed(frame)[0]["features"]
    keras.config.set_dtype_policy(policy)
    try:
        tensors = preprocessed(frame)[0]["features"]
    finally:
        keras.config.set_dtype_policy(before)
    assert tensors.dtype == np.float32
    assert np.array_equal(tensors, expected)
