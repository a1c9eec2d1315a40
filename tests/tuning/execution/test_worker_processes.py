from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tuning.execution.processes import (
    LINUX,
    PATIENCE_S,
    ROOT,
    add,
    allocate,
    draw,
    end_without_a_word,
    events_until,
    flood,
    leave,
    outcome,
    outcomes,
    print_and_crash,
    raise_data_error,
    raise_error,
    return_a_set,
    run,
    steps,
    surroundings,
    tensorflow_product,
    wait_for_stop,
)
from zoo.errors import JobError, UsageError
from zoo.tuning.execution.worker_processes import Event, WorkerProcesses


def test_messages_both_ways_and_stop_between_steps(make: Callable[..., WorkerProcesses]) -> None:
    workers = make()
    workers.start("call", steps, {"steps": 100})
    last = None
    while workers.running:
        for event in workers.wait(PATIENCE_S):
            last = event
            if event.kind == "message":
                step = event.value["step"]
                workers.tell("call", {"stop": True} if step == 7 else {"echo": step})
    assert last == Event("call", "done", 7)


def test_neither_side_blocks_the_other(make: Callable[..., WorkerProcesses]) -> None:
    workers = make()
    workers.start("call", flood, {"messages": 200})
    for number in range(200):
        workers.tell("call", {"number": number, "filling": "x" * 10_000})
    workers.tell("call", {"stop": True})
    events = events_until(workers, lambda event: event.kind != "message")
    assert [event.value["number"] for event in events[:-1]] == list(range(200))
    assert events[-1] == Event("call", "done", 200)


def test_slots_are_counted(make: Callable[..., WorkerProcesses]) -> None:
    workers = make(2)
    assert (workers.free, workers.running) == (2, ())
    workers.start("a", wait_for_stop, {})
    with pytest.raises(UsageError, match="'a' is already running"):
        workers.start("a", wait_for_stop, {})
    workers.start("b", wait_for_stop, {})
    assert (workers.free, workers.running) == (0, ("a", "b"))
    with pytest.raises(UsageError, match="all 2 workers are busy"):
        workers.start("c", wait_for_stop, {})
    for key in ("a", "b"):
        workers.tell(key, {"stop": True})
    assert {event.value for event in outcomes(workers).values()} == {"stopped"}
    assert (workers.free, workers.running) == (2, ())
    assert run(workers, add, {"a": 1, "b": 1}).value == 2


def test_wait_returns_when_nothing_comes(make: Callable[..., WorkerProcesses]) -> None:
    workers = make()
    assert workers.wait() == []  # nothing is running
    workers.start("call", wait_for_stop, {})
    events_until(workers, lambda event: event.kind == "message")
    assert workers.wait(0.01) == []
    workers.tell("somebody else", {"stop": True})
    workers.kill("somebody else")
    workers.tell("call", {"stop": True})
    assert outcome(workers).value == "stopped"
    workers.tell("call", {"stop": True})


def test_surroundings_of_a_call(
    make: Callable[..., WorkerProcesses], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("PYTHONPATH", "OPENBLAS_NUM_THREADS")
    monkeypatch.setenv("PYTHONPATH", ROOT)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    workers = make()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["script.py", "--width", "3"])
    first, second = (run(workers, surroundings, {"names": names}).value for _ in range(2))
    assert first == second
    assert Path(first["folder"]).samefile(tmp_path)
    assert first["arguments"] == ["script.py", "--width", "3"]
    assert first["stdin"] == ""
    assert first["session"]
    assert first["environment"] == {"PYTHONPATH": ROOT, "OPENBLAS_NUM_THREADS": None}


def test_random_numbers_differ(make: Callable[..., WorkerProcesses]) -> None:
    workers = make(4, preload=("numpy",))
    for number in range(4):
        workers.start(str(number), draw, {})
    drawn = [event.value for event in outcomes(workers).values()]
    assert len({python for python, _ in drawn}) == 4
    assert len({numpy for _, numpy in drawn}) == 4


# --- errors ---


def test_exception_is_told(make: Callable[..., WorkerProcesses]) -> None:
    event = run(make(), raise_error, {})
    assert event.kind == "failed"
    assert (event.value["type"], event.value["message"]) == ("KeyError", "'units'")
    assert 'raise KeyError("units")' in event.value["traceback"]
    assert "error" not in event.value


def test_error_of_zoo_comes_with_its_parts(make: Callable[..., WorkerProcesses]) -> None:
    event = run(make(), raise_data_error, {})
    assert event.kind == "failed"
    assert event.value["error"] == {
        "kind": "data",
        "message": "unknown column 'agee'",
        "where": "titanic.csv",
        "nearest": "age",
    }


@pytest.mark.parametrize(
    ("function", "kind"), [(leave, "SystemExit"), (return_a_set, "TypeError")], ids=["exit", "not JSON"]
)
def test_what_is_not_a_return_of_json_fails(
    make: Callable[..., WorkerProcesses], function: Callable[..., Any], kind: str
) -> None:
    event = run(make(), function, {})
    assert (event.kind, event.value["type"]) == ("failed", kind)


def test_crash_shows_its_signal_and_the_log(make: Callable[..., WorkerProcesses]) -> None:
    event = run(make(), print_and_crash, {})
    assert event.kind == "died"
    assert (event.value["status"], event.value["signal"]) == (-signal.SIGSEGV, "SIGSEGV")
    assert not event.value["killed"]
    assert event.value["log"].startswith("the last words")
    assert "print_and_crash" in event.value["log"]  # the stack


def test_end_without_a_word_shows_its_status(make: Callable[..., WorkerProcesses]) -> None:
    value = run(make(), end_without_a_word, {}).value
    assert value == {"status": 3, "signal": None, "killed": False, "log": ""}


@pytest.mark.skipif(not LINUX, reason="only Linux enforces RLIMIT_DATA")
def test_memory_limit_ends_as_an_exception(make: Callable[..., WorkerProcesses]) -> None:
    workers, limit = make(), 256 * 1024**2
    event = run(workers, allocate, {"bytes": 4 * limit}, memory_bytes=limit)
    assert (event.kind, event.value["type"]) == ("failed", "MemoryError")
    assert run(workers, allocate, {"bytes": 4 * limit}).value == 4 * limit


def test_preload_that_fails_is_told(tmp_path: Path) -> None:
    with WorkerProcesses(1, folder=tmp_path, preload=("no_such_module",)) as workers:
        if sys.platform == "darwin":
            pytest.skip("nothing is preloaded where nothing is forked")
        for _ in range(2):
            workers.start("call", add, {"a": 1, "b": 2})
            with pytest.raises(JobError, match="No module named 'no_such_module'"):
                workers.wait(PATIENCE_S)
            assert workers.running == ()


# --- TensorFlow ---


def test_tensorflow_computes_after_the_fork(tmp_path: Path) -> None:
    with WorkerProcesses(2, folder=tmp_path, preload=("tensorflow",)) as workers:
        for value in (1, 2):
            workers.start(str(value), tensorflow_product, {"value": value})
        started: set[str] = set()
        while len(started) < 2:
            started |= {event.key for event in workers.wait(PATIENCE_S) if event.value == "started"}
            assert workers.free == 0
        for key in started:
            workers.tell(key, {"go": True})
        assert {key: event.value for key, event in outcomes(workers).items()} == {
            "1": [64.0, 1],
            "2": [256.0, 1],
        }
