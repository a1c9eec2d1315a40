"""Figures of returns: the curve goes through what was evaluated, and every episode is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import assert_draws

from zoo.figures.returns import episode_returns, return_curve

pytestmark = pytest.mark.filterwarnings("error")
rng = np.random.default_rng(0)


def named(axis: Any) -> list[str]:
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_the_curve_goes_through_the_evaluations() -> None:
    steps, mean, std = [100, 200, 400], [1.0, 5.0, 3.0], [0.5, 1.0, 2.0]
    figure = return_curve(steps, mean, std, best=2, threshold=4.5)
    axis: Any = figure.axes[0]
    curve, solved, best = axis.lines
    assert np.array_equal(np.array(curve.get_data()), np.array([steps, mean]))
    assert list(solved.get_ydata()) == [4.5, 4.5]
    assert [list(values) for values in best.get_data()] == [[200], [5.0]]
    corners = {tuple(corner) for corner in axis.collections[0].get_paths()[0].vertices.tolist()}
    assert corners == {(x, y + sign * s) for x, y, s in zip(steps, mean, std, strict=True) for sign in (-1, 1)}
    assert named(axis) == ["standard deviation", "mean return", "solved: 4.5", "kept policy"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("environment steps", "return of evaluation episodes")
    assert axis.get_title(loc="left") == "Return during training"
    low, high = axis.get_ylim()
    assert low < 0.5
    assert high > 6
    assert_draws(figure)


@pytest.mark.parametrize("best", [None, 0, 3])
def test_a_policy_that_was_not_evaluated_is_not_marked(best: int | None) -> None:
    figure = return_curve([1, 2], [0.0, 1.0], best=best)
    assert named(figure.axes[0]) == ["mean return"]
    assert len(figure.axes[0].lines) == 1
    assert_draws(figure)


def test_the_threshold_is_in_sight() -> None:
    for threshold in (-1e4, 475.0):
        low, high = return_curve([1, 2], [0.0, 1.0], threshold=threshold).axes[0].get_ylim()
        assert low < threshold < high


@pytest.mark.parametrize(
    "steps, mean, std",
    [
        ([], [], None),
        ([], [], []),
        ([7], [3.0], [0.0]),
        ([1, 2], [np.nan, 1.0], [np.nan, 0.0]),
        ([1, 2], [1e9, -1e9], None),
    ],
)
def test_odd_curves(steps: Any, mean: Any, std: Any) -> None:
    assert_draws(return_curve(steps, mean, std, best=1, threshold=0.5))


def assert_says_the_mean(axis: Any, returns: np.ndarray) -> None:
    word, number = named(axis)[0].split()
    assert word == "mean"
    assert float(number.replace(",", "")) == pytest.approx(returns.mean(), rel=1e-3)


@pytest.mark.parametrize("count", [1, 2, 20, 500])
def test_every_episode_is_counted(count: int) -> None:
    returns = rng.normal(200, 50, count)
    figure = episode_returns(returns, threshold=195)
    axis: Any = figure.axes[0]
    assert sum(bar.get_height() for bar in axis.patches) == count
    assert 5 <= len(axis.patches) <= 30
    for bar in axis.patches[:-1]:
        left, right = bar.get_x(), bar.get_x() + bar.get_width()
        assert bar.get_height() == ((left - 1e-9 <= returns) & (returns < right - 1e-9)).sum()
    mean, solved = axis.lines
    assert mean.get_xdata()[0] == pytest.approx(returns.mean())
    assert solved.get_xdata()[0] == 195
    assert named(axis)[1:] == ["solved: 195"]
    assert_says_the_mean(axis, returns)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("return of an episode", "episodes")
    assert axis.get_title(loc="left").startswith(f"Returns of {count} episode")
    left, right = axis.get_xlim()
    assert left < min(returns.min(), 195)
    assert max(returns.max(), 195) < right
    assert_draws(figure)


@pytest.mark.parametrize(
    "returns", [np.full(20, 500.0), np.array([0.0]), np.array([0.0, 1.0] * 50), np.array([-1e9, 1e9])]
)
def test_odd_returns(returns: np.ndarray) -> None:
    figure = episode_returns(returns)
    axis: Any = figure.axes[0]
    assert sum(bar.get_height() for bar in axis.patches) == len(returns)
    assert_says_the_mean(axis, returns)
    assert_draws(figure)


def test_a_single_return_can_be_seen() -> None:
    axis: Any = episode_returns(np.full(20, 500.0), threshold=475).axes[0]
    bar = max(axis.patches, key=lambda bar: bar.get_height())
    left, right = axis.get_xlim()
    assert bar.get_width() / (right - left) > 0.01
