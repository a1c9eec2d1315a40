"""Packages that environments need, and that are not installed: named with the command that installs them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Answer

from zoo.tracking.store import Store

SMALL = ["--epochs", 1, "--set", "period=64", "--set", "rollout=16", "--baselines", "none", "--no-figures"]
NEEDS_PYGAME = 'drawing it needs a package: pygame is not installed; run pip install "keras-task-zoo[video]"'


@pytest.fixture
def without_pygame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)


@pytest.mark.usefixtures("without_pygame")
def test_an_animation_without_pygame_is_refused_before_training(
    workspace: Path, command: Callable[..., Answer]
) -> None:
    answer = command("train", "rl/ppo", "CartPole-v1", *SMALL, "--video")
    assert (answer.status, answer.err.strip()) == (2, f"zoo: CartPole-v1: {NEEDS_PYGAME}")
    assert Store().search("") == []


@pytest.mark.usefixtures("without_pygame")
def test_play_without_pygame_is_refused_before_the_episode(workspace: Path, command: Callable[..., Answer]) -> None:
    trained = command("train", "rl/ppo", "CartPole-v1", *SMALL, "--json")
    assert trained.status == 0, trained.err
    answer = command("play", trained.json["run_id"])
    assert (answer.status, answer.err.strip()) == (2, f"zoo: CartPole-v1: {NEEDS_PYGAME}")


def test_what_installs_mujoco(workspace: Path, command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.mujoco.mujoco_env", raising=False)
    answer = command("train", "rl/ppo", "HalfCheetah-v5")
    expected = 'the environment needs a package: mujoco is not installed; run pip install "gymnasium[mujoco]"'
    assert (answer.status, answer.err.strip()) == (2, f"zoo: HalfCheetah-v5: {expected}")


@pytest.mark.parametrize(
    ("is_installed", "expected"),
    [
        (False, 'ale-py is not installed; run pip install "ale-py", and name the environment ale_py:ALE/Pong-v5'),
        (True, "environments named ALE/… come with ale-py, which is imported by the name ale_py:ALE/Pong-v5"),
    ],
)
def test_what_installs_atari(
    is_installed: bool,
    expected: str,
    workspace: Path,
    command: Callable[..., Answer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if is_installed:
        Path("ale_py.py").touch()
        monkeypatch.syspath_prepend(str(workspace))
    else:
        monkeypatch.setitem(sys.modules, "ale_py", None)
    answer = command("train", "rl/ppo", "ALE/Pong-v5")
    assert (answer.status, answer.err.strip()) == (2, f"zoo: ALE/Pong-v5: {expected}")
