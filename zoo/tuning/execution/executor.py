"""The interface of an executor: calls of functions, each in its own process, and the events that they produce."""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from zoo.errors import UsageError

_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Event:
    """An event of a call.

    Attributes:
        key: The call's key.
        kind: "message" for a value that the function sent; "done" when it returned, "failed" when it
            raised, "died" when its process ended without either. The last three end the call.
        value: The message; the return value; a dict with ``type``, ``message``, ``traceback`` and, for
            an error of `zoo.errors`, its ``as_dict`` under ``error``; a dict with ``status``, ``signal``
            (such as "SIGKILL", or None), ``killed`` (whether `TrialExecutor.kill` asked for it), ``log``,
            the tail of what the process printed, and ``lost``, true, if a cluster lost its node.
    """

    key: str
    kind: Literal["message", "done", "failed", "died"]
    value: Any


class TrialExecutor(abc.ABC):
    """Runs functions, each call in its own process.

    Args:
        max_workers: Maximum number of calls that run at the same time.

    Raises:
        UsageError: For less than one.
    """

    def __init__(self, max_workers: int) -> None:
        if max_workers < 1:
            raise UsageError(f"max_workers must be at least 1, received {max_workers}", where="max_workers")
        self.max_workers = max_workers
        self._events: list[Event] = []

    @abc.abstractmethod
    def start(
        self, key: str, function: Callable[..., Any], payload: dict[str, Any], *, memory_bytes: int | None = None
    ) -> None:
        """Run ``function(channel, payload)`` in a fresh process."""

    @abc.abstractmethod
    def tell(self, key: str, message: dict[str, Any]) -> None:
        """Send a message to a call, for example ``{"stop": True}``; a call that has ended gets none."""

    @abc.abstractmethod
    def kill(self, key: str) -> None:
        """Kill a call with its child processes; `wait` returns its "died" event."""

    @abc.abstractmethod
    def close(self) -> None:
        """End all running calls; events that `wait` has not returned are dropped."""

    @property
    @abc.abstractmethod
    def running(self) -> tuple[str, ...]:
        """Keys of the calls whose end `wait` has not returned yet."""

    @abc.abstractmethod
    def _take_in(self, timeout_s: float) -> None:
        """Append the events that arrive within ``timeout_s`` to ``_events``."""

    @property
    def free(self) -> int:
        """Number of calls that can be started now."""
        return self.max_workers - len(self.running)

    def wait(self, timeout_s: float | None = None) -> list[Event]:
        """Return the events since the last call, in order of arrival.

        Blocks until there is at least one, the time is over, or nothing is running.

        Raises:
            JobError: When calls cannot run here at all, for example for a module that cannot be imported.
        """
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while not self._events and self.running:
            left_s = deadline - time.monotonic()
            self._take_in(min(max(left_s, 0.0), _LONGEST_WAIT_S))
            if left_s <= 0:
                break
        events, self._events = self._events, []
        return events

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.close()
