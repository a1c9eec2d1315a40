"""Slots in which functions run, wherever they are: what a search asks of them, and what they tell it."""

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
    """What a call did.

    Attributes:
        key: The call's key.
        kind: "message" for a value that the function sent; "done" when it returned, "failed" when it
            raised, "died" when its process ended without either. The last three end the call.
        value: The message; the return value; a dict with ``type``, ``message``, ``traceback`` and, for
            an error of `zoo.errors`, its ``as_dict`` under ``error``; a dict with ``status``, ``signal``
            (such as "SIGKILL", or None), ``killed`` (whether `TrialExecutor.kill` asked for it), ``log``,
            the tail of what the process printed, and ``lost``, true, where a cluster lost its node.
    """

    key: str
    kind: Literal["message", "done", "failed", "died"]
    value: Any


class TrialExecutor(abc.ABC):
    """Slots in which functions run, each call in a process of its own.

    Args:
        slots: How many calls may be under way at the same time.

    Raises:
        UsageError: For less than one.
    """

    def __init__(self, slots: int) -> None:
        if slots < 1:
            raise UsageError(f"at least one slot is needed, received {slots}", where="slots")
        self.slots = slots
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
        """Kill a call with its child processes; its "died" event comes by `wait`."""

    @abc.abstractmethod
    def close(self) -> None:
        """End what is running; events not yet waited for are dropped."""

    @property
    @abc.abstractmethod
    def running(self) -> tuple[str, ...]:
        """Keys of the calls whose end has not been seen by `wait`."""

    @abc.abstractmethod
    def _take_in(self, timeout_s: float) -> None:
        """Add what comes within ``timeout_s`` to ``_events``."""

    @property
    def free(self) -> int:
        """How many calls can be started now."""
        return self.slots - len(self.running)

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
