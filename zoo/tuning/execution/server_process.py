"""The driver's end of the fork server and of its calls."""

from __future__ import annotations

import atexit
import contextlib
import io
import math
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import JobError
from zoo.tuning.execution.channel import Frames, encode_message, read_some
from zoo.tuning.execution.executor import Event
from zoo.tuning.execution.fork_server import end_group

_LOG_TAIL_BYTES = 4096
_END_WAIT_S = 5.0
# Variables that no module reads while it is imported; each call gets them anew.
_READ_WHEN_USED = ("MLFLOW_", "ZOO_TASKS", "PYTEST_")


@dataclass
class Call:
    """The driver's end of one call; never blocks, whatever the call does."""

    key: str
    number: int
    path: Path
    socket: socket.socket
    overlap: bool
    reported: bool = False
    killed: bool = False
    open: bool = True
    outgoing: bytearray = field(default_factory=bytearray)
    outcome: Event | None = None
    frames: Frames = field(default_factory=Frames)

    @property
    def log(self) -> Path:
        """The file that the call's output goes to."""
        return self.path.with_suffix(".log")

    def flush(self) -> None:
        """Send as much as the call's socket accepts now."""
        with contextlib.suppress(BlockingIOError):
            while self.outgoing and self.open:
                try:
                    del self.outgoing[: self.socket.send(self.outgoing)]
                except ConnectionError:
                    self.outgoing.clear()  # it has ended; its messages can still be read

    def read(self) -> Iterator[Event]:
        """Yield the received messages; without ``overlap`` the outcome is kept until the process has ended."""
        with contextlib.suppress(BlockingIOError):
            while self.open:
                data = read_some(self.socket)
                self.open = bool(data)
                for message in self.frames.feed(data):
                    event = Event(self.key, **message)
                    if self.reported:
                        continue  # from a thread that outlived the function
                    if event.kind == "message":
                        yield event
                        continue
                    self.outcome = event
                    if self.overlap:
                        self.reported = True
                        yield event

    def finish(self, status: int | None, note: str | None) -> Event:
        """Remove the call's files, and return the event that ends it."""
        self.socket.close()
        self.path.unlink(missing_ok=True)
        tail = _tail(self.log)
        if not tail:
            self.log.unlink(missing_ok=True)
        name = _signal_name(-status) if status is not None and status < 0 else None
        text = "\n".join(part for part in (tail, note) if part)
        died = {"status": status, "signal": name, "killed": self.killed, "log": text}
        return self.outcome or Event(self.key, "died", died)


class ServerProcess:
    """The server process and its calls: starts it, talks to it, ends it.

    Args:
        folder: Where the server's log goes.
        preload: Modules that the server imports.
    """

    def __init__(self, folder: Path, preload: Sequence[str]) -> None:
        self.calls: dict[int, Call] = {}
        self.lost = False
        self.overlap = False  # whether a call ends with its answer
        self.surroundings = _surroundings(preload)
        self._pids: dict[int, int] = {}
        # Number and socket of a spare process, so that the next call need not wait for a fork.
        self._spare: tuple[int, socket.socket] | None = None
        self._ready = False
        self._count = 0
        self._owner = os.getpid()
        self._frames = Frames()
        self._log = folder / "server.log"
        # The server must find this package and all that it preloads; one
        # thread for OpenBLAS, because a fork would lose the others. Each call gets the driver's environment.
        changes = {"PYTHONPATH": os.pathsep.join(_import_path()), "OPENBLAS_NUM_THREADS": "1"}
        self._socket, server_end = socket.socketpair()
        with server_end, open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "zoo.tuning.execution.fork_server", str(server_end.fileno()), *preload],
                env=_environment() | changes,
                pass_fds=[server_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that Ctrl-C reaches only the driver, which ends the others
            )

    def start(self, key: str, path: Path, memory_bytes: int | None) -> None:
        """Run the call in the file at ``path``."""
        spare, self._spare = self._spare, None
        number, connection = spare or self._new_process()
        call = self.calls[number] = Call(key, number, path, connection, self.overlap)
        request = {
            "call": str(path),
            "log": str(call.log),
            "folder": os.getcwd(),
            "path": _import_path(),
            "arguments": sys.argv,
            "environment": _environment(),
            "memory_bytes": memory_bytes,
        }
        call.outgoing += encode_message(request)
        call.flush()
        with contextlib.suppress(OSError):  # the next call then waits for its process
            self._spare = self._new_process()

    def _new_process(self) -> tuple[int, socket.socket]:
        self._count += 1
        driver_end, call_end = socket.socketpair()
        driver_end.setblocking(False)
        with call_end, contextlib.suppress(ConnectionError):  # the next read then notices that the server is gone
            socket.send_fds(self._socket, [encode_message({"start": self._count})], [call_end.fileno()])
        return self._count, driver_end

    def tell(self, request: dict[str, Any]) -> None:
        """Send a request to the server."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(encode_message(request))

    def take_in(self, timeout_s: float, events: list[Event]) -> None:
        """Append the events that arrive within ``timeout_s`` to ``events``."""
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

    def runs(self) -> bool:
        """Return whether the server runs and has imported its modules."""
        return self._ready and not self.lost and self._process.poll() is None

    def idle(self) -> None:
        """Tell the server that no call will come for a while, and end the spare process."""
        self._drop_spare()
        self.tell({"idle": True})

    def end(self) -> None:
        """End the server and all calls; in a process forked from the driver, do nothing."""
        if os.getpid() != self._owner:
            return
        if not self._ready and not self.lost:
            self._process.terminate()  # it may be importing, and would read the end of file too late
        self._socket.close()
        try:
            self._process.wait(_END_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode != 0:
            self._end_groups()  # which the server could not do
        for call in self.calls.values():
            call.finish(None, None)
        self.calls.clear()
        self._drop_spare()

    def _hear(self, events: list[Event]) -> None:
        """Handle the server's reports."""
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
        if number not in self.calls:  # a spare process, this one or one of before
            if self._spare is not None and self._spare[0] == number:
                self._drop_spare()
            return
        call = self.calls[number]
        events.extend(call.read())  # messages from before its end
        del self.calls[number]
        end = call.finish(status, why)
        if not call.reported:
            events.append(end)

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare[1].close()
            self._spare = None

    def _end_groups(self) -> None:
        """Kill what may be left, except calls that have answered: their process ids may be reused by now."""
        reported = {number for number, call in self.calls.items() if call.reported}
        for number, pid in self._pids.items():
            if number not in reported:
                end_group(pid)
        self._pids.clear()

    def _lose(self, events: list[Event]) -> None:
        """Handle the unexpected end of the server, which ends all its calls."""
        self.lost = True
        self._end_groups()
        for number in list(self.calls) if self._ready else ():
            self._finish(number, None, "the server of the worker processes ended", events)
        self.end()
        if not self._ready:
            text = _tail(self._log) or f"exit status {self._process.returncode}"
            raise JobError(f"the server of the worker processes could not be started:\n{text}")


class IdleServer:
    """The server of the last executor, kept for the next one with the same surroundings."""

    _server: ServerProcess | None = None

    @classmethod
    def keep(cls, server: ServerProcess) -> None:
        """Keep a server in place of the one that is kept."""
        cls.end()
        server.idle()
        cls._server = server

    @classmethod
    def take(cls, preload: Sequence[str]) -> ServerProcess | None:
        """Return the kept server if it runs and imported the same modules in the same surroundings."""
        server = cls._server
        if server is None or server.surroundings != _surroundings(preload) or not server.runs():
            cls.end()
            return None
        cls._server = None
        return server

    @classmethod
    def end(cls) -> None:
        """End the kept server."""
        if cls._server is not None:
            cls._server.end()
            cls._server = None


atexit.register(IdleServer.end)


def _surroundings(preload: Sequence[str]) -> tuple[Any, ...]:
    """Return what a server takes over from its driver when it starts."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_READ_WHEN_USED)}
    return tuple(preload), _import_path(), environment, os.getpid()


def _environment() -> dict[str, str]:
    return {"TF_CPP_MIN_LOG_LEVEL": "3"} | dict(os.environ)


def _import_path() -> list[str]:
    return [os.path.abspath(entry) for entry in sys.path]  # "" is the folder of -c and of notebooks


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal without a name
        return f"signal {number}"


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError), open(log, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _LOG_TAIL_BYTES))
        return file.read().decode(errors="replace").strip()
    return ""
