"""Replay buffer: stores transitions and samples them at random (Lin 1992)."""

from __future__ import annotations

import numpy as np

from ._transitions import Transitions


class Replay:
    """Ring buffer of the latest transitions.

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
