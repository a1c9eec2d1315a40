"""State of an agent's training: evaluation, best policy, early stopping and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from zoo.data.dataset import Dataset
from zoo.figures.animations import encode_animation
from zoo.models.built_model import BuiltModel
from zoo.spec import Target
from zoo.text import format_fraction
from zoo.training.training_state import FitPlan, FitResult, TrainingState

from ._acting import FastOutput
from ._actions import choose_greedy_actions
from ._environments import EpisodePlayer, draw_episode, find_added_limit, find_threshold

CONFIRMATION_SEEDS = range(2_000_000, 2_000_100)
MONITOR = "val_return_mean"


class Resumable(Protocol):
    """A part of training whose state is in checkpoints."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the state as arrays by name."""
        ...

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the state that :meth:`arrays` returned."""
        ...


@dataclass
class TrainingEnvironment:
    """The environment that an agent is trained in.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        target: The target that represents its actions.
        seeds: Seeds of the evaluation episodes that select the best policy.
        threshold: Mean return at which it counts as solved, or None.
        stop: Whether training stops when it is solved.
        video: Whether an episode is drawn at the start, in the middle and at the end of training.
        processes: Number of processes that step the environments, or None to choose it by the time of a step.
        envpool: Whether EnvPool steps those of training.
    """

    name: str
    options: dict[str, Any]
    target: Target
    seeds: np.ndarray
    threshold: float | None
    stop: bool
    video: bool
    processes: int | None
    envpool: bool

    @classmethod
    def of(cls, dataset: Dataset) -> TrainingEnvironment:
        """Return the environment of a dataset."""
        options, target = dataset.spec.options, dataset.spec.target
        solved = options.get("solved")
        threshold = find_threshold(dataset.source, solved if isinstance(solved, float) else None)
        seeds = dataset.splits["validation"].rows
        video, envpool = options.get("video", False), options.get("envpool", False)
        processes = options.get("processes")
        return cls(
            dataset.source, options["env"], target, seeds, threshold, solved is not None, video, processes, envpool
        )


class AgentState(TrainingState):
    """State of an agent's training: evaluates the policy after each evaluation interval and keeps the best weights.

    Args:
        built_model: Network, preprocessing and trainer.
        environment: The environment to train in.
        plan: Settings, recorder and checkpoint.
    """

    def __init__(self, built_model: BuiltModel, environment: TrainingEnvironment, plan: FitPlan) -> None:
        self.built_model, self.environment = built_model, environment
        self.player = EpisodePlayer(environment.name, environment.options, environment.processes)
        self.steps = self.updates = 0
        self.processes = 1
        self.truncated_after = np.zeros(1, int)  # steps of the last validation episodes
        self.converged = False
        self.rng = np.random.default_rng([plan.seed])
        self.parts: dict[str, Resumable] = {}
        self.saved: dict[str, np.ndarray] = {}
        super().__init__(built_model.network, plan, monitored=True, trainer=built_model.trainer)
        self.output = FastOutput(built_model)
        self._updates_before = self.updates
        if environment.video and not self.result.epochs_run:
            self._draw_episode("start")
        threshold = "" if environment.threshold is None else f"; solved from {environment.threshold:g} on"
        message = f"{environment.name}: {len(environment.seeds)} evaluation episodes{threshold}"
        plan.recorder.start(self.settings.epochs, message)

    def policy(self, observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        """Return the greedy action for each observation (B, …), among the legal ones."""
        return choose_greedy_actions(self.environment.target, self.output(observations), masks)

    def add_part(self, name: str, part: Resumable) -> bool:
        """Have a part in checkpoints from now on; return whether it was restored from one."""
        self.parts[name] = part
        prefix = f"{name}/"
        arrays = {key.removeprefix(prefix): array for key, array in self.saved.items() if key.startswith(prefix)}
        if arrays:
            part.restore(arrays)
        return bool(arrays)

    def after_evaluation(self, facts: Mapping[str, float], *, converged: bool = False) -> None:
        """Evaluate the policy after an evaluation interval, and decide whether to continue.

        Args:
            facts: What the agent tracks, by name, of which ``loss`` is checked; empty before it learned.
            converged: Whether the agent has nothing more to learn, so that its weights are the ones to keep.
        """
        self.converged = converged
        self.output.refresh()
        returns = self._returns(self.environment.seeds.tolist())
        self.record_epoch(
            {
                "loss": math.nan,
                MONITOR: float(returns.mean()),
                "val_return_std": float(returns.std()),
                "steps": float(self.steps),
                **facts,
            }
        )
        self._updates_before = self.updates
        if self.environment.video and self.result.epochs_run == self.settings.epochs // 2:
            self._draw_episode("middle")

    def finish(self) -> FitResult:
        """Restore the best weights and return the result; see :meth:`TrainingState.finish`."""
        result = super().finish()
        if self.environment.video:
            self.output.refresh()
            self._draw_episode("end")
        return result

    def close(self) -> None:
        """Close the environments of the evaluations."""
        self.player.close()

    def has_diverged(self, scores: Mapping[str, float]) -> bool:
        """Return whether the loss is not a number after the first update."""
        return self.updates > self._updates_before and super().has_diverged(scores)

    def progress(self) -> dict[str, Any]:
        """Return the counts of steps and updates, and the state of the random generator."""
        return {"steps": self.steps, "updates": self.updates, "random": self.rng.bit_generator.state}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of all parts, and the animations so far."""
        files = {f"files/{name}": np.frombuffer(content, np.uint8) for name, content in self.result.files.items()}
        parts = {f"{name}/{key}": array for name, part in self.parts.items() for key, array in part.arrays().items()}
        return {**files, **parts}

    def restore(self, progress: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Restore counts and random generator; parts are restored when they are added."""
        self.steps, self.updates, self.saved = progress["steps"], progress["updates"], dict(arrays)
        for key in [key for key in arrays if key.startswith("files/")]:
            self.result.files[key.removeprefix("files/")] = arrays[key].tobytes()
        if "random" in progress:  # checkpoints of earlier versions have none
            self.rng.bit_generator.state = progress["random"]

    def _decide(self, scores: Mapping[str, float]) -> None:
        super()._decide(scores)
        result, threshold = self.result, self.environment.threshold
        reached = threshold is not None and scores[MONITOR] >= threshold and result.stopped != "diverged"
        if reached and "val_steps_to_solve" not in result.scores and self._confirmed():
            result.scores["val_steps_to_solve"] = float(self.steps)
            self.player.close()  # the environments of the confirmation; the next evaluation opens its own again
            if self.environment.stop:
                result.stopped = "solved"
                self.keep_weights()
        if self.converged and result.stopped != "diverged":
            result.stopped = "converged"
            self.keep_weights()

    def notes(self) -> tuple[str, ...]:
        """Return notes for the user: of drawn episodes, processes, truncated episodes, and whether it was solved."""
        files = ", ".join(f"figures/{name}" for name in self.result.files)
        notes = [f"episodes are drawn in the run's {files}; see zoo ui"] if files else []
        if self.processes > 1:
            notes.append(f"the environments were stepped in {self.processes} processes")
        limit = find_added_limit(self.environment.name, self.environment.options)
        truncated = 0.0 if limit is None else float((self.truncated_after >= limit).mean())
        if truncated:
            notes.append(
                f"{format_fraction(truncated)} of the validation episodes were truncated after {limit:,} steps, as"
                " the environment has no limit of its own; --env max_episode_steps=N sets one"
            )
        return (*notes, *self._note_solved())

    def _note_solved(self) -> tuple[str, ...]:
        threshold, solved = self.environment.threshold, self.result.scores.get("val_steps_to_solve", math.nan)
        if threshold is None:
            return ()
        where = f"a mean return of {threshold:g} in the validation episodes and in {len(CONFIRMATION_SEEDS)} others"
        if math.isnan(solved):
            within = f"within {self.steps:,} steps" if self.steps else "without steps in it"
            return (f"not solved {within}: no policy had {where}",)
        after = f"after {solved:,.0f} steps" if self.steps else "without steps in it"
        return (f"solved {after}: the policy had at least {where}",)

    def _confirmed(self) -> bool:
        """Return whether the policy also solves the environment in a hundred other episodes, to rule out luck."""
        assert self.environment.threshold is not None
        return bool(self._returns(list(CONFIRMATION_SEEDS)).mean() >= self.environment.threshold)

    def _returns(self, seeds: list[int]) -> np.ndarray:
        played = self.player.play(self.policy, seeds)
        self.truncated_after = played.truncated_after
        return played.returns

    def _draw_episode(self, name: str) -> None:
        """Keep an animation of an evaluation episode, by the present policy."""
        source = self.environment
        episode = draw_episode(source.name, source.options, self.policy, seed=int(source.seeds[0]))
        if episode.frames:
            self.result.files[f"episode_{name}.gif"] = encode_animation(episode.frames, episode.rate)
