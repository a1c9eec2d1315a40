"""Accuracy by length, with Wilson's intervals; and what predictions depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import assert_draws
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy import stats

from zoo.figures.sequences import (
    MOST_BINS,
    MOST_CHANNELS,
    MOST_LINES,
    accuracy_by_length,
    attributed_sequences,
    attributed_texts,
)

pytestmark = pytest.mark.filterwarnings("error")
rng = np.random.default_rng(0)


def drawn(figure: Figure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middles (P,), shares (P,) and intervals (P, 2)."""
    line, _, (bars,) = figure.axes[0].containers[0].lines  # type: ignore[attr-defined]
    x, y = line.get_data()
    return np.asarray(x), np.asarray(y), np.array([segment[:, 1] for segment in bars.get_segments()])


def test_bins_hold_equally_many() -> None:
    lengths = rng.permutation(np.arange(10, 810))
    right = rng.random(800) < lengths / 900
    figure = accuracy_by_length(lengths, right)
    middle, share, interval = drawn(figure)
    order = np.argsort(lengths).reshape(MOST_BINS, 100)
    np.testing.assert_allclose(middle, lengths[order].mean(axis=1), atol=1)
    np.testing.assert_allclose(share, right[order].mean(axis=1), atol=0.02)
    assert ((interval[:, 0] < share) & (share < interval[:, 1])).all()
    axis: Any = figure.axes[0]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("steps of the sequence", "accuracy")
    assert axis.get_title(loc="left") == "Accuracy by length, 800 sequences"
    assert axis.get_legend().get_texts()[0].get_text() == "with 95 % interval"
    assert_draws(figure)


@st.composite
def told(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 40))
    lengths = draw(st.lists(st.integers(1, draw(st.sampled_from([1, 3, 50]))), min_size=n, max_size=n))
    return np.array(lengths), np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))


@settings(max_examples=60, deadline=None)
@given(case=told())
def test_what_is_drawn_is_a_mean_of_what_was_told(case: tuple[np.ndarray, np.ndarray]) -> None:
    lengths, right = case
    figure = accuracy_by_length(lengths, right)
    middle, share, interval = drawn(figure)
    assert 1 <= len(middle) <= MOST_BINS
    assert (np.diff(middle) > 0).all()
    assert lengths.min() <= middle[0]
    assert middle[-1] <= lengths.max()
    assert share.min() - 1e-12 <= right.mean() <= share.max() + 1e-12
    assert (interval[:, 0] <= share + 1e-12).all()
    assert (share <= interval[:, 1] + 1e-12).all()
    low, high = figure.axes[0].get_ylim()
    assert low <= interval.min() + 1e-12
    assert interval.max() < high
    if len(set(lengths.tolist())) == 1:
        assert (middle.tolist(), share.tolist()) == ([lengths[0]], [right.mean()])
        bounds = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        np.testing.assert_allclose(interval, [[bounds.low, bounds.high]], atol=1e-6)


@pytest.mark.parametrize(
    "lengths, right",
    [
        ([5], [True]),
        ([5], [False]),
        ([5] * 9, [True, False, True] * 3),
        ([3, 9], [True, False]),
        (range(1, 41), [1] * 40),
    ],
)
def test_odd_inputs(lengths: Any, right: Any) -> None:
    assert_draws(accuracy_by_length(np.array(lengths), np.array(right)))


@pytest.mark.parametrize("often", [50, 900])
def test_lengths_that_are_frequent_have_their_own_bin(often: int) -> None:
    lengths = np.concatenate([np.full(often, 3), np.arange(4, 104)])
    middle, share, _ = drawn(accuracy_by_length(lengths, lengths == 3))
    assert (middle[0], share[0]) == (3, 1)
    assert share[-1] == 0


def test_the_channels_with_the_greatest_contributions_are_drawn() -> None:
    curves = [rng.normal(size=(length, 6)) for length in (1, 30)]
    parts = [np.ones(curve.shape) * [1, 6, 2, -5, 3, 4] for curve in curves]
    figure = attributed_sequences(curves, parts, ["a, truth b", "c"], channels=list("uvwxyz"), baseline=np.zeros(6))
    panels: Any = figure.axes
    labels = [panel.get_ylabel() for panel in panels]
    assert [label for label in labels if label] == ["v", "x", "z", "y", "all 6 channels"]
    assert len(panels) == 2 * (MOST_CHANNELS + 1) + 1
    assert panels[0].get_title() == "a\ntruth b"
    assert {bar.get_height() for bar in panels[2 * MOST_CHANNELS].patches} == {11}
    assert_draws(figure)


def test_a_channel_without_values_is_drawn() -> None:
    steps = np.full((4, 1), np.nan)
    figure = attributed_sequences([steps], [np.zeros((4, 1))], ["a"], channels=["$x$"], baseline=np.zeros(1))
    assert_draws(figure)


def test_long_and_empty_texts_are_drawn() -> None:
    words = [f"word{number}" for number in range(400)]
    values = np.zeros(400)
    values[300] = 1.0
    tokens = [words, [], ["$5", "\n", "x" * 500]]
    figure = attributed_texts(tokens, [values, np.zeros(0), np.ones(3)], ["long", "empty", "odd"], classes=False)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "word300" in texts
    assert "word0" not in texts
    assert any(text.startswith(f"long; {MOST_LINES} of ") for text in texts)
    assert "empty; no words" in texts
    assert_draws(figure)
