"""Reasons why a trial failed, and whether the search must stop because every other trial would fail too."""

from __future__ import annotations

from zoo.errors import JobError, UsageError
from zoo.tuning.execution.executor import Event

_MACHINE = ("OSError", "PermissionError", "FileNotFoundError", "BlockingIOError", "InterruptedError")
_ENDS_ALONE = ("MemoryError", "ResourceExhaustedError", "JobError")


def explain_failure(event: Event, memory: str | None = None) -> tuple[str, Exception | None]:
    """Return why a trial failed, and the error that ends the search if another trial would fail too.

    Args:
        event: The event that ended its call.
        memory: The memory limit of the trial; None for no limit.
    """
    value = event.value
    if event.kind == "died":
        reason = "its process ended with " + (value["signal"] or f"exit status {value['status']}")
        if memory is not None and value["signal"] == "SIGABRT":  # TensorFlow aborts when an allocation fails
            reason += f", perhaps out of memory (limit {memory})"
        return reason, None
    reason = f"{value['type']}: {value['message']}"
    if value["type"] in _ENDS_ALONE:
        return reason, None
    if value["type"] in _MACHINE:
        return reason, JobError(f"a trial failed because of the machine: {value['message']}")
    if value.get("error"):
        details = value["error"]
        return reason, UsageError(details["message"], where=details["where"], nearest=details["nearest"])
    return reason, JobError(
        f"the model failed in a trial and would fail in every trial:\n{value['traceback'].rstrip()}"
    )


def was_killed_from_outside(event: Event) -> bool:
    """Return whether a trial's process was killed by someone else, such as the kernel or a user."""
    return event.kind == "died" and not event.value["killed"] and event.value["signal"] == "SIGKILL"
