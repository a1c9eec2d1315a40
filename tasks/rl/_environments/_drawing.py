"""Episodes as animations, of environments that can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from zoo.errors import UsageError, shorten_error

from .._actions import list_actions
from ._checks import read_mask
from ._evaluation import Policy
from ._making import make_environment

DRAWN = "rgb_array"
USUAL_RATE = 30  # frames a second
MOST_STEPS = 10_000


@dataclass(frozen=True)
class DrawnEpisode:
    """An episode that was played.

    Args:
        return_: Sum of the rewards.
        steps: Number of steps.
        end: ``terminated``, ``truncated``, or ``left`` after the most steps.
        frames: The images before each step and after the last one; empty if the environment cannot be drawn.
        rate: Frames a second.
    """

    return_: float
    steps: int
    end: str
    frames: list[np.ndarray]
    rate: float


def explain_undrawable(name: str, options: Mapping[str, Any]) -> str:
    """Return why an environment cannot be drawn; empty if it can."""
    environment = make_environment(name, options)
    environment.close()
    if DRAWN in environment.metadata.get("render_modes", ()):
        return ""
    return f"{name} cannot be drawn: its metadata has no render mode {DRAWN}"


def draw_episode(
    name: str, options: Mapping[str, Any], policy: Policy, *, seed: int, most_steps: int = MOST_STEPS
) -> DrawnEpisode:
    """Play an episode, and draw it if the environment can be drawn.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        policy: Function from observations and masks, of one row, to actions.
        seed: Seed of the episode.
        most_steps: Steps after which the episode is left.

    Raises:
        UsageError: If drawing needs a package that is not installed.
    """
    is_drawn = not explain_undrawable(name, options)
    environment = make_environment(name, {**options, "render_mode": DRAWN} if is_drawn else options)
    frames: list[np.ndarray] = []

    def draw() -> None:
        if is_drawn:
            frames.append(np.asarray(environment.render()))

    try:
        return_, steps, end = _play(environment, name, policy, seed, most_steps, draw)
    except gymnasium.error.DependencyNotInstalled as error:
        message = f"drawing {name} needs pip install 'keras-task-zoo[video]': {shorten_error(error)}"
        raise UsageError(message, where="video") from None
    finally:
        environment.close()
    return DrawnEpisode(return_, steps, end, frames, environment.metadata.get("render_fps", USUAL_RATE))


def _play(
    environment: gymnasium.Env, name: str, policy: Policy, seed: int, most_steps: int, draw: Callable[[], None]
) -> tuple[float, int, str]:
    observation, info = environment.reset(seed=seed)
    total = 0.0
    draw()
    for step in range(1, most_steps + 1):
        mask = read_mask(environment, info, name)
        actions = policy(np.asarray(observation)[None], None if mask is None else mask[None])
        action = list_actions(environment.action_space, actions)[0]
        observation, reward, terminated, truncated, info = environment.step(action)
        total += float(reward)
        draw()
        if terminated or truncated:
            return total, step, "terminated" if terminated else "truncated"
    return total, most_steps, "left"
