"""Transitions of environments, and rollouts of them with scaled rewards, advantages and returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

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
        masks: Which actions were legal (N, A), or None if all always are.
        next_masks: Which actions are legal after it (N, A), or None.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    masks: np.ndarray | None = None
    next_masks: np.ndarray | None = None

    @property
    def ended(self) -> np.ndarray:
        """Whether the episode ended (N,)."""
        ended: np.ndarray = self.terminated | self.truncated
        return ended


def stack_steps(steps: Sequence[Transitions]) -> Transitions:
    """Return a rollout: the T steps of N environments as fields (T, N, …)."""
    columns = [[getattr(step, field.name) for step in steps] for field in fields(Transitions)]
    stacked: list[Any] = [None if values[0] is None else np.stack(values) for values in columns]
    return Transitions(*stacked)


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


def compute_returns(rollout: Transitions, next_values: np.ndarray, *, gamma: float, trace: float) -> np.ndarray:
    """Return the lambda-returns (T, N) of a rollout: what the value of each action should be.

    Peng and Williams 1996, "Incremental multi-step Q-learning", as Gallici et al. 2025 use it. Ends of episodes are
    treated as in :func:`compute_advantages`.

    Args:
        rollout: T steps of N environments.
        next_values: Values of the best actions at the next observations (T, N).
        gamma: Discount factor.
        trace: Lambda, the weight of later rewards against the next value.

    Example:
        >>> ends = np.zeros((2, 1), bool)
        >>> steps = Transitions(*[np.ones((2, 1))] * 4, ends, ends)
        >>> compute_returns(steps, np.full((2, 1), 2.0), gamma=0.5, trace=0.5).ravel().tolist()
        [2.0, 2.0]
    """
    one_step = rollout.rewards + gamma * next_values * (1 - rollout.terminated)
    goes_on = 1.0 - rollout.ended
    returns, later = np.zeros_like(one_step), next_values[-1]
    for step in reversed(range(len(one_step))):
        later = one_step[step] + gamma * trace * goes_on[step] * (later - next_values[step])
        returns[step] = later
    return returns


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

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the discounted returns so far as arrays, nothing before the first rollout."""
        return {} if self.returns is None else {"returns": self.returns}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`arrays` returned."""
        self.returns = arrays["returns"].copy() if "returns" in arrays else None
