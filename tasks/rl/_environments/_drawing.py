"""Episodes as animations, of environments that can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from zoo.errors import UsageError

from .._actions import list_actions
from ._checks import read_mask
from ._evaluation import Policy
from ._making import explain_missing_package, make_environment

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


def check_drawing(name: str, options: Mapping[str, Any]) -> None:
    """Draw the first image of an episode, so that what is missing is reported before the work that is to be drawn.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.

    Raises:
        UsageError: If the environment cannot be drawn, or drawing needs a package that is not installed.
    """
    undrawable = explain_undrawable(name, options)
    if undrawable:
        raise UsageError(undrawable, where="video")
    environment = make_environment(name, {**options, "render_mode": DRAWN})
    try:
        environment.reset(seed=0)
        environment.render()
    except gymnasium.error.DependencyNotInstalled as error:
        raise UsageError(f"drawing it needs a package: {explain_missing_package(error)}", where=name) from None
    finally:
        environment.close()


def draw_episode(
    name: str, options: Mapping[str, Any], policy: Policy, *, seed: int, most_steps: int = MOST_STEPS
) -> DrawnEpisode:
    """Play an episode, and draw it if the environment can be drawn; see :func:`check_drawing`.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        policy: Function from observations and masks, of one row, to actions.
        seed: Seed of the episode.
        most_steps: Steps after which the episode is left.
    """
    is_drawn = not explain_undrawable(name, options)
    environment = make_environment(name, {**options, "render_mode": DRAWN} if is_drawn else options)
    frames: list[np.ndarray] = []

    def draw() -> None:
        if is_drawn:
            frames.append(np.asarray(environment.render()))

    try:
        return_, steps, end = _play(environment, name, policy, seed, most_steps, draw)
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
