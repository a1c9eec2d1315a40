"""The spec: JSON both ways, and what it can be asked."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import UsageError
from zoo.spec import (
    FORMAT,
    CategoryInput,
    DateInput,
    ImageInput,
    NumberInput,
    ObservationInput,
    SequenceInput,
    Spec,
    Target,
    TextInput,
)

_floats = st.floats(allow_nan=False)
_inputs = st.one_of(
    st.builds(NumberInput, name=st.text(), key=st.text(), fill=st.none() | _floats, mean=_floats),
    st.builds(CategoryInput, name=st.text(), key=st.text(), categories=st.lists(st.text()).map(tuple)),
    st.builds(DateInput, name=st.text(), key=st.text(), parts=st.dictionaries(st.text(), st.tuples(_floats, _floats))),
    st.builds(TextInput, name=st.text(), key=st.text(), idf=st.lists(_floats).map(tuple)),
    st.builds(SequenceInput, name=st.text(), key=st.text(), shape=st.tuples(st.none(), st.integers(1, 9))),
    st.builds(ImageInput, name=st.text(), key=st.text(), mean=st.lists(_floats).map(tuple), integer=st.booleans()),
    st.builds(ObservationInput, name=st.text(), key=st.text(), low=st.lists(st.none() | _floats).map(tuple)),
)
_classes = st.lists(st.text(), min_size=2, unique=True).map(tuple)
_targets = st.builds(
    Target,
    name=st.text(),
    kind=st.sampled_from(["class", "number"]),
    classes=_classes,
    counts=st.lists(st.integers(0, 99)).map(tuple),
    mean=st.floats(allow_nan=False),
    std=st.floats(allow_nan=False),
)
_several = st.lists(_targets, max_size=2).map(tuple)
_specs = st.builds(
    Spec,
    st.text(),
    st.lists(_inputs, max_size=3).map(tuple),
    st.lists(_targets, max_size=2).map(tuple),
    st.integers(0, 10**9),
)


@settings(deadline=None)
@given(_specs)
def test_json_both_ways(spec):
    assert Spec.from_json(spec.to_json()) == spec


def test_a_newer_format_says_so():
    values = json.loads(Spec("regression", ()).to_json()) | {"format": FORMAT + 1}
    with pytest.raises(UsageError, match="update zoo"):
        Spec.from_json(json.dumps(values))


def test_inputs_by_name_and_kind():
    age, town = NumberInput("age", "age"), CategoryInput("town", "town")
    spec = Spec("regression", (age, town))
    assert spec.input("town") is town
    assert spec.of_kind(NumberInput) == (age,)
    with pytest.raises(UsageError) as caught:
        spec.input("aged")
    assert caught.value.nearest == "age"


@pytest.mark.parametrize("positive, index", [("a", 0), ("b", 1), (None, 1)])
def test_the_index_of_the_positive_class(positive, index):
    assert Target("y", "class", ("a", "b"), "str", positive).positive_index == index
