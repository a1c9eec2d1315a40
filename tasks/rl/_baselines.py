"""Scores of agents that learn nothing: a random one, constant actions, and policies that an environment comes with."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from zoo.data.dataset import Dataset

from ._environments import make_constant_policy, make_random_policy, play_baseline, play_episodes


def score_baseline(name: str, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    """Return the scores of a baseline in the episodes of each split.

    Args:
        name: ``random``, ``always_`` and an action, or the name of a policy of the environment.
        dataset: The environment, and seeds of episodes.
        seed: Seed of random actions.
    """
    target, options = dataset.spec.target, dataset.spec.options
    scores = {}
    for split, episodes in dataset.splits.items():
        seeds = episodes.rows.tolist()
        if name in options.get("baseline_policies", []):
            returns = play_baseline(dataset.source, options["env"], name, seeds)
        elif name == "random":
            returns = play_episodes(dataset.source, options["env"], make_random_policy(target, seed), seeds)
        else:
            policy = make_constant_policy(target.classes.index(name.removeprefix("always_")))
            returns = play_episodes(dataset.source, options["env"], policy, seeds)
        scores[split] = score_returns(returns)
    return scores


def score_returns(returns: np.ndarray) -> dict[str, float]:
    """Return mean and standard deviation of the returns of episodes (E,); NaN for that of one."""
    std = float(returns.std(ddof=1)) if len(returns) > 1 else math.nan
    return {"return_mean": float(returns.mean()), "return_std": std}
