"""Of several agents, those that do not take the environment are left out; one that is named is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from command import Answer
from gymnasium import spaces

import zoo
from zoo.errors import UsageError
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.tracking.store import Store


class Hall(gymnasium.Env):
    """States with numbers, and no transitions published."""

    observation_space, action_space = spaces.Discrete(4), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: Any) -> Any:
        return int(self.np_random.integers(4)), float(action), bool(self.np_random.random() < 0.5), False, {}


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("CartPole-v1", {"rl/q_table", "rl/sac", "rl/value_iteration"}),
        ("Pendulum-v1", {"rl/dqn", "rl/pqn", "rl/q_table", "rl/value_iteration"}),
        ("FrozenLake-v1", {"rl/sac"}),
        (Hall, {"rl/sac", "rl/value_iteration"}),
    ],
)
def test_the_agents_that_do_not_take_an_environment(source: Any, refused: set[str]) -> None:
    builder = create_model_builder("rl/*", several=True)
    dataset = builder.task.read(make_job(DataJob, {"source": source}))
    kept, reasons = builder.keep_suited(dataset.spec)
    assert set(reasons) == refused
    assert set(kept.models) == set(builder.models) - refused


def test_a_search_says_which_agents_are_left_out(workspace: Path, command: Callable[..., Answer]) -> None:
    words = ["--trials", 2, "--search", "random", "--epochs", 1, "--baselines", "none", "--no-figures", "--workers", 1]
    answer = command("tune", "rl/*a*", "FrozenLake-v1", *words)
    assert answer.status == 0, answer.err
    assert "rl/sac is left out: the actions are discrete, and sac chooses numbers" in answer.err
    trials = Store().search("tags.`zoo.kind` = 'trial'")
    assert {run.data.params["model"] for run in trials} == {"rl/q_table", "rl/value_iteration"}


def test_no_agent_takes_the_environment(workspace: Path, command: Callable[..., Answer]) -> None:
    answer = command("tune", "rl/*a*", "CartPole-v1", "--trials", 1)
    assert answer.status == 2
    assert "the observations are vectors" in answer.err


def test_an_agent_alone_is_refused(workspace: Path) -> None:
    with pytest.raises(UsageError, match="the environment does not publish its transitions, and value_iteration needs"):
        zoo.train("rl/value_iteration", Hall, baselines="none", quiet=True)
    with pytest.raises(UsageError, match="the actions are numbers, and dqn chooses one of several discrete actions"):
        zoo.tune("rl/dqn", "Pendulum-v1", quiet=True)


def test_a_comparison_leaves_agents_of_a_pattern_out_and_says_so(
    workspace: Path, command: Callable[..., Answer]
) -> None:
    words = ["--seeds", 2, "--epochs", 1, "--no-figures"]
    answer = command("compare", "FrozenLake-v1", "--models", "rl/*a*", *words)
    assert answer.status == 0, answer.err
    assert "rl/sac is left out: the actions are discrete, and sac chooses numbers" in answer.err
    runs = Store().search("tags.`zoo.kind` = 'compared'")
    assert {run.data.params["model"] for run in runs} == {"rl/q_table", "rl/value_iteration"}


def test_a_comparison_refuses_an_agent_that_is_named(workspace: Path, command: Callable[..., Answer]) -> None:
    answer = command("compare", "FrozenLake-v1", "--models", "rl/q_*,rl/sac")
    assert answer.status == 2
    assert "the actions are discrete, and sac chooses numbers" in answer.err
    answer = command("compare", "CartPole-v1", "--models", "rl/ppo,rl/*_table")
    assert answer.status == 2
    assert "the observations are vectors" in answer.err
