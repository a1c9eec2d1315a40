"""Runs whose validation scores cannot be told apart, and which of them to prefer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from zoo.metrics.direction import Direction
from zoo.stored_runs.results import Run

UNKNOWN = (math.nan, math.nan)


def find_ties(runs: Sequence[Run], metric: str, direction: Direction) -> list[Run]:
    """Return the runs whose score is within the 95 % interval of the best run's, that run included.

    Args:
        runs: Best score first; scored on the same rows.
        metric: The metric.
        direction: Its direction.
    """
    bound = _bound(runs[0], metric, direction)
    if math.isnan(bound):
        return [runs[0]]
    return [run for run in runs if not direction.better(bound, run.metrics.get(metric, math.nan))]


def select_among_ties(runs: Sequence[Run], metric: str, direction: Direction) -> Run:
    """Return the run whose interval has the best pessimistic end: a lucky score on few rows has a wide interval.

    Args:
        runs: From :func:`find_ties`.
        metric: The metric.
        direction: Its direction.
    """
    return min(runs, key=lambda run: direction.key(_bound(run, metric, direction)))


def _bound(run: Run, metric: str, direction: Direction) -> float:
    """Return the pessimistic end of the interval of a run's score; NaN where it is unknown."""
    return run.intervals.get(metric, UNKNOWN)[1 if direction.less_is_better else 0]
