"""Advantages, worked by hand: episodes that terminate, that are truncated, and that go on."""

from __future__ import annotations

import numpy as np
import pytest
from zoo.tasks.rl._experience._transitions import RewardScale, Transitions, compute_advantages

from zoo.networks.running_normalization import RunningNormalization

GAMMA, TRACE = 0.5, 0.5


def create_rollout(terminated: list[bool], truncated: list[bool]) -> Transitions:
    """Return three steps of one environment, with reward 1 each."""
    ends = (np.array(each)[:, None] for each in (terminated, truncated))
    empty = np.zeros((3, 1))
    return Transitions(empty, empty, np.ones((3, 1)), empty, *ends)


def compute(terminated: list[bool], truncated: list[bool]) -> list[float]:
    values, next_values = np.full((3, 1), 2.0), np.full((3, 1), 4.0)
    rollout = create_rollout(terminated, truncated)
    return compute_advantages(rollout, values, next_values, gamma=GAMMA, trace=TRACE).ravel().tolist()


NEVER, ALWAYS = [False] * 3, [True] * 3


def test_an_episode_that_goes_on_adds_up_later_errors() -> None:
    # Each error is 1 + 0.5 * 4 - 2 = 1; later ones count 0.25 times.
    assert compute(NEVER, NEVER) == [1 + 0.25 * 1.25, 1.25, 1.0]


def test_an_episode_that_always_terminates_has_no_value_after_it() -> None:
    assert compute(ALWAYS, NEVER) == [-1.0, -1.0, -1.0]


def test_an_episode_that_is_truncated_has_a_value_after_it_but_no_later_errors() -> None:
    assert compute(NEVER, ALWAYS) == [1.0, 1.0, 1.0]


def test_an_end_in_the_middle_separates_what_comes_before_and_after() -> None:
    assert compute([False, True, False], NEVER) == [1 - 0.25, -1.0, 1.0]


def test_running_statistics_are_those_of_all_values() -> None:
    layer = RunningNormalization()
    layer.build((None, 2))
    values = np.random.default_rng(0).normal([5.0, -1.0], [2.0, 0.1], (300, 2)).astype(np.float32)
    for part in np.split(values, [10, 150]):
        layer.update(part)
    np.testing.assert_allclose(layer.mean, values.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(layer.variance, values.var(axis=0), rtol=1e-4)
    np.testing.assert_allclose(layer.convert()(values), layer(values), rtol=1e-4, atol=1e-5)


def test_rewards_are_divided_by_the_deviation_of_discounted_returns() -> None:
    layer = RunningNormalization()
    layer.build((None, 1))
    scale = RewardScale(layer, gamma=0.5)
    rewards, ended = np.array([[2.0], [2.0], [4.0]]), np.array([[False], [True], [False]])
    deviation = np.std([2.0, 3.0, 4.0])  # the return begins anew after the end
    np.testing.assert_allclose(scale(rewards, ended), rewards / deviation, rtol=1e-5)
    assert scale.returns == pytest.approx([4.0])
