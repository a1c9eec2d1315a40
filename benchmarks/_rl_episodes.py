"""What both sides of `rl.py` share: the episodes that judge a policy, and the CPU time of each part of training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np

# The episodes by which zoo checks a policy, and then confirms it; the last are for the judge of both sides.
CHECK_SEEDS, CONFIRMATION_SEEDS = range(1_000_000, 1_000_020), range(2_000_000, 2_000_100)
JUDGE_SEEDS = range(4_000_000, 4_000_100)
MOST_TOGETHER = 50

# From observations (B, …) to actions as the environment takes them: (B,), or (B, A).
Policy = Callable[[np.ndarray], np.ndarray]


def make_environment(name: str) -> gymnasium.Env:
    """Return an environment without Gymnasium's checker, as zoo makes it: both sides step the same one."""
    return gymnasium.make(name, disable_env_checker=True)


def reaches_goal(policy: Policy, environment: str, goal: float) -> bool:
    """Return whether the mean return reaches the goal in the check's episodes and in those that confirm it."""
    return all(play_episodes(policy, environment, seeds).mean() >= goal for seeds in (CHECK_SEEDS, CONFIRMATION_SEEDS))


def play_episodes(policy: Policy, environment: str, seeds: Sequence[int]) -> np.ndarray:
    """Return the sum of rewards of one episode for each seed (E,); many are played together, as zoo does."""
    returns = [
        _play_together(policy, environment, seeds[start : start + MOST_TOGETHER])
        for start in range(0, len(seeds), MOST_TOGETHER)
    ]
    return np.concatenate(returns)


def _play_together(policy: Policy, name: str, seeds: Sequence[int]) -> np.ndarray:
    environments = [make_environment(name) for _ in seeds]
    seen = np.array([environment.reset(seed=seed)[0] for environment, seed in zip(environments, seeds, strict=True)])
    returns, playing = np.zeros(len(seeds)), list(range(len(seeds)))
    while playing:
        actions, left = policy(seen), []
        for row in playing:
            action = actions[row] if actions.ndim > 1 else int(actions[row])
            seen[row], reward, terminated, truncated, _ = environments[row].step(action)
            returns[row] += float(reward)
            if not (terminated or truncated):
                left.append(row)
        playing = left
    return returns


class Stopwatch:
    """CPU seconds of the parts of a training, by name; a part within another one counts for the outer one.

    Attributes:
        seconds: Sum over the calls of each part.
        longest: The longest call of each part.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.longest: dict[str, float] = {}
        self._running = False

    def time_calls(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same, and whose calls count for a part."""

        def timed(*args: Any, **options: Any) -> Any:
            if self._running:
                return function(*args, **options)
            self._running, began = True, time.process_time()
            try:
                return function(*args, **options)
            finally:
                spent, self._running = time.process_time() - began, False
                self.seconds[part] = self.seconds.get(part, 0.0) + spent
                self.longest[part] = max(self.longest.get(part, 0.0), spent)

        return timed

    def time_steps(self, environment: gymnasium.Env) -> gymnasium.Env:
        """Return the environment; its steps and resets count for the part ``environment`` from now on."""
        for name in ("step", "reset"):
            setattr(environment, name, self.time_calls("environment", getattr(environment, name)))
        return environment
