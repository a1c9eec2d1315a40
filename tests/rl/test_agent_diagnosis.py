"""An agent that has learned little says so, with what to change; one that solves its environment says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo.tasks.rl._diagnosis import diagnose_agent

import zoo

RANDOM = np.array([-500.0, -498.0, -499.0, -499.0])


def diagnose(threshold: float | None = -100.0, actions: int = 3, **history: list[float]) -> dict[str, Any]:
    hyperparameters = {"exploration_steps": 20_000, "entropy": 0.01, "learning_rate": 0.001}
    history = {"steps": [1_000.0, 2_000.0], **history}
    findings = diagnose_agent(history, RANDOM, threshold=threshold, actions=actions, hyperparameters=hyperparameters)
    return {finding.topic: finding for finding in findings}


def test_a_solved_environment_needs_no_advice() -> None:
    assert diagnose(val_return_mean=[-400.0, -90.0], exploration=[0.9, 0.8], loss=[1.0, 99.0]) == {}
    assert diagnose(None, val_return_mean=[-400.0, -300.0], exploration=[0.9, 0.8]) == {}


def test_exploration_that_does_not_fall_further_is_lowered() -> None:
    found = diagnose(val_return_mean=[-499.0, -300.0], exploration=[0.4, 0.4], steps=[1e4, 1e5])["still exploring"]
    assert (found.text, found.advice) == (
        "40 % of the actions were random at the end of training", "a lower --set exploration",
    )  # fmt: skip


def test_a_return_a_little_above_a_random_agent() -> None:
    found = diagnose(val_return_mean=[-480.0, -485.0])
    (finding,) = found.values()
    assert finding.text == ("val_return_mean is -480 at best; a random agent has -499, and -100 counts as solved")
    assert finding.advice == "--epochs 8, another agent of zoo list rl, or zoo tune"
    assert diagnose(val_return_mean=[-400.0, -300.0]) == {}
    assert diagnose(val_return_mean=[-499.0, -499.0]) == {}  # what the comparison with the baseline finds


@pytest.mark.parametrize(
    ("history", "text", "advice"),
    [
        (
            {"exploration": [0.95, 0.9]},
            "90 % of the actions were random at the end of training; exploration falls over 20,000 steps, and training "
            "had 2,000",
            "--epochs 8, or --set exploration_steps=1000",
        ),
        (
            {"entropy": [1.09, 1.08]},
            "the policy is nearly random: its entropy is 1.08, of at most 1.1",
            "--epochs 8, or a higher --set learning_rate, or a lower --set entropy",
        ),
    ],
)
def test_exploration_that_is_still_high(history: Any, text: str, advice: str) -> None:
    finding = diagnose(val_return_mean=[-499.0, -300.0], **history)["still exploring"]
    assert (finding.text, finding.advice) == (text, advice)
    calmer = {name: [value / 5 for value in values] for name, values in history.items()}
    assert diagnose(val_return_mean=[-499.0, -300.0], **calmer) == {}
    assert "still exploring" not in diagnose(val_return_mean=[-499.0, -300.0], actions=0, entropy=[1.09, 1.08])


def test_a_loss_that_rises_while_the_return_falls() -> None:
    losses = [1.0, 1.0, 2.0, 50.0]
    finding = diagnose(val_return_mean=[-499.0, -250.0, -300.0, -480.0], value_loss=losses, loss=[0.1] * 4)
    assert finding["values diverge"].text == "value_loss rose from 1 to 50, while the return fell"
    assert finding["values diverge"].advice == "a lower --set learning_rate"
    assert "values diverge" in diagnose(None, val_return_mean=[-499.0, -250.0, -300.0, -480.0], value_loss=losses)
    assert diagnose(val_return_mean=[-499.0, -250.0, -240.0, -240.0], value_loss=losses) == {}
    assert diagnose(val_return_mean=[-499.0, -250.0, -300.0, -480.0], value_loss=[1.0, 1.0, 2.0, 5.0]) == {}


def test_a_run_says_what_to_change(workspace: Path) -> None:
    run = zoo.train("rl/dqn", "Acrobot-v1", epochs=1, quiet=True, figures=False)
    topics = [finding.topic for finding in run.diagnosis]
    assert "still exploring" in topics
    assert "exploration falls over" in str(run)
