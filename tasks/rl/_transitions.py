"""Transitions of environments: one step of several, stored in a replay buffer or as a rollout; advantages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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
