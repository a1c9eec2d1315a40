"""Actions: convert an environment's action space to the spec's target, and a network's output to actions.

Discrete actions are classes, and the output is the value of each; several discrete actions at once are a class for each
combination. Continuous actions are bounded numbers, and the output is the action itself, scaled to [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from zoo.errors import UsageError
from zoo.spec import Target

LEAST = -1e9  # output of an action that is not legal
MOST_COMBINATIONS = 1_000


class JoinedActions(gymnasium.ActionWrapper):
    """An environment with several discrete actions at once, which takes the index of a combination instead.

    The last action varies fastest, as in ``numpy.unravel_index``.

    Args:
        environment: An environment with a ``MultiDiscrete`` or ``MultiBinary`` action space.
        name: Its id.

    Attributes:
        sizes: Number of choices of each of the D actions.
        combinations: The actions of each combination (A, D).

    Raises:
        UsageError: If there are more than 1,000 combinations.

    Example:
        >>> environment = gymnasium.Env()
        >>> environment.action_space = spaces.MultiDiscrete([3, 2])
        >>> JoinedActions(environment, "MyEnv-v0").action(3).tolist()
        [1, 1]
    """

    def __init__(self, environment: gymnasium.Env, name: str) -> None:
        super().__init__(environment)
        space: Any = environment.action_space
        self.shape, self.dtype = space.shape, space.dtype
        sizes = space.nvec if isinstance(space, spaces.MultiDiscrete) else np.full(space.shape, 2)
        self.sizes = tuple(map(int, np.ravel(sizes)))
        self.start = np.ravel(getattr(space, "start", np.zeros(self.shape, int)))
        count = math.prod(self.sizes)
        if count > MOST_COMBINATIONS:
            raise UsageError(
                f"its actions are {space}, which have {count:,} combinations; agents choose among at most"
                f" {MOST_COMBINATIONS:,}",
                where=name,
            )
        self.action_space = spaces.Discrete(count)
        self.combinations = np.stack(np.unravel_index(np.arange(count), self.sizes), axis=1) + self.start

    def action(self, action: Any) -> np.ndarray:
        """Return the actions of a combination, as the environment takes them."""
        return np.asarray(self.combinations[int(action)].reshape(self.shape), self.dtype)

    def find_indices(self, actions: Any) -> np.ndarray:
        """Return the index of the combination of each row of actions (N, …)."""
        flat = np.asarray(actions).reshape(len(actions), -1) - self.start
        return np.asarray(np.ravel_multi_index(tuple(flat.T), self.sizes))

    def join_masks(self, masks: Any) -> np.ndarray:
        """Return which combinations are legal (A,): those of which each action is.

        Args:
            masks: A mask for each action, or these one after another.

        Raises:
            ValueError: If they have other sizes.
        """
        parts = [np.ravel(mask) for mask in masks]
        flat, sizes = np.concatenate(parts).astype(bool), tuple(map(len, parts))
        if len(flat) != sum(self.sizes) or (sizes != self.sizes and max(sizes) > 1):
            raise ValueError(f"masks of the sizes {sizes}")
        legal = np.ones(1, bool)
        for part in np.split(flat, np.cumsum(self.sizes)[:-1]):
            legal = np.logical_and.outer(legal, part).ravel()
        return legal


def describe_actions(environment: gymnasium.Env, name: str) -> Target:
    """Return the target that represents an environment's actions.

    Raises:
        UsageError: If the actions are neither discrete nor bounded numbers.
    """
    space = environment.action_space
    if isinstance(environment, JoinedActions):
        combinations = environment.combinations
        names = tuple(" ".join(map(str, actions)) for actions in combinations.tolist())
        return Target("action", "class", classes=names, dtype="str", shape=combinations.shape[1:])
    if isinstance(space, spaces.Discrete):
        names = tuple(str(int(space.start) + index) for index in range(int(space.n)))
        return Target("action", "class", classes=names, dtype="int")
    if isinstance(space, spaces.Box) and len(space.shape) == 1 and space.is_bounded():
        bounds = tuple((float(low), float(high)) for low, high in zip(space.low, space.high, strict=True))
        return Target("action", "number", shape=space.shape, bounds=bounds)
    raise UsageError(
        f"its actions are {space}; agents choose discrete actions, or a vector of numbers within bounds",
        where=name,
    )


def require_discrete(target: Target, agent: str) -> Target:
    """Return the target of an agent that needs discrete actions.

    Raises:
        UsageError: If the actions are continuous.
    """
    if target.kind != "class":
        raise UsageError(
            f"the actions are numbers, and {agent} chooses one of several discrete actions; take rl/ppo or rl/sac"
        )
    return target


def require_bounded(target: Target, agent: str) -> Target:
    """Return the target of an agent that needs continuous actions.

    Raises:
        UsageError: If the actions are discrete.
    """
    if target.kind == "class":
        raise UsageError(f"the actions are discrete, and {agent} chooses numbers; take rl/ppo, rl/dqn or rl/pqn")
    return target


def mask_output(output: Any, masks: Any) -> Any:
    """Return the output (B, A) with the least value at actions that are not legal; ``masks`` may be None."""
    return output if masks is None else np.where(masks, output, LEAST)


def draw_random_actions(rng: np.random.Generator, rows: int, count: int, masks: np.ndarray | None) -> np.ndarray:
    """Return the index of one of ``count`` actions for each row, uniformly among the legal ones (rows,)."""
    if masks is None:
        return rng.integers(0, count, rows)
    return np.asarray(np.where(masks, rng.random((rows, count)), -1.0).argmax(axis=1))


def choose_greedy_actions(target: Target, output: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """Return the greedy action for each row of a network's output: indices (B,), or bounded numbers (B, A).

    Args:
        target: The target that represents the actions.
        output: The network's output (B, A).
        masks: Which actions are legal (B, A), or None for all.
    """
    if target.kind == "class":
        return np.asarray(mask_output(output, masks)).argmax(axis=1)
    return _scale_to_bounds(target, np.asarray(output))


def convert_actions(target: Target, actions: np.ndarray) -> np.ndarray:
    """Return an agent's actions within the environment's bounds; indices of discrete actions stay as they are.

    Args:
        target: The target that represents the actions.
        actions: Indices (N,), or numbers (N, A) from -1 to 1, beyond which they are clipped.

    Example:
        >>> target = Target("action", "number", shape=(1,), bounds=((-2.0, 2.0),))
        >>> convert_actions(target, np.array([[0.5], [3.0]])).tolist()
        [[1.0], [2.0]]
    """
    return actions if target.kind == "class" else _scale_to_bounds(target, actions)


def find_action_indices(environment: gymnasium.Env, actions: Any) -> np.ndarray:
    """Return the indices (N,) of discrete actions that are as the environment takes them; numbers stay as they are."""
    if isinstance(environment, JoinedActions):
        return environment.find_indices(actions)
    return np.asarray(actions) - getattr(environment.action_space, "start", 0)


def list_actions(space: gymnasium.Space, actions: np.ndarray) -> list[Any]:
    """Return actions as environments take them; indices count from the space's start.

    Example:
        >>> list_actions(spaces.Discrete(3, start=1), np.array([0, 2]))
        [1, 3]
    """
    if isinstance(space, spaces.Discrete):
        indices: list[Any] = (np.asarray(actions) + int(space.start)).tolist()
        return indices
    return list(actions)


def _scale_to_bounds(target: Target, values: np.ndarray) -> np.ndarray:
    low, high = np.asarray(target.bounds, np.float32).T
    return np.asarray(low + (np.clip(values, -1.0, 1.0) + 1) / 2 * (high - low), np.float32)


def describe_decoding(target: Target) -> Mapping[str, Any]:
    """Return, in plain values, how predictions are decoded from a network's output."""
    if target.kind == "class" and target.shape:
        actions = [[int(action) for action in name.split()] for name in target.classes]
        names = [_column(target, index) for index in range(*target.shape)]
        return {"kind": "combination", "of": "output", "columns": names, "combinations": actions}
    if target.kind == "class":
        classes = [int(name) for name in target.classes]
        return {"kind": "choice", "of": "output", "column": "prediction", "classes": classes, "probabilities": False}
    names = [_column(target, index) for index in range(len(target.bounds))]
    return {"kind": "bounded", "of": "output", "columns": names, "bounds": [list(pair) for pair in target.bounds]}


def _column(target: Target, index: int) -> str:
    return "prediction" if target.shape == (1,) else f"prediction_{index}"
