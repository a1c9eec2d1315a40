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
