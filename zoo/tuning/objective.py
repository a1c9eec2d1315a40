"""What a search is after: the score that is to be best, and the limits that a trial must keep to."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo.data.dataset import SPLIT_PREFIX, Dataset
from zoo.errors import UsageError, unknown
from zoo.inspection.latency import latency_ms
from zoo.jobs.search_options import Constraint, TuneJob, constraint_of
from zoo.models.built_model import BuiltModel
from zoo.spec import Spec
from zoo.task import Task

FOLDS_PREFIX = "cv_"  # of a score that is the mean over folds
SECONDS, PARAMETERS, LATENCY = "seconds", "n_parameters", "latency_ms"
FACTS = (PARAMETERS, LATENCY, SECONDS)


@dataclass(frozen=True)
class Objective:
    """What a search is after.

    Args:
        name: Name of the objective, as it is tracked.
        direction: ``min`` or ``max``.
        watched: Name of the score that early stopping watches, and that trials are compared by at a rung.
        watched_direction: Its direction.
        constraints: What a trial must keep to.
        prefix: Of scores on the part that judges.
    """

    name: str
    direction: str
    watched: str
    watched_direction: str
    constraints: tuple[Constraint, ...] = ()
    prefix: str = SPLIT_PREFIX["validation"]

    @property
    def own(self) -> bool:
        """Whether the objective is another than the score that is had each epoch."""
        return self.name.removeprefix(self.prefix) != self.watched.removeprefix(SPLIT_PREFIX["validation"])

    @property
    def measured(self) -> tuple[str, ...]:
        """What a trial has to work out of itself beside its training, without prefix."""
        names = [known.name for known in self.constraints] + ([self.name] if self.own else [])
        return tuple(dict.fromkeys(name.removeprefix(self.prefix) for name in names if name != SECONDS))

    def score(self, result: Mapping[str, Any], facts: Mapping[str, float]) -> float:
        """Return the objective of a trial: what was worked out once training was over, or that of the best epoch."""
        course = result["history"].get(self.name, [])
        score = course[result["best_epoch"] - 1] if course and result["best_epoch"] else math.nan
        return float(facts.get(self.name, score))

    def broken(self, facts: Mapping[str, float]) -> tuple[Constraint, float] | None:
        """Return the constraint that a trial is furthest beyond, and by what share; None where it keeps to all."""
        beyond = [(known, known.excess(facts[known.name])) for known in self.constraints if known.name in facts]
        worst = max(beyond, key=lambda pair: pair[1], default=None)
        return worst if worst is not None and worst[1] > 0 else None


def objective_of(job: TuneJob, task: Task, spec: Spec) -> Objective:
    """Return the goal of a job.

    Raises:
        UsageError: When the objective or a constraint names what the task has not, with the nearest.
    """
    scores = {score.name: score for score in task.metrics(spec)}
    first = next(iter(scores))
    prefix = task.objective_prefix if job.cv is None else FOLDS_PREFIX
    watched = task.objective_prefix + first

    def named(text: str, where: str) -> str:
        bare = text.removeprefix(prefix).removeprefix(task.objective_prefix)
        if bare in FACTS:
            return bare
        if bare not in scores:
            raise unknown("score of a trial", text, [*(prefix + name for name in scores), *FACTS], where=where)
        return prefix + bare

    name = prefix + first if job.objective is None else named(job.objective, "objective")
    direction = "min" if name in FACTS else scores[name.removeprefix(prefix)].direction
    told = tuple(constraint_of(text) for text in job.subject_to)
    constraints = tuple(replace(known, name=named(known.name, "subject_to")) for known in told)
    if name == PARAMETERS and not constraints:
        raise UsageError(
            "the fewest parameters alone make no model; say what it must reach, such as "
            f"--subject-to '{prefix}{first}{'>' if scores[first].direction == 'max' else '<'}…'",
            where="objective",
        )
    return Objective(name, direction, watched, scores[first].direction, constraints, prefix)


def measure_before(names: Collection[str], built_model: BuiltModel, dataset: Dataset) -> dict[str, float]:
    """Return what is known of a network before it is trained: its parameters, and where asked for its latency."""
    made = {PARAMETERS: float(built_model.n_parameters)}
    if LATENCY in names:
        made[LATENCY] = latency_ms(built_model.full_model(), dataset)
    return made


def measure_after(
    names: Collection[str], task: Task, built_model: BuiltModel, dataset: Dataset, *, split: str, prefix: str
) -> dict[str, float]:
    """Return the scores that are asked for of a trained network on one part, by name with prefix."""
    wanted = [name for name in names if name not in FACTS]
    if not wanted:
        return {}
    scores = task.evaluate(built_model.full_model(), dataset, split, intervals=False).scores
    return {prefix + name: float(scores[name]) for name in wanted}
