from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.tuning.execution.processes import (
    LINUX,
    PATIENCE_S,
    add,
    alive,
    assert_all_end,
    outcome,
    outcomes,
    run,
    script_environment,
    wait_for_stop,
)
from zoo.errors import UsageError
from zoo.tuning.execution.worker_processes import Channel, Event, WorkerProcesses

SCRIPT = """
import os
from pathlib import Path
from zoo.tuning.execution.worker_processes import WorkerProcesses

OFFSET = 10

def shift(x):
    return x + OFFSET

def call(channel, payload):
    print("not for the driver's output")
    channel.send({"x": payload["x"]})
    return shift(payload["x"])

with WorkerProcesses(1, folder=Path(os.environ["CALLS"]), preload=()) as workers:
    workers.start("call", call, {"x": 5})
    while workers.running:
        for event in workers.wait():
            print(event.kind, event.value)
"""
PRINTED = "message {'x': 5}\ndone 15\n"


@pytest.mark.parametrize("way", ["file", "guarded file", "-c", "standard input"])
@pytest.mark.parametrize("fork", ["1", "0"])
def test_function_of_a_script(way: str, fork: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    if way == "guarded file":
        head, _, body = SCRIPT.partition("with WorkerProcesses")
        script.write_text(
            head + "if __name__ == '__main__':\n" + textwrap.indent("with WorkerProcesses" + body, "    ")
        )
    arguments = {"-c": ["-c", SCRIPT], "standard input": ["-"]}.get(way, [str(script)])
    finished = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        input=SCRIPT if way == "standard input" else "",
        env=script_environment(tmp_path) | {"ZOO_FORK": fork},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (finished.stdout, finished.stderr, finished.returncode) == (PRINTED, "", 0)


def test_kill_of_one_leaves_the_others(make: Callable[..., WorkerProcesses]) -> None:
    workers = make(3)
    pids: dict[str, list[int]] = {}
    for key in ("a", "b", "c"):
        workers.start(key, wait_for_stop, {})
    while len(pids) < 3:
        pids.update({event.key: event.value for event in workers.wait(PATIENCE_S)})
    os.kill(pids["a"][0], signal.SIGKILL)
    workers.kill("b")
    died: dict[str, Event] = {}
    while len(died) < 2:
        died.update({event.key: event for event in workers.wait(PATIENCE_S)})
    assert workers.running == ("c",)
    assert {key: event.kind for key, event in died.items()} == {"a": "died", "b": "died"}
    assert {key: event.value["killed"] for key, event in died.items()} == {"a": False, "b": True}
    assert {event.value["signal"] for event in died.values()} == {"SIGKILL"}
    assert_all_end([pids["a"][0], pids["a"][2], pids["b"][0], pids["b"][2]])
    assert alive(pids["c"][0])
    workers.tell("c", {"stop": True})
    assert outcome(workers, "c").value == "stopped"


def test_killed_call_says_so(make: Callable[..., WorkerProcesses]) -> None:
    workers = make()
    workers.start("call", wait_for_stop, {})
    workers.kill("call")
    event = outcome(workers)
    assert event.kind == "died"
    assert (event.value["signal"], event.value["killed"]) == ("SIGKILL", True)


def test_children_of_a_finished_call_end(make: Callable[..., WorkerProcesses]) -> None:
    def forget_a_child(channel: Channel, payload: dict[str, Any]) -> int:
        child = subprocess.Popen(["sleep", "600"])
        child.returncode = 0  # no warning that it still runs
        return child.pid

    assert_all_end([run(make(), forget_a_child, {}).value])


def test_server_that_is_killed_is_replaced(make: Callable[..., WorkerProcesses]) -> None:
    workers = make(2)
    for key in ("a", "b"):
        workers.start(key, wait_for_stop, {})
    pids: list[int] = []
    while len(pids) < 6:
        pids += [pid for event in workers.wait(PATIENCE_S) for pid in event.value]
    os.kill(pids[1], signal.SIGKILL)
    assert {event.kind for event in outcomes(workers).values()} == {"died"}
    assert_all_end(pids)
    assert run(workers, add, {"a": 1, "b": 2}).value == 3


def test_process_that_waits_for_a_call_and_is_killed_is_replaced(make: Callable[..., WorkerProcesses]) -> None:
    workers = make(2)
    workers.start("a", wait_for_stop, {})
    (message,) = workers.wait(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while not (
        waiting := [child for child in psutil.Process(message.value[1]).children() if child.pid != message.value[0]]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(waiting[0].pid, signal.SIGKILL)
    assert workers.wait(0.5) == []
    workers.start("b", add, {"a": 1, "b": 2})
    assert outcome(workers, "b").value == 3
    assert workers.running == ("a",)


def test_close_leaves_no_process_and_no_file_open(make: Callable[..., WorkerProcesses], tmp_path: Path) -> None:
    descriptors = set(os.listdir("/proc/self/fd")) if LINUX else set()
    workers = make(2)
    for key in ("a", "b"):
        workers.start(key, wait_for_stop, {})
    pids: list[int] = []
    while len(pids) < 6:
        pids += [pid for event in workers.wait(PATIENCE_S) for pid in event.value]
    workers.close()
    assert not any(map(alive, pids[:2] + pids[3:5]))  # at once: close waits for them
    assert_all_end(pids)
    assert workers.running == ()
    workers.close()
    with pytest.raises(UsageError, match="closed"):
        workers.start("c", add, {"a": 1, "b": 2})
    assert {path.name for path in (tmp_path / "calls").iterdir()} == {"server.log"}
    if LINUX:
        assert set(os.listdir("/proc/self/fd")) == descriptors


def test_close_before_the_server_is_ready(make: Callable[..., WorkerProcesses]) -> None:
    workers = make()
    workers.start("call", wait_for_stop, {})
    workers.close()
    assert workers.running == ()


DRIVER = """
import os, subprocess, sys, time
from pathlib import Path
from zoo.tuning.execution.worker_processes import WorkerProcesses

def call(channel, payload):
    own = subprocess.Popen(["sleep", "600"])
    channel.send([os.getpid(), os.getppid(), own.pid])
    time.sleep(600)

def shown(workers):
    print(*[pid for event in workers.wait() for pid in event.value], flush=True)

workers = WorkerProcesses(2, folder=Path(os.environ["CALLS"]), preload=())
for key in ("a", "b"):
    workers.start(key, call, {})
    shown(workers)
"""
WAITS = "workers.wait()\n"


def start_driver(tmp_path: Path, fork: str, end: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a driver with two calls; return it with the ids of all processes that it has caused."""
    driver = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", DRIVER + end],
        env=script_environment(tmp_path) | {"ZOO_FORK": fork},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        # A suite that runs in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert driver.stdout is not None
    lines = [driver.stdout.readline() for _ in range(2)]
    return driver, [int(pid) for line in lines for pid in line.split()]


@pytest.mark.parametrize("fork", ["1", "0"])
@pytest.mark.parametrize(
    ("end", "number", "said"),
    [
        (WAITS, signal.SIGKILL, ""),
        (WAITS, signal.SIGTERM, ""),
        (WAITS, signal.SIGINT, "KeyboardInterrupt"),
        ("os.fork() or time.sleep(600)\n" + WAITS, signal.SIGKILL, ""),
        ("sys.exit(0)\n", None, ""),
        ("del workers\n", None, ""),
        ("raise ValueError('in the driver')\n", None, "in the driver"),
    ],
    ids=["killed", "terminated", "Ctrl-C", "killed, a fork survives", "exit", "forgotten", "exception"],
)
def test_end_of_the_driver_leaves_no_process(
    tmp_path: Path, fork: str, end: str, number: int | None, said: str
) -> None:
    driver, pids = start_driver(tmp_path, fork, end)
    assert len(pids) == 6
    try:
        if number == signal.SIGINT:
            os.killpg(driver.pid, number)  # as a terminal does
        elif number is not None:
            driver.send_signal(number)
        driver.wait(PATIENCE_S)
        assert_all_end(pids)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)  # the fork that survived it
        _, errors = driver.communicate(timeout=PATIENCE_S)
    assert said in errors
    assert said or not errors
