"""A process that is killed just after it created a run: the run is resumed, or the same command takes it up."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.tracking.store import Store

# The process is killed when it first logs what the argument names, for the first or the second run.
SCRIPT = """
import os, signal, sys
from zoo.tracking.tracked_run import TrackedRun
import zoo
log, runs = getattr(TrackedRun, sys.argv[1]), set()
def log_or_die(run, *args):
    runs.add(run.run_id)
    if len(runs) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return log(run, *args)
setattr(TrackedRun, sys.argv[1], log_or_die)
"""
OPTIONS: dict[str, Any] = {"epochs": 2, "baselines": "none", "quiet": True, "figures": False}


def kill(call: str, what: str, number: int = 1) -> Any:
    """Call a function in a process that is killed, and return the first run that it created."""
    ended = subprocess.run([sys.executable, "-c", f"{SCRIPT}\n{call}", what, str(number)], check=False)
    assert ended.returncode == -9
    store = Store()
    store.close_orphans()
    return min(store.search(), key=lambda run: run.info.start_time)


def check_finished(kinds: dict[str, int]) -> None:
    """Check that there are these runs, no others, and that all are finished."""
    runs = Store().search()
    assert Counter(run.data.tags["zoo.kind"] for run in runs) == kinds
    assert {run.info.status for run in runs} == {"FINISHED"}


def _slow(*cases: tuple[Any, ...]) -> list[Any]:
    """Return cases that only the slow tests run: each takes several processes that import TensorFlow."""
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases]


@pytest.mark.parametrize("what, number", _slow(("params", 1), ("text", 1), ("params", 2)))
def test_a_cross_validation(workspace: Path, what: str, number: int) -> None:
    run = kill(f"zoo.train('classification/linear', 'iris', cv=3, **{OPTIONS!r})", what, number)
    resumed = zoo.train(None, resume=run.info.run_id, quiet=True)
    assert (resumed.run_id, len(resumed.runs)) == (run.info.run_id, 3)
    assert Store().read_text(run.info.run_id, "job.yaml") is not None
    check_finished({"cross_validation": 1, "fold": 3})


@pytest.mark.parametrize("what, number", _slow(("params", 1), ("dataset", 2)))
def test_seeds(workspace: Path, what: str, number: int) -> None:
    run = kill(f"zoo.train('classification/linear', 'iris', seeds=2, **{OPTIONS!r})", what, number)
    resumed = zoo.train(None, resume=run.info.run_id, quiet=True)
    assert (resumed.run_id, len(resumed.runs)) == (run.info.run_id, 2)
    check_finished({"seeds": 1, "train": 2})


@pytest.mark.parametrize("what", ["params", *_slow(("text",))])
def test_a_training(workspace: Path, what: str) -> None:
    run = kill(f"zoo.train('classification/linear', 'iris', **{OPTIONS!r})", what)
    resumed = zoo.train(None, resume=run.info.run_id, quiet=True)
    assert (resumed.run_id, resumed.epochs_run) == (run.info.run_id, 2)
    finished = Store().run(run.info.run_id)
    assert len(finished.inputs.dataset_inputs) == 1
    assert finished.data.params["seed"] == "0"
    assert Store().read_text(run.info.run_id, "split.json") is not None
    check_finished({"train": 1})


@pytest.mark.parametrize("number", _slow((1,), (2,), (3,)))
def test_a_comparison(workspace: Path, number: int) -> None:
    models, options = ["classification/linear", "classification/mlp"], {**OPTIONS, "seeds": 2, "baselines": "quick"}
    run = kill(f"zoo.compare('iris', {models!r}, **{options!r})", "dataset", number)
    assert zoo.compare("iris", models, **options).run_id == run.info.run_id
    assert Store().run(run.info.run_id).data.params["repeats"] == "2"
    check_finished({"comparison": 1, "compared": 4, "baseline": 6})


@pytest.mark.parametrize("by_id", _slow((False,), (True,)))
def test_a_search(workspace: Path, by_id: bool) -> None:
    options = {**OPTIONS, "trials": 2, "search": "random"}
    run = kill(f"zoo.tune('classification/linear', 'iris', **{options!r})", "params")
    if by_id:
        search = zoo.tune(None, resume=run.info.run_id, quiet=True)
    else:
        search = zoo.tune("classification/linear", "iris", **options)
    assert (search.run_id, len(search.trials)) == (run.info.run_id, 2)
    check_finished({"search": 1, "trial": 2})
