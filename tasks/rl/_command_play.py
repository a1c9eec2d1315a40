"""The command ``play``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.figures.animations import write_animation
from zoo.stored_runs.lookup import load, load_job, resolve_run
from zoo.tracking.store import Store

from ._acting import create_greedy_policy
from ._commands import PlayJob
from ._environments import check_drawing, draw_episode, explain_undrawable

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
        UsageError: If the run is of another task, its environment was an object in memory, the file is no GIF, or
            drawing needs a package that is not installed.
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
    options = model.spec.options["env"]
    note = explain_undrawable(source, options)
    if not note:
        check_drawing(source, options)
    policy = create_greedy_policy(model.keras_model, model.spec.target)
    episode = draw_episode(source, options, policy, seed=job.seed, most_steps=job.most_steps)
    output = None
    if episode.frames:
        output = job.output or f"{run_id[:8]}-{job.seed}{ENDING}"
        write_animation(episode.frames, Path(output), episode.rate)
    return Played(run_id, source, job.seed, episode.return_, episode.steps, episode.end, output, note)
