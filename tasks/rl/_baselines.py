"""Scores of agents that learn nothing: a random one, constant actions, and policies that an environment comes with."""

from __future__ import annotations

import math
from collections.abc import Mapping

from zoo.data.dataset import Dataset

from ._environments import PlayedEpisodes, make_constant_policy, make_random_policy, play_baseline, play_episodes


def score_baseline(name: str, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
    """Return the scores of a baseline in the episodes of each split.

    Args:
        name: ``random``, ``always_`` and an action, or the name of a policy of the environment.
        dataset: The environment, and seeds of episodes.
        seed: Seed of random actions.
    """
    target, options = dataset.spec.target, dataset.spec.options
    processes, scores = options.get("processes"), {}
    for split, episodes in dataset.splits.items():
        seeds = episodes.rows.tolist()
        if name in options.get("baseline_policies", []):
            played = play_baseline(dataset.source, options["env"], name, seeds, processes)
        elif name == "random":
            played = play_episodes(dataset.source, options["env"], make_random_policy(target, seed), seeds, processes)
        else:
            policy = make_constant_policy(target.classes.index(name.removeprefix("always_")))
            played = play_episodes(dataset.source, options["env"], policy, seeds, processes)
        scores[split] = score_episodes(played)
    return scores


def score_episodes(played: PlayedEpisodes) -> dict[str, float]:
    """Return mean and standard deviation (NaN of one) of the returns, and means of the environment's metrics."""
    returns = played.returns
    std = float(returns.std(ddof=1)) if len(returns) > 1 else math.nan
    metrics = {metric: float(values.mean()) for metric, values in played.metrics.items()}
    return {"return_mean": float(returns.mean()), "return_std": std, **metrics}
