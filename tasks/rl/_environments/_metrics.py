"""Metrics that an environment declares: numbers that it reports at the end of each episode."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from zoo.errors import DataError, UsageError
from zoo.metrics.returns import return_metrics
from zoo.portable.observations import shorten_value

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def find_metrics(environment: gymnasium.Env, name: str) -> Mapping[str, str]:
    """Return the metrics in an environment's ``metadata["metrics"]``, nothing if it has none.

    Such an environment declares, by the name of each, whether ``min`` or ``max`` is better, and has its value in the
    ``info`` of the last step of an episode, also of one that its time limit ends.

    Raises:
        UsageError: If the declaration is something else.

    Example:
        >>> environment = gymnasium.Env()
        >>> environment.metadata = {"metrics": {"waiting_seconds": "min"}}
        >>> find_metrics(environment, "MyEnv-v0")
        {'waiting_seconds': 'min'}
    """
    metrics = environment.unwrapped.metadata.get("metrics", {})
    taken = {metric.name for metric in return_metrics()}
    sound = isinstance(metrics, Mapping) and all(
        isinstance(key, str) and _NAME.fullmatch(key) and key not in taken and direction in ("min", "max")
        for key, direction in metrics.items()
    )
    if not sound:
        raise UsageError(
            f"its metadata has the metrics {shorten_value(metrics)}; expected a dict of names, in lower case, with"
            f" 'min' or 'max', and none of {', '.join(sorted(taken))}",
            where=name,
        )
    return metrics


def read_metrics(environment: gymnasium.Env, info: Mapping[str, Any], metrics: Sequence[str], name: str) -> np.ndarray:
    """Return the values of an environment's metrics (K,) in the ``info`` at the end of an episode.

    Args:
        environment: The environment, which counts its steps.
        info: What the last step returned.
        metrics: Names of the metrics.
        name: Id of the environment.

    Raises:
        DataError: If one is missing or not a number.
    """
    values = np.zeros(len(metrics))
    for index, metric in enumerate(metrics):
        try:
            values[index] = info[metric]
        except (KeyError, TypeError, ValueError):
            values[index] = math.nan
        if not math.isfinite(values[index]):
            received = shorten_value(info[metric]) if metric in info else "missing"
            place = f"step {environment.get_wrapper_attr('steps')}, seed {environment.get_wrapper_attr('seed')}"
            message = f"its info[{metric!r}] is {received} at the end of an episode ({place}); expected a number"
            raise DataError(message + ", as metadata['metrics'] declares it", where=name)
    return values
