"""Records of a search: its trials, its stored state, and the plan that stays the same."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.jobs.search_options import TuneJob
from zoo.tuning.objective import Objective
from zoo.tuning.storage.search_folder import SearchFolder


@dataclass
class TrialRecord:
    """The state of a trial; stored as JSON.

    A trial that the oracle promotes to more epochs stays one trial and one run, under its first id.
    """

    trial_id: str
    hyperparameters: dict[str, Any]
    status: str = "RUNNING"
    score: float | None = None
    seconds: float = 0.0
    run_id: str | None = None
    result: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    oracle_id: str = ""
    epochs: int | None = None
    stopped_at: int | None = None
    lost_to: str | None = None
    deaths: int = 0
    ended_s: float | None = None


@dataclass
class SearchState:
    """What a search stores beside the oracle's own state.

    Args:
        run_id: The parent run.
        trials: The trials by id.
        seconds: Time spent, over all commands that ran or resumed the search.
        best: Id of the best trial, once its model is evaluated.
        rungs: Scores at each rung, by trial.
        importance: Importance of each hyperparameter, as mean and standard deviation.
        search: The search algorithm.
        fits: Scores of each trial's folds, or seeds, so far.
        refitted: The run that trained the best hyperparameters on training and validation rows.
        select: How the best trial was selected; empty in searches of before.
    """

    run_id: str
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    seconds: float = 0.0
    best: str | None = None
    rungs: dict[str, dict[str, float]] = field(default_factory=dict)
    importance: dict[str, tuple[float, float]] = field(default_factory=dict)
    search: str = "random"
    fits: dict[str, list[float]] = field(default_factory=dict)
    refitted: str | None = None
    select: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SearchState:
        """Return the state from its stored values."""
        fields = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        fields["trials"] = {key: TrialRecord(**record) for key, record in values["trials"].items()}
        fields["importance"] = {name: (mean, std) for name, (mean, std) in values.get("importance", {}).items()}
        return cls(**fields)

    @property
    def scored(self) -> list[TrialRecord]:
        """The trials that have a score."""
        return [record for record in self.trials.values() if record.score is not None]

    def is_over(self, job: TuneJob) -> bool:
        """Return whether a search has all its trials, or has used up its time."""
        out_of_time = job.time_budget is not None and self.seconds >= job.trial_seconds
        incomplete = self.best is None or (job.refit and self.refitted is None) or self.select not in ("", job.select)
        all_done = len(self.trials) >= job.most_trials and all(
            trial.status != "RUNNING" for trial in self.trials.values()
        )
        return not incomplete and (all_done or out_of_time)


def apply_epochs(values: Mapping[str, Any], epochs: int | None) -> dict[str, Any]:
    """Return a trial's hyperparameters with the job's number of epochs in place of the model's own.

    Example:
        >>> apply_epochs({"units": 8, "epochs": 200}, 5)
        {'units': 8, 'epochs': 5}
    """
    return {**values, "epochs": epochs} if epochs is not None and "epochs" in values else dict(values)


@dataclass(frozen=True)
class SearchPlan:
    """What stays the same during a search.

    Args:
        job: The job.
        folder: Where the search keeps its state.
        task: Name of the task.
        objective: The objective and the constraints.
        fits: What each trial trains: the folder of the data, and the seed of weights and row order.
        folds: Whether the fits are folds, not the same rows with other seeds.
        tags: Tags of each trial's run.
        rungs: Epochs at which trials are compared and the worse ones are pruned.
        defaults: Default hyperparameters of each model.
        began: Time of ``time.perf_counter`` when the command began, from which its time budget counts.
    """

    job: TuneJob
    folder: SearchFolder
    task: str
    objective: Objective
    fits: Sequence[tuple[str, int]]
    folds: bool
    tags: Mapping[str, str]
    rungs: tuple[int, ...] = ()
    defaults: Sequence[Mapping[str, Any]] = ()
    began: float = field(default_factory=time.perf_counter)
