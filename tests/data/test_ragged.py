"""Examples of unequal sizes: what went in comes out, chosen and padded as a list of arrays would be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.ragged import Ragged


@st.composite
def examples(draw: st.DrawFn) -> tuple[list[np.ndarray], int]:
    """Arrays whose first one or two axes differ, empty ones among them, with distinct values."""
    axes = draw(st.sampled_from([1, 2]))
    item = draw(st.sampled_from([(), (1,), (3,), (2, 2)]))
    sizes = draw(st.lists(st.tuples(*[st.integers(0, 4)] * axes), min_size=1, max_size=7))
    start, arrays = 1, []
    for size in sizes:
        count = int(np.prod((*size, *item)))
        arrays.append(np.arange(start, start + count, dtype=np.float32).reshape(*size, *item))
        start += count
    return arrays, axes


def assert_same(ragged: Ragged, wanted: list[np.ndarray]) -> None:
    assert len(ragged) == len(wanted)
    assert ragged.lengths.tolist() == [int(np.prod(example.shape[: ragged.sizes.shape[1]])) for example in wanted]
    for index, example in enumerate(wanted):
        np.testing.assert_array_equal(ragged.example(index), example)
    if wanted:
        np.testing.assert_array_equal(ragged.example(-1), wanted[-1])


@settings(deadline=None)
@given(case=examples())
def test_what_went_in_comes_out(case: tuple[list[np.ndarray], int]) -> None:
    arrays, axes = case
    ragged = Ragged.of(arrays, axes=axes)
    assert_same(ragged, arrays)
    assert ragged.values.dtype == np.float32
    assert ragged.values.shape == (sum(map(len, arrays)) if axes == 1 else len(ragged.values), *arrays[0].shape[axes:])
    assert ragged.starts.tolist() == np.concatenate([[0], np.cumsum(ragged.lengths)[:-1]]).tolist()


@settings(deadline=None)
@given(case=examples(), data=st.data())
def test_chosen_examples_are_those_of_a_list(case: tuple[list[np.ndarray], int], data: st.DataObject) -> None:
    arrays, axes = case
    ragged = Ragged.of(arrays, axes=axes)
    chosen = data.draw(st.slices(len(arrays)))
    assert_same(ragged[chosen], arrays[chosen])
    rows = data.draw(st.lists(st.integers(-len(arrays), len(arrays) - 1), max_size=9))
    assert_same(ragged[np.array(rows, int)], [arrays[row] for row in rows])
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(arrays), max_size=len(arrays))))
    wanted = [array for array, taken in zip(arrays, mask, strict=True) if taken]
    assert_same(ragged[mask], wanted)
    # Chosen twice over: what was chosen is whole itself.
    assert_same(ragged[mask][::-1], wanted[::-1])


@settings(deadline=None)
@given(case=examples(), more=st.integers(0, 2))
def test_padding_is_zeros_behind(case: tuple[list[np.ndarray], int], more: int) -> None:
    arrays, axes = case
    ragged = Ragged.of(arrays, axes=axes)
    greatest = tuple(int(extent) for extent in ragged.sizes.max(axis=0) + more)
    padded = ragged.padded(greatest) if more else ragged.padded()
    assert padded.shape == (len(arrays), *greatest, *arrays[0].shape[axes:])
    assert padded.dtype == np.float32
    rest = padded.copy()
    for row, array in enumerate(arrays):
        inside: Any = (row, *(slice(0, extent) for extent in array.shape[:axes]))
        np.testing.assert_array_equal(padded[inside], array)
        rest[inside] = 0
    assert not rest.any()
    if axes == 1:  # and taking the padding off again gives the same
        back = [sequence[:length] for sequence, length in zip(padded, ragged.lengths, strict=True)]
        assert_same(Ragged.of(back, axes=1), arrays)


@pytest.mark.parametrize(
    "sizes, uniform",
    [([], True), ([(2, 3)], True), ([(2, 3)] * 3, True), ([(2, 3), (3, 2)], False), ([(2, 3), (2, 4)], False)],
)
def test_uniform(sizes: list[tuple[int, int]], uniform: bool) -> None:
    ragged = Ragged.of([np.ones((*size, 1), np.uint8) for size in sizes], axes=2)
    assert ragged.uniform is uniform


def test_nothing_at_all() -> None:
    empty = Ragged.of([], axes=1)
    assert (len(empty), empty.lengths.tolist(), empty.starts.tolist()) == (0, [], [])
    some = Ragged.of([np.ones((2, 3)), np.ones((1, 3))], axes=1)
    for none in (some[2:], some[:0], some[np.zeros(0, int)], some[np.zeros(2, bool)]):
        assert len(none) == 0
        assert none.values.shape == (0, 3)
        assert none.padded().shape == (0, 0, 3)
        assert none.padded((5,)).shape == (0, 5, 3)


def test_a_size_too_small_is_refused_not_cut() -> None:
    for axes, shape in ((1, (3, 2)), (2, (3, 2, 1))):
        ragged = Ragged.of(
            [np.ones(shape), np.ones(tuple(extent - 1 for extent in shape[:axes]) + shape[axes:])], axes=axes
        )
        with pytest.raises((ValueError, IndexError)):
            ragged.padded((2,) * axes if axes == 1 else (2, 2))


def test_a_slice_is_a_view_and_a_choice_a_copy() -> None:
    ragged = Ragged.of([np.zeros((2, 1)), np.zeros((3, 1))], axes=1)
    assert np.shares_memory(ragged[1:].values, ragged.values)
    assert not np.shares_memory(ragged[np.array([1])].values, ragged.values)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float64])
def test_the_type_stays(kind: Any) -> None:
    ragged = Ragged.of([np.ones((2, 2), kind), np.ones((3, 2), kind)], axes=1)
    assert ragged.padded().dtype == ragged[1:].values.dtype == ragged.example(0).dtype == kind
