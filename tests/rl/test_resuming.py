"""A training or a search of an agent that was interrupted, and goes on."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from command import Answer

import zoo
from zoo.tracking.store import Store

SOURCE = """
import gymnasium
import numpy as np

STOP = {"after": None}


class Guess(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    taken = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.seen = 0, self.np_random.random(2, dtype=np.float32)
        return self.seen.copy(), {}

    def step(self, action):
        Guess.taken += 1
        if STOP["after"] is not None and Guess.taken >= STOP["after"]:
            raise KeyboardInterrupt
        self.steps += 1
        return self.seen.copy(), float((self.seen[0] > 0.5) == action), self.steps == 5, False, {}
"""
WORDS = ["--epochs", "3", "--set", "period=64", "--set", "rollout=16", "--set", "environments=2"]
WORDS += ["--baselines", "none", "--no-figures"]
EPOCH = 300  # steps after which the first epoch is over: reading, training and 20 episodes
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


@pytest.fixture
def guess(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of an environment in the working folder, which is interrupted after some steps."""
    (workspace / "guess_env.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(workspace))
    import guess_env

    yield guess_env
    del sys.modules["guess_env"]
    gymnasium.registry.pop("own/guess_env.Guess", None)


@pytest.fixture
def interrupted(guess: Any, command: Callable[..., Answer]) -> str:
    """A run that was interrupted after its first epoch."""
    guess.STOP["after"] = EPOCH
    answer = command("train", "rl/ppo", "guess_env:Guess", *WORDS, "--processes", 1)
    assert answer.status == 130, answer.err
    assert "stopped after epoch 1" in answer.err
    guess.STOP["after"] = None
    (run,) = Store().search("")
    return str(run.info.run_id)


@on_linux
def test_a_run_resumes_and_is_reproduced_in_another_number_of_processes(
    interrupted: str, command: Callable[..., Answer]
) -> None:
    refused = command("train", "--resume", interrupted, "--solved", 3)
    assert refused.status == 2
    assert "it uses the options of the run; leave out solved; only processes may change" in refused.err
    resumed = command("train", "--resume", interrupted, "--processes", 2, "--json")
    assert resumed.status == 0, resumed.err
    assert resumed.json["run_id"] == interrupted
    assert "the environments were stepped in 2 processes" in resumed.json["notes"]
    reproduced = command("reproduce", interrupted, "--processes", 2)
    assert reproduced.status == 0, reproduced.out + reproduced.err
    assert "every score agrees" in reproduced.out
    assert "solved" in command("reproduce", interrupted, "--solved", 3).err


@on_linux
def test_a_search_goes_on_in_another_number_of_processes(guess: Any, command: Callable[..., Answer]) -> None:
    words = ["tune", "rl/ppo", "guess_env:Guess", *WORDS, "--workers", 1, "--search", "random", "--json"]
    first = command(*words, "--trials", 1, "--processes", 2)
    assert first.status == 0, first.err
    more = command(*words, "--trials", 2)
    assert more.status == 0, more.err
    assert (more.json["run_id"], len(more.json["trials"])) == (first.json["run_id"], 2)
    resumed = command("tune", "--resume", first.json["run_id"], "--processes", 1, "--json")
    assert (resumed.status, resumed.json["run_id"]) == (0, first.json["run_id"])
    refused = command("tune", "--resume", first.json["run_id"], "--solved", 3)
    assert (refused.status, "leave out solved" in refused.err) == (2, True)


@on_linux
def test_seeds_go_on_in_another_number_of_processes(guess: Any, workspace: Path) -> None:
    short = {"epochs": 1, "hyperparameters": {"period": 64, "rollout": 16, "environments": 2}, "baselines": "none"}
    guess.STOP["after"] = EPOCH
    with pytest.raises(KeyboardInterrupt):
        zoo.train("rl/ppo", "guess_env:Guess", seeds=2, processes=1, quiet=True, figures=False, **short)
    guess.STOP["after"] = None
    (parent,) = [run for run in Store().search("") if run.data.tags["zoo.kind"] == "seeds"]
    repeats = zoo.train(resume=parent.info.run_id, processes=2, quiet=True)
    assert all("2 processes" in " ".join(run.notes) for run in repeats.runs)


@pytest.mark.parametrize("after", [30, 100], ids=["training", "evaluation"])
def test_ctrl_c_before_the_end_of_the_first_epoch(guess: Any, command: Callable[..., Answer], after: int) -> None:
    guess.STOP["after"] = after
    stopped = command("train", "rl/ppo", "guess_env:Guess", *WORDS, "--processes", 1)
    (run,) = Store().search("")
    assert (stopped.status, run.info.status) == (130, "KILLED"), stopped.err
    assert f"no weights are kept; to begin again: zoo train --resume {run.info.run_id[:8]}" in stopped.err
    guess.STOP["after"] = None
    resumed = command("train", "--resume", run.info.run_id, "--json")
    assert (resumed.status, resumed.json["epochs_run"]) == (0, 3), resumed.err


def test_the_code_of_the_environment_changed(
    interrupted: str, guess: Any, workspace: Path, command: Callable[..., Answer]
) -> None:
    (workspace / "guess_env.py").write_text(SOURCE.replace("> 0.5", "> 0.25"))
    importlib.reload(guess)
    refused = command("train", "--resume", interrupted)
    assert refused.status == 2
    assert "since the code of its environment in guess_env.py or the version of Gymnasium (now " in refused.err
    assert "changed after it started; undo the change, or train a new run without --resume" in refused.err
