"""Evaluation of policies on complete episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from zoo.spec import Target

from .._actions import draw_random_actions, find_action_indices, list_actions
from ._episodes import Episodes
from ._making import get_baseline_policies, make_environment

# From observations (B, …) and masks of legal actions (B, A), or None, to indices (B,) or bounded numbers (B, A).
Policy = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
MOST_TOGETHER = 50


class PlayedEpisodes(NamedTuple):
    """The result of E episodes.

    Args:
        returns: The return of each (E,).
        metrics: The environment's own metrics of each, by name (E,).
        truncated_after: Number of steps after which each was truncated, or 0 (E,).
    """

    returns: np.ndarray
    metrics: Mapping[str, np.ndarray]
    truncated_after: np.ndarray


class EpisodePlayer:
    """Plays episodes in environments that stay open, with their processes, until it is closed.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        processes: Number of processes that step the environments, or None to choose it by the time of a step.
    """

    def __init__(self, name: str, options: Mapping[str, Any], processes: int | None = None) -> None:
        self.name, self.options, self.processes = name, options, processes
        self._open: dict[int, Episodes] = {}  # by the number of environments

    def __enter__(self) -> EpisodePlayer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def play(self, policy: Policy, seeds: Sequence[int]) -> PlayedEpisodes:
        """Return the return (sum of rewards) of one episode per seed, and its metrics; the episodes run in parallel.

        Args:
            policy: Function from observations and masks of legal actions to actions.
            seeds: Seed of each episode.
        """
        return self.play_sets(lambda: policy, seeds)

    def play_sets(self, create_policy: Callable[[], Policy], seeds: Sequence[int]) -> PlayedEpisodes:
        """Play at most 50 episodes together, each set of them by a policy of its own; see :meth:`play`."""
        try:
            parts = [
                self._play_together(create_policy(), seeds[start : start + MOST_TOGETHER])
                for start in range(0, len(seeds), MOST_TOGETHER)
            ]
        except BaseException:
            self.close()  # an answer of a process may be left in its pipe
            raise
        metrics = {metric: np.concatenate([part.metrics[metric] for part in parts]) for metric in parts[0].metrics}
        returns = np.concatenate([part.returns for part in parts])
        return PlayedEpisodes(returns, metrics, np.concatenate([part.truncated_after for part in parts]))

    def close(self) -> None:
        """Close the environments and end their processes; playing opens others."""
        while self._open:
            self._open.popitem()[1].close()

    def _play_together(self, policy: Policy, seeds: Sequence[int]) -> PlayedEpisodes:
        count = len(seeds)
        if count not in self._open:
            self._open[count] = Episodes(self.name, self.options, count, self.processes)
        episodes = self._open[count]
        episodes.begin(range(count), [int(seed) for seed in seeds])
        playing, truncated_after, steps = list(range(count)), np.zeros(count, int), 0
        while playing:
            # Pass all observations, so that the policy is compiled for one batch size only.
            actions = list_actions(episodes.action_space, policy(episodes.observations, episodes.masks))
            outcome = episodes.step_some(playing, [actions[row] for row in playing])
            ended = outcome.terminated | outcome.truncated
            steps += 1
            truncated_after[playing] = np.where(outcome.truncated & ~outcome.terminated, steps, 0)
            playing = [row for row, over in zip(playing, ended, strict=True) if not over]
        metrics = {name: values.copy() for name, values in episodes.metrics.items()}
        return PlayedEpisodes(episodes.returns.copy(), metrics, truncated_after)


def play_episodes(
    name: str, options: Mapping[str, Any], policy: Policy, seeds: Sequence[int], processes: int | None = None
) -> PlayedEpisodes:
    """Play one episode per seed in environments that are closed afterwards; see :class:`EpisodePlayer`."""
    with EpisodePlayer(name, options, processes) as player:
        return player.play(policy, seeds)


def play_baseline(
    name: str, options: Mapping[str, Any], baseline: str, seeds: Sequence[int], processes: int | None = None
) -> PlayedEpisodes:
    """Return the result of a baseline that the environment comes with, by a new policy for each set of episodes.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        baseline: Name of the baseline; see :func:`get_baseline_policies`.
        seeds: Seed of each episode.
        processes: Number of processes that step the environments, or None to choose it by the time of a step.
    """
    environment = make_environment(name, options)
    create_policy = get_baseline_policies(environment, name)[baseline]
    environment.close()

    def create_indexed() -> Policy:
        policy = create_policy()
        return lambda observations, masks: find_action_indices(environment, policy(observations))

    with EpisodePlayer(name, options, processes) as player:
        return player.play_sets(create_indexed, seeds)


def make_random_policy(target: Target, seed: int) -> Policy:
    """Return a policy that samples legal actions uniformly."""
    rng = np.random.default_rng(seed)
    if target.kind == "class":
        return lambda observations, masks: draw_random_actions(rng, len(observations), len(target.classes), masks)
    low, high = np.asarray(target.bounds, np.float32).T
    return lambda observations, masks: rng.uniform(low, high, (len(observations), len(low))).astype(np.float32)


def make_constant_policy(action: int) -> Policy:
    """Return a policy that always takes one action, and the first legal one where that is not legal."""

    def policy(observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        actions = np.full(len(observations), action)
        return actions if masks is None else np.where(masks[:, action], actions, masks.argmax(axis=1))

    return policy
