"""Episodes in several environments at once, each with a seed of its own, so that a checkpoint can restore them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from .._actions import list_actions
from .._experience import Transitions
from ._stepper_choice import open_stepper
from ._steppers import Outcome


class Episodes:
    """Plays an episode in each of several environments.

    A running episode is given by its seed and its actions: a checkpoint has these, and :meth:`restore` plays them
    again.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        count: Number of environments.
        processes: Number of processes that step them, or None to choose it by the measured time of a step.
        envpool: Whether EnvPool steps them.

    Attributes:
        observations: The observations to act on (N, …).
        masks: Which actions are legal (N, A), or None if the environment does not say.
        returns: Sum of the rewards of each episode so far (N,).
        metrics: The environment's own metrics of the last episode that ended, by name (N,).
    """

    def __init__(
        self, name: str, options: Mapping[str, Any], count: int, processes: int | None = None, *, envpool: bool = False
    ) -> None:
        self.stepper = open_stepper(name, options, count, processes, envpool=envpool)
        self.action_space, space = self.stepper.action_space, self.stepper.observation_space
        self.observations = np.zeros((count, *(space.shape or ())), space.dtype)
        self.masks: np.ndarray | None = None
        self.returns = np.zeros(count)
        self.metrics = {metric: np.full(count, np.nan) for metric in self.stepper.metrics}
        self.seeds = np.zeros(count, np.int64)
        self.actions: list[list[Any]] = [[] for _ in range(count)]

    def begin(self, rows: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin an episode in some of the environments, with a seed for each."""
        observations, masks = self.stepper.reset(rows, seeds)
        self.seeds[rows], self.returns[rows] = seeds, 0.0
        for row in rows:
            self.actions[row].clear()
        self._keep(rows, observations, masks)

    def step_some(self, rows: Sequence[int], actions: Sequence[Any]) -> Outcome:
        """Step some of the environments; return what they returned.

        Args:
            rows: Numbers of the environments (R,).
            actions: Their actions, as environments take them (R,).
        """
        outcome = self.stepper.step(rows, actions)
        self.returns[rows] += outcome.rewards
        if self.stepper.can_repeat:
            for row, action in zip(rows, actions, strict=True):
                self.actions[row].append(action)
        self._keep(rows, outcome.observations, outcome.masks)
        if outcome.metrics is not None:
            ended = np.flatnonzero(outcome.terminated | outcome.truncated)
            for values, latest in zip(self.metrics.values(), outcome.metrics.T, strict=True):
                values[np.asarray(rows)[ended]] = latest[ended]
        return outcome

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
        observations, masks = self.observations.copy(), None if self.masks is None else self.masks.copy()
        outcome = self.step_some(range(len(actions)), list_actions(self.action_space, numbers))
        next_masks = None if self.masks is None else self.masks.copy()
        ended = np.flatnonzero(outcome.terminated | outcome.truncated).tolist()
        finished = self.returns[ended].tolist()
        if ended:
            self.begin(ended, [int(rng.integers(2**31)) for _ in ended])
        return Transitions(
            observations,
            actions,
            outcome.rewards,
            outcome.observations,
            outcome.terminated,
            outcome.truncated,
            masks,
            next_masks,
        ), finished

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the seeds of the running episodes and their actions, one after another, as arrays."""
        played = [np.asarray(action) for actions in self.actions for action in actions]
        lengths = np.array([len(actions) for actions in self.actions])
        return {"seeds": self.seeds, "lengths": lengths, "actions": np.array(played)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Play the episodes of :meth:`arrays` again, up to the same step; begin others where EnvPool plays them."""
        lengths = arrays["lengths"]
        starts = np.cumsum(lengths) - lengths
        discrete = isinstance(self.action_space, gymnasium.spaces.Discrete)
        self.begin(range(len(lengths)), arrays["seeds"].tolist())
        for number in range(lengths.max() if self.stepper.can_repeat else 0):
            rows = np.flatnonzero(lengths > number).tolist()
            played = arrays["actions"][starts[rows] + number]
            self.step_some(rows, played.tolist() if discrete else list(played))

    def close(self) -> None:
        """Close the environments."""
        self.stepper.close()

    def _keep(self, rows: Sequence[int], observations: np.ndarray, masks: np.ndarray | None) -> None:
        self.observations[rows] = observations
        if masks is None:
            if self.masks is not None:
                self.masks[rows] = True
            return
        if self.masks is None:
            self.masks = np.ones((len(self.observations), masks.shape[1]), bool)
        self.masks[rows] = masks
