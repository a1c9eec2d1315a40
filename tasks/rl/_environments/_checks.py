"""Checks of what an environment returns at each step, with errors that name the environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import gymnasium
import numpy as np
from gymnasium import spaces

from zoo.errors import DataError, UsageError, ZooError, shorten_error
from zoo.portable.observations import encode_observation, shorten_value

from .._actions import JoinedActions
from ._metrics import find_metrics, read_metrics

MOST_CHECKED_STEPS = 100
_OLD_API = "that of the old Gym is not supported, and the package shimmy converts such an environment"


class CheckedEnvironment(gymnasium.Wrapper):
    """An environment whose ``reset`` and ``step`` raise a clear error if they do not return what Gymnasium defines.

    Observations must have the shape of their space and finite numbers, and integers must lie in their space; numbers
    outside the bounds of a ``Box`` are accepted. Rewards must be finite.

    Args:
        environment: The environment.
        name: Its id.
    """

    def __init__(self, environment: gymnasium.Env, name: str) -> None:
        super().__init__(environment)
        self.name = name
        self.own_space = describe_space(environment.observation_space, name)
        self.shape = self.own_space["shape"] if self.own_space["kind"] == "numbers" else None
        self.seed: int | None = None
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Return the first observation and info.

        Raises:
            DataError: If the environment raises, or returns something else.
        """
        self.seed, self.steps = seed, 0
        try:
            returned = self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:
            self._describe_raised("reset(seed=…)", error)
        if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping)):
            self._refuse(f"its reset() returned {shorten_value(returned)}; expected (observation, info); {_OLD_API}")
        self._check_observation(returned[0], "reset()")
        return returned

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Return observation, reward, whether the episode terminated or was truncated, and info.

        Raises:
            DataError: If the environment raises, or returns something else.
        """
        self.steps += 1
        try:
            returned = self.env.step(action)
        except (Exception, SystemExit) as error:
            self._describe_raised(f"step({shorten_value(action)})", error)
        if not isinstance(returned, tuple) or len(returned) != 5:
            count = f"{len(returned)} values" if isinstance(returned, tuple) else f"a {type(returned).__name__}"
            expected = "(observation, reward, terminated, truncated, info)"
            self._refuse(f"its step() returned {count}; expected {expected}; {_OLD_API}")
        observation, reward, terminated, truncated, info = returned
        self._check_observation(observation, "step()")
        if not (type(reward) is float and math.isfinite(reward)) and not _is_finite_number(reward):
            self._refuse(f"its step() returned the reward {shorten_value(reward)}; expected a finite number")
        for name, value in (("terminated", terminated), ("truncated", truncated)):
            if (
                type(value) is not bool
                and not isinstance(value, np.bool_)
                and not (isinstance(value, int) and value in (0, 1))
            ):
                self._refuse(f"its step() returned {shorten_value(value)} for {name}; expected True or False")
        if not isinstance(info, Mapping):
            self._refuse(f"its step() returned {shorten_value(info)} for info; expected a dict")
        return returned

    def _check_observation(self, observation: Any, call: str) -> None:
        if type(observation) is np.ndarray and observation.shape == self.shape and observation.dtype.kind == "f":
            flat = observation.ravel()
            if math.isfinite(flat.dot(flat)):  # the usual case, checked in a tenth of the time
                return
        try:
            encode_observation(observation, self.own_space)
        except ValueError as error:
            self._refuse(f"its {call} returned an observation that is not in its observation_space: {error}")

    def _describe_raised(self, call: str, error: BaseException) -> NoReturn:
        if isinstance(error, ZooError):
            raise error
        message = f"its {call} raised {type(error).__name__}: {shorten_error(error)}"
        if isinstance(error, TypeError) and "unexpected keyword argument 'seed'" in str(error):
            message += f"; {_OLD_API}"
        raise DataError(message + self._describe_place(), where=self.name) from error

    def _refuse(self, message: str) -> NoReturn:
        raise DataError(message + self._describe_place(), where=self.name)

    def _describe_place(self) -> str:
        places = [f"step {self.steps}"] if self.steps else []
        places += [f"seed {self.seed}"] if self.seed is not None else []
        return f" ({', '.join(places)})" if places else ""


def add_checks(environment: gymnasium.Env, name: str) -> gymnasium.Env:
    """Return an environment with checks around the innermost one, and around all where wrappers change observations.

    Other wrappers unpack what a step returns, so that they fail before a check outside them.

    Raises:
        UsageError: If the environment lacks a space, or has one that is not made of numbers.
    """
    inner = environment.unwrapped
    for attribute in ("observation_space", "action_space"):
        if not isinstance(getattr(inner, attribute, None), spaces.Space):
            raise UsageError(f"its {attribute} is not a space of gymnasium.spaces", where=name)
    changes = environment.observation_space != inner.observation_space
    layer: Any = environment
    while isinstance(layer, gymnasium.Wrapper) and isinstance(layer.env, gymnasium.Wrapper):
        layer = layer.env
    if layer is environment and not isinstance(layer, gymnasium.Wrapper):
        return CheckedEnvironment(environment, name)
    layer.env = CheckedEnvironment(inner, name) if not changes else inner
    return CheckedEnvironment(environment, name) if changes else environment


def check_steps(environment: gymnasium.Env, name: str) -> None:
    """Take random actions until the episode ends, at most 100, so that mistakes are reported before training.

    Raises:
        DataError: If a step does not return what Gymnasium defines.
    """
    _, info = environment.reset(seed=0)
    space = environment.action_space
    space.seed(0)
    for _ in range(MOST_CHECKED_STEPS):
        mask = read_mask(environment, info, name)
        action = space.sample() if mask is None else space.sample(mask=mask.astype(np.int8))
        _, _, terminated, truncated, info = environment.step(action)
        if terminated or truncated:
            read_metrics(environment, info, tuple(find_metrics(environment, name)), name)
            return


def read_mask(
    environment: gymnasium.Env, info: Mapping[str, Any], name: str, *, ended: bool = False
) -> np.ndarray | None:
    """Return which discrete actions are legal (A,): ``info["action_mask"]``, or what ``action_masks()`` returns.

    For several actions at once the mask is one for each, in a tuple or one after another.

    Args:
        environment: The environment.
        info: What ``reset`` or ``step`` returned.
        name: Its id.
        ended: Whether the episode has ended, after which no action needs to be legal.

    Returns:
        None if the environment has neither.

    Raises:
        DataError: If the mask has another size, or no action is legal.
    """
    mask = info.get("action_mask")
    if mask is None:
        method = getattr(environment.unwrapped, "action_masks", None)
        if method is None:
            return None
        mask = method()
    if not isinstance(environment.action_space, gymnasium.spaces.Discrete):
        return None
    if isinstance(environment, JoinedActions):
        try:
            mask = environment.join_masks(mask)
        except (TypeError, ValueError):
            sizes = ", ".join(map(str, environment.sizes))
            expected = f"expected a mask for each action, of the sizes {sizes}"
            raise DataError(f"its action mask is {shorten_value(mask)}; {expected}", where=name) from None
    mask, count = np.asarray(mask).astype(bool), int(environment.action_space.n)
    if mask.shape != (count,):
        raise DataError(f"its action mask has the shape {mask.shape}; expected ({count},)", where=name)
    if not mask.any():
        if ended:
            return np.ones(count, bool)
        raise DataError("its action mask allows no action; a state without actions must end the episode", where=name)
    return mask


def describe_space(space: gymnasium.Space, name: str) -> dict[str, Any]:
    """Return an observation space in plain values; see :func:`zoo.portable.observations.encode_observation`.

    Raises:
        UsageError: If a part is not made of numbers.

    Example:
        >>> describe_space(spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1, (3,))]), "MyEnv-v0")["parts"][1]
        {'kind': 'numbers', 'shape': (3,)}
    """
    if isinstance(space, (spaces.Box, spaces.MultiBinary)):
        return {"kind": "numbers", "shape": tuple(map(int, space.shape))}
    if isinstance(space, spaces.Discrete):
        return {"kind": "integers", "shape": (), "n": (int(space.n),), "start": (int(space.start),)}
    if isinstance(space, spaces.MultiDiscrete):
        n, start = (tuple(map(int, np.ravel(values))) for values in (space.nvec, space.start))
        return {"kind": "integers", "shape": tuple(map(int, space.shape)), "n": n, "start": start}
    if isinstance(space, spaces.Tuple):
        return {"kind": "tuple", "parts": tuple(describe_space(part, name) for part in space.spaces)}
    if isinstance(space, spaces.Dict):
        parts = {str(key): describe_space(part, name) for key, part in space.spaces.items()}
        return {"kind": "dict", "keys": tuple(parts), "parts": tuple(parts.values())}
    raise UsageError(
        f"its observations have the part {space}; agents here see numbers, integers, and tuples and dicts of these",
        where=name,
    )


def _is_finite_number(value: Any) -> bool:
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return False
    return numbers.size == 1 and math.isfinite(numbers.item())
