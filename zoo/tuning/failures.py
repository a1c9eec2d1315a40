"""Whose fault it is that a trial failed: its own, or that of the data or the code, which would fail in each."""

from __future__ import annotations

from zoo.errors import JobError, UsageError
from zoo.tuning.execution.executor import Event

_MACHINE = ("OSError", "PermissionError", "FileNotFoundError", "BlockingIOError", "InterruptedError")
_ENDS_ALONE = ("MemoryError", "ResourceExhaustedError", "JobError")


def reason_of(event: Event, memory: str | None = None) -> tuple[str, Exception | None]:
    """Why a trial failed, and the error that ends the whole search where another trial would fail too.

    Args:
        event: How its call ended.
        memory: To how much its memory was limited; None for no limit.
    """
    value = event.value
    if event.kind == "died":
        reason = "its process was ended by " + (value["signal"] or f"exit status {value['status']}")
        if memory is not None and value["signal"] == "SIGABRT":  # as TensorFlow ends where it gets no more
            reason += f", perhaps for lack of memory: it was limited to {memory}"
        return reason, None
    reason = f"{value['type']}: {value['message']}"
    if value["type"] in _ENDS_ALONE:
        return reason, None
    if value["type"] in _MACHINE:
        return reason, JobError(f"a trial could not go on: {value['message']}")
    if value.get("error"):
        known = value["error"]
        return reason, UsageError(known["message"], where=known["where"], nearest=known["nearest"])
    return reason, JobError(f"the model failed in a trial, and would in each:\n{value['traceback'].rstrip()}")


def killed_from_outside(event: Event) -> bool:
    """Tell whether a trial's process was ended by no wish of ours and no fault that is known."""
    return event.kind == "died" and not event.value["killed"] and event.value["signal"] == "SIGKILL"
