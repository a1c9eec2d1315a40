"""The rival of `rl.py`: an environment with Stable-Baselines3, and the child that trains."""

from __future__ import annotations

import json
import math
import subprocess
import time
from importlib.metadata import version
from typing import Any

import gymnasium
import numpy as np
from _rival_environment import find_interpreter
from _rl_episodes import JUDGE_SEEDS, Stopwatch, make_environment, play_episodes, reaches_goal
from _rl_settings import SETTINGS

PACKAGES = {"stable-baselines3": "2.9.2", "torch": "2.13.0"}


def find_rival_interpreter() -> str:
    """Return a Python that has Stable-Baselines3: the user's own, or that of an environment made once."""
    # Both sides step the same environment.
    packages = {**PACKAGES, **{name: version(name) for name in ("gymnasium", "numpy")}}
    return find_interpreter(packages, variable="SB3_PYTHON")


def read_versions(interpreter: str) -> dict[str, str]:
    """Return the versions of the rival's packages."""
    names = [*PACKAGES, "gymnasium", "numpy"]
    code = f"import json; from importlib.metadata import version; print(json.dumps([version(n) for n in {names}]))"
    done = subprocess.run([interpreter, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return dict(zip(names, json.loads(done.stdout), strict=True))


def train_rival(work: dict[str, Any]) -> dict[str, Any]:
    """Train by Stable-Baselines3's ``learn``, with a callback that checks the policy as zoo does.

    Args:
        work: What ``Pair.describe`` of ``rl.py`` returns.
    """
    import torch  # type: ignore[import-not-found]  # it is in the rival's environment alone
    from stable_baselines3.common.callbacks import BaseCallback  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    stopwatch, environment, period = Stopwatch(), work["environment"], work["period"]
    agent = _create_agent(work, stopwatch)
    normalizer = agent.get_vec_normalize_env()

    def policy(seen: np.ndarray) -> np.ndarray:
        seen = normalizer.normalize_obs(seen) if normalizer else seen  # by statistics that stay as they are
        chosen: np.ndarray = agent.predict(seen, deterministic=True)[0]
        return chosen

    class Checks(BaseCallback):
        """Checks the policy after each period, when the updates of its last steps are done."""

        solved, cpu_s, steps = False, math.nan, 0

        def _on_rollout_start(self) -> None:
            if self.num_timesteps // period > self.steps // period:
                self.check()

        def _on_training_end(self) -> None:
            if not self.solved and self.num_timesteps > self.steps:
                self.check()

        def _on_step(self) -> bool:
            return not self.solved

        def check(self) -> None:
            self.solved = reaches_goal(policy, environment, work["goal"])
            self.cpu_s, self.steps = time.process_time() - began, self.num_timesteps

    checks = Checks()
    if work["profile"]:
        agent.train = stopwatch.time_calls("learning", agent.train)
        checks.check = stopwatch.time_calls("evaluation", checks.check)
    began = time.process_time()
    agent.learn(work["steps"], callback=checks)
    measured = {"cpu_s": checks.cpu_s, "steps": checks.steps, "solved": checks.solved}
    if work["profile"]:
        return {**measured, "parts": stopwatch.seconds}
    return {**measured, "return_mean": float(play_episodes(policy, environment, JUDGE_SEEDS).mean())}


def _create_agent(work: dict[str, Any], stopwatch: Stopwatch) -> Any:
    """Return the agent with RL Zoo's hyperparameters, in its environments."""
    import stable_baselines3  # type: ignore[import-not-found]
    from stable_baselines3.common.env_util import make_vec_env  # type: ignore[import-not-found]
    from stable_baselines3.common.vec_env import VecNormalize  # type: ignore[import-not-found]

    def make() -> gymnasium.Env:
        environment = make_environment(work["environment"])
        return stopwatch.time_steps(environment) if work["profile"] else environment

    settings = SETTINGS[work["model"], work["environment"]]
    options = dict(settings.agent)
    environments = make_vec_env(make, settings.environments, seed=work["seed"])
    if settings.normalize:
        environments = VecNormalize(environments, gamma=options["gamma"])
    if "exploration_fraction" in options:  # it falls over as many steps as there
        options["exploration_fraction"] = min(1.0, options["exploration_fraction"] * settings.steps / work["steps"])
    create = getattr(stable_baselines3, work["model"])
    return create("MlpPolicy", environments, seed=work["seed"], device="cpu", **options)
