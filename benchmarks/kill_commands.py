"""Commands that are killed at random moments: whether the next command works, and what is lost or left over.

Each of 100 rounds takes a copy of a store with finished runs (the first command: an empty folder), starts a command,
kills it by SIGKILL at a moment drawn by the round's number, and gives the same command again.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from _results import Results, read_arguments, spread

ROUNDS, QUICK_ROUNDS = 100, 8
TRAIN = ("train", "classification/linear", "wine", "--epochs", "30")
EMPTY = "train, in an empty folder"
COMMANDS: dict[str, tuple[str, ...]] = {
    EMPTY: TRAIN,
    "train": (*TRAIN, "--seed", "3"),
    "train --cv": (*TRAIN, "--cv", "3"),
    "compare": ("compare", "wine", "--models", "classification/linear", "--seeds", "2", "--epochs", "5"),
    "export": ("export", "RUN", "--output", "exported", "--format", "savedmodel"),
    "register": ("register", "RUN", "wines"),
    "predict": ("predict", "RUN", "wine", "--output", "predicted.csv"),
    "ui": ("ui", "--port", "PORT"),
}
FAULTS = ("next_fails", "running", "lost", "left_over")
LONGEST_S = 1200
COMPLETE = "already holds an export"  # the killed export had finished writing


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    results = Results(__file__, options, {"rounds": rounds, "commands": COMMANDS})
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for number in range(rounds):
            results.measure(f"round {number}", lambda number=number: _round(number, Path(folder)))
    _report(results)


@cache
def _prepare(folder: Path) -> tuple[Path, str, dict[str, str]]:
    """Return a folder with a finished run, the run's id, and the status of each run."""
    store = folder / "store"
    (store / "tmp").mkdir(parents=True)
    status, out = _finish(_start(store, [*TRAIN, "--seed", "1", "--json"]))
    assert status == 0, out
    return store, str(json.loads(out)["run_id"]), _list_runs(store)


@cache
def _measure_duration(name: str, folder: Path) -> float:
    """Return the seconds that an undisturbed command takes, until it answers where it is a server."""
    place, words = _copy(name, folder)
    began = time.monotonic()
    process = _start(place, words)
    if name == "ui":
        _wait_for(place, words)
        process.send_signal(signal.SIGTERM)
    _finish(process)
    shutil.rmtree(place)
    return time.monotonic() - began


def _copy(name: str, folder: Path) -> tuple[Path, list[str]]:
    """Return a folder for a round, and the command's words."""
    store, run, _ = _prepare(folder)
    place = Path(tempfile.mkdtemp(dir=folder))
    if name != EMPTY:
        shutil.copytree(store, place, dirs_exist_ok=True)
    (place / "tmp").mkdir(exist_ok=True)
    values = {"RUN": run, "PORT": str(_free_port())}
    return place, [values.get(word, word) for word in COMMANDS[name]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(place: Path, words: Sequence[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": str(place / "tmp")}
    command = [sys.executable, "-m", "zoo", *words]
    return subprocess.Popen(
        command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=LONGEST_S)
    return process.returncode, out.splitlines()[-1] if out.strip() else ""


def _wait_for(place: Path, words: Sequence[str]) -> None:
    """Wait until a server answers."""
    port = int(words[words.index("--port") + 1])
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)


def _round(number: int, folder: Path) -> dict[str, Any]:
    name = list(COMMANDS)[number % len(COMMANDS)]
    moment = random.Random(number).uniform(0, _measure_duration(name, folder))
    place, words = _copy(name, folder)
    before = _prepare(folder)[2] if name != EMPTY else {}
    process = _start(place, words)
    time.sleep(moment)
    process.kill()
    process.communicate()
    if name == "ui":  # its server ends a moment after it
        words = [*words[:-1], str(_free_port())]
    again = _start(place, words)
    if name == "ui":
        _wait_for(place, words)
        again.send_signal(signal.SIGTERM)
    status, message = _finish(again)
    after = _list_runs(place)
    fails = status != 0 and COMPLETE not in message
    values = {
        "command": name,
        "moment_s": moment,
        "next_fails": int(fails),
        "message": message[:300] if fails else "",
        "running": sum(status == "RUNNING" for status in after.values()),
        "lost": sum(after.get(run) != status for run, status in before.items()),
        "left_over": len(left := _list_left_over(place)),
        "files": left[:5],
    }
    shutil.rmtree(place, ignore_errors=True)
    return values


def _list_runs(place: Path) -> dict[str, str]:
    """Return the status of each run, as the command line shows it."""
    status, out = _finish(_start(place, ["runs", "--all", "--limit", "1000", "--json"]))
    if status:
        return {"runs --all": out}
    return {run["run_id"]: run["status"] for run in json.loads(out)["runs"]}


def _list_left_over(place: Path) -> list[str]:
    """Return temporary files and folders, and unfinished parts of a store."""
    temporary = [path.name for path in (place / "tmp").iterdir()]
    names = [path.relative_to(place).as_posix() for path in place.rglob("*") if (place / "tmp") not in path.parents]
    begun = [name for name in names if re.search(r"/\.[^/]+-\d+-|\.call$|/\.savedmodel|mlflow\.db\.", f"/{name}")]
    return sorted(temporary + begun)


def _report(results: Results) -> None:
    lines = []
    for name in COMMANDS:
        rows = [row for row in results.rows.values() if row["command"] == name]
        if rows:
            moments = spread([row["moment_s"] for row in rows], ".1f", " s")
            lines.append((name, str(len(rows)), moments, *(str(sum(row[fault] for row in rows)) for fault in FAULTS)))
    header = ("command", "killed", "after", "next command fails", "runs left RUNNING", "runs lost", "files left over")
    notes = [
        "Seconds until the kill: median, least and greatest. Runs and files are counted after the same command was "
        "given again; runs that were there before must be there with the same status. A killed run is KILLED and "
        "can be resumed."
    ]
    results.report("Commands that are killed and given again", header, lines, notes)


if __name__ == "__main__":
    main()
