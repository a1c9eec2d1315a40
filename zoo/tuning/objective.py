"""The objective of a search and the constraints that its trials must satisfy."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo.data.dataset import SPLIT_PREFIX, Dataset
from zoo.errors import UsageError, describe_unknown
from zoo.inspection.latency import measure_latency
from zoo.jobs.search_options import Constraint, TuneJob, parse_constraint
from zoo.metrics.direction import Direction
from zoo.models.built_model import BuiltModel
from zoo.spec import Spec
from zoo.task import Task

FOLDS_PREFIX = "cv_"  # of a metric that is the mean over folds
SECONDS, PARAMETERS, LATENCY = "seconds", "n_parameters", "latency_ms"
FACTS = (PARAMETERS, LATENCY, SECONDS)


@dataclass(frozen=True)
class Objective:
    """The objective of a search, and its constraints.

    Args:
        name: Name of the objective, as it is tracked.
        direction: ``min`` or ``max``.
        monitor: Name of the metric that early stopping and pruning use, available after each epoch.
        monitor_direction: Direction of the monitored metric.
        constraints: Constraints that a trial must satisfy.
        prefix: Prefix of the metrics on the split that ranks trials.
    """

    name: str
    direction: Direction
    monitor: str
    monitor_direction: Direction
    constraints: tuple[Constraint, ...] = ()
    prefix: str = SPLIT_PREFIX["validation"]

    @property
    def differs_from_monitor(self) -> bool:
        """Whether the objective is not the metric that is measured each epoch."""
        return self.name.removeprefix(self.prefix) != self.monitor.removeprefix(SPLIT_PREFIX["validation"])

    @property
    def extra_metrics(self) -> tuple[str, ...]:
        """Names, without prefix, of what a trial must measure beside its training curves."""
        names = [constraint.name for constraint in self.constraints] + (
            [self.name] if self.differs_from_monitor else []
        )
        return tuple(dict.fromkeys(name.removeprefix(self.prefix) for name in names if name != SECONDS))

    def score(self, result: Mapping[str, Any], facts: Mapping[str, float]) -> float:
        """Return the objective of a trial: as measured after training, else its value in the best epoch."""
        history = result["history"].get(self.name, [])
        score = history[result["best_epoch"] - 1] if history and result["best_epoch"] else math.nan
        return float(facts.get(self.name, score))

    def violation(self, facts: Mapping[str, float]) -> tuple[Constraint, float] | None:
        """Return the constraint that a trial violates most and its relative excess, or None if it satisfies all."""
        excesses = [
            (constraint, constraint.excess(facts[constraint.name]))
            for constraint in self.constraints
            if constraint.name in facts
        ]
        worst = max(excesses, key=lambda pair: pair[1], default=None)
        return worst if worst is not None and worst[1] > 0 else None


def create_objective(job: TuneJob, task: Task, spec: Spec) -> Objective:
    """Return the objective of a job.

    Raises:
        UsageError: When the objective or a constraint names an unknown metric; the message gives the nearest name.
    """
    scores = {score.name: score for score in task.rules(spec).metrics()}
    first = next(iter(scores))
    prefix = task.objective_prefix if job.cv is None else FOLDS_PREFIX
    monitor = task.objective_prefix + first

    def full_name(text: str, where: str) -> str:
        bare = text.removeprefix(prefix).removeprefix(task.objective_prefix)
        if bare in FACTS:
            return bare
        if bare not in scores:
            raise describe_unknown(
                "metric of a trial", text, [*(prefix + name for name in scores), *FACTS], where=where
            )
        return prefix + bare

    name = prefix + first if job.objective is None else full_name(job.objective, "objective")
    direction = Direction.MIN if name in FACTS else Direction(scores[name.removeprefix(prefix)].direction)
    monitor_direction = Direction(scores[first].direction)
    parsed = tuple(parse_constraint(text) for text in job.subject_to)
    constraints = tuple(replace(constraint, name=full_name(constraint.name, "subject_to")) for constraint in parsed)
    if name == PARAMETERS and not constraints:
        raise UsageError(
            "minimising n_parameters needs a constraint on a metric, such as "
            f"--subject-to '{prefix}{first}{'<' if monitor_direction.less_is_better else '>'}…'",
            where="objective",
        )
    return Objective(name, direction, monitor, monitor_direction, constraints, prefix)


def measure_before(names: Collection[str], built_model: BuiltModel, dataset: Dataset) -> dict[str, float]:
    """Measure an untrained network: its number of parameters and, if requested, its latency."""
    facts = {PARAMETERS: float(built_model.n_parameters)}
    if LATENCY in names:
        facts[LATENCY] = measure_latency(built_model.full_model(), dataset)
    return facts


def measure_after(
    names: Collection[str], task: Task, built_model: BuiltModel, dataset: Dataset, *, split: str, prefix: str
) -> dict[str, float]:
    """Evaluate a trained network on one split; return the requested metrics by name with prefix."""
    wanted = [name for name in names if name not in FACTS]
    if not wanted:
        return {}
    scores = task.evaluate(built_model.full_model(), dataset, split, intervals=False).scores
    return {prefix + name: float(scores[name]) for name in wanted}
