"""What the tests of workers run in processes, and how they wait for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zoo
from zoo.errors import DataError
from zoo.tuning.execution.worker_processes import Channel, Event, WorkerProcesses

ROOT = str(Path(zoo.__file__).parents[1])
PATIENCE_S = 60.0  # how long a test waits for what must come: never reached when all is well
LINUX = sys.platform == "linux"


def events_until(workers: WorkerProcesses, ended: Callable[[Event], bool]) -> list[Event]:
    """The events up to and with the first for which ``ended`` holds."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_S
    while not any(map(ended, events)):
        assert time.monotonic() < deadline, events
        assert workers.running, events
        events += workers.wait(PATIENCE_S)
    return events


def outcome(workers: WorkerProcesses, key: str = "call") -> Event:
    """How the call ended; messages and ends of other calls that came before are dropped."""

    def ended(event: Event) -> bool:
        return event.key == key and event.kind != "message"

    return next(filter(ended, events_until(workers, ended)))


def outcomes(workers: WorkerProcesses) -> dict[str, Event]:
    """The last event of each running call, by key."""
    last: dict[str, Event] = {}
    while workers.running:
        arrived = workers.wait(PATIENCE_S)
        assert arrived
        last.update({event.key: event for event in arrived})
    return last


def run(workers: WorkerProcesses, function: Callable[..., Any], payload: dict[str, Any], **options: Any) -> Event:
    workers.start("call", function, payload, **options)
    return outcome(workers)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def assert_all_end(pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, f"still alive: {left}"
        time.sleep(0.02)


def script_environment(folder: Path) -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": ROOT, "CALLS": str(folder / "calls")}


# --- functions that go by import path ---


def add(channel: Channel, payload: dict[str, Any]) -> int:
    return payload["a"] + payload["b"]


def wait_for_stop(channel: Channel, payload: dict[str, Any]) -> str:
    """Tells its processes (itself, the server and a child of its own), then waits to be stopped."""
    child = subprocess.Popen(["sleep", "600"])
    try:
        channel.send([os.getpid(), os.getppid(), child.pid])
        while not channel.stop_requested:
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()
    return "stopped"


def steps(channel: Channel, payload: dict[str, Any]) -> int:
    for step in range(payload["steps"]):
        channel.send({"step": step})
        answer = channel.receive(timeout_s=PATIENCE_S)
        if channel.stop_requested:
            return step
        assert answer == {"echo": step}
    return payload["steps"]


def raise_data_error(channel: Channel, payload: dict[str, Any]) -> None:
    raise DataError("unknown column 'agee'", where="titanic.csv", nearest="age")


def raise_error(channel: Channel, payload: dict[str, Any]) -> None:
    raise KeyError("units")


def leave(channel: Channel, payload: dict[str, Any]) -> None:
    sys.exit("enough")


def return_a_set(channel: Channel, payload: dict[str, Any]) -> set[int]:
    return {1, 2}


def print_and_crash(channel: Channel, payload: dict[str, Any]) -> None:
    print("the last words")
    os.kill(os.getpid(), signal.SIGSEGV)


def end_without_a_word(channel: Channel, payload: dict[str, Any]) -> None:
    os._exit(3)


def draw(channel: Channel, payload: dict[str, Any]) -> list[float]:
    import random

    import numpy as np

    return [random.random(), float(np.random.random())]  # noqa: NPY002  what is tested is its state


def allocate(channel: Channel, payload: dict[str, Any]) -> int:
    return len(bytearray(payload["bytes"]))


def surroundings(channel: Channel, payload: dict[str, Any]) -> dict[str, Any]:
    import resource

    return {
        "arguments": sys.argv,
        "folder": os.getcwd(),
        "stdin": sys.stdin.read(),
        "environment": {name: os.environ.get(name) for name in payload["names"]},
        "descriptors": len(os.listdir("/proc/self/fd")) if LINUX else 0,
        "session": os.getsid(0) == os.getpid(),
        "limit": resource.getrlimit(resource.RLIMIT_DATA),
    }


def flood(channel: Channel, payload: dict[str, Any]) -> int:
    """Sends more than a socket holds before it reads what was sent to it."""
    for number in range(payload["messages"]):
        channel.send({"number": number, "filling": "x" * 10_000})
    received = 0
    while not channel.stop_requested:
        time.sleep(0.001)
    while (message := channel.receive()) is not None:
        received += "filling" in message
    return received


def tensorflow_product(channel: Channel, payload: dict[str, Any]) -> list[float]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    channel.send("started")
    assert channel.receive(timeout_s=PATIENCE_S) == {"go": True}  # so that both compute at the same time
    matrix = tf.fill((64, 64), float(payload["value"]))
    return [float(tf.function(tf.matmul)(matrix, matrix)[0, 0]), len(tf.config.list_logical_devices("CPU"))]
