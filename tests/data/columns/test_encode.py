"""Raw rows become arrays by the input's key, whatever the frame looks like."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.columns.encode import (
    decode_classes,
    encode_target,
    extract_inputs,
    name_categories,
    name_dtype,
)
from zoo.errors import DataError
from zoo.spec import CategoryInput, NumberInput, Spec, Target

SPEC = Spec("t", (NumberInput("age", "age"), CategoryInput("a/b", "a_b", categories=("1", "x"))))


def values_of(frame):
    return {key: values.tolist() for key, values in extract_inputs(frame, SPEC, where="rows.csv").items()}


def test_order_of_columns_and_other_columns_do_not_matter():
    frame = pd.DataFrame({"a/b": ["x", None], "more": [1, 2], "age": [3, 4]})
    arrays = extract_inputs(frame, SPEC)
    assert list(arrays) == ["age", "a_b"]
    assert arrays["age"].dtype == np.float64
    assert values_of(frame) == {"age": [3, 4], "a_b": ["x", ""]}


@pytest.mark.parametrize(
    "cells, numbers",
    [
        ([1, None], [1, None]),
        (["2.5", " 3 "], [2.5, 3]),
        (["", "  "], [None, None]),
        ([np.inf, -np.inf], [None, None]),
        ([True, False], [1, 0]),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        ([16_777_217, 16_777_216], [16_777_217, 16_777_216]),
    ],
)
def test_numbers(cells, numbers):
    values = values_of(pd.DataFrame({"age": cells, "a/b": "x"}))["age"]
    assert [None if np.isnan(value) else value for value in values] == numbers


@pytest.mark.parametrize("text", ["old", "1,5", "1 2"])
def test_text_for_a_number_names_column_and_row(text):
    with pytest.raises(DataError, match=rf"^rows\.csv, column age, row 2: '{text}' is not a number"):
        values_of(pd.DataFrame({"age": ["1", text], "a/b": "x"}))


def test_missing_columns_are_named():
    with pytest.raises(DataError, match=r"rows\.csv: columns that the model needs are missing: age") as caught:
        values_of(pd.DataFrame({"Age": [1], "a/b": ["x"]}))
    assert caught.value.nearest == "Age"
    wide = Spec("t", tuple(NumberInput(f"c{i}", f"c{i}") for i in range(9)))
    with pytest.raises(DataError, match="c0, c1, c2, c3, c4 and 4 more"):
        extract_inputs(pd.DataFrame({"b": [1]}), wide)


@pytest.mark.parametrize(
    "series, names",
    [
        (pd.Series([1, 2]), ["1", "2"]),
        (pd.Series([1.0, 2.5, None]), ["1", "2.5", ""]),
        (pd.Series(["1", "a", None]), ["1", "a", ""]),
        (pd.Series([1, 1.0, "1", np.int8(1), np.float32(1)], dtype=object), ["1"] * 5),
        (pd.Series([True, False]), ["true", "false"]),
        (pd.Series([True, None, np.bool_(False)], dtype=object), ["true", "", "false"]),
        (pd.Series([1, None], dtype="Int64"), ["1", ""]),
        (pd.Series([True, None], dtype="boolean"), ["true", ""]),
        (pd.Series(["b", None], dtype="category"), ["b", ""]),
        (pd.Series([1.0, 2.0], dtype="category"), ["1", "2"]),
        (pd.Series([-0.0, np.inf, 1e20]), ["0", "inf", "100000000000000000000"]),
        (pd.Series([], dtype=float), []),
    ],
)
def test_one_spelling_for_a_level(series, names):
    assert name_categories(series).tolist() == names


@settings(deadline=None)
@given(st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_whole_numbers_spell_alike_in_every_type(numbers):
    spelled = [str(number) for number in numbers]
    kinds = (int, float, object, "Int64")
    assert all(name_categories(pd.Series(numbers, dtype=kind)).tolist() == spelled for kind in kinds)
    assert name_categories(pd.Series(spelled)).tolist() == spelled


@pytest.mark.parametrize(
    "cells, kind, back",
    [
        ([2, 1, 2], "int", np.integer),
        ([2.0, 1.0, 2.0], "int", np.integer),
        ([True, False, True], "bool", np.bool_),
        (["b", "a", "b"], "str", str),
    ],
)
def test_classes_come_back_in_their_type(cells, kind, back):
    series = pd.Series(cells, name="y")
    assert name_dtype(series) == kind
    target = Target("y", "class", tuple(sorted(set(name_categories(series)))), kind)
    codes = encode_target(series, target)
    assert codes.tolist() == [1, 0, 1]
    decoded = decode_classes(codes, target)
    assert decoded.tolist() == cells
    assert all(isinstance(value, back) for value in decoded)


def test_an_unknown_class_names_its_row():
    target = Target("y", "class", ("cat", "dog"), "str")
    with pytest.raises(
        DataError, match=r"the rows, column y, row 2: class 'dogg' does not occur in the training split"
    ) as caught:
        encode_target(pd.Series(["cat", "dogg"]), target)
    assert caught.value.nearest == "dog"


def test_numbers_are_standardised():
    codes = encode_target(pd.Series([1, "3"], name="y"), Target("y", "number", mean=1.0, std=2.0))
    assert codes.tolist() == [0, 1]


@pytest.mark.parametrize("cell, message", [("x", "'x' is not a number"), (np.inf, "inf"), (None, "a finite number")])
def test_a_target_that_is_no_number(cell, message):
    with pytest.raises(DataError, match=rf"column y, row 2: .*{message}"):
        encode_target(pd.Series([1, cell], name="y", dtype=object), Target("y", "number"))
