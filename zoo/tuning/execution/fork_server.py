"""The fork server: imports the heavy packages once, then runs each call in a process of its own.

The driver (``worker_processes``) starts it as ``python -m zoo.tuning.execution.fork_server FD MODULE...``, where
``FD`` is one end of a socket pair. The driver sends ``{"start": number}`` together with the socket of a call,
``{"kill": number}``, or ``{"idle": true}`` where no call will come for a while, and receives ``{"ready": true}``,
``{"started": number, "pid": pid}`` and ``{"ended": number, "status": status}``. Driver and call talk to each other
directly over the call's socket, so the server only forks and reaps. The driver may send what to run at once or later.
Where a fork is not safe, each call is a fresh ``python -m zoo.tuning.execution.fork_server --once FD SERVER``, which
speaks the same protocol.

All processes end with the driver: end of file tells the server that the driver is gone, the server kills its
children, and on Linux the kernel kills them if the server itself is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import math
import os
import random
import resource
import select
import signal
import socket
import sys
import time
import traceback
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from zoo.errors import ZooError
from zoo.tuning.execution.channel import Channel, Frames, encode_message
from zoo.tuning.execution.packed_call import read_call

_PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>
_REQUEST_WAIT_S = 30.0
IDLE_S = 300.0  # a server that waits for the next search ends after this time


def end_group(pid: int) -> None:
    """Kill what is left of the process group that a child led."""
    # macOS answers "not permitted" for a group in which only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


# --- in the process of a call ---


def run_call(connection: socket.socket, server: int) -> NoReturn:
    """Run the call that arrives on ``connection`` and end this process with it.

    Args:
        connection: The call's socket; the driver sends the request before anything else, at once or later.
        server: Process id of the server; this process ends when the server ends.
    """
    status = 1
    try:
        _die_with(server)
        channel = Channel(connection)
        while (request := channel.receive(_REQUEST_WAIT_S)) is None:
            if channel.stop_requested:
                os._exit(0)  # the driver is gone, or has no call for this spare process
        try:
            _enter(request)
            with _data_limit(request["memory_bytes"]):
                function, payload = read_call(Path(request["call"]))
                outcome = encode_message({"kind": "done", "value": function(channel, payload)})
        except BaseException as error:  # an exit or an interrupt counts as a failure of the call
            outcome = encode_message({"kind": "failed", "value": _describe(error)})
        connection.sendall(outcome)
        status = 0
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit: the exit handlers that the server's imports left are the server's.
        os._exit(status)


def _die_with(server: int) -> None:
    """Start a new session, so that grandchildren can be killed too, and end when the server ends."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server:  # the server ended before the prctl call
            os._exit(1)


def _enter(request: dict[str, Any]) -> None:
    """Set up the process of a call: log, folder, import path, arguments, environment and random seeds."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(log, standard)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what is printed survives a kill
    faulthandler.enable()  # a crash in native code leaves its stack in the log
    os.chdir(request["folder"])
    sys.path[:], sys.argv[:] = request["path"], request["arguments"]
    os.environ.clear()
    os.environ.update(request["environment"])
    random.seed()
    if "numpy" in sys.modules:  # forked with it: all children would share its state
        sys.modules["numpy"].random.seed()


@contextlib.contextmanager
def _data_limit(memory_bytes: int | None) -> Iterator[None]:
    """Limit the process's data segment, so that too much raises a MemoryError before the kernel kills the process."""
    # RLIMIT_DATA, because TensorFlow aborts under RLIMIT_AS; the hard limit stays, so that this one can be lifted.
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if memory_bytes is not None:
        soft = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def _describe(error: BaseException) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    if isinstance(error, ZooError):
        described["error"] = error.as_dict()
    return described


# --- in the server ---


def can_fork() -> bool:
    """Return whether calls are forked: not on macOS, whose frameworks do not support it, nor with ZOO_FORK=0."""
    return sys.platform != "darwin" and os.environ.get("ZOO_FORK") != "0"


class Server:
    """Starts a process for each request of the driver, reports its end, and kills all when the driver ends.

    Args:
        driver: This end of the socket pair to the driver.
    """

    def __init__(self, driver: socket.socket) -> None:
        self._driver = driver
        self._frames = Frames()
        self._sockets: deque[int] = deque()  # of calls whose start request is still to come
        self._numbers: dict[int, int] = {}  # number of each call, by process id
        self._wake, self._waker = socket.socketpair()
        self._idle_until = math.inf

    def run(self) -> None:
        """Serve until the driver is gone."""
        driver_pid = os.getppid()
        for end in (self._wake, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _note)
        poll = select.poll()
        poll.register(self._driver, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        try:
            self._report({"ready": True})
            # A process forked from the driver may hold the socket open, so also check whether the driver is alive.
            while os.getppid() == driver_pid and time.monotonic() < self._idle_until:
                readable = {descriptor for descriptor, _ in poll.poll(1000)}
                if self._wake.fileno() in readable:
                    self._wake.recv(4096)
                    self._reap()
                if self._driver.fileno() in readable and not self._serve():
                    break
        except ConnectionError:
            pass  # the driver is gone
        finally:
            self._end_all()

    def _serve(self) -> bool:
        """Handle the driver's requests; return whether the driver is still there."""
        data, descriptors, _, _ = socket.recv_fds(self._driver, 1 << 16, 16)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._sockets.extend(descriptors)
        for request in self._frames.feed(data):
            self._idle_until = time.monotonic() + IDLE_S if "idle" in request else math.inf
            if "start" in request:
                self._start(request["start"], self._sockets.popleft())
            elif "idle" in request:
                continue
            else:
                self._kill(request["kill"])
        return bool(data)

    def _start(self, number: int, descriptor: int) -> None:
        try:
            pid = self._fork(descriptor) if can_fork() else _spawn(descriptor)
        except OSError as error:
            self._report({"ended": number, "status": None, "why": f"no process could be started: {error}"})
            return
        finally:
            os.close(descriptor)
        self._numbers[pid] = number
        self._report({"started": number, "pid": pid})

    def _fork(self, descriptor: int) -> int:
        server = os.getpid()
        with warnings.catch_warnings():
            # Python warns about any second thread; an allocator's thread is one, but holds none of our locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid:
            return pid
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for connection in (self._driver, self._wake, self._waker):
                connection.close()
            for other in self._sockets:
                os.close(other)
            gc.enable()
            run_call(socket.socket(fileno=descriptor), server)
        finally:
            os._exit(1)

    def _kill(self, number: int) -> None:
        for pid, call_number in self._numbers.items():
            if call_number == number:
                end_group(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # it may not lead its group yet

    def _reap(self) -> None:
        """Report the children that have ended, and end what they left running."""
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            end_group(pid)
            if (number := self._numbers.pop(pid, None)) is not None:
                self._report({"ended": number, "status": os.waitstatus_to_exitcode(status)})

    def _end_all(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # must not be interrupted
        for number in self._numbers.values():
            self._kill(number)
        for pid in self._numbers:
            os.waitpid(pid, 0)

    def _report(self, message: dict[str, Any]) -> None:
        self._driver.sendall(encode_message(message))


def _note(number: int, stack: FrameType | None) -> None:
    """Do nothing: the wake-up socket reports the signal."""


def _leave(number: int, stack: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _spawn(descriptor: int) -> int:
    """Start a fresh process for one call and return its process id."""
    os.set_inheritable(descriptor, True)
    command = [
        sys.executable,
        "-P",
        "-m",
        "zoo.tuning.execution.fork_server",
        "--once",
        str(descriptor),
        str(os.getpid()),
    ]
    return os.posix_spawn(sys.executable, command, os.environ)


def main(arguments: Sequence[str]) -> None:
    """Serve a driver: ``FD MODULE...``, or run one call: ``--once FD SERVER``."""
    if arguments[0] == "--once":
        run_call(socket.socket(fileno=int(arguments[1])), int(arguments[2]))
    with socket.socket(fileno=int(arguments[0])) as driver:
        driver.set_inheritable(False)  # else its children would keep the socket open after it ended
        signal.signal(signal.SIGTERM, _leave)  # ends the process while the imports below are running
        if can_fork():
            for name in arguments[1:]:
                importlib.import_module(name)
            gc.disable()
            gc.collect()
            gc.freeze()  # garbage collection in a child would copy all the imported pages
        Server(driver).run()


if __name__ == "__main__":
    # Imported by its full name, so that a call that imports this module gets the same classes.
    from zoo.tuning.execution import fork_server as server

    server.main(sys.argv[1:])
