"""Which of two values is better, for every caller: not-a-number never is."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.metrics.direction import Direction

directions = st.sampled_from(Direction)
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.lists(st.floats(allow_infinity=False), max_size=8)


@given(directions, numbers, numbers)
def test_one_of_two_numbers_is_better_unless_they_are_equal(direction: Direction, a: float, b: float) -> None:
    assert direction.better(a, b) + direction.better(b, a) == (a != b)
    assert direction.better(a, b) == ((a < b) if direction == "min" else (a > b))


@given(directions, numbers, st.floats(0, 10))
def test_not_a_number_is_never_better(direction: Direction, number: float, margin: float) -> None:
    assert not direction.better(math.nan, number, margin)
    assert not direction.better(math.nan, math.nan, margin)
    assert direction.better(number, math.nan, margin)


@given(directions, st.floats(-10, 10), st.floats(0.1, 10))
def test_a_margin_must_be_exceeded(direction: Direction, value: float, margin: float) -> None:
    improved = value - direction.sign * margin
    assert not direction.better(improved, value, 2 * margin)
    assert direction.better(improved, value, 0.5 * margin)


@given(directions, values)
def test_no_value_is_better_than_the_best(direction: Direction, scores: list[float]) -> None:
    best = direction.best(scores)
    assert math.isnan(best) == all(map(math.isnan, scores))
    assert not any(direction.better(score, best) for score in scores)


@given(directions, values)
def test_sorted_values_start_with_the_best_and_end_with_not_a_number(direction: Direction, scores: list[float]) -> None:
    ranked = sorted([*scores, None], key=direction.key)
    finite = [score for score in ranked if score is not None and not math.isnan(score)]
    assert finite == ranked[: len(finite)]
    assert not any(direction.better(b, a) for a, b in itertools.pairwise(finite))


@given(directions, values)
def test_the_best_so_far_is_the_best_of_each_start(direction: Direction, scores: list[float]) -> None:
    so_far = direction.accumulate(scores)
    np.testing.assert_array_equal(so_far, [direction.best(scores[: n + 1]) for n in range(len(scores))])


def test_a_direction_is_stored_as_its_text() -> None:
    assert json.dumps({"direction": Direction.MAX}) == '{"direction": "max"}'
    assert (str(Direction.MIN), Direction("max")) == ("min", Direction.MAX)
    with pytest.raises(ValueError, match="'up' is not a valid Direction"):
        Direction("up")
