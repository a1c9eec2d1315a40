"""Actions: convert an environment's action space to the spec's target, and a network's output to actions.

Discrete actions are classes, and the output is the value of each; continuous actions are bounded numbers, and the
output is the action itself, scaled to [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from zoo.errors import UsageError
from zoo.spec import Target


def describe_actions(environment: gymnasium.Env, name: str) -> Target:
    """Return the target that represents an environment's actions.

    Raises:
        UsageError: If the actions are neither discrete nor bounded numbers.
    """
    space = environment.action_space
    if isinstance(space, spaces.Discrete):
        names = tuple(str(int(space.start) + index) for index in range(int(space.n)))
        return Target("action", "class", classes=names, dtype="int")
    if isinstance(space, spaces.Box) and len(space.shape) == 1 and space.is_bounded():
        bounds = tuple((float(low), float(high)) for low, high in zip(space.low, space.high, strict=True))
        return Target("action", "number", shape=space.shape, bounds=bounds)
    raise UsageError(
        f"its actions are {space}; agents choose one of several discrete actions, or a vector of numbers within bounds",
        where=name,
    )


def require_discrete(target: Target, agent: str) -> Target:
    """Return the target of an agent that needs discrete actions.

    Raises:
        UsageError: If the actions are continuous.
    """
    if target.kind != "class":
        raise UsageError(f"the actions are numbers, and {agent} chooses one of several discrete actions; take rl/ppo")
    return target


def choose_greedy_actions(target: Target, output: np.ndarray) -> np.ndarray:
    """Return the greedy action for each row of a network's output: indices (B,), or bounded numbers (B, A)."""
    if target.kind == "class":
        return np.asarray(output).argmax(axis=1)
    return _scale_to_bounds(target, np.asarray(output))


def convert_actions(target: Target, actions: np.ndarray) -> np.ndarray:
    """Return an agent's actions as the environment takes them.

    Args:
        target: The target that represents the actions.
        actions: Indices (N,), or numbers (N, A) from -1 to 1, beyond which they are clipped.

    Example:
        >>> target = Target("action", "number", shape=(1,), bounds=((-2.0, 2.0),))
        >>> convert_actions(target, np.array([[0.5], [3.0]])).tolist()
        [[1.0], [2.0]]
    """
    if target.kind == "class":
        return actions + int(target.classes[0])
    return _scale_to_bounds(target, actions)


def count_from_start(space: gymnasium.Space, action: Any) -> Any:
    """Return a greedy action as the environment takes it: an index becomes an integer from the space's start.

    Example:
        >>> count_from_start(spaces.Discrete(3, start=1), np.int64(0))
        1
    """
    return int(action + space.start) if isinstance(space, spaces.Discrete) else action


def _scale_to_bounds(target: Target, values: np.ndarray) -> np.ndarray:
    low, high = np.asarray(target.bounds, np.float32).T
    return np.asarray(low + (np.clip(values, -1.0, 1.0) + 1) / 2 * (high - low), np.float32)


def describe_decoding(target: Target) -> Mapping[str, Any]:
    """Return, in plain values, how predictions are decoded from a network's output."""
    if target.kind == "class":
        classes = [int(name) for name in target.classes]
        return {"kind": "choice", "of": "output", "column": "prediction", "classes": classes, "probabilities": False}
    names = [_column(target, index) for index in range(len(target.bounds))]
    return {"kind": "bounded", "of": "output", "columns": names, "bounds": [list(pair) for pair in target.bounds]}


def _column(target: Target, index: int) -> str:
    return "prediction" if len(target.bounds) == 1 else f"prediction_{index}"
