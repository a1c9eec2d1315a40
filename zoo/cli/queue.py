"""Several jobs of one command, each in its own process, so that a failure does not stop the others."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class Outcome:
    """The result of a job.

    Args:
        path: The job's file.
        status: ``done`` or ``failed``.
        seconds: Running time.
        result: What the job alone would have printed as JSON; with ``error`` if it failed.
    """

    path: str
    status: str
    seconds: float
    result: dict[str, Any]

    @property
    def summary(self) -> str:
        """One line: the run with its first test score, or the error."""
        if self.status == FAILED:
            error = self.result.get("error", {})
            message = error.get("message", "it ended without a message")
            return str(ZooError(message, where=error.get("where"), nearest=error.get("nearest")))
        run = self.result.get("best", self.result)
        scores = [(name, value) for name, value in (run.get("metrics") or {}).items() if name.startswith("test_")]
        score = f", {scores[0][0]} {scores[0][1]:.4g}" if scores and scores[0][1] is not None else ""
        return f"run {run['run_id'][:8]}{score}" if run.get("run_id") else ""


@dataclass(frozen=True)
class Outcomes:
    """The results of several jobs, in the given order."""

    jobs: tuple[Outcome, ...]

    @property
    def failed(self) -> int:
        """Number of jobs that failed."""
        return sum(job.status == FAILED for job in self.jobs)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo run --json`` prints for several jobs."""
        names = ("status", "seconds", "result")
        return {"jobs": [{"job": job.path, **{name: getattr(job, name) for name in names}} for job in self.jobs]}

    def __str__(self) -> str:
        width = max(len(job.path) for job in self.jobs)
        lines = [f"{job.path:<{width}}  {job.status:<6}  {job.seconds:>7.1f} s  {job.summary}" for job in self.jobs]
        done = len(self.jobs) - self.failed
        return "\n".join(
            [*lines, f"{done} of {len(self.jobs)} jobs done" + (f", {self.failed} failed" * bool(self.failed))]
        )


def run_jobs(paths: Sequence[Path], at_once: int, *, quiet: bool = False) -> Outcomes:
    """Run several jobs, some at the same time, and return their results.

    Args:
        paths: Files of jobs that are valid.
        at_once: Maximum number of jobs at the same time.
        quiet: Print nothing while they run.
    """

    def run(path: Path) -> Outcome:
        outcome = _run(path)
        if not quiet:
            print(f"{outcome.path}: {outcome.status}, {outcome.summary}", file=sys.stderr, flush=True)
        return outcome

    with ThreadPoolExecutor(at_once) as pool:
        return Outcomes(tuple(pool.map(run, paths)))


def _run(path: Path) -> Outcome:
    began = time.monotonic()
    command = [sys.executable, "-P", "-m", "zoo", "run", str(path), "--json"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    lines = ended.stdout.strip().splitlines()
    try:
        result = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = ended.stderr.strip().splitlines()[-1:] or [f"its process ended with status {ended.returncode}"]
        result = {"error": {"kind": "JobError", "message": last[0], "where": None, "nearest": None}}
    return Outcome(str(path), DONE if ended.returncode == 0 else FAILED, time.monotonic() - began, result)
