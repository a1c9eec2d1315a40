"""Environments that EnvPool steps, in C++: Weng et al. 2022, "EnvPool: A Highly Parallel Reinforcement Learning
Environment Execution Engine".
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np

from zoo.errors import UsageError, describe_missing_packages, find_nearest_name

from ._checks import read_mask
from ._making import make_environment
from ._steppers import Outcome, Stepper


class EnvPoolStepper(Stepper):
    """Environments of EnvPool, all stepped by one call.

    It draws the first states itself, from the seeds of its first episodes, so that an episode cannot be played again.

    Args:
        name: Environment id, which Gymnasium has as well.
        options: ``max_episode_steps``, or nothing.
        count: Number of environments.

    Raises:
        UsageError: If EnvPool is not installed, lacks the environment, or has one with other observations or actions.
    """

    can_repeat = False

    def __init__(self, name: str, options: Mapping[str, Any], count: int) -> None:
        missing = describe_missing_packages(["envpool"], "envpool")
        if missing is not None:
            raise UsageError(missing, where="envpool")
        import envpool

        if name not in envpool.list_all_envs():
            near = find_nearest_name(name, set(envpool.list_all_envs()) & set(gymnasium.registry))
            raise UsageError(
                f"EnvPool has no environment {name}; train without --envpool", where="envpool", nearest=near
            )
        other = sorted(set(options) - {"max_episode_steps"})
        if other:
            raise UsageError(f"EnvPool does not take {', '.join(other)}; train without --envpool", where="env")
        environment = make_environment(name, options)
        if read_mask(environment, environment.reset(seed=0)[1], name) is not None:
            raise UsageError(f"EnvPool's {name} has no action masks; train without --envpool", where="envpool")
        self.name, self.metrics, self.environments = name, (), [environment]
        self.action_space, self.observation_space = environment.action_space, environment.observation_space
        limit = environment.get_wrapper_attr("_max_episode_steps")  # of TimeLimit, which is always there
        self._make: Any = partial(
            envpool.make, name, env_type="gymnasium", num_envs=count, num_threads=1, max_episode_steps=limit
        )
        self._pool: Any = None
        with _silence():
            spec = envpool.make_spec(name)
            theirs = {what: getattr(spec, f"gymnasium_{what}") for what in ("observation_space", "action_space")}
        for what, space in theirs.items():
            ours = getattr(self, what)
            if type(ours) is not type(space) or ours.shape != space.shape:
                message = f"EnvPool's {name} has the {what} {space}, Gymnasium's {ours}; train without --envpool"
                raise UsageError(message, where="envpool")

    def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Begin an episode in each of R environments, at first in all; return observations (R, …), and no masks."""
        is_first = self._pool is None
        with _silence() if is_first else contextlib.nullcontext():
            if is_first:
                self._pool = self._make(seed=list(seeds))
            observations, info = self._pool.reset(np.asarray(rows, np.int32))
        return observations[_order(info, rows)], None

    def step(self, rows: Sequence[int], actions: Sequence[Any]) -> Outcome:
        """Step R environments; see :meth:`Stepper.step`."""
        values = np.asarray(actions)
        kind = np.int32 if values.dtype.kind in "iu" else np.float32
        *returned, info = self._pool.step(values.astype(kind), np.asarray(rows, np.int32))
        observations, rewards, terminated, truncated = (array[_order(info, rows)] for array in returned)
        return Outcome(observations, rewards.astype(np.float64), terminated, truncated, None, None)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Leave out what EnvPool prints, and warnings of the precision of bounds."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _order(info: Mapping[str, Any], rows: Sequence[int]) -> np.ndarray:
    """Return where the answer of each row is; EnvPool answers in an order of its own."""
    places = np.empty(max(rows) + 1, int)
    places[info["env_id"]] = np.arange(len(rows))
    return places[np.asarray(rows)]
