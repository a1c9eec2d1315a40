"""Choose the task of a table by its target."""

from __future__ import annotations

import pandas as pd

from zoo.data.layout import find_named_columns
from zoo.data.reading_options import apply_reading_options
from zoo.data.sources.read import read_table
from zoo.data.streaming.stream import must_stream
from zoo.data.target_columns import is_measured
from zoo.errors import UsageError, WrongSourceError
from zoo.jobs.data_options import DataJob
from zoo.spec import Spec
from zoo.task import Task, load_tasks

MOST_CLASSES_OF_NUMBERS = 30


def choose_table_task(target: pd.Series | None) -> Task:
    """Return the first task that predicts a target from a table: classes, or numbers if it has more than 30.

    Args:
        target: Its column; None if it does not exist, which the task then reports.

    Example:
        >>> choose_table_task(pd.Series(["a", "b"])).name
        'classification'
    """
    kinds: tuple[str, ...] = ("class", "number", "either")
    if target is not None:
        kinds = ("number" if is_measured(target, MOST_CLASSES_OF_NUMBERS) else "class", "either")
    return next(task for task, kind in list_tasks_with_target() if "table" in task.reads and kind in kinds)


def list_tasks_with_target() -> list[tuple[Task, str]]:
    """Return the tasks that predict a target, with its kind: ``class``, ``number`` or ``either``."""
    kinds = [(task, getattr(task, "target_kind", None)) for task in load_tasks()]
    return [(task, kind) for task, kind in kinds if kind is not None]


def describe_without_task(job: DataJob) -> Spec:
    """Return the spec of the training split of a table, with the task that fits its target.

    Raises:
        UsageError: If the source is not a table in memory, so that the task must be named.
    """
    if job.stream or must_stream(job.source):
        raise UsageError("the rows are streamed: name the task, such as task='classification'", where="task")
    try:
        with apply_reading_options(job):
            table = read_table(job.source, text=find_named_columns(job.column))
    except WrongSourceError as error:
        raise UsageError(
            f"the source is not a table: name the task, such as task='image'; {error}", where="task"
        ) from None
    names = job.target or ((table.target,) if table.target is not None else ())
    target = table.frame[names[0]] if names and names[0] in table.frame else None
    return choose_table_task(target).read(job.model_copy(update={"source": table})).spec
