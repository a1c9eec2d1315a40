"""Searches that are killed at random moments and gone on with, beside one that nobody disturbs.

Each of 100 rounds kills the driver, a trial's process or both by SIGKILL, at a moment drawn by the round's number, and
gives the same command again. Counted is what must not be: a trial that is lost, done twice or another than in the
undisturbed search, a score that differs, a run left RUNNING, a file that is torn.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from _results import Results, read_arguments

ROUNDS, QUICK_ROUNDS = 100, 3
VICTIMS = ("driver", "trial", "both")
SEARCH = {"trials": 4, "epochs": 150, "search": "random", "quiet": True, "baselines": "none"}
SCRIPT = f"""
import json, zoo
from zoo.tracking.store import Store
search = zoo.tune("regression/linear", "diabetes", **{SEARCH!r})
runs = [(run.info.status, run.data.tags.get("zoo.trial"), run.data.tags["zoo.kind"]) for run in Store().search()]
trials = [(t.status, str(sorted(t.hyperparameters.items())), t.score) for t in search.trials]
print(json.dumps({{"runs": runs, "trials": trials}}))
"""


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    results = Results(__file__, options, {"rounds": rounds, "search": SEARCH})
    for number in range(rounds):
        results.measure(f"round {number}", lambda number=number: _round(number, _undisturbed()))
    _report(results)


@cache
def _undisturbed() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        return _searched(folder)


def _searched(folder: str) -> dict[str, Any]:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answer


def _round(number: int, undisturbed: dict[str, Any]) -> dict[str, Any]:
    chance = random.Random(number)
    victim, moment = VICTIMS[number % 3], chance.uniform(0, 5)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        _kill(folder, victim, moment)
        torn = 0
        for file in Path(folder, "mlruns", "state").glob("searches/*/search.json"):
            try:
                json.loads(file.read_text())
            except ValueError:
                torn += 1
        search = _searched(folder)
    trials, wanted = search["trials"], undisturbed["trials"]
    runs = Counter(trial for _, trial, kind in search["runs"] if kind == "trial")
    return {
        "victim": victim,
        "moment_s": moment,
        "torn": torn,
        "unfinished": sum(status != "FINISHED" for status, _, _ in search["runs"]),
        "twice_or_lost": sum(abs(runs[str(n)] - 1) for n in range(len(wanted))) + abs(len(trials) - len(wanted)),
        "others": sum(a[1] != b[1] for a, b in zip(trials, wanted, strict=False)),
        "other_scores": sum(abs(a[2] - b[2]) > 1e-5 * abs(b[2]) for a, b in zip(trials, wanted, strict=False)),
    }


def _kill(folder: str, victim: str, moment: float) -> None:
    """Run the search, and after the first checkpoint and a while kill who is to be killed."""
    import psutil

    process = subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=folder, stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(Path(folder).glob("mlruns/state/searches/*/trials/*/checkpoint.bin")):
        time.sleep(0.02)
    time.sleep(moment)
    if process.poll() is None:
        below = psutil.Process(process.pid).children(recursive=True)
        trials = [child.pid for child in below if child.ppid() != process.pid][:1]
        for pid in (trials if victim != "driver" else []) + ([process.pid] if victim != "trial" else []):
            with contextlib.suppress(ProcessLookupError):  # it had just ended
                os.kill(pid, signal.SIGKILL)
    process.wait()


def _report(results: Results) -> None:
    faults = ("torn", "unfinished", "twice_or_lost", "others", "other_scores")
    lines = []
    for victim in VICTIMS:
        rows = [row for row in results.rows.values() if row["victim"] == victim]
        lines.append((victim, str(len(rows)), *(str(sum(row[fault] for row in rows)) for fault in faults)))
    results.report(
        "Searches that are killed and gone on with",
        ("killed", "times", "torn files", "runs not finished", "trials lost or twice", "other trials", "other scores"),
        lines,
        ["Four trials of `regression/linear` on diabetes, one worker, held against a search that nobody disturbed."],
    )


if __name__ == "__main__":
    main()
