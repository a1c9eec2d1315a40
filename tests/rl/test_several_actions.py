"""Environments with several discrete actions at once: their combinations are chosen, and predicted in columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import zoo
from zoo.errors import DataError, UsageError

STEPS = 8


class Pair(gymnasium.Env):
    """The reward is 1 if both actions are what is seen; the second action may be 0 only where 0 is seen."""

    def __init__(self, mask: Any = "each") -> None:
        self.observation_space = spaces.Dict({"first": spaces.Discrete(3, start=2), "second": spaces.Discrete(2)})
        self.action_space = spaces.MultiDiscrete([3, 2], start=[2, 0])
        self.mask = mask

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._look()

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        assert action[1] or not self.state["second"] or self.mask is None, "an action that is not legal"
        reward = float(action[0] == self.state["first"]) / 2 + float(action[1] == self.state["second"]) / 2
        self.steps += 1
        return self._look()[0], reward, self.steps == STEPS, False, self._look_again()

    def _look(self) -> Any:
        self.state = {"first": int(self.np_random.integers(2, 5)), "second": int(self.np_random.integers(2))}
        return self.state, self._look_again()

    def _look_again(self) -> dict[str, Any]:
        second = [not self.state["second"], True]
        masks = {
            "each": (np.ones(3, bool), np.array(second)),
            "flat": [1, 1, 1, *second],
            "wrong": [1, 1, 0],
            "swapped": ([1, 1], [1, 1, 1]),
        }
        return {} if self.mask is None else {"action_mask": masks[self.mask]}


class Switches(gymnasium.Env):
    """Switches to press, of which the more the better; nothing is seen."""

    observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, count: int = 2) -> None:
        self.action_space = spaces.MultiBinary(count)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        return np.zeros(1, np.float32), float(action.sum()), True, False, {}

    def baseline_policies(self) -> Any:
        return {"all_on": lambda: lambda observations: np.ones((len(observations), *self.action_space.shape), np.int8)}


@pytest.mark.parametrize("model", ["rl/ppo", pytest.param("rl/dqn", marks=pytest.mark.slow)])
@pytest.mark.parametrize("mask", ["each", "flat"])
def test_a_combination_is_chosen_among_the_legal_ones(model: str, mask: str, workspace: Path) -> None:
    run = zoo.train(model, Pair(mask), options={"solved": 7.5}, quiet=True, figures=False, baselines="none")
    assert run.metrics["test_return_mean"] >= 7.5
    rows = [{"first": 4, "second": 0}, {"first": 2, "second": 1}]
    predictions = run.model.predict({"observation": rows})
    assert predictions.columns.tolist() == ["prediction_0", "prediction_1"]
    assert predictions.to_numpy().tolist() == [[4, 0], [2, 1]]


def test_constant_baselines_take_a_legal_action(workspace: Path) -> None:
    short = {"epochs": 1, "quiet": True, "figures": False, "hyperparameters": {"period": 128, "rollout": 16}}
    run = zoo.train("rl/ppo", Pair("each"), **short, baselines="all")
    assert {"always_2 0", "always_2 1"} <= run.baselines.keys()


def test_switches_are_combined_and_baselines_play_them(workspace: Path) -> None:
    run = zoo.train("rl/ppo", Switches(), epochs=1, quiet=True, figures=False, baselines="all")
    assert run.model.spec.target.classes == ("0 0", "0 1", "1 0", "1 1")
    returns = {name: scores["test_return_mean"] for name, scores in run.baselines.items()}
    assert returns["all_on"] == returns["always_1 1"] == 2.0
    assert returns["always_0 1"] == 1.0


def test_too_many_combinations_are_refused(workspace: Path) -> None:
    with pytest.raises(UsageError, match=r"1,024 combinations; agents choose among at most 1,000"):
        zoo.train("rl/dqn", Switches(10), quiet=True, figures=False)


@pytest.mark.parametrize("mask", ["wrong", "swapped"])
def test_a_mask_of_another_size_is_refused(mask: str, workspace: Path) -> None:
    with pytest.raises(DataError, match=r"expected a mask for each action, of the sizes 3, 2"):
        zoo.train("rl/dqn", Pair(mask), quiet=True, figures=False)


def test_an_export_agrees_and_names_each_action(workspace: Path) -> None:
    run = zoo.train("rl/ppo", Switches(), epochs=1, quiet=True, figures=False, baselines="none")
    (export,) = zoo.export(run.run_id, format="onnx", on={"observation": np.zeros((3, 1))}).exports
    assert export.difference < 1e-5
    written = json.loads((Path(export.folder) / "model.json").read_text())
    assert "prediction_1" in json.dumps(written)
