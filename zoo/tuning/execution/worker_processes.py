"""An executor that runs each call in a process of its own on this machine, from the driver's side.

The processes come from a server (``zoo.tuning.execution.fork_server``) that has already imported the heavy packages.
A call that crashes, or is killed, costs only that call; its memory is freed when it ends; and no process is left
running once the driver has ended, whatever the reason.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.tuning.execution.channel import Channel, encode_message
from zoo.tuning.execution.executor import Event, TrialExecutor
from zoo.tuning.execution.packed_call import pack_call, write_call
from zoo.tuning.execution.server_process import Call, IdleServer, ServerProcess

__all__ = ["Channel", "Event", "WorkerProcesses"]


class WorkerProcesses(TrialExecutor):
    """Runs functions, each call in a process of its own.

    Not for use from several threads at once. Close it, or use it in a ``with`` statement; a driver that
    does not, or is killed, leaves no process behind either.

    Args:
        max_workers: Maximum number of calls that run at the same time.
        folder: Where logs of calls are kept; created if it does not exist.
        preload: Modules that the server imports once for all calls; none of them may start threads.
        overlap: Whether a worker is free as soon as its call has answered, while the process still frees its memory;
            not for calls that hold something exclusive, such as a GPU's memory.

    Example:
        >>> def train(channel, payload):
        ...     channel.send({"epoch": 1, "loss": 0.5})
        ...     return payload["units"] * 2
        >>> with WorkerProcesses(2, folder=Path("trials")) as workers:      # doctest: +SKIP
        ...     workers.start("first", train, {"units": 8})
        ...     while workers.running:
        ...         for event in workers.wait():
        ...             print(event.key, event.kind, event.value)
        first message {'epoch': 1, 'loss': 0.5}
        first done 16
    """

    def __init__(
        self,
        max_workers: int,
        *,
        folder: Path,
        preload: Sequence[str] = ("tensorflow", "keras", "keras_tuner"),
        overlap: bool = False,
    ) -> None:
        super().__init__(max_workers)
        self.folder = Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._preload = tuple(preload)
        self._overlap = overlap
        self._closed = False
        self._server = self._new_server()

    def start(
        self, key: str, function: Callable[..., Any], payload: dict[str, Any], *, memory_bytes: int | None = None
    ) -> None:
        """Run ``function(channel, payload)`` in a fresh process.

        A function that a fresh interpreter can import is sent by name; one of a notebook, of
        ``__main__`` or of another function is sent by value, with the globals that it uses. A payload that
        is plain JSON is sent as JSON, any other is pickled.

        Args:
            key: Name of the call, in events and in `tell` and `kill`.
            function: Gets a `Channel` and the payload; its return value must be JSON.
            payload: The function's data; it may hold callables.
            memory_bytes: Limit on the process's data, imports included (TensorFlow: 400 MiB); beyond it the call ends
                with a MemoryError, an event of kind "failed".

        Raises:
            UsageError: No worker is free, the key is running, or function and payload cannot be sent.
            JobError: The server could not be started.
        """
        self.start_packed(key, pack_call(function, payload), memory_bytes=memory_bytes)

    def start_packed(self, key: str, call: bytes, *, memory_bytes: int | None = None) -> None:
        """Run a call that was packed elsewhere; see :meth:`start`."""
        if self._closed:
            raise UsageError("this executor is closed")
        if key in self.running:
            raise UsageError(f"call {key!r} is already running", where="key")
        if not self.free:
            raise UsageError(f"all {self.max_workers} workers are busy")
        path = write_call(self.folder, key, call)
        if self._server.lost:
            self._server = self._new_server()
        self._server.start(key, path, memory_bytes)

    def tell(self, key: str, message: dict[str, Any]) -> None:
        """Send a message to a call, for example ``{"stop": True}``; a call that has ended gets none."""
        if call := self._find(key):
            call.outgoing += encode_message(message)
            call.flush()

    def kill(self, key: str) -> None:
        """Kill a call with its child processes; `wait` returns its "died" event."""
        if call := self._find(key):
            call.killed = True
            self._server.tell({"kill": call.number})

    @property
    def running(self) -> tuple[str, ...]:
        """Keys of the calls whose end `wait` has not returned yet."""
        return tuple(call.key for call in self._server.calls.values() if not call.reported)

    def close(self) -> None:
        """Kill all running calls; events that `wait` has not returned are dropped.

        A server without running calls is kept for the next executor, as importing the packages takes seconds; it ends
        with the driver, or by itself after some minutes.
        """
        self._closed = True
        self._events.clear()
        if self.running or not self._server.runs():
            self._finalizer()
        else:
            self._finalizer.detach()
            IdleServer.keep(self._server)

    def _take_in(self, timeout_s: float) -> None:
        self._server.take_in(timeout_s, self._events)

    def _new_server(self) -> ServerProcess:
        server = IdleServer.take(self._preload) or ServerProcess(self.folder, self._preload)
        server.overlap = self._overlap
        self._finalizer = weakref.finalize(self, server.end)  # on garbage collection, and at the driver's exit
        return server

    def _find(self, key: str) -> Call | None:
        return next((call for call in self._server.calls.values() if call.key == key and not call.reported), None)
