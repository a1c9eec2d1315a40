"""Tabular agents: updates worked out by hand, the environments that their defaults solve, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import zoo
from zoo.errors import UsageError, ZooError
from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from zoo.tracking.store import Store


class TwoSteps(gymnasium.Env):
    """State 4 with the reward 1, then state 5 with the reward 2, after which the episode terminates or is cut."""

    observation_space, action_space = spaces.Discrete(2, start=4), spaces.Discrete(1)

    def __init__(self, cut: bool = False) -> None:
        self.cut = cut

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.state = 4
        return self.state, {}

    def step(self, action: Any) -> Any:
        if self.state == 4:
            self.state = 5
            return self.state, 1.0, False, False, {}
        return 4, 2.0, not self.cut, self.cut, {}


def train_table(model: str, source: Any, settings: dict[str, Any], **options: Any) -> Any:
    builder = create_model_builder(model)
    dataset = builder.task.read(make_job(TrainJob, {"model": model, "source": source, "options": options}))
    return fit(builder, dataset, settings, Plan(seed=0, epochs=settings.pop("epochs", 1)))


@pytest.mark.parametrize(
    ("cut", "least_rate", "table"),
    [
        (False, 0.1, [1.9, 2.0]),  # 1 + (1 + 0.9 * 2 - 1) / 2
        (False, 0.8, [2.44, 2.0]),  # 1 + 0.8 * (1 + 0.9 * 2 - 1)
        (True, 0.1, [2.305, 3.48725]),  # a state has a value after an episode that was cut
    ],
)
def test_q_learning_as_worked_out_by_hand(cut: bool, least_rate: float, table: list[float], workspace: Path) -> None:
    settings = {"environments": 1, "period": 4, "gamma": 0.9, "rate_power": 1.0, "least_rate": least_rate}
    fitted = train_table("rl/q_table", TwoSteps, settings, env={"cut": cut})
    np.testing.assert_allclose(fitted.built_model.network.get_weights()[0].ravel(), table, rtol=1e-6)


@pytest.mark.parametrize(
    ("environment", "options", "least"),
    [
        ("FrozenLake-v1", {"is_slippery": False}, 1.0),
        pytest.param("CliffWalking-v1", {}, -13.0, marks=pytest.mark.slow),
    ],
)
def test_the_defaults_of_q_learning_learn(
    environment: str, options: dict[str, Any], least: float, workspace: Path
) -> None:
    run = zoo.train(
        "rl/q_table",
        environment,
        options={"env": options, "solved": least},
        quiet=True,
        figures=False,
        baselines="none",
    )
    assert run.metrics["test_return_mean"] >= least


def test_observations_that_are_no_states_are_refused(workspace: Path) -> None:
    with pytest.raises(UsageError, match="q_table needs one integer, the number of the state; take rl/ppo, or rl/dqn"):
        zoo.train("rl/q_table", "CartPole-v1", quiet=True, figures=False)


class Published(TwoSteps):
    """The same with its transitions, of which the first fails half the time."""

    P: Any = {
        4: {0: [(0.5, 5, 1.0, False), (0.5, 4, 0.0, False)]},
        5: {0: [(1.0, 4, 2.0, True)]},
    }


def test_value_iteration_as_worked_out_by_hand(workspace: Path) -> None:
    """After the first sweep the values are 0.5 and 2, after the second 0.5 * (1 + 0.9 * 2) + 0.5 * 0.9 * 0.5 and 2."""
    fitted = train_table("rl/value_iteration", Published, {"gamma": 0.9, "sweeps": 1, "epochs": 2})
    assert fitted.result.history["largest_change"] == pytest.approx([2.0, 1.125])
    fitted = train_table("rl/value_iteration", Published, {"gamma": 0.9, "epochs": 9})
    assert (fitted.result.stopped, fitted.result.best_epoch) == ("converged", 1)
    assert fitted.result.history["steps"] == [0.0]
    weights = fitted.built_model.network.get_weights()[0].ravel()
    np.testing.assert_allclose(weights, [1.4 / 0.55, 2.0], rtol=1e-5)


def test_value_iteration_solves_a_lake_without_steps(workspace: Path) -> None:
    run = zoo.train("rl/value_iteration", "FrozenLake-v1", quiet=True, baselines="none")
    assert "solved without steps in it: the policy had at least a mean return of 0.7" in str(run)
    assert {"decision_process", "return_curve"} <= run.figures.keys()


class Half(Published):
    P: Any = {4: {0: [(0.5, 5, 1.0, False)]}, 5: {0: [(1.0, 4, 2.0, True)]}}


class Elsewhere(Published):
    P: Any = {4: {0: [(1.0, 7, 1.0, False)]}, 5: {0: [(1.0, 4, 2.0, True)]}}


class OneStateMissing(Published):
    P: Any = {4: {0: [(1.0, 5, 1.0, False)]}}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (TwoSteps, "the environment does not publish its transitions, and value_iteration needs them"),
        (Half, "the probabilities of its P[4][0] sum to 0.5; expected 1"),
        (Elsewhere, "its P[4][0] has a next state that is not one of its 2 states"),
        (OneStateMissing, "its P[5][0] must be a list of (probability, next state, reward, terminated)"),
    ],
)
def test_value_iteration_needs_complete_transitions(environment: type, message: str, workspace: Path) -> None:
    with pytest.raises(ZooError, match=re.escape(message)):
        zoo.train("rl/value_iteration", environment, quiet=True, figures=False)
    assert {run.info.status for run in Store().search("")} <= {"FAILED"}


@pytest.mark.parametrize(
    ("model", "environment", "is_drawn"),
    [("rl/pqn", Published, True), ("rl/ppo", Published, False), ("rl/q_table", Half, False)],
)
def test_the_decision_process_is_drawn_for_action_values(
    model: str, environment: type, is_drawn: bool, workspace: Path
) -> None:
    settings = {"period": 256, **({} if model == "rl/q_table" else {"rollout": 16})}
    run = zoo.train(model, environment, hyperparameters=settings, epochs=1, quiet=True, baselines="none")
    assert ("decision_process" in run.figures) == is_drawn
