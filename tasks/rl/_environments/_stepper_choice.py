"""How environments are stepped: in one process, in several, or by EnvPool."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from zoo.errors import ZooError

from .._actions import draw_random_actions, list_actions
from ._envpool import EnvPoolStepper
from ._processes import ProcessStepper
from ._steppers import Stepper

# What processes add to a step: the time until they wake up, and a message to and from each (measured on a virtual
# machine of two cores; more than elsewhere).
WAKE_S, MESSAGE_S = 7e-4, 2e-4
# Steps are timed for so long, or until there are so many.
MOST_TIMED_S, MOST_TIMED_STEPS = 0.05, 200
# Seconds of a step by environment and options, and those environments that do not work in several processes.
_MEASURED: dict[str, float] = {}
_ALONE: set[str] = set()


def open_stepper(
    name: str, options: Mapping[str, Any], count: int, processes: int | None = None, *, envpool: bool = False
) -> Stepper:
    """Return environments that are stepped in one process or in several, as is faster, or by EnvPool.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        count: Number of environments.
        processes: Number of processes; by default it is chosen by the measured time of a step, and is 1 where the
            environments do not work in several.
        envpool: Whether EnvPool steps them.
    """
    if envpool:
        return EnvPoolStepper(name, options, count)
    if processes is not None:
        processes = min(processes, count)
        return Stepper(name, options, count) if processes == 1 else ProcessStepper(name, options, count, processes)
    cores, key = min(_count_cores(), count), _describe(name, options)
    processes = choose_processes(measure_step(name, options), count, cores) if cores > 1 and key not in _ALONE else 1
    if processes > 1:
        try:
            stepper = ProcessStepper(name, options, count, processes)
            try:
                _step_once(stepper, count)
            except BaseException:
                stepper.close()
                raise
            return stepper
        except (ZooError, OSError):
            _ALONE.add(key)  # so that it is not tried again, which may take its whole time limit, for each evaluation
    return Stepper(name, options, count)


def _describe(name: str, options: Mapping[str, Any]) -> str:
    return f"{name} {sorted(options.items())}"


def choose_processes(step_s: float, count: int, cores: int) -> int:
    """Return the number of processes in which a step of all environments takes the shortest time.

    Args:
        step_s: Seconds of a step of one environment.
        count: Number of environments.
        cores: The most processes.

    Example:
        >>> choose_processes(1e-5, count=8, cores=4), choose_processes(1e-3, count=8, cores=4)
        (1, 4)
    """

    def estimate(number: int) -> float:
        return step_s * math.ceil(count / number) + (WAKE_S + MESSAGE_S * (number - 1) if number > 1 else 0.0)

    return min(range(1, max(1, min(cores, count)) + 1), key=estimate)


def measure_step(name: str, options: Mapping[str, Any]) -> float:
    """Return the median seconds of a step with random actions, with the resets; measured once in a process."""
    key = _describe(name, options)
    if key not in _MEASURED:
        _MEASURED[key] = _time_steps(Stepper(name, options, 1))
    return _MEASURED[key]


def _time_steps(stepper: Stepper) -> float:
    stepper.action_space.seed(0)
    rng, times = np.random.default_rng(0), list[float]()
    try:
        _, masks = stepper.reset([0], [0])
        while len(times) < MOST_TIMED_STEPS and sum(times) < MOST_TIMED_S:
            actions = _draw_actions(stepper, 1, masks, rng)
            began = time.perf_counter()
            outcome = stepper.step([0], actions)
            masks = outcome.masks
            if outcome.terminated[0] or outcome.truncated[0]:
                _, masks = stepper.reset([0], [len(times)])
            times.append(time.perf_counter() - began)
    finally:
        stepper.close()
    return statistics.median(times)


def _step_once(stepper: Stepper, count: int) -> None:
    """Begin an episode in each environment and step it once, to see whether this works."""
    rows = range(count)
    stepper.action_space.seed(0)
    _, masks = stepper.reset(rows, list(rows))
    stepper.step(rows, _draw_actions(stepper, count, masks, np.random.default_rng(0)))


def _draw_actions(stepper: Stepper, count: int, masks: np.ndarray | None, rng: np.random.Generator) -> list[Any]:
    """Return a random legal action for each of several environments."""
    space = stepper.action_space
    if isinstance(space, gymnasium.spaces.Discrete):
        return list_actions(space, draw_random_actions(rng, count, int(space.n), masks))
    return [space.sample() for _ in range(count)]


def _count_cores() -> int:
    """Return the cores that training may use for processes: 1 where processes cannot be forked."""
    import tensorflow as tf

    if sys.platform != "linux" or multiprocessing.current_process().daemon:
        return 1
    cores = len(os.sched_getaffinity(0))
    return min(cores, tf.config.threading.get_intra_op_parallelism_threads() or cores)
