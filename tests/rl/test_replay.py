"""The replay buffer: what a transition of one or several steps is, worked by hand, and how much is stored."""

from __future__ import annotations

import numpy as np
import pytest
from zoo.tasks.rl._experience._replay import Replay
from zoo.tasks.rl._experience._transitions import Transitions

GAMMA = 0.5


def fill(
    size: int,
    steps: int,
    terminated: set[int] = frozenset(),
    truncated: set[int] = frozenset(),
    *,
    masked: bool = False,
) -> Replay:
    """Return the buffer after steps 0, 1, 2, … of one environment: step t sees t, has reward 10^t, and leads to t + 1.

    The last observation of an episode is t + 0.5, which differs from the first of the next one.
    """
    replay = Replay(size)
    for step in range(steps):
        ends = step in terminated, step in truncated
        following = step + 0.5 if any(ends) else step + 1.0
        masks = (np.array([[step % 2 == 0, True]]), np.array([[following == 4, True]])) if masked else (None, None)
        replay.add(
            Transitions(
                np.array([[float(step)]]), np.array([step]), np.array([10.0**step]), np.array([[following]]),
                np.array([ends[0]]), np.array([ends[1]]), *masks,
            )
        )  # fmt: skip
    return replay


def list_samples(replay: Replay, steps: int = 1) -> dict[int, tuple[float, float, float]]:
    """Return reward, next observation and discount of each action that can be sampled."""
    batches = replay.sample(np.random.default_rng(0), 2, 200, gamma=GAMMA, steps=steps)
    fields = (batches.actions, batches.rewards, batches.next_observations[..., 0], batches.discounts)
    return {int(a): (float(r), float(n), float(d)) for a, r, n, d in zip(*map(np.ravel, fields), strict=True)}


def test_the_next_observation_is_that_of_the_following_step() -> None:
    assert list_samples(fill(10, 3)) == {0: (1.0, 1.0, 0.5), 1: (10.0, 2.0, 0.5), 2: (100.0, 3.0, 0.5)}


def test_the_oldest_steps_are_overwritten() -> None:
    assert list_samples(fill(3, 5)) == {2: (100.0, 3.0, 0.5), 3: (1e3, 4.0, 0.5), 4: (1e4, 5.0, 0.5)}
    assert len(fill(3, 5)) == 3


def test_an_episode_that_terminates_has_no_value_after_it() -> None:
    assert list_samples(fill(10, 3, terminated={1}))[1][2] == 0


def test_the_last_observation_of_a_truncated_episode_has_a_value() -> None:
    assert list_samples(fill(10, 3, truncated={1}))[1] == (10.0, 1.5, 0.5)
    assert list_samples(fill(2, 5, truncated={2, 3}))[3] == (1e3, 3.5, 0.5)  # step 2 was overwritten
    assert len(fill(2, 6, truncated={0, 1, 2, 3}).last) == 0


def test_several_steps_end_with_the_episode_and_with_the_newest_step() -> None:
    samples = list_samples(fill(10, 6, truncated={2}), steps=3)
    assert samples[0] == (1 + 5 + 25, 2.5, 0.125)
    assert samples[1] == (10 + 50, 2.5, 0.25)
    assert samples[3] == (1e3 + 0.5e4 + 0.25e5, 6.0, 0.125)
    assert samples[5] == (1e5, 6.0, 0.5)
    assert list_samples(fill(10, 4, terminated={1}), steps=3)[0] == (1 + 5, samples[5][1] - 5 + 1, 0.0)


def test_masks_are_those_of_the_next_observation() -> None:
    replay = fill(10, 4, truncated={1}, masked=True)
    batches = replay.sample(np.random.default_rng(0), 1, 200, gamma=GAMMA)
    assert batches.next_masks is not None
    masks = {int(action): mask.tolist() for action, mask in zip(batches.actions[0], batches.next_masks[0], strict=True)}
    assert masks == {0: [False, True], 1: [False, True], 2: [False, True], 3: [True, True]}


@pytest.mark.parametrize("masked", [False, True])
def test_what_is_restored_gives_the_same_samples(masked: bool) -> None:
    replay, restored = fill(4, 7, truncated={4, 5}, masked=masked), Replay(4)
    restored.restore(replay.arrays())
    for each in (replay, restored):
        each.add(Transitions(np.array([[7.0]]), np.array([7]), np.ones(1), np.array([[8.0]]), np.zeros(1, bool),
                             np.zeros(1, bool), *([np.ones((1, 2), bool)] * 2 if masked else [])))  # fmt: skip
    assert list_samples(replay) == list_samples(restored)


def test_images_stay_bytes_and_are_stored_once() -> None:
    replay = Replay(100)
    image = np.zeros((2, 8, 8), np.uint8)
    for _ in range(60):
        replay.add(Transitions(image, np.zeros(2, int), np.zeros(2), image, np.zeros(2, bool), np.zeros(2, bool)))
    assert replay.observations.nbytes == 100 * 64
    assert replay.sample(np.random.default_rng(0), 1, 4, gamma=GAMMA).observations.dtype == np.uint8
