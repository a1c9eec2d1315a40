"""Environments that EnvPool steps, in C++: Weng et al. 2022, "EnvPool: A Highly Parallel Reinforcement Learning
Environment Execution Engine".
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from zoo.errors import UsageError, describe_missing_packages, find_nearest_name

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
        self.name, self.count, self._limits = name, count, dict(options)
        self.environments = [make_environment(name, options)]  # only for its spaces
        self.action_space = self.environments[0].action_space
        self.observation_space = self.environments[0].observation_space
        self.metrics = ()
        self._pool: Any = None
        with _silence():
            pool = self._make([0] * count)
            theirs = {what: getattr(pool, what) for what in ("observation_space", "action_space")}
        for what, space in theirs.items():
            ours = getattr(self, what)
            if type(ours) is not type(space) or ours.shape != space.shape:
                message = f"EnvPool's {name} has the {what} {space}, Gymnasium's {ours}; train without --envpool"
                raise UsageError(message, where="envpool")

    def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Begin an episode in each of R environments; return observations (R, …), and None for masks."""
        if self._pool is None:
            with _silence():
                self._pool = self._make([*seeds, *range(self.count - len(seeds))])
                self._pool.reset()
        observations, info = self._pool.reset(np.asarray(rows, np.int32))
        return observations[_order(info, rows)], None

    def step(self, rows: Sequence[int], actions: Sequence[Any]) -> Outcome:
        """Step R environments; see :meth:`Stepper.step`."""
        values = np.asarray(actions)
        kind = np.int32 if values.dtype.kind in "iu" else np.float32
        *returned, info = self._pool.step(values.astype(kind), np.asarray(rows, np.int32))
        observations, rewards, terminated, truncated = (array[_order(info, rows)] for array in returned)
        return Outcome(observations, rewards.astype(np.float64), terminated, truncated, None, None)

    def _make(self, seeds: Sequence[int]) -> Any:
        import envpool

        return envpool.make(
            self.name, env_type="gymnasium", num_envs=self.count, seed=list(seeds), num_threads=1, **self._limits
        )


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
