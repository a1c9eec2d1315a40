"""The environments of the episodes that confirm a threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from zoo.tasks.rl import VALIDATION_SEEDS

import zoo

QUIET: dict[str, Any] = {"quiet": True, "figures": False, "baselines": "none"}


class Counted(gymnasium.Env):
    """Episodes of one step, which count the environments that are open when a validation episode begins."""

    observation_space, action_space = spaces.Box(-1.0, 1.0, (1,)), spaces.Discrete(2)
    opened = 0
    counts: ClassVar[list[int]] = []

    def __init__(self) -> None:
        Counted.opened += 1

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if seed == VALIDATION_SEEDS[0]:
            Counted.counts.append(Counted.opened)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(1, np.float32), 1.0, True, False, {}

    def close(self) -> None:
        Counted.opened -= 1


def test_the_environments_that_confirm_a_threshold_are_closed(workspace: Path) -> None:
    gymnasium.register("Counted-v0", Counted, reward_threshold=0.5)
    try:
        settings = {"period": 64, "rollout": 16}
        run = zoo.train("rl/ppo", "Counted-v0", epochs=3, hyperparameters=settings, options={"processes": 1}, **QUIET)
    finally:
        del gymnasium.registry["Counted-v0"]
    assert run.metrics["val_steps_to_solve"] > 0
    assert max(Counted.counts) < 50  # the episodes of a confirmation that are played together
    assert Counted.opened == 0
