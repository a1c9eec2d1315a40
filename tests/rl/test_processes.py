"""Environments in several processes: the results of one process, and errors that name what happened in which."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import psutil
import pytest
from gymnasium import spaces
from zoo.tasks.rl._environments import Episodes
from zoo.tasks.rl._environments._stepper_choice import choose_processes

import zoo
from zoo.errors import DataError, UsageError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")

SETTINGS = {"period": 256, "rollout": 32, "environments": 5}
LAST = 40


class Corridor(gymnasium.Env):
    """Episodes of different lengths, with one of three actions illegal in each state."""

    observation_space, action_space = spaces.Box(0, 1, (2,), np.float32), spaces.Discrete(3)

    def __init__(self, step_s: float = 0.0, trouble: str = "") -> None:
        self.step_s, self.trouble = step_s, trouble

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._look()

    def step(self, action: Any) -> Any:
        time.sleep(self.step_s)
        if self.trouble and multiprocessing.parent_process() is not None and self.steps == 3:
            if self.trouble == "exit":
                os._exit(3)
            raise ValueError("the wall has a hole")
        self.steps += 1
        observation, info = self._look()
        ended = bool(self.np_random.random() < 0.1)
        return observation, float(action == 0), ended, self.steps == LAST, info

    def _look(self) -> Any:
        state = self.np_random.random(2, dtype=np.float32)
        return state, {"action_mask": np.arange(3) != int(3 * state[0])}


def test_several_processes_have_the_results_of_one(workspace: Path) -> None:
    runs = [
        zoo.train(
            "rl/ppo", Corridor, epochs=2, hyperparameters=SETTINGS, options={"processes": processes},
            quiet=True, figures=False,
        )
        for processes in (1, 3)
    ]  # fmt: skip
    assert "3 processes" in " ".join(runs[1].notes)
    assert runs[0].metrics["test_return_mean"] == runs[1].metrics["test_return_mean"]
    observations = {"observation": np.random.default_rng(0).random((50, 2))}
    one, other = (run.model.predict(observations) for run in runs)
    assert one.equals(other)
    assert multiprocessing.active_children() == []


def test_running_episodes_are_restored_in_another_number_of_processes(workspace: Path) -> None:
    gymnasium.register("Corridor-v0", Corridor)
    rng, rng_after = np.random.default_rng(1), np.random.default_rng(1)
    try:
        one, two = Episodes("Corridor-v0", {}, 4, 1), Episodes("Corridor-v0", {}, 4, 2)
        one.begin(range(4), [10, 11, 12, 13])
        for _ in range(30):
            actions = one.masks.argmax(axis=1)
            one.step(actions, actions, rng)
        rng_after.bit_generator.state = rng.bit_generator.state
        two.restore(one.arrays())
        for _ in range(30):
            np.testing.assert_array_equal(one.observations, two.observations)
            np.testing.assert_array_equal(one.masks, two.masks)
            actions = one.masks.argmax(axis=1)
            transitions, finished = one.step(actions, actions, rng)
            others, finished_too = two.step(actions, actions, rng_after)
            np.testing.assert_array_equal(transitions.rewards, others.rewards)
            np.testing.assert_array_equal(transitions.next_masks, others.next_masks)
            assert finished == finished_too
        one.close()
        two.close()
    finally:
        gymnasium.registry.pop("Corridor-v0")


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("raise", r"its step\(\d\) raised ValueError: the wall has a hole \(step 4, seed \d+\)"),
        ("exit", "a process of its environments ended with status 3; --processes 1"),
    ],
)
def test_what_happens_in_another_process_is_reported(trouble: str, message: str, workspace: Path) -> None:
    options = {"processes": 2, "env": {"trouble": trouble}}
    with pytest.raises(DataError, match=message):
        zoo.train("rl/ppo", Corridor, epochs=1, hyperparameters=SETTINGS, options=options, baselines="none", quiet=True)
    assert multiprocessing.active_children() == []


class Watched(Corridor):
    """Keeps the number of each process that steps it; interrupted as by Ctrl-C after some episodes in the first one."""

    begun = 0

    def __init__(self, path: str, most: int = sys.maxsize) -> None:
        super().__init__()
        self.path, self.most = path, most

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        with open(self.path, "a") as file:
            file.write(f"{os.getpid()}\n")
        Watched.begun += multiprocessing.parent_process() is None
        if Watched.begun > self.most:
            raise KeyboardInterrupt
        return super().reset(seed=seed, options=options)


def test_the_processes_of_evaluations_stay_until_training_ends(workspace: Path) -> None:
    counts = []
    for epochs in (1, 4):
        options = {"processes": 2, "env": {"path": f"{epochs}.txt"}}
        zoo.train(
            "rl/ppo", Watched, epochs=epochs, hyperparameters=SETTINGS, options=options, baselines="none", quiet=True,
            figures=False,
        )  # fmt: skip
        counts.append(len(set(Path(f"{epochs}.txt").read_text().split())))
    assert counts[0] == counts[1]


def test_no_process_is_left_after_an_interrupted_evaluation(workspace: Path) -> None:
    Watched.begun = 0
    # 120 seeds are read, and a step is checked; afterwards every other episode of 20 evaluations is in this process.
    options = {"processes": 2, "env": {"path": "pids.txt", "most": 121 + 40}}
    with pytest.raises(KeyboardInterrupt):
        zoo.train("rl/ppo", Watched, epochs=9, hyperparameters=SETTINGS, options=options, baselines="none", quiet=True)
    assert len(set(Path("pids.txt").read_text().split())) == 3
    assert multiprocessing.active_children() == []


def test_processes_are_taken_where_steps_are_slow(workspace: Path) -> None:
    assert [choose_processes(step_s, 16, 4) for step_s in (1e-6, 1e-4, 1e-2)] == [1, 1, 4]
    assert [choose_processes(1e-2, count, 4) for count in (1, 2, 16)] == [1, 2, 4]
    gymnasium.register("Corridor-v0", Corridor)
    try:
        for step_s, several in ((0.0, False), (0.01, True)):
            episodes = Episodes("Corridor-v0", {"step_s": step_s}, 4)
            assert (episodes.stepper.processes > 1) == (several and len(os.sched_getaffinity(0)) > 1)
            episodes.close()
    finally:
        gymnasium.registry.pop("Corridor-v0")


@pytest.mark.skipif(importlib.util.find_spec("envpool") is not None, reason="envpool is installed")
def test_envpool_is_an_extra(workspace: Path) -> None:
    with pytest.raises(UsageError, match=r"envpool is not installed; .*\[envpool\]"):
        zoo.train("rl/ppo", "CartPole-v1", epochs=1, options={"envpool": True})


@pytest.mark.skipif(importlib.util.find_spec("envpool") is None, reason="envpool is not installed")
def test_envpool_steps_what_it_has(workspace: Path) -> None:
    run = zoo.train("rl/ppo", "CartPole-v1", epochs=2, options={"envpool": True}, baselines="none", quiet=True)
    assert run.metrics["test_return_mean"] > 100
    for source, env, message in (
        ("TrafficLight-v0", {}, "EnvPool has no environment TrafficLight-v0"),
        ("MountainCarContinuous-v0", {"goal_velocity": 0.01}, "EnvPool does not take goal_velocity"),
    ):
        with pytest.raises(UsageError, match=message):
            zoo.train("rl/ppo", source, epochs=1, options={"envpool": True, "env": env})
    episodes = Episodes("MountainCar-v0", {"max_episode_steps": 30}, 3, envpool=True)
    episodes.begin(range(3), [5, 6, 7])
    assert len(set(episodes.observations[:, 0].tolist())) == 3
    for number in range(30):
        before = episodes.observations.copy()
        actions = np.array([0, 1, 2])
        transitions, finished = episodes.step(actions, actions, np.random.default_rng(0))
        np.testing.assert_array_equal(transitions.observations, before)
        assert transitions.truncated.all() == (number == 29)
    assert finished == [-30.0] * 3
    velocities = transitions.next_observations[:, 1]
    assert len(set(velocities.tolist())) == 3
    episodes.close()


class Sometimes(Corridor):
    """An environment with a mask in some states only, which draws from NumPy's global generator as well."""

    def _look(self) -> Any:
        state, info = super()._look()
        state[1] = np.random.random()  # noqa: NPY002
        return state, info if state[0] < 0.5 else {}


def test_masks_and_global_random_numbers_are_those_of_each_environment(workspace: Path) -> None:
    gymnasium.register("Sometimes-v0", Sometimes)
    try:
        episodes = Episodes("Sometimes-v0", {}, 4, 4)
        episodes.begin(range(4), list(range(4)))
        rng = np.random.default_rng(0)
        for _ in range(20):
            expected = [state[0] >= 0.5 or np.arange(3) != int(3 * state[0]) for state in episodes.observations]
            for row in range(4):
                np.testing.assert_array_equal(episodes.masks[row], expected[row] * np.ones(3, bool))
            assert len(set(episodes.observations[:, 1].tolist())) == 4
            actions = episodes.masks.argmax(axis=1)
            episodes.step(actions, actions, rng)
        episodes.close()
    finally:
        gymnasium.registry.pop("Sometimes-v0")


@pytest.mark.parametrize("trouble", ["raise", "exit"])
def test_environments_that_fail_in_other_processes_are_stepped_in_one(
    trouble: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Alone(Corridor):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            answer = super().reset(seed=seed)
            self.steps = 3  # where the trouble is
            return answer

    gymnasium.register("Alone-v0", Alone)
    try:
        episodes = Episodes("Alone-v0", {"step_s": 0.01, "trouble": trouble}, 4)
        assert episodes.stepper.processes == 1
        episodes.close()
        assert multiprocessing.active_children() == []
    finally:
        gymnasium.registry.pop("Alone-v0")


def test_processes_end_with_a_parent_that_is_killed(workspace: Path) -> None:
    code = """
import os, signal, sys
from zoo.tasks.rl._environments import Episodes
import multiprocessing
episodes = Episodes("CartPole-v1", {}, 3, 3)
print(*[process.pid for process in multiprocessing.active_children()], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
