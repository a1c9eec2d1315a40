"""Transitions of environments: rollouts with scaled rewards and advantages, and a replay buffer (Lin 1992)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.networks.running_normalization import LARGEST, SMALLEST_VARIANCE, RunningNormalization


@dataclass
class Transitions:
    """Transitions of environments; each field has N rows, or in a rollout T steps of N.

    Args:
        observations: Observations before the action (N, …).
        actions: The action taken: its index (N,), or numbers (N, A).
        rewards: Reward of the action (N,).
        next_observations: Observations after the action (N, …), before any reset.
        terminated: Whether the episode terminated (N,).
        truncated: Whether it was cut, as by a time limit (N,): the next observation still has a value.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return the fields in order."""
        return (
            self.observations, self.actions, self.rewards, self.next_observations, self.terminated, self.truncated,
        )  # fmt: skip


def stack_steps(steps: Sequence[Transitions]) -> Transitions:
    """Return a rollout: the T steps of N environments as fields (T, N, …)."""
    return Transitions(*(np.stack(values) for values in zip(*(step.arrays() for step in steps), strict=True)))


def compute_advantages(
    rollout: Transitions, values: np.ndarray, next_values: np.ndarray, *, gamma: float, trace: float
) -> np.ndarray:
    """Return the advantages (T, N) of a rollout by generalized advantage estimation.

    Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation", equation 16. An
    episode that terminates has no value after it; one that is truncated has, but its advantages end there too (Pardo et
    al. 2018, "Time limits in reinforcement learning").

    Args:
        rollout: T steps of N environments.
        values: Values of the observations (T, N).
        next_values: Values of the next observations (T, N).
        gamma: Discount factor.
        trace: Lambda, the factor by which later errors count less.

    Example:
        >>> ends = np.zeros((2, 1), bool)
        >>> steps = Transitions(*[np.ones((2, 1))] * 4, ends, ends)
        >>> zeros = np.zeros((2, 1))
        >>> compute_advantages(steps, zeros, zeros, gamma=0.5, trace=1.0).ravel().tolist()
        [1.5, 1.0]
    """
    errors = rollout.rewards + gamma * next_values * (1 - rollout.terminated) - values
    goes_on = 1.0 - (rollout.terminated | rollout.truncated)
    advantages, later = np.zeros_like(errors), np.zeros(errors.shape[1:])
    for step in reversed(range(len(errors))):
        later = errors[step] + gamma * trace * goes_on[step] * later
        advantages[step] = later
    return advantages


class Replay:
    """Replay buffer: a ring of the latest transitions, which are sampled at random (Lin 1992).

    Args:
        size: Maximum number of transitions.
        shape: Shape of one observation.

    Example:
        >>> replay = Replay(2, ())
        >>> for reward in (1.0, 2.0, 3.0):
        ...     one = np.zeros(1)
        ...     replay.add(Transitions(one, one, np.array([reward]), one, one, one))
        >>> sorted(replay.stored.rewards[: len(replay)].tolist())
        [2.0, 3.0]
    """

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        self.size, self.added = size, 0
        self.stored = Transitions(
            np.zeros((size, *shape), np.float32),
            np.zeros(size, np.int32),
            np.zeros(size, np.float32),
            np.zeros((size, *shape), np.float32),
            np.zeros(size, np.float32),
            np.zeros(size, bool),
        )

    def __len__(self) -> int:
        return min(self.added, self.size)

    def add(self, new: Transitions) -> None:
        """Add transitions, overwriting the oldest ones if the buffer is full."""
        places = (self.added + np.arange(len(new.actions))) % self.size
        for stored, values in zip(self.stored.arrays(), new.arrays(), strict=True):
            stored[places] = values
        self.added += len(places)

    def sample(self, rng: np.random.Generator, batches: int, batch_size: int) -> tuple[np.ndarray, ...]:
        """Return the fields of random transitions, each (batches, batch_size, …), sampled with replacement.

        They are observations, actions, rewards, next observations, and whether the episode terminated.
        """
        rows = rng.integers(0, len(self), (batches, batch_size))
        return tuple(values[rows] for values in self.stored.arrays()[:-1])


class RewardScale:
    """Divides rewards by the running standard deviation of the discounted return, and clips.

    As ``NormalizeReward`` of Gymnasium. The statistics are in a layer, so that checkpoints have them.

    Args:
        layer: Holds the statistics of one number, the discounted return.
        gamma: Discount factor.
    """

    def __init__(self, layer: RunningNormalization, gamma: float) -> None:
        self.layer, self.gamma = layer, gamma
        self.returns: np.ndarray | None = None

    def __call__(self, rewards: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Return scaled rewards of a rollout (T, N), after adding its returns to the statistics.

        Args:
            rewards: (T, N).
            ended: Whether an episode ended with the step (T, N).
        """
        running = np.zeros(rewards.shape[1]) if self.returns is None else self.returns
        seen = np.empty(rewards.shape)
        for step, (reward, end) in enumerate(zip(rewards, ended, strict=True)):
            running = running * self.gamma + reward
            seen[step] = running
            running = running * ~end
        self.returns = running
        self.layer.update(seen.reshape(-1, 1))
        deviation = np.sqrt(float(self.layer.variance[0]) + SMALLEST_VARIANCE)
        return np.clip(rewards / deviation, -LARGEST, LARGEST)
