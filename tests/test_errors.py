"""The errors: what they say, and that they come through a pipe whole."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Answer
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import DataError, JobError, UsageError, ZooError, describe_unknown, find_nearest_name


def test_the_message_has_place_fault_and_nearest_name():
    error = UsageError("unknown column 'agee'", where="titanic.csv", nearest="age")
    assert str(error) == "titanic.csv: unknown column 'agee' (did you mean 'age'?)"
    assert error.as_dict() == {
        "kind": "usage",
        "message": "unknown column 'agee'",
        "where": "titanic.csv",
        "nearest": "age",
    }
    assert str(UsageError("no")) == "no"


@pytest.mark.parametrize("kind, status", [(ZooError, 1), (UsageError, 2), (DataError, 2), (JobError, 1)])
def test_errors_survive_a_pipe(kind, status):
    error = pickle.loads(pickle.dumps(kind("fault", where="file", nearest="name")))
    assert type(error) is kind
    assert (error.message, error.where, error.nearest) == ("fault", "file", "name")
    assert str(error) == "file: fault (did you mean 'name'?)"
    assert error.exit_status == status


@pytest.mark.parametrize(
    "received, nearest",
    [("clasification/mlp", "classification/mlp"), ("MLP", "mlp"), ("zzz", None), ("", None)],
)
def test_the_nearest_name(received, nearest):
    assert find_nearest_name(received, ["classification/mlp", "mlp", "regression/mlp"]) == nearest


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1), st.data())
def test_a_known_name_is_nearest_to_itself_but_for_case(names, data):
    name = data.draw(st.sampled_from(names))
    assert find_nearest_name(name, names).lower() == name.lower()


def test_long_lists_are_cut():
    message = str(describe_unknown("column", "nope", [f"c{index}" for index in range(99)]))
    assert "c29 and 69 more" in message
    assert "c30" not in message
    assert str(describe_unknown("input", "a", [])) == "unknown input 'a'"


def test_the_columns_that_could_be_meant_are_counted_where_they_are_cut(
    workspace: Path, command: Callable[..., Answer]
) -> None:
    for words in (("classification/linear", "--target"), ("clustering/autoencoder", "--labels")):
        answer = command("train", words[0], "digits", words[1], "clas")
        assert answer.status == 2
        assert "pixel_3_5 and 35 more (did you mean 'class'?)" in answer.err
