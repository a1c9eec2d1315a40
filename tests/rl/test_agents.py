"""Every agent learns an environment whose best action is what it sees, in seconds; checkpoints have all its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import zoo
from zoo.errors import DataError
from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from zoo.training.checkpoint import list_network_variables, list_trainer_variables, restore_checkpoint, save_checkpoint
from zoo.training.recorder import Recorder

STEPS = 8


class Identity(gymnasium.Env):
    """The reward is 1 for the action that is the observation, less the further away it is."""

    def __init__(self, continuous: bool = False) -> None:
        self.action_space = spaces.Box(-2.0, 2.0, (1,), np.float32) if continuous else spaces.Discrete(3, start=1)
        self.observation_space = spaces.Box(-2.0, 2.0, (1,), np.float32) if continuous else spaces.Discrete(3, start=1)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._look(), {}

    def step(self, action: Any) -> Any:
        reward = 1 - min(1.0, abs(float(np.ravel(action)[0]) - float(np.ravel(self.state)[0])))
        self.steps += 1
        return self._look(), reward, self.steps == STEPS, False, {}

    def _look(self) -> Any:
        discrete = isinstance(self.observation_space, spaces.Discrete)
        self.state = (
            int(self.np_random.integers(1, 4)) if discrete else self.np_random.uniform(-2, 2, 1).astype(np.float32)
        )
        return self.state


@pytest.fixture(autouse=True)
def environments() -> Any:
    gymnasium.register("Identity-v0", Identity)
    gymnasium.register("ContinuousIdentity-v0", Identity, kwargs={"continuous": True})
    yield
    for name in ("Identity-v0", "ContinuousIdentity-v0"):
        del gymnasium.registry[name]


@pytest.mark.parametrize(
    ("model", "environment", "least"),
    [
        ("rl/dqn", "Identity-v0", 7.5),
        ("rl/pqn", "Identity-v0", 7.5),
        ("rl/ppo", "Identity-v0", 7.5),
        ("rl/q_table", "Identity-v0", 7.5),
        pytest.param("rl/ppo", "ContinuousIdentity-v0", 6.0, marks=pytest.mark.slow),
        ("rl/sac", "ContinuousIdentity-v0", 7.0),
    ],
)
def test_every_agent_learns_to_repeat_what_it_sees(model: str, environment: str, least: float, workspace: Path) -> None:
    run = zoo.train(model, environment, options={"solved": least}, quiet=True, figures=False, baselines="none")
    assert run.metrics["test_return_mean"] >= least
    assert f"solved after {run.metrics['val_steps_to_solve']:,.0f} steps: " in str(run)
    if model in {"rl/ppo", "rl/sac"}:  # a random agent has some 2.7
        assert 4.0 < run.metrics["test_sampled_return_mean"] <= STEPS
    else:
        assert "test_sampled_return_mean" not in run.metrics
    loaded = zoo.load(run.run_id)
    state = np.array([[1.5]]) if "Continuous" in environment else np.array([3])
    prediction = float(loaded.predict({"observation": state})["prediction"].iloc[0])
    assert abs(prediction - float(state.ravel()[0])) < 0.5


def test_sac_learns_with_critics_that_are_normalised_over_both_batches(workspace: Path) -> None:
    options: dict[str, Any] = {"options": {"solved": 7.0}, "hyperparameters": {"cross": True}}
    run = zoo.train("rl/sac", "ContinuousIdentity-v0", **options, quiet=True, figures=False, baselines="none")
    assert run.metrics["test_return_mean"] >= 7.0


def test_a_run_says_that_it_did_not_solve_its_environment(workspace: Path) -> None:
    run = zoo.train(
        "rl/ppo", "Identity-v0", options={"solved": 99.0}, epochs=1, quiet=True, figures=False, baselines="none",
        hyperparameters={"period": 512, "rollout": 16},
    )  # fmt: skip
    assert "not solved within" in str(run)
    assert "no policy had a mean return of 99 in the validation episodes and in 100 others" in str(run)


def test_checkpoints_have_the_value_network_optimizers_and_statistics(workspace: Path) -> None:
    builder = create_model_builder("rl/ppo")
    dataset = builder.task.read(make_job(TrainJob, {"model": builder.name, "source": "ContinuousIdentity-v0"}))
    settings, path = {"period": 256, "rollout": 16, "patience": 99}, workspace / "state.bin"
    trained, other = (fit(builder, dataset, settings, Plan(seed=seed, epochs=1)) for seed in (1, 2))

    def collect(fitted: Any) -> dict[str, Any]:
        network, trainer = fitted.built_model.network, fitted.built_model.trainer
        return {"network": list_network_variables(network), **list_trainer_variables(trainer)}

    save_checkpoint(path, collect(trained), {}, [])
    assert trained.built_model.trainer.networks["return_statistics"].get_layer("returns").count == 256
    restore_checkpoint(path, collect(other))
    for name, variables in collect(trained).items():
        for one, two in zip(variables, collect(other)[name], strict=True):
            np.testing.assert_array_equal(one, two)


class StopAfterAnEpoch(Recorder):
    """Asks training to stop after its first epoch."""

    stop = False

    def epoch(self, number: int, scores: Any) -> None:
        self.stop = True

    @property
    def stop_requested(self) -> bool:
        return self.stop


@pytest.mark.parametrize(
    ("model", "environment", "settings"),
    [
        pytest.param("rl/ppo", "CartPole-v1", {"period": 512, "rollout": 64}, marks=pytest.mark.slow),
        pytest.param("rl/ppo", "Pendulum-v1", {"period": 512, "rollout": 64}, marks=pytest.mark.slow),
        ("rl/dqn", "CartPole-v1", {"period": 768, "learning_starts": 300, "target_every": 2}),
        pytest.param("rl/pqn", "CartPole-v1", {"period": 512, "rollout": 64}, marks=pytest.mark.slow),
        pytest.param("rl/q_table", "Taxi-v4", {"period": 1_000}, marks=pytest.mark.slow),
        ("rl/value_iteration", "FrozenLake-v1", {}),
        pytest.param(
            "rl/sac", "Pendulum-v1", {"period": 300, "learning_starts": 250, "updates": 10}, marks=pytest.mark.slow
        ),
    ],
)
def test_training_that_resumes_ends_as_if_it_had_not_stopped(
    model: str, environment: str, settings: dict[str, Any], workspace: Path
) -> None:
    builder = create_model_builder(model)
    dataset = builder.task.read(make_job(TrainJob, {"model": model, "source": environment}))
    settings = {**settings, "patience": 99, **({} if model == "rl/value_iteration" else {"environments": 1})}
    undisturbed = fit(builder, dataset, settings, Plan(seed=5, epochs=3))
    path = workspace / "state.bin"
    fit(builder, dataset, settings, Plan(seed=5, epochs=3, checkpoint=path, recorder=StopAfterAnEpoch()))
    resumed = fit(builder, dataset, settings, Plan(seed=5, epochs=3, checkpoint=path))
    assert resumed.result.history.keys() == undisturbed.result.history.keys()
    for name, values in undisturbed.result.history.items():
        np.testing.assert_array_equal(values, resumed.result.history[name], name)
    weights = (fitted.built_model.network.get_weights() for fitted in (undisturbed, resumed))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


class Masked(gymnasium.Env):
    """Three actions, of which the one that is not legal would have the greatest reward; it ends the world."""

    observation_space, action_space = spaces.Discrete(3), spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._look()

    def step(self, action: Any) -> Any:
        if action == self.state:
            raise RuntimeError("an illegal action")
        self.steps += 1
        reward = float(action == (self.state + 1) % 3)
        observation, info = self._look()
        return observation, reward, self.steps == STEPS, False, info

    def _look(self) -> Any:
        self.state = int(self.np_random.integers(3))
        return self.state, self._describe()

    def _describe(self) -> dict[str, Any]:
        return {"action_mask": (np.arange(3) != self.state).astype(np.int8)}


class MaskedByMethod(Masked):
    """The same, with a method in place of info."""

    def _describe(self) -> dict[str, Any]:
        return {}

    def action_masks(self) -> np.ndarray:
        return np.arange(3) != self.state


@pytest.mark.parametrize(
    ("model", "environment"),
    [
        ("rl/dqn", Masked),
        ("rl/ppo", Masked),
        ("rl/q_table", Masked),
        pytest.param("rl/pqn", Masked, marks=pytest.mark.slow),
        ("rl/q_table", MaskedByMethod),
    ],
)
def test_agents_take_legal_actions_only(model: str, environment: type, workspace: Path) -> None:
    more = {"rl/dqn": {"learning_starts": 256}, "rl/q_table": {}}.get(model, {"rollout": 16})
    settings = {"period": 512, "epochs": 3, **more}
    run = zoo.train(model, environment, hyperparameters=settings, quiet=True, figures=False)
    assert run.metrics["test_return_mean"] > run.baselines["random"]["test_return_mean"] > 3


class OneMaskMissing(Masked):
    def _describe(self) -> dict[str, Any]:
        return {"action_mask": np.zeros(3, np.int8)}


def test_a_state_without_legal_actions_is_refused(workspace: Path) -> None:
    with pytest.raises(DataError, match="its action mask allows no action"):
        zoo.train("rl/ppo", OneMaskMissing, quiet=True, figures=False)


class Picture(Identity):
    """The same, seen as an image: the column of the bright bar is the action."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (16, 18, 1), np.uint8)
        self.action_space = spaces.Discrete(3, start=1)

    def _look(self) -> Any:
        self.state = int(self.np_random.integers(1, 4))
        image = np.zeros((16, 18, 1), np.uint8)
        image[:, 6 * self.state - 4] = 255
        return image


@pytest.mark.parametrize("model", ["rl/dqn", pytest.param("rl/ppo", marks=pytest.mark.slow)])
def test_agents_see_images(model: str, workspace: Path) -> None:
    settings = {"period": 1024, "epochs": 3, **({"learning_starts": 256} if model == "rl/dqn" else {"rollout": 32})}
    run = zoo.train(model, Picture, hyperparameters=settings, quiet=True, figures=False, baselines="none")
    loaded = zoo.load(run.run_id)
    assert any("convolution" in layer.name for layer in run.model.keras_model._flatten_layers())
    assert run.metrics["test_return_mean"] > 7
    environment = Picture()
    image, _ = environment.reset(seed=1)
    prediction = loaded.predict({"observation": np.array([image])})["prediction"].iloc[0]
    assert prediction == environment.state
