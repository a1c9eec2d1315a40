"""The error for a source of a kind that a task does not read."""

from __future__ import annotations

from zoo.errors import WrongSourceError
from zoo.registry import tasks_reading

_NOUNS = {"table": "a table", "environment": "an environment"}


def wrong_source(kind: str, where: str, *, hint: str = "") -> WrongSourceError:
    """Return the error for a source that a task does not read; the message names the tasks that read it.

    Args:
        kind: Kind of the source, as in ``Task.reads``.
        where: The source.
        hint: What would make this task read it.
    """
    tasks = tasks_reading(kind)
    readers = f"{', '.join(tasks)} can" if tasks else "no task can"
    message = f"the source holds {_NOUNS.get(kind, kind)}, which this task does not read; {readers}{hint}"
    return WrongSourceError(message, where=where)
