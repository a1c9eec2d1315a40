"""The error for a source that a task cannot read."""

from __future__ import annotations

from zoo.errors import WrongSourceError
from zoo.registry import find_tasks_reading

_NOUNS = {"table": "a table", "environment": "an environment", "masks": "images with masks"}


def describe_wrong_source(kind: str, where: str, *, hint: str = "") -> WrongSourceError:
    """Return the error for a source that a task does not read; the message names the tasks that read it.

    Args:
        kind: Kind of the source, as in ``Task.reads``.
        where: The source.
        hint: How this task could read it.
    """
    tasks = find_tasks_reading(kind)
    readers = f"tasks that do: {', '.join(tasks)}" if tasks else "no task does"
    message = f"the source has {_NOUNS.get(kind, kind)}, which this task does not read; {readers}{hint}"
    return WrongSourceError(message, where=where)
