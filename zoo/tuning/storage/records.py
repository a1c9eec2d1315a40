"""What a search knows of itself: its trials, what is stored of them, and what stays the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.jobs.search_options import TuneJob, seconds_in
from zoo.tuning.objective import Objective
from zoo.tuning.storage.search_folder import SearchFolder


@dataclass
class TrialRecord:
    """What is known of a trial; stored as JSON.

    A trial that the oracle promotes to more epochs stays one trial and one run, under the id that it had first.
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
    """All that a search stores beside the oracle's own state.

    Args:
        run_id: The parent run.
        trials: The trials, by their id.
        seconds: Time that it took, over all commands that went on with it.
        best: Id of the best trial, once its model is scored.
        rungs: Scores at each rung, by trial.
        importance: Of each hyperparameter.
        search: The search that was chosen, or asked for.
        fits: Scores of each trial's folds, or seeds, so far.
        refitted: The run of the best hyperparameters, trained on training and validation rows.
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

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SearchState:
        """Return the state that was stored."""
        own = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        own["trials"] = {key: TrialRecord(**record) for key, record in values["trials"].items()}
        own["importance"] = {name: (mean, std) for name, (mean, std) in values.get("importance", {}).items()}
        return cls(**own)

    @property
    def scored(self) -> list[TrialRecord]:
        """The trials that have a score."""
        return [record for record in self.trials.values() if record.score is not None]

    def is_over(self, job: TuneJob) -> bool:
        """Tell whether a search has its trials, or has used up its time."""
        spent = job.time_budget is not None and self.seconds >= seconds_in(job.time_budget)
        lacks = self.best is None or (job.refit and self.refitted is None)
        whole = len(self.trials) >= job.trials and all(known.status != "RUNNING" for known in self.trials.values())
        return not lacks and (whole or spent)


def as_trained(values: Mapping[str, Any], epochs: int | None) -> dict[str, Any]:
    """Return a trial's hyperparameters with the epochs that the job asks for, whatever the model's own are.

    Example:
        >>> as_trained({"units": 8, "epochs": 200}, 5)
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
        goal: What is to be best, and the limits.
        fits: What each trial trains: folder of the data, and seed of weights and order of rows.
        folds: Whether these are folds, and not the same rows with other seeds.
        tags: Tags of each trial's run.
        rungs: Epochs at which trials are compared, and the worse ones stopped.
    """

    job: TuneJob
    folder: SearchFolder
    task: str
    objective: Objective
    fits: Sequence[tuple[str, int]]
    folds: bool
    tags: Mapping[str, str]
    rungs: tuple[int, ...] = ()
