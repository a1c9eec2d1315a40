"""The metric that a comparison is by: the objective, or another where objectives cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.errors import UsageError
from zoo.spec import Spec
from zoo.stored_runs.results import Run
from zoo.task import Task, load_task


def check_comparison(task: Task, specs: Sequence[Spec]) -> None:
    """Raise UsageError if the data lack the metric by which the task compares models."""
    for spec in specs:
        names = [metric.name for metric in task.rules(spec).metrics()]
        if task.comparison is not None and task.comparison.name not in names:
            raise UsageError(task.no_comparison, where="models")


def choose_score(run: Run) -> tuple[str, str]:
    """Return the score that a comparison is by, with the prefix of its split, and its direction.

    It is the objective, unless the run's task compares models by another metric.

    Raises:
        UsageError: If the run lacks that metric.
    """
    task = load_task(run.task)
    if task.comparison is None:
        return run.headline, run.direction
    score = f"{run.headline.partition('_')[0]}_{task.comparison.name}"
    if score not in run.metrics:
        raise UsageError(task.no_comparison, where="runs")
    return score, task.comparison.direction
