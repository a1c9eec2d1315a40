"""Playing whole episodes: with a policy, or at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ._environments import make_environment

Policy = Callable[[np.ndarray], np.ndarray]
MOST_TOGETHER = 50


def episode_returns(name: str, options: Mapping[str, Any], policy: Policy, seeds: Sequence[int]) -> np.ndarray:
    """Return the sum of rewards of one episode for each seed, shape (E,); several are played together.

    Args:
        name: The environment.
        options: What it is made with.
        policy: From observations (B, …) to actions (B,), as indices.
        seeds: Seed of each episode.
    """
    returns = [
        _together(name, options, policy, seeds[start : start + MOST_TOGETHER])
        for start in range(0, len(seeds), MOST_TOGETHER)
    ]
    return np.concatenate(returns)


def _together(name: str, options: Mapping[str, Any], policy: Policy, seeds: Sequence[int]) -> np.ndarray:
    environments = [make_environment(name, options) for _ in seeds]
    start = getattr(environments[0].action_space, "start", 0)
    try:
        observations = np.array([env.reset(seed=int(seed))[0] for env, seed in zip(environments, seeds, strict=True)])
        returns = np.zeros(len(seeds))
        playing = np.arange(len(seeds))
        while len(playing):
            # All observations go in, so that the policy is compiled for one size only.
            actions = policy(observations)
            left = []
            for row in playing:
                observations[row], reward, terminated, truncated, _ = environments[row].step(int(actions[row] + start))
                returns[row] += float(reward)
                if not (terminated or truncated):
                    left.append(row)
            playing = np.array(left, int)
        return returns
    finally:
        for env in environments:
            env.close()


def random_policy(actions: int, seed: int) -> Policy:
    """Return a policy that takes each action as often as any other."""
    rng = np.random.default_rng(seed)
    return lambda observations: rng.integers(0, actions, len(observations))


def constant_policy(action: int) -> Policy:
    """Return a policy that always takes one action."""
    return lambda observations: np.full(len(observations), action)
