"""Evaluation of policies on complete episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.spec import Target

from ._actions import count_from_start
from ._environments import get_baseline_policies, make_environment

Policy = Callable[[np.ndarray], np.ndarray]
MOST_TOGETHER = 50


def play_episodes(name: str, options: Mapping[str, Any], policy: Policy, seeds: Sequence[int]) -> np.ndarray:
    """Return the return (sum of rewards) of one episode per seed, shape (E,); the episodes run in parallel.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        policy: Function from observations (B, …) to actions: indices (B,), or numbers (B, A).
        seeds: Seed of each episode.
    """
    returns = [
        _together(name, options, policy, seeds[start : start + MOST_TOGETHER])
        for start in range(0, len(seeds), MOST_TOGETHER)
    ]
    return np.concatenate(returns)


def play_baseline(name: str, options: Mapping[str, Any], baseline: str, seeds: Sequence[int]) -> np.ndarray:
    """Return the returns (E,) of a baseline that the environment comes with, by a new policy for each set of episodes.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        baseline: Name of the baseline; see :func:`get_baseline_policies`.
        seeds: Seed of each episode.
    """
    environment = make_environment(name, options)
    create_policy = get_baseline_policies(environment, name)[baseline]
    start = getattr(environment.action_space, "start", 0)  # discrete actions are played by index
    environment.close()

    def create_indexed() -> Policy:
        policy = create_policy()
        return lambda observations: np.asarray(policy(observations)) - start

    returns = [
        _together(name, options, create_indexed(), seeds[first : first + MOST_TOGETHER])
        for first in range(0, len(seeds), MOST_TOGETHER)
    ]
    return np.concatenate(returns)


def _together(name: str, options: Mapping[str, Any], policy: Policy, seeds: Sequence[int]) -> np.ndarray:
    environments = [make_environment(name, options) for _ in seeds]
    space = environments[0].action_space
    try:
        observations = np.array([env.reset(seed=int(seed))[0] for env, seed in zip(environments, seeds, strict=True)])
        returns = np.zeros(len(seeds))
        playing = np.arange(len(seeds))
        while len(playing):
            # Pass all observations, so that the policy is compiled for one batch size only.
            actions = policy(observations)
            left = []
            for row in playing:
                action = count_from_start(space, actions[row])
                observations[row], reward, terminated, truncated, _ = environments[row].step(action)
                returns[row] += float(reward)
                if not (terminated or truncated):
                    left.append(row)
            playing = np.array(left, int)
        return returns
    finally:
        for env in environments:
            env.close()


def make_random_policy(target: Target, seed: int) -> Policy:
    """Return a policy that samples actions uniformly."""
    rng = np.random.default_rng(seed)
    if target.kind == "class":
        return lambda observations: rng.integers(0, len(target.classes), len(observations))
    low, high = np.asarray(target.bounds, np.float32).T
    return lambda observations: rng.uniform(low, high, (len(observations), len(low))).astype(np.float32)


def make_constant_policy(action: int) -> Policy:
    """Return a policy that always takes one action."""
    return lambda observations: np.full(len(observations), action)
