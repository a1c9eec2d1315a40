"""Workers: slots in which functions run, each call in a process of its own, seen from the driver.

The processes come from a server (``zoo.tuning.execution.fork_server``) that has imported the heavy packages already.
A call that crashes, or is killed, costs that call only; memory comes back after each; nothing is left
running once the driver is gone, however it went.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import select
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import JobError, UsageError
from zoo.tuning.execution.channel import Channel, Frames, frame, read_some
from zoo.tuning.execution.executor import Event, TrialExecutor
from zoo.tuning.execution.fork_server import end_group
from zoo.tuning.execution.packed_call import pack_call, write_call

__all__ = ["Channel", "Event", "WorkerProcesses"]

_LOG_TAIL_BYTES = 4096
_END_WAIT_S = 5.0


class WorkerProcesses(TrialExecutor):
    """Slots in which functions run, each call in a process of its own.

    Not for use from several threads at once. Close it, or use it in a ``with`` statement; a driver that
    forgets, or is killed, leaves no process behind either.

    Args:
        slots: How many calls may run at the same time.
        folder: Where logs of calls are kept, made if it does not exist.
        preload: Modules that the server imports once for all calls; none of them may start threads.
        overlap: Whether a slot is free when its call has answered, while the process still gives back its memory;
            not where calls hold what there is only once, as a GPU's memory.

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
        slots: int,
        *,
        folder: Path,
        preload: Sequence[str] = ("tensorflow", "keras", "keras_tuner"),
        overlap: bool = False,
    ) -> None:
        super().__init__(slots)
        self.folder = Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._preload = tuple(preload)
        self._overlap = overlap
        self._closed = False
        self._server = self._new_server()

    def start(
        self,
        key: str,
        function: Callable[..., Any],
        payload: dict[str, Any],
        *,
        memory_bytes: int | None = None,
    ) -> None:
        """Run ``function(channel, payload)`` in a fresh process.

        A function that a fresh interpreter can import goes by its name; one of a notebook, of
        ``__main__`` or of another function goes by value, with the globals that it uses. A payload that
        is plain JSON goes as JSON, any other is pickled.

        Args:
            key: Name of the call, in events and in `tell` and `kill`.
            function: Gets a `Channel` and the payload; what it returns must be JSON.
            payload: The function's data; it may hold callables.
            memory_bytes: Limit on the process's data, imports included (TensorFlow: 400 MiB); more ends in a
                MemoryError, an event of kind "failed".

        Raises:
            UsageError: No slot is free, the key is running, or function and payload cannot be sent.
            JobError: The server could not be started.
        """
        self.start_packed(key, pack_call(function, payload), memory_bytes=memory_bytes)

    def start_packed(self, key: str, call: bytes, *, memory_bytes: int | None = None) -> None:
        """Run a call that was packed elsewhere; see :meth:`start`."""
        if self._closed:
            raise UsageError("these workers are closed")
        if key in self.running:
            raise UsageError(f"call {key!r} is running already", where="key")
        if not self.free:
            raise UsageError(f"all {self.slots} slots are taken")
        path = write_call(self.folder, key, call)
        if self._server.lost:
            self._server = self._new_server()
        self._server.start(key, path, memory_bytes)

    def tell(self, key: str, message: dict[str, Any]) -> None:
        """Send a message to a call, for example ``{"stop": True}``; a call that has ended gets none."""
        if call := self._find(key):
            call.outgoing += frame(message)
            call.flush()

    def kill(self, key: str) -> None:
        """Kill a call with its child processes; its "died" event comes by `wait`."""
        if call := self._find(key):
            call.killed = True
            self._server.tell({"kill": call.number})

    @property
    def running(self) -> tuple[str, ...]:
        """Keys of the calls whose end has not been seen by `wait`."""
        return tuple(call.key for call in self._server.calls.values() if not call.told)

    def close(self) -> None:
        """Kill what is running and end the server; events not yet waited for are dropped."""
        self._closed = True
        self._events.clear()
        self._finalizer()

    def _take_in(self, timeout_s: float) -> None:
        self._server.take_in(timeout_s, self._events)

    def _new_server(self) -> _ServerProcess:
        server = _ServerProcess(self.folder, self._preload, overlap=self._overlap)
        self._finalizer = weakref.finalize(self, server.end)  # when forgotten, and at the driver's exit
        return server

    def _find(self, key: str) -> _Call | None:
        return next((call for call in self._server.calls.values() if call.key == key and not call.told), None)


# --- the driver's end of server and calls ---


@dataclass
class _Call:
    """The driver's end of one call; never blocks, whatever the call does."""

    key: str
    number: int
    path: Path
    socket: socket.socket
    overlap: bool
    told: bool = False
    killed: bool = False
    open: bool = True
    outgoing: bytearray = field(default_factory=bytearray)
    outcome: Event | None = None
    frames: Frames = field(default_factory=Frames)

    @property
    def log(self) -> Path:
        return self.path.with_suffix(".log")

    def flush(self) -> None:
        """Send what the call's socket takes now."""
        with contextlib.suppress(BlockingIOError):
            while self.outgoing and self.open:
                try:
                    del self.outgoing[: self.socket.send(self.outgoing)]
                except ConnectionError:
                    self.outgoing.clear()  # it has ended; what it said before is still to be read

    def read(self) -> Iterator[Event]:
        """Yield the messages that have come; the outcome is kept until the process has ended, or comes too."""
        with contextlib.suppress(BlockingIOError):
            while self.open:
                data = read_some(self.socket)
                self.open = bool(data)
                for message in self.frames.feed(data):
                    event = Event(self.key, **message)
                    if self.told:
                        continue  # of a thread that the function left behind
                    if event.kind == "message":
                        yield event
                        continue
                    self.outcome = event
                    if self.overlap:
                        self.told = True
                        yield event

    def finish(self, status: int | None, why: str | None) -> Event:
        """Remove what the call leaves, and return the event with which it ends."""
        self.socket.close()
        self.path.unlink(missing_ok=True)
        tail = _tail(self.log)
        if not tail:
            self.log.unlink(missing_ok=True)
        name = _signal_name(-status) if status is not None and status < 0 else None
        text = "\n".join(part for part in (tail, why) if part)
        died = {"status": status, "signal": name, "killed": self.killed, "log": text}
        return self.outcome or Event(self.key, "died", died)


class _ServerProcess:
    """The server with the calls that it runs: starts it, talks to it, ends it.

    Args:
        folder: Where the server's log goes.
        preload: Modules that the server imports.
        overlap: Whether calls end with their answer.
    """

    def __init__(self, folder: Path, preload: Sequence[str], *, overlap: bool) -> None:
        self.calls: dict[int, _Call] = {}
        self.lost = False
        self._overlap = overlap
        self._pids: dict[int, int] = {}
        # A process that waits for a call: the next one need not wait for a fork. Its number and socket.
        self._spare: tuple[int, socket.socket] | None = None
        self._ready = False
        self._count = 0
        self._owner = os.getpid()
        self._frames = Frames()
        self._log = folder / "server.log"
        # The server, which may not have started, must find this package and all that it preloads; one
        # thread for OpenBLAS, because a fork would lose the others. Each call gets its environment back.
        changes = {"PYTHONPATH": os.pathsep.join(_import_path()), "OPENBLAS_NUM_THREADS": "1"}
        self._environment = {name: os.environ.get(name) for name in changes}
        self._socket, theirs = socket.socketpair()
        with theirs, open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "zoo.tuning.execution.fork_server", str(theirs.fileno()), *preload],
                env={"TF_CPP_MIN_LOG_LEVEL": "3"} | dict(os.environ) | changes,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that Ctrl-C reaches the driver alone, which ends the rest
            )

    def start(self, key: str, path: Path, memory_bytes: int | None) -> None:
        """Have the call in the file at ``path`` run."""
        spare, self._spare = self._spare, None
        number, mine = spare or self._new_process()
        call = self.calls[number] = _Call(key, number, path, mine, self._overlap)
        request = {
            "call": str(path),
            "log": str(call.log),
            "folder": os.getcwd(),
            "path": _import_path(),
            "arguments": sys.argv,
            "environment": self._environment,
            "memory_bytes": memory_bytes,
        }
        call.outgoing += frame(request)
        call.flush()
        with contextlib.suppress(OSError):  # then the next call waits for its process
            self._spare = self._new_process()

    def _new_process(self) -> tuple[int, socket.socket]:
        self._count += 1
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        with theirs, contextlib.suppress(ConnectionError):  # then the next reading finds the server gone
            socket.send_fds(self._socket, [frame({"start": self._count})], [theirs.fileno()])
        return self._count, mine

    def tell(self, request: dict[str, Any]) -> None:
        """Send a request to the server."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(frame(request))

    def take_in(self, timeout_s: float, events: list[Event]) -> None:
        """Add what comes within ``timeout_s`` to ``events``."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        by_descriptor = {call.socket.fileno(): call for call in self.calls.values() if call.open}
        for descriptor, call in by_descriptor.items():
            poll.register(descriptor, select.POLLIN | (select.POLLOUT if call.outgoing else 0))
        ready = poll.poll(math.ceil(timeout_s * 1000))
        for descriptor, _ in ready:
            if descriptor in by_descriptor:
                by_descriptor[descriptor].flush()
                events.extend(by_descriptor[descriptor].read())
        if any(descriptor == self._socket.fileno() for descriptor, _ in ready):
            self._hear(events)

    def end(self) -> None:
        """End the server and all calls; in a process that the driver forked, leave them alone."""
        if os.getpid() != self._owner:
            return
        if not self._ready and not self.lost:
            self._process.terminate()  # it may be importing, and would hear of the end too late
        self._socket.close()
        try:
            self._process.wait(_END_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode != 0:
            self._end_groups()  # what the server could not do
        for call in self.calls.values():
            call.finish(None, None)
        self.calls.clear()
        self._drop_spare()

    def _hear(self, events: list[Event]) -> None:
        """Take in what the server reports."""
        data = read_some(self._socket)
        for report in self._frames.feed(data):
            if "ready" in report:
                self._ready = True
            elif "started" in report:
                self._pids[report["started"]] = report["pid"]
            else:
                self._pids.pop(report["ended"], None)
                self._finish(report["ended"], report["status"], report.get("why"), events)
        if not data:
            self._lose(events)

    def _finish(self, number: int, status: int | None, why: str | None, events: list[Event]) -> None:
        if number not in self.calls:  # the spare process, which no call has been given
            self._drop_spare()
            return
        call = self.calls[number]
        events.extend(call.read())  # what it said before its end
        del self.calls[number]
        end = call.finish(status, why)
        if not call.told:
            events.append(end)

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare[1].close()
            self._spare = None

    def _end_groups(self) -> None:
        """Kill what may be left; not of calls that have answered, whose numbers may be other processes' by now."""
        told = {number for number, call in self.calls.items() if call.told}
        for number, pid in self._pids.items():
            if number not in told:
                end_group(pid)
        self._pids.clear()

    def _lose(self, events: list[Event]) -> None:
        """The server has ended without being asked: so have all calls."""
        self.lost = True
        self._end_groups()
        for number in list(self.calls) if self._ready else ():
            self._finish(number, None, "the server of the worker processes ended", events)
        self.end()
        if not self._ready:
            text = _tail(self._log) or f"exit status {self._process.returncode}"
            raise JobError(f"the server of the worker processes could not be started:\n{text}")


def _import_path() -> list[str]:
    return [os.path.abspath(entry) for entry in sys.path]  # "" is the folder of -c and of notebooks


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the first and the last, which alone have names
        return f"signal {number}"


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError), open(log, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _LOG_TAIL_BYTES))
        return file.read().decode(errors="replace").strip()
    return ""
