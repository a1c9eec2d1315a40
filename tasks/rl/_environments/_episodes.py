"""Episodes in several environments at once, each with a seed of its own, so that a checkpoint can restore them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from .._actions import list_actions
from .._transitions import Transitions
from ._checks import read_mask
from ._making import make_environment


class Episodes:
    """Plays an episode in each of several environments of one process.

    A running episode is given by its seed and its actions: a checkpoint has these, and :meth:`restore` plays them
    again.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        count: Number of environments.

    Attributes:
        observations: The observations to act on (N, …).
        masks: Which actions are legal (N, A), or None if the environment does not say.
        returns: Sum of the rewards of each episode so far (N,).
    """

    def __init__(self, name: str, options: Mapping[str, Any], count: int) -> None:
        self.environments = [make_environment(name, options) for _ in range(count)]
        self.name, self.action_space = name, self.environments[0].action_space
        space = self.environments[0].observation_space
        self.observations = np.zeros((count, *(space.shape or ())), space.dtype)
        self.masks: np.ndarray | None = None
        self.returns = np.zeros(count)
        self.seeds = np.zeros(count, np.int64)
        self.actions: list[list[Any]] = [[] for _ in range(count)]

    def begin(self, row: int, seed: int) -> None:
        """Begin an episode in one environment."""
        observation, info = self.environments[row].reset(seed=seed)
        self.seeds[row], self.returns[row] = seed, 0.0
        self.actions[row].clear()
        self._show(row, observation, info)

    def step_one(self, row: int, action: Any) -> tuple[float, bool, bool]:
        """Step one environment; return the reward, and whether the episode terminated or was truncated.

        Args:
            row: Number of the environment.
            action: The action as the environment takes it.
        """
        observation, reward, terminated, truncated, info = self.environments[row].step(action)
        reward = float(reward)
        self.returns[row] += reward
        self.actions[row].append(action)
        self._show(row, observation, info, ended=bool(terminated or truncated))
        return reward, bool(terminated), bool(truncated)

    def step(
        self, actions: np.ndarray, numbers: np.ndarray, rng: np.random.Generator
    ) -> tuple[Transitions, list[float]]:
        """Step all environments; return the transitions, and the returns of the episodes that ended.

        Where an episode ended, the next one has begun afterwards; its first observation is in ``observations``.

        Args:
            actions: The actions as the agent represents them: indices (N,), or numbers (N, A) from -1 to 1.
            numbers: The same within the bounds of the environment; see :func:`convert_actions`.
            rng: Draws the seeds of the episodes that begin.
        """
        count = len(actions)
        observations, masks = self.observations.copy(), None if self.masks is None else self.masks.copy()
        rewards, terminated, truncated = np.zeros(count), np.zeros(count, bool), np.zeros(count, bool)
        for row, action in enumerate(list_actions(self.action_space, numbers)):
            rewards[row], terminated[row], truncated[row] = self.step_one(row, action)
        following, next_masks = self.observations.copy(), None if self.masks is None else self.masks.copy()
        ended = np.flatnonzero(terminated | truncated)
        finished = self.returns[ended].tolist()
        for row in ended.tolist():
            self.begin(row, int(rng.integers(2**31)))
        return Transitions(
            observations, actions, rewards, following, terminated, truncated, masks, next_masks
        ), finished

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the seeds of the running episodes and their actions, one after another, as arrays."""
        played = [np.asarray(action) for actions in self.actions for action in actions]
        lengths = np.array([len(actions) for actions in self.actions])
        return {"seeds": self.seeds, "lengths": lengths, "actions": np.array(played)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Play the episodes of :meth:`arrays` again, up to the same step."""
        ends = np.cumsum(arrays["lengths"])
        discrete = isinstance(self.action_space, gymnasium.spaces.Discrete)
        for row, (seed, start, end) in enumerate(zip(arrays["seeds"], ends - arrays["lengths"], ends, strict=True)):
            self.begin(row, int(seed))
            for action in arrays["actions"][start:end]:
                self.step_one(row, int(action) if discrete else action)

    def close(self) -> None:
        """Close the environments."""
        for environment in self.environments:
            environment.close()

    def _show(self, row: int, observation: Any, info: Mapping[str, Any], *, ended: bool = False) -> None:
        self.observations[row] = observation
        mask = read_mask(self.environments[row], info, self.name, ended=ended)
        if mask is None:
            return
        if self.masks is None:
            self.masks = np.ones((len(self.environments), len(mask)), bool)
        self.masks[row] = mask
