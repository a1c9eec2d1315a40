"""Several environments that are stepped together, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ._checks import read_mask
from ._making import make_environment
from ._metrics import find_metrics, read_metrics


class Outcome(NamedTuple):
    """What a step of R environments returned.

    Args:
        observations: The next observations (R, …).
        rewards: The rewards (R,).
        terminated: Whether each episode terminated (R,).
        truncated: Whether each episode was truncated (R,).
        masks: Which actions are legal next (R, A), or None if the environment does not say.
        metrics: The environment's own metrics of each episode that ended, NaN for others (R, K); None if it has none.
    """

    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    masks: np.ndarray | None
    metrics: np.ndarray | None


class Stepper:
    """Environments that are stepped one after another in this process.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        count: Number of environments.

    Attributes:
        action_space: The action space of one environment.
        observation_space: The observation space of one environment.
        metrics: Names of the environment's own metrics.
    """

    processes = 1
    can_repeat = True  # whether an episode is played again by its seed and actions

    def __init__(self, name: str, options: Mapping[str, Any], count: int) -> None:
        self.name = name
        self.environments = [make_environment(name, options) for _ in range(count)]
        self.action_space: gymnasium.Space = self.environments[0].action_space
        self.observation_space: gymnasium.Space = self.environments[0].observation_space
        self.metrics = tuple(find_metrics(self.environments[0], name))

    def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Begin an episode in each of R environments; return observations (R, …) and masks (R, A), or None."""
        observations = self._hold(len(rows))
        masks: list[np.ndarray | None] = []
        for index, (row, seed) in enumerate(zip(rows, seeds, strict=True)):
            observations[index], info = self.environments[row].reset(seed=seed)
            masks.append(read_mask(self.environments[row], info, self.name))
        return observations, _join_masks(masks)

    def step(self, rows: Sequence[int], actions: Sequence[Any]) -> Outcome:
        """Step R environments.

        Args:
            rows: Numbers of the environments (R,).
            actions: Their actions, as environments take them (R,).
        """
        count = len(rows)
        observations, rewards = self._hold(count), np.zeros(count)
        terminated, truncated = np.zeros(count, bool), np.zeros(count, bool)
        masks: list[np.ndarray | None] = []
        metrics = np.full((count, len(self.metrics)), np.nan) if self.metrics else None
        for index, (row, action) in enumerate(zip(rows, actions, strict=True)):
            environment = self.environments[row]
            observations[index], rewards[index], terminated[index], truncated[index], info = environment.step(action)
            ended = bool(terminated[index] or truncated[index])
            masks.append(read_mask(environment, info, self.name, ended=ended))
            if metrics is not None and ended:
                metrics[index] = read_metrics(environment, info, self.metrics, self.name)
        return Outcome(observations, rewards, terminated, truncated, _join_masks(masks), metrics)

    def close(self) -> None:
        """Close the environments."""
        for environment in self.environments:
            environment.close()

    def _hold(self, count: int) -> np.ndarray:
        return np.zeros((count, *(self.observation_space.shape or ())), self.observation_space.dtype)


def _join_masks(masks: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Return masks of several environments (R, A), in which an environment without one has only legal actions."""
    some = next((mask for mask in masks if mask is not None), None)
    if some is None:
        return None
    return np.stack([np.ones_like(some) if mask is None else mask for mask in masks])
