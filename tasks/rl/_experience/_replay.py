"""Replay buffer: the latest transitions, which are sampled at random (Lin 1992)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ._transitions import Transitions


@dataclass
class Batches:
    """Sampled transitions; each field has the shape (batches, batch size, …).

    Args:
        observations: Observations before the action.
        actions: The action taken.
        rewards: Sum of the discounted rewards of the steps.
        next_observations: Observations after the last step.
        discounts: What the value of the next observation is multiplied by: gamma to the number of steps, 0 if the
            episode terminated.
        next_masks: Which actions are legal after the last step, or None if all always are.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    discounts: np.ndarray
    next_masks: np.ndarray | None


class Replay:
    """Ring of the latest steps of N environments.

    Each observation is stored once, as the environment returns it: the next observation of a step is that of the step
    after it. Only the last observations of truncated episodes are stored apart.

    Args:
        size: Maximum number of transitions, of all environments together.

    Example:
        >>> replay, ends = Replay(2), np.zeros(1, bool)
        >>> for number in (1.0, 2.0, 3.0):
        ...     seen, following = np.array([number]), np.array([number + 1])
        ...     replay.add(Transitions(seen, np.zeros(1, int), seen, following, ends, ends))
        >>> batches = replay.sample(np.random.default_rng(0), 1, 100, gamma=0.9)
        >>> sorted({*zip(batches.rewards[0].tolist(), batches.next_observations[0].tolist())})
        [(2.0, 3.0), (3.0, 4.0)]
    """

    def __init__(self, size: int) -> None:
        self.size, self.added = size, 0
        self.following = np.zeros(0)  # observations after the newest step
        self.next_masks: np.ndarray | None = None
        self.last: dict[tuple[int, int], tuple[np.ndarray, np.ndarray | None]] = {}  # of truncated episodes

    def __len__(self) -> int:
        """Return the number of transitions that can be sampled."""
        return self.rows * len(self.following)

    @property
    def rows(self) -> int:
        """Number of steps that are stored, each of all environments."""
        return min(self.added, self.capacity) if self.added else 0

    def add(self, new: Transitions) -> None:
        """Add a step of all environments, in place of the oldest one if the buffer is full."""
        if not self.added:
            self._create(new)
        place = self.added % self.capacity
        self.observations[place], self.actions[place], self.rewards[place] = new.observations, new.actions, new.rewards
        self.terminated[place], self.ended[place] = new.terminated, new.ended
        if self.masks is not None:
            self.masks[place] = new.masks
        for column in range(len(new.actions)):
            self.last.pop((place, column), None)
        for column in np.flatnonzero(new.truncated & ~new.terminated).tolist():
            mask = None if new.next_masks is None else new.next_masks[column].copy()
            self.last[place, column] = new.next_observations[column].copy(), mask
        self.following, self.next_masks = new.next_observations, new.next_masks
        self.added += 1

    def _create(self, new: Transitions) -> None:
        columns = len(new.actions)
        self.capacity = max(1, self.size // columns)
        shape = (self.capacity, columns)
        self.observations = np.zeros((self.capacity, *new.observations.shape), new.observations.dtype)
        self.actions = np.zeros((self.capacity, *new.actions.shape), new.actions.dtype)
        self.rewards, self.terminated = np.zeros(shape, np.float32), np.zeros(shape, bool)
        self.ended = np.zeros(shape, bool)
        self.masks = None if new.masks is None else np.zeros((self.capacity, *new.masks.shape), bool)

    def sample(
        self, rng: np.random.Generator, batches: int, batch_size: int, *, gamma: float, steps: int = 1
    ) -> Batches:
        """Return random transitions of one or several steps, sampled with replacement.

        Args:
            rng: Random generator.
            batches: Number of batches.
            batch_size: Number of transitions of each.
            gamma: Discount factor.
            steps: Most steps of a transition; it ends earlier with an episode, and with the newest step.
        """
        shape = (batches, batch_size)
        age, column = rng.integers(0, self.rows, shape), rng.integers(0, len(self.following), shape)
        first = (self.added - 1 - age) % self.capacity
        last, rewards = first, self.rewards[first, column]
        discounts = np.full(shape, gamma, np.float32)
        for _ in range(steps - 1):
            goes_on = ~self.ended[last, column] & (age > 0)
            last, age = np.where(goes_on, (last + 1) % self.capacity, last), age - goes_on
            rewards = rewards + np.where(goes_on, discounts * self.rewards[last, column], 0)
            discounts = np.where(goes_on, discounts * np.float32(gamma), discounts)
        next_observations, next_masks = self._find_next(last, column, age)
        return Batches(
            self.observations[first, column],
            self.actions[first, column],
            rewards,
            next_observations,
            discounts * ~self.terminated[last, column],
            next_masks,
        )

    def _find_next(self, last: np.ndarray, column: np.ndarray, age: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the observations and masks after the steps in ``last``; any if the episode terminated."""
        after, newest = (last + 1) % self.capacity, age == 0
        observations = self.observations[after, column]
        observations[newest] = self.following[column[newest]]
        masks = None if self.masks is None else self.masks[after, column]
        if masks is not None and self.next_masks is not None:
            masks[newest] = self.next_masks[column[newest]]
        for index in zip(*np.nonzero(self.ended[last, column] & ~self.terminated[last, column]), strict=True):
            observation, mask = self.last[int(last[index]), int(column[index])]
            observations[index] = observation
            if masks is not None:
                masks[index] = mask
        return observations, masks

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that is stored as arrays."""
        if not self.added:
            return {}
        arrays = {name: getattr(self, name)[: self.rows] for name in self._rings()}
        arrays |= {"added": np.array(self.added), "following": self.following}
        if self.next_masks is not None:
            arrays["next_masks"] = self.next_masks
        arrays["last_places"] = np.array([*self.last], np.int64).reshape(-1, 2)
        arrays["last"] = np.array([observation for observation, _ in self.last.values()])
        if self.masks is not None:
            arrays["last_masks"] = np.array([mask for _, mask in self.last.values()], bool)
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`arrays` returned."""
        if "added" not in arrays:
            return
        first = {name: arrays[name][0] for name in ("observations", "actions", "rewards", "terminated", "ended")}
        mask = arrays["masks"][0] if "masks" in arrays else None
        self._create(Transitions(
            first["observations"], first["actions"], first["rewards"], first["observations"], first["terminated"],
            first["ended"], mask,
        ))  # fmt: skip
        for name in self._rings():
            getattr(self, name)[: len(arrays[name])] = arrays[name]
        self.added, self.following = int(arrays["added"]), arrays["following"].copy()
        self.next_masks = arrays["next_masks"].copy() if "next_masks" in arrays else None
        masks = arrays["last_masks"] if "last_masks" in arrays else [None] * len(arrays["last"])
        places = [(int(place), int(column)) for place, column in arrays["last_places"]]
        self.last = dict(zip(places, zip(arrays["last"], masks, strict=True), strict=True))

    def _rings(self) -> list[str]:
        names = ["observations", "actions", "rewards", "terminated", "ended"]
        return names if self.masks is None else [*names, "masks"]


def convert_batches(batches: Batches) -> list[Any]:
    """Return the fields in order as tensors, observations as float32; masks may be None."""
    masks = None if batches.next_masks is None else tf.constant(batches.next_masks)
    return [
        tf.constant(batches.observations, tf.float32),
        tf.constant(batches.actions),
        tf.constant(batches.rewards, tf.float32),
        tf.constant(batches.next_observations, tf.float32),
        tf.constant(batches.discounts, tf.float32),
        masks,
    ]
