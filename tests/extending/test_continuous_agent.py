"""An agent for continuous actions is one file: two networks and two optimizers, which resume exactly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo

ENVIRONMENT = '''
import gymnasium
import numpy as np


class Reach(gymnasium.Env):
    """The reward is greatest where the action equals the observation."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.place.copy(), {}

    def step(self, action):
        return self.place.copy(), -float(np.square(action - self.place).sum()), True, False, {}


gymnasium.register("Reach-v0", Reach, max_episode_steps=1)
'''

AGENT = '''
"""Actor and critic on one-step episodes: the critic learns the reward, the actor climbs it.

Deterministic policy gradients: Silver et al. 2014.

Run: ``zoo train rl/actor_critic reach:Reach-v0``.
"""

import keras
import numpy as np
import tensorflow as tf

from zoo.models.built_model import Trainer
from zoo.networks import Knobs, assemble
from zoo.preprocessing.observations import ObservationPreprocessing


class ActorCritic(Trainer):
    """The critic's network and optimizer are part of each checkpoint."""

    def __init__(self, critic, rate):
        self.critic, self.critic_optimizer = critic, keras.optimizers.Adam(rate)

    @property
    def networks(self):
        return {"critic": self.critic}

    @property
    def optimizers(self):
        return {"critic": (self.critic_optimizer, self.critic.trainable_variables)}

    def train(self, state):
        while not state.over:
            rng = np.random.default_rng([state.plan.seed, state.steps])
            for _ in range(50):
                places, actions = rng.uniform(-1, 1, (2, 64, 1)).astype(np.float32)  # off the policy
                rewards = -np.square(2 * actions - places)
                loss = self.update(state.network, *map(tf.constant, (places, actions, rewards)))
                state.steps, state.updates = state.steps + 64, state.updates + 1
            state.after_evaluation({"loss": float(loss)})

    def update(self, actor, places, actions, rewards):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.critic([places, actions]) - rewards))
        variables = self.critic.trainable_variables
        self.critic_optimizer.apply(tape.gradient(loss, variables), variables)
        with tf.GradientTape() as tape:
            loss_of_actor = -tf.reduce_mean(self.critic([places, actor({"observations": places})]))
        actor.optimizer.apply(tape.gradient(loss_of_actor, actor.trainable_variables), actor.trainable_variables)
        return loss


def build(hp, spec):
    """Return the compiled model.

    Hyperparameters:
        units: Width of the hidden layer.
    """
    knobs = Knobs(hp, vary=("learning_rate",), defaults={"learning_rate": 3e-3, "epochs": 8, "patience": 8})
    preprocessing = ObservationPreprocessing(spec)
    inputs, units = preprocessing.tensors(), hp.Int("units", 16, 64, default=32)
    x = keras.layers.Dense(units, "relu")(inputs["observations"])
    output = keras.layers.Dense(len(spec.target.bounds), "tanh")(x)
    place, action = keras.Input((1,)), keras.Input((1,))
    hidden = keras.layers.Dense(units, "relu")(keras.layers.Concatenate()([place, action]))
    critic = keras.Model([place, action], keras.layers.Dense(1)(hidden))
    knobs.training(2_048)
    return assemble(preprocessing, inputs, output, "mse", knobs, trainer=ActorCritic(critic, 1e-2))
'''

RESUME = """
import sys
import numpy as np
from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from pathlib import Path

builder = create_model_builder("rl/actor_critic")
dataset = builder.task.read(make_job(TrainJob, {"model": builder.name, "source": "reach:Reach-v0"}))


def variables(fitted):
    trainer = fitted.built_model.trainer
    groups = [fitted.built_model.network.optimizer.variables, trainer.critic.variables,
              trainer.critic_optimizer.variables]
    return [v.numpy() for group in groups for v in group]


def trained(name, *stages):
    for epochs in stages:
        fitted = fit(builder, dataset, {"patience": 1000}, Plan(seed=3, epochs=epochs, checkpoint=Path(name)))
    assert fitted.result.epochs_run == stages[-1]
    return variables(fitted)


undisturbed, resumed = trained("one.bin", 6), trained("two.bin", 2, 6)
assert len(undisturbed) == len(resumed) > 10
for one, two in zip(undisturbed, resumed, strict=True):
    np.testing.assert_array_equal(one, two)
"""


@pytest.fixture
def reach(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (workspace / "reach.py").write_text(ENVIRONMENT)
    (workspace / "mine" / "rl").mkdir(parents=True)
    (workspace / "mine" / "rl" / "actor_critic.py").write_text(AGENT)
    monkeypatch.setenv("ZOO_TASKS", str(workspace / "mine"))
    monkeypatch.syspath_prepend(str(workspace))
    monkeypatch.setenv("PYTHONPATH", f"{workspace}:{Path(zoo.__file__).parent.parent}")
    return workspace


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_networks_and_optimizers_resume_exactly(reach: Path) -> None:
    result = run("-c", RESUME)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.slow
def test_it_is_trained_tuned_served_and_predicts_in_a_new_process(reach: Path) -> None:
    import mlflow

    options: dict[str, Any] = {"quiet": True, "figures": False}
    trained = zoo.train("rl/actor_critic", "reach:Reach-v0", **options)
    # A policy that always stays at 0 has a mean return of -1/3.
    assert trained.metrics["test_return_mean"] > -0.1 > trained.baselines["random"]["test_return_mean"]
    rows = pd.DataFrame({"observation_0": [-0.5, 0.0, 0.5]})
    rows.to_csv("rows.csv", index=False)
    predicted = run("-m", "zoo", "predict", trained.run_id, "rows.csv")
    assert predicted.returncode == 0, predicted.stderr[-3000:]
    actions = [float(line) for line in predicted.stdout.split()[1:]]
    np.testing.assert_allclose(actions, [-0.5, 0.0, 0.5], atol=0.25)
    observations = pd.DataFrame({"observation": [[-0.5], [0.0], [0.5]]})
    served = mlflow.pyfunc.load_model(f"runs:/{trained.run_id}/model").predict(observations)
    np.testing.assert_allclose(served.to_numpy()[:, 0], actions, rtol=1e-5)
    search = zoo.tune("rl/actor_critic", "reach:Reach-v0", trials=2, epochs=3, baselines="none", **options)
    assert [trial.status for trial in search.trials] == ["COMPLETED"] * 2
