"""Searches whose driver or workers are killed at random moments: nothing is lost, nothing is done twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

import zoo
from zoo.tracking.store import Store

SEARCH: dict[str, Any] = {
    "trials": 4,
    "epochs": 150,
    "search": "random",
    "quiet": True,
    "figures": False,
    "baselines": "none",
}
SCRIPT = f"import zoo; zoo.tune('regression/linear', 'diabetes', **{SEARCH!r})"
Made = list[tuple[str, float]]


def made_by(search: zoo.Search) -> Made:
    """Each trial's hyperparameters and score."""
    return [(str(sorted(trial.hyperparameters.items())), trial.score or 0.0) for trial in search.trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("undisturbed")
    script = f"{SCRIPT}\nimport json; s = zoo.tune('regression/linear', 'diabetes', **{SEARCH!r})\n"
    script += "print(json.dumps([[str(sorted(t.hyperparameters.items())), t.score] for t in s.trials]))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return [(values, score) for values, score in json.loads(ended.stdout.splitlines()[-1])]


def kill_at_random(victim: str, moment: float) -> None:
    """Run the search, and once it trains kill its driver, a trial, or both."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(Path("mlruns/state").glob("searches/*/trials/*/checkpoint.bin")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(moment)
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    trials = [child for child in below if child.ppid() != process.pid]
    victims = [*(trials[:1] if victim != "driver" else []), *([process] if victim != "worker" else [])]
    for killed in victims:
        with contextlib.suppress(ProcessLookupError):  # it had just ended
            os.kill(killed.pid, signal.SIGKILL)
    process.wait(timeout=300)


def check(seed: int, undisturbed: Made) -> None:
    """Kill, resume, and hold the search against the one that nobody disturbed."""
    chance = random.Random(seed)
    victim = ("driver", "worker", "both")[seed % 3]
    kill_at_random(victim, chance.uniform(0, 5))
    for file in Path("mlruns/state").glob("searches/*/search.json"):
        json.loads(file.read_text())
    search = zoo.tune("regression/linear", "diabetes", **SEARCH)
    assert [trial.status for trial in search.trials] == ["COMPLETED"] * 4
    assert [values for values, _ in made_by(search)] == [values for values, _ in undisturbed]
    assert [score for _, score in made_by(search)] == pytest.approx([score for _, score in undisturbed], rel=1e-5)
    runs = Store().search()
    assert {run.info.status for run in runs} == {"FINISHED"}
    trials = [run for run in runs if run.data.tags["zoo.kind"] == "trial"]
    assert Counter(run.data.tags["zoo.trial"] for run in trials) == Counter(map(str, range(4)))
    for run in trials:
        steps = [metric.step for metric in Store().client.get_metric_history(run.info.run_id, "epoch/loss")]
        assert sorted(steps) == list(range(1, len(steps) + 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, id=name) for seed, name in enumerate(("driver", "worker", "both"))],
)
def test_a_search_that_is_killed_ends_as_one_that_is_not(workspace: Path, undisturbed: Made, seed: int) -> None:
    check(seed, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 30))
def test_it_does_so_at_many_moments(workspace: Path, undisturbed: Made, seed: int) -> None:
    check(seed, undisturbed)
