"""A user's own environment: named as module:Class or module:Id in the working folder, a class, or an object."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import mlflow
import numpy as np
import pytest
from PIL import Image
from zoo.tasks.rl._command_play import play
from zoo.tasks.rl._commands import PlayJob

import zoo
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.task import load_task

SOURCE = '''
import gymnasium
import mlflow
import numpy as np


class Reach(gymnasium.Env):
    """The reward is greatest where the action equals the observation."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)

    def __init__(self, reward=0.0):
        self.reward = reward

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.place.copy(), {}

    def step(self, action):
        return self.place.copy(), self.reward - float(np.square(action - self.place).sum()), True, False, {}
'''
DRAWING = """
    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}
    render_mode = None

    def __init__(self, reward=0.0, render_mode=None):
        self.reward, self.render_mode, self.drawn = reward, render_mode, 0

    def render(self):
        self.drawn += 100
        return np.full((20, 30, 3), self.drawn, np.uint8)
"""
SMALL = {"period": 128, "rollout": 16}
SHORT: dict[str, Any] = {"epochs": 1, "hyperparameters": SMALL, "baselines": "none", "quiet": True, "figures": False}


@pytest.fixture
def reach(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of an environment in the working folder."""
    (workspace / "reach_env.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(workspace))
    import reach_env

    gymnasium.register("Reach-v1", reach_env.Reach)  # an id of the same name with a version is another environment
    yield reach_env
    del sys.modules["reach_env"]
    for name in ("Reach-v1", "own/Reach", "own/reach_env.Reach"):
        gymnasium.registry.pop(name, None)


@pytest.mark.parametrize("form", ["name", pytest.param("class", marks=pytest.mark.slow), "object"])
def test_an_environment_is_given_by_name_class_or_object(form: str, reach: Any) -> None:
    source = {"name": "reach_env:Reach", "class": reach.Reach, "object": reach.Reach(reward=100.0)}[form]
    run = zoo.train("rl/ppo", source, **SHORT)
    assert (run.metrics["test_return_mean"] > 50) == (
        form == "object"
    )  # copies of the object keep what it was made with
    prediction = zoo.load(run.run_id).predict({"observation": np.array([[0.5]])})
    assert list(prediction.columns) == ["prediction"]


def test_the_processes_of_a_search_have_an_object(reach: Any) -> None:
    options = {**SHORT, "trials": 1, "workers": 1}
    search = zoo.tune("rl/ppo", reach.Reach(reward=100.0), **options)
    assert search.best.metrics["test_return_mean"] > 50
    assert zoo.tune("rl/ppo", reach.Reach(reward=100.0), **options).run_id == search.run_id


def test_code_and_attributes_tell_environments_of_one_name_apart(reach: Any, workspace: Path) -> None:
    def read(source: Any) -> str:
        return load_task("rl").read(make_job(DataJob, {"source": source})).digest

    digests = [read(reach.Reach()), read(reach.Reach(reward=1.0)), read(reach.Reach), read("CartPole-v1")]
    assert len(set(digests)) == 4
    assert digests == [read(reach.Reach()), read(reach.Reach(reward=1.0)), read(reach.Reach), read("CartPole-v1")]
    carts = [gymnasium.make("CartPole-v1") for _ in range(3)]
    carts[1].unwrapped.gravity = 1.0
    carts[2] = gymnasium.wrappers.TransformReward(carts[2], abs)
    assert len({read(cart) for cart in carts}) == 3
    typed: list[Any] = []
    for reward in (1, 2):  # as in a notebook, where a class has no source
        space = {"__name__": "typed", "Env": gymnasium.Env, "Box": gymnasium.spaces.Box, "np": np}
        text = SOURCE[SOURCE.index("class Reach") :].replace("gymnasium.Env", "Env").replace("gymnasium.spaces.", "")
        exec(text.replace("self.reward -", f"{reward} * self.reward -"), space)
        typed.append(read(space["Reach"]))
    assert typed[0] != typed[1]
    (workspace / "reach_env.py").write_text(SOURCE.replace("self.reward -", "2 * self.reward -"))
    assert read(importlib.reload(reach).Reach) not in digests


def test_the_command_finds_a_module_of_the_working_folder(reach: Any, workspace: Path) -> None:
    command = [Path(sys.executable).with_name("zoo"), "train", "rl/ppo", "reach_env:Reach", "--env", "reward=100"]
    options = [
        "--epochs",
        "1",
        "--set",
        "period=128",
        "--set",
        "rollout=16",
        "--baselines",
        "none",
        "--no-figures",
        "--json",
    ]
    done = subprocess.run([*command, *options], cwd=workspace, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"test_return_mean": 9' in done.stdout


def test_play_writes_an_animation_of_an_environment_that_can_be_drawn(reach: Any, workspace: Path) -> None:
    (workspace / "reach_env.py").write_text(SOURCE + DRAWING)
    importlib.reload(reach)
    run = zoo.train("rl/ppo", "reach_env:Reach", **SHORT)
    played = play(make_job(PlayJob, {"run": run.run_id, "seed": 3, "output": "episode.gif"}))
    assert played.steps == 1
    with Image.open(workspace / "episode.gif") as animation:
        assert animation.n_frames == 2
    with pytest.raises(UsageError, match=r"an animation is a \.gif file"):
        play(make_job(PlayJob, {"run": run.run_id, "output": "episode.mp4"}))


def test_training_draws_an_episode_at_start_middle_and_end(reach: Any, workspace: Path) -> None:
    with pytest.raises(UsageError, match="cannot be drawn"):
        zoo.train("rl/ppo", "reach_env:Reach", **SHORT, options={"video": True})
    (workspace / "reach_env.py").write_text(SOURCE + DRAWING)
    importlib.reload(reach)
    run = zoo.train("rl/ppo", "reach_env:Reach", **{**SHORT, "epochs": 2}, options={"video": True})
    drawn = "figures/episode_start.gif, figures/episode_middle.gif, figures/episode_end.gif"
    assert f"episodes are drawn in the run's {drawn}; see zoo ui" in run.notes
    for part in ("start", "middle", "end"):
        path = mlflow.artifacts.download_artifacts(run_id=run.run_id, artifact_path=f"figures/episode_{part}.gif")
        with Image.open(path) as animation:
            assert animation.n_frames == 2


def test_play_tells_the_return_where_nothing_can_be_drawn(reach: Any, workspace: Path) -> None:
    run = zoo.train("rl/ppo", "reach_env:Reach", **SHORT)
    played = play(make_job(PlayJob, {"run": run.run_id}))
    assert played.output is None
    assert "cannot be drawn" in str(played)
    assert list(workspace.glob("*.gif")) == []


def test_what_is_no_environment_is_refused(workspace: Path) -> None:
    with pytest.raises(UsageError, match="give its id, class or object; received a list"):
        zoo.train("rl/ppo", [1, 2], **SHORT)
