"""Environments with finitely many states, which their observations number, and the transitions that some publish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from zoo.errors import DataError, UsageError
from zoo.spec import ObservationInput, Spec

from ._making import make_environment

PUBLISHED = "P"  # attribute of an environment
TRANSITIONS = "transitions"  # option of a spec with numbered states, False if they are not published


def require_states(spec: Spec, agent: str) -> ObservationInput:
    """Return the observation of an agent that needs it to be one integer, the number of the state.

    Raises:
        UsageError: If the observations are vectors of numbers.
    """
    observation = spec.only(ObservationInput)
    if not observation.n:
        raise UsageError(
            f"the observations are vectors, and {agent} needs one integer, the number of the state; take rl/ppo, or"
            " rl/dqn or rl/pqn for discrete actions"
        )
    return observation


@dataclass(frozen=True)
class DecisionProcess:
    """A Markov decision process with S states, A actions and at most K outcomes of an action.

    Args:
        probabilities: Probability of each outcome (S, A, K); 0 where an action has fewer outcomes.
        following: Index of the state after each outcome (S, A, K).
        rewards: Reward of each outcome (S, A, K).
        terminated: Whether the episode terminates with it (S, A, K).
    """

    probabilities: np.ndarray
    following: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray

    def evaluate_actions(self, values: np.ndarray, gamma: float) -> np.ndarray:
        """Return the value of each action (S, A): the expected reward and discounted value of the next state.

        Bellman 1957, "Dynamic programming", chapter 11.

        Args:
            values: Value of each state (S,).
            gamma: Discount factor.

        Example:
            >>> process = read_process({0: {0: [(0.5, 0, 1.0, False), (0.5, 0, 3.0, True)]}}, states=1, actions=1)
            >>> process.evaluate_actions(np.array([10.0]), 0.9).tolist()
            [[6.5]]
        """
        next_values = np.where(self.terminated, 0.0, values[self.following])
        action_values: np.ndarray = (self.probabilities * (self.rewards + gamma * next_values)).sum(axis=2)
        return action_values


def read_process(
    transitions: Any, *, states: int, actions: int, starts: tuple[int, int] = (0, 0), where: str | None = None
) -> DecisionProcess:
    """Return the decision process of transitions in the form that Gymnasium's environments with tables have.

    Args:
        transitions: ``P[state][action]``, a list of (probability, next state, reward, terminated).
        states: Number of states.
        actions: Number of actions.
        starts: The least state and the least action.
        where: Name of the environment, for errors.

    Raises:
        DataError: If a state or an action is missing, an outcome has another form, or probabilities do not sum to 1.

    Example:
        >>> read_process({0: {0: [(1.0, 0, 1.0, True)]}}, states=1, actions=1).rewards.tolist()
        [[[1.0]]]
    """
    rows: dict[tuple[int, int], np.ndarray] = {}
    for state in range(states):
        for action in range(actions):
            place = f"P[{state + starts[0]}][{action + starts[1]}]"
            try:
                outcomes = np.array(transitions[state + starts[0]][action + starts[1]], np.float64).reshape(-1, 4)
            except (KeyError, IndexError, TypeError, ValueError):
                message = f"its {place} must be a list of (probability, next state, reward, terminated)"
                raise DataError(message, where=where) from None
            total, following = outcomes[:, 0].sum(), outcomes[:, 1] - starts[0]
            if not abs(total - 1) < 1e-6 or (outcomes[:, 0] < 0).any():
                raise DataError(f"the probabilities of its {place} sum to {total:g}; expected 1", where=where)
            if not ((following >= 0) & (following < states)).all():
                raise DataError(f"its {place} has a next state that is not one of its {states} states", where=where)
            rows[state, action] = np.column_stack([outcomes[:, 0], following, outcomes[:, 2:]])
    table = np.zeros((states, actions, max(map(len, rows.values())), 4))
    for cell, outcomes in rows.items():
        table[cell][: len(outcomes)] = outcomes
    return DecisionProcess(table[..., 0], table[..., 1].astype(np.int64), table[..., 2], table[..., 3] != 0)


def find_process(name: str, options: Mapping[str, Any]) -> DecisionProcess | None:
    """Return the decision process that an environment publishes as its attribute ``P``, None if it has none.

    Raises:
        DataError: If the attribute has another form.
    """
    environment = make_environment(name, options)
    try:
        observation, action = environment.observation_space, environment.action_space
        transitions = getattr(environment.unwrapped, PUBLISHED, None)
        if transitions is None or not isinstance(observation, spaces.Discrete):
            return None
        if not isinstance(action, spaces.Discrete):
            return None
        starts = (int(observation.start), int(action.start))
        return read_process(transitions, states=int(observation.n), actions=int(action.n), starts=starts, where=name)
    finally:
        environment.close()


def is_published(environment: gymnasium.Env) -> bool:
    """Return whether an environment has the attribute in which its transitions are published."""
    return getattr(environment.unwrapped, PUBLISHED, None) is not None


def check_published(spec: Spec, agent: str) -> None:
    """Raise if an environment with numbered states does not publish its transitions.

    Raises:
        UsageError: If its spec says so.
    """
    if not spec.options.get(TRANSITIONS, True):
        raise UsageError(_explain_unpublished(agent))


def require_process(name: str, options: Mapping[str, Any], agent: str) -> DecisionProcess:
    """Return the decision process of an agent that needs it.

    Raises:
        UsageError: If the environment does not publish its transitions.
    """
    process = find_process(name, options)
    if process is None:
        raise UsageError(_explain_unpublished(agent), where=name)
    return process


def _explain_unpublished(agent: str) -> str:
    return (
        f"the environment does not publish its transitions, and {agent} needs them as its attribute P:"
        " P[state][action] = [(probability, next state, reward, terminated), …]; take rl/q_table, which learns from"
        " steps"
    )
