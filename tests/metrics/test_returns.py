"""The interval of a mean return is Student's, within what was seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from zoo.metrics.returns import return_interval, return_metrics

pytestmark = pytest.mark.filterwarnings("error")
numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@settings(max_examples=150, deadline=None)
@given(st.lists(numbers, min_size=2, max_size=30).map(np.array))
def test_the_interval_is_students_within_what_was_seen(returns: np.ndarray) -> None:
    low, high = return_interval(returns)
    close = 1e-9 * (1 + np.abs(returns).max())
    if np.ptp(returns) == 0:
        assert (low, high) == pytest.approx((returns[0], returns[0]), abs=close)
        return
    wanted = stats.t.interval(0.95, len(returns) - 1, returns.mean(), stats.sem(returns))
    assert low == pytest.approx(max(wanted[0], returns.min()), abs=close)
    assert high == pytest.approx(min(wanted[1], returns.max()), abs=close)
    assert returns.min() <= low <= returns.mean() + close
    assert returns.mean() - close <= high <= returns.max()


@settings(max_examples=50, deadline=None)
@given(st.lists(numbers, min_size=2, max_size=20).map(np.array), st.floats(-1e3, 1e3), st.integers(0, 99))
def test_it_moves_with_the_returns_and_not_with_their_order(returns: np.ndarray, shift: float, seed: int) -> None:
    low, high = return_interval(returns)
    shuffled = np.random.default_rng(seed).permutation(returns)
    assert return_interval(shuffled + shift) == pytest.approx((low + shift, high + shift), rel=1e-6, abs=1e-3)
    assert return_interval(-returns) == pytest.approx((-high, -low), rel=1e-9, abs=1e-6)


def test_it_holds_the_mean_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(0)
    bounds = np.array([return_interval(random.normal(3, 2, 40)) for _ in range(1000)])
    assert 0.93 < ((bounds[:, 0] <= 3) & (bounds[:, 1] >= 3)).mean() < 0.97


def test_one_episode_has_no_interval() -> None:
    assert np.isnan(return_interval(np.array([3.0]))).all()


def test_returns_that_are_all_the_same() -> None:
    assert return_interval(np.full(10, 500.0)) == (500.0, 500.0)
    low, high = return_interval(np.full(3, 0.1))
    assert low <= high
    assert (low, high) == pytest.approx((0.1, 0.1))


def test_which_scores_there_are() -> None:
    directions = {score.name: score.direction for score in return_metrics()}
    directions_of_returns = {"return_mean": "max", "return_std": "min", "sampled_return_mean": "max"}
    assert directions == {**directions_of_returns, "steps_to_solve": "min"}
    assert next(iter(directions)) == "return_mean"
    for score in return_metrics():
        with pytest.raises(TypeError, match="the task runs"):
            score.function(np.zeros(2), np.zeros(2), np.ones((1, 2)))
