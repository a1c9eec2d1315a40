"""The loop of every agent: step the environments, store, learn, evaluate, until training is over."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from ._actions import convert_actions
from ._environments import Episodes
from ._experience import Transitions
from ._training_state import AgentState


class Learner(ABC):
    """What an agent does within the loop; the agent's file implements it."""

    @abstractmethod
    def act(self, observations: np.ndarray, masks: np.ndarray | None, steps: int) -> np.ndarray:
        """Return exploring actions for observations (N, …): indices (N,), or numbers in [-1, 1] (N, A).

        Args:
            observations: Raw observations, one of each environment.
            masks: Which actions are legal (N, A), or None for all.
            steps: Number of environment steps so far.
        """

    @abstractmethod
    def store(self, transitions: Transitions) -> None:
        """Keep the transitions of one step of all environments."""

    @abstractmethod
    def learn(self, number: int) -> Mapping[str, float]:
        """Learn from what is stored; return facts to track, nothing if there is too little.

        Args:
            number: Number of earlier calls that learned.
        """

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what checkpoints have beside networks and optimizers, as arrays by name."""
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`arrays` returned."""
        assert not arrays


def train_agent(state: AgentState, learner: Learner, *, environments: int, round_steps: int, period: int) -> None:
    """Train until ``state.over``.

    After each evaluation interval the agent's facts are tracked, and ``train_return_mean``, that of the episodes which
    ended in it, in which the agent explores. Training that resumes goes on with the same weights, stored transitions,
    random numbers and episodes as if it had not stopped, if the environment depends on its seed and actions alone.

    Args:
        state: State of training.
        learner: Acts and learns.
        environments: Number of parallel environments.
        round_steps: Environment steps between two calls of ``learn``.
        period: Environment steps between two evaluations, which are epochs.
    """
    source, rng = state.environment, state.rng
    episodes = Episodes(source.name, source.options, environments, source.processes, envpool=source.envpool)
    state.processes = episodes.stepper.processes
    rounds = max(1, period // round_steps)
    try:
        state.add_part("learner", learner)
        if not state.add_part("episodes", episodes):
            episodes.begin(range(environments), [int(rng.integers(2**31)) for _ in range(environments)])
        state.output.check(episodes.observations)
        while not state.over:
            facts: Mapping[str, float] = {}
            returns: list[float] = []
            rates = state.plan.settings.rates(state.base_rate, state.result.epochs_run, rounds)
            for number in range(rounds):
                if rates is not None:
                    state.network.optimizer.learning_rate = float(rates[number])
                for _ in range(max(1, round_steps // environments)):
                    actions = learner.act(episodes.observations, episodes.masks, state.steps)
                    transitions, finished = episodes.step(actions, convert_actions(source.target, actions), rng)
                    learner.store(transitions)
                    state.steps += environments
                    returns += finished
                learned = learner.learn(state.updates)
                if learned:
                    state.output.refresh()
                    facts, state.updates = learned, state.updates + 1
            exploring = float(np.mean(returns)) if returns else math.nan
            state.after_evaluation({"train_return_mean": exploring, **facts})
    finally:
        episodes.close()
