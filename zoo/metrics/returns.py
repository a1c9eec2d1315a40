"""Metrics of an agent: the returns of its episodes."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from scipy import stats

from zoo.metrics.metric import Interval, Metric


def return_metrics() -> tuple[Metric, ...]:
    """Return the metrics of an agent, the objective of a search first; the task runs the episodes.

    Example:
        >>> [score.name for score in return_metrics()]
        ['return_mean', 'return_std', 'sampled_return_mean', 'steps_to_solve']
    """
    return (
        Metric("return_mean", "max", _played_by_the_task, perfect=math.nan),  # any return may be the best
        Metric("return_std", "min", _played_by_the_task),
        Metric("sampled_return_mean", "max", _played_by_the_task, perfect=math.nan),
        Metric("steps_to_solve", "min", _played_by_the_task),
    )


def declare_episode_metric(name: str, direction: Literal["min", "max"]) -> Metric:
    """Return a metric that an environment reports at the end of each episode; the task averages it.

    Example:
        >>> declare_episode_metric("waiting_seconds", "min").direction
        'min'
    """
    return Metric(name, direction, _played_by_the_task, perfect=math.nan)


def return_interval(returns: np.ndarray) -> Interval:
    """Return the 95 % interval of the mean return by Student's t (1908), clipped to the range of the returns.

    Args:
        returns: (E,) return of each episode.

    Example:
        >>> return_interval(np.array([500.0, 500.0]))
        (500.0, 500.0)
    """
    mean = float(returns.mean())
    if len(returns) < 2:
        return float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, len(returns) - 1) * returns.std(ddof=1) / np.sqrt(len(returns)))
    return max(mean - half, float(returns.min())), min(mean + half, float(returns.max()))


def _played_by_the_task(*_: Any) -> np.ndarray:
    raise TypeError("this metric comes from episodes, which the task runs")
