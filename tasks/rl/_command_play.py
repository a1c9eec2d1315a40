"""The command ``play``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from zoo.errors import UsageError, shorten_error
from zoo.figures.animations import write_animation
from zoo.preprocessing.observations import OBSERVATION
from zoo.stored_runs.lookup import load, load_job, resolve_run
from zoo.tracking.store import Store

from ._actions import choose_greedy_actions, list_actions
from ._commands import PlayJob
from ._environments import make_environment, read_mask

DRAWN = "rgb_array"
USUAL_RATE = 30  # frames a second
ENDING = ".gif"


@dataclass(frozen=True)
class Played:
    """An episode.

    Args:
        run_id: MLflow's id of the run.
        environment: Id of the environment.
        seed: Seed of the episode.
        return_: Sum of the rewards.
        steps: Number of steps.
        end: ``terminated``, ``truncated``, or ``left`` after the most steps.
        output: The animation; None if the environment cannot be drawn.
        note: Why there is no animation.
    """

    run_id: str
    environment: str
    seed: int
    return_: float
    steps: int
    end: str
    output: str | None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo play --json`` prints."""
        return {name.rstrip("_"): value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        ends = {"terminated": "the episode ended", "truncated": "the time limit", "left": "left there"}[self.end]
        text = f"{self.environment}, seed {self.seed}: return {self.return_:.6g} after {self.steps:,} steps ({ends})"
        return "\n".join([text, f"written: {self.output}" if self.output else f"note: {self.note}"])


def play(job: PlayJob) -> Played:
    """Play an episode with the greedy policy of a run.

    Args:
        job: The job.

    Raises:
        UsageError: If the run is of another task, its environment was an object in memory, or the file is no GIF.
    """
    if job.output is not None and not job.output.lower().endswith(ENDING):
        raise UsageError(f"received {job.output}; an animation is a {ENDING} file", where="output")
    model, store = load(job.run), Store()
    if model.spec.task != "rl":
        raise UsageError(
            f"run {job.run} is of {model.name}; episodes are played by an agent, such as rl/ppo", where="run"
        )
    run_id = resolve_run(store, job.run)
    source = str(load_job(store, run_id).source)
    if source.startswith("("):
        raise UsageError("its environment was given as an object, which no run stores; play it in Python", where="run")
    environment, note = _make_drawn(source, model.spec.options["env"])
    call = tf.function(model.keras_model, reduce_retracing=True)

    def choose(observation: Any, info: Any) -> Any:
        batch, mask = tf.constant(np.asarray(observation, np.float32)[None]), read_mask(environment, info, source)
        output = call({OBSERVATION: batch}, training=False).numpy()
        actions = choose_greedy_actions(model.spec.target, output, None if mask is None else mask[None])
        return list_actions(environment.action_space, actions)[0]

    try:
        frames: list[np.ndarray] = []
        played = _play_episode(environment, choose, job, None if note else frames)
    except gymnasium.error.DependencyNotInstalled as error:
        message = f"drawing {source} needs pip install 'keras-task-zoo[video]': {shorten_error(error)}"
        raise UsageError(message, where="output") from None
    finally:
        environment.close()
    output = None
    if frames:
        output = job.output or f"{run_id[:8]}-{job.seed}{ENDING}"
        write_animation(frames, Path(output), environment.metadata.get("render_fps", USUAL_RATE))
    return Played(run_id, source, job.seed, *played, output, note)


def _make_drawn(source: str, options: dict[str, Any]) -> tuple[gymnasium.Env, str]:
    """Return the environment, made to be drawn if it can be, and a note if it cannot."""
    environment = make_environment(source, options)
    if DRAWN not in environment.metadata.get("render_modes", ()):
        return environment, f"{source} cannot be drawn: its metadata has no render mode {DRAWN}"
    environment.close()
    return make_environment(source, {**options, "render_mode": DRAWN}), ""


def _play_episode(
    environment: gymnasium.Env, choose: Any, job: PlayJob, frames: list[np.ndarray] | None
) -> tuple[float, int, str]:
    """Play, and append what is drawn to ``frames``; return the return, the number of steps and how it ended."""
    observation, info = environment.reset(seed=job.seed)
    total = 0.0
    for step in range(job.most_steps + 1):
        if frames is not None:
            frames.append(np.asarray(environment.render()))
        if step == job.most_steps:
            break
        observation, reward, terminated, truncated, info = environment.step(choose(observation, info))
        total += float(reward)
        if terminated or truncated:
            if frames is not None:
                frames.append(np.asarray(environment.render()))
            return total, step + 1, "terminated" if terminated else "truncated"
    return total, job.most_steps, "left"
