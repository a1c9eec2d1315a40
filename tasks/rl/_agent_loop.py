"""The loop of every agent: step the environments, store, learn, evaluate, until training is over."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from ._actions import convert_actions
from ._environments import make_vector_environment
from ._training_state import AgentState
from ._transitions import Transitions


class Learner(ABC):
    """What an agent does within the loop; the agent's file implements it."""

    @abstractmethod
    def act(self, observations: np.ndarray, steps: int) -> np.ndarray:
        """Return exploring actions for observations (N, …): indices (N,), or numbers in [-1, 1] (N, A).

        Args:
            observations: Raw observations, one of each environment.
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


def train_agent(
    state: AgentState,
    create_learner: Callable[[gymnasium.vector.VectorEnv, np.random.Generator], Learner],
    *,
    environments: int,
    round_steps: int,
    period: int,
) -> None:
    """Train until ``state.over``.

    After each evaluation interval the agent's facts are tracked, and ``train_return_mean``, that of the episodes which
    ended in it, in which the agent explores. When training resumes, networks, optimizers and counts are restored; the
    environments are reset, and what was stored is gathered anew.

    Args:
        state: State of training.
        create_learner: Returns the learner for the vector environment and a random generator.
        environments: Number of parallel environments.
        round_steps: Environment steps between two calls of ``learn``.
        period: Environment steps between two evaluations, which are epochs.
    """
    rng = np.random.default_rng([state.plan.seed, state.steps])
    source, target = state.environment, state.environment.target
    vector = make_vector_environment(source.name, source.options, environments)
    rounds = max(1, period // round_steps)
    try:
        learner = create_learner(vector, rng)
        observations, _ = vector.reset(seed=int(rng.integers(2**31)))
        state.output.check(observations)
        running = np.zeros(environments)  # returns of the episodes that are being played
        while not state.over:
            facts: Mapping[str, float] = {}
            returns: list[float] = []
            rates = state.plan.settings.rates(state.base_rate, state.result.epochs_run, rounds)
            for number in range(rounds):
                if rates is not None:
                    state.network.optimizer.learning_rate = float(rates[number])
                for _ in range(max(1, round_steps // environments)):
                    actions = learner.act(observations, state.steps)
                    transitions, observations = step_environments(
                        vector, observations, actions, convert_actions(target, actions)
                    )
                    learner.store(transitions)
                    state.steps += environments
                    running += transitions.rewards
                    ended = transitions.terminated | transitions.truncated
                    returns += running[ended].tolist()
                    running[ended] = 0
                learned = learner.learn(state.updates)
                if learned:
                    state.output.refresh()
                    facts, state.updates = learned, state.updates + 1
            exploring = float(np.mean(returns)) if returns else math.nan
            state.after_evaluation({"train_return_mean": exploring, **facts})
    finally:
        vector.close()


def step_environments(
    environments: gymnasium.vector.VectorEnv, observations: np.ndarray, actions: np.ndarray, converted: Any
) -> tuple[Transitions, np.ndarray]:
    """Step all environments; return the transitions and the observations to act on next.

    Args:
        environments: Vector environment that resets in the step in which an episode ends.
        observations: What the actions were chosen from (N, …).
        actions: The actions, as the agent's networks represent them.
        converted: The same, as the environments take them.
    """
    following, rewards, terminated, truncated, infos = environments.step(converted)
    last = following.copy()
    for row in np.flatnonzero(terminated | truncated):
        last[row] = infos["final_obs"][row]  # not the first observation of the next episode
    return Transitions(observations, actions, rewards, last, terminated, truncated), following
