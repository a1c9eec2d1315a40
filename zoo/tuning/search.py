"""The search loop: an oracle proposes, workers train, the driver alone writes state and MLflow."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import JobError, UsageError
from zoo.job import TuneJob
from zoo.running.progress import Progress
from zoo.running.results import number
from zoo.tracking.run import PARENT_TAG, TrackedRun
from zoo.tracking.store import Store
from zoo.tuning.oracles import Asked, AskTell
from zoo.tuning.state import SearchFolder
from zoo.tuning.trial import run_trial
from zoo.tuning.workers import Event, Workers

# Modules that every trial needs: the server imports them once.
PRELOAD = ("tensorflow", "keras", "keras_tuner", "pandas", "zoo.tuning.trial", "zoo.training.supervised")
_MACHINE = ("OSError", "PermissionError", "FileNotFoundError", "BlockingIOError", "InterruptedError")
_ENDS_ALONE = ("MemoryError", "ResourceExhaustedError", "JobError")


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


@dataclass
class SearchState:
    """All that a search stores beside the oracle's own state."""

    run_id: str
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    seconds: float = 0.0
    best: str | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SearchState:
        """Return the state that was stored."""
        trials = {key: TrialRecord(**record) for key, record in values["trials"].items()}
        return cls(values["run_id"], trials, values["seconds"], values["best"])


@dataclass(frozen=True)
class SearchPlan:
    """What stays the same during a search.

    Args:
        job: The job.
        folder: Where the search keeps its state.
        task: Name of the task.
        objective: Score on validation.
        direction: ``min`` or ``max``.
        seed: Seed of every trial's weights and order of rows.
        tags: Tags of each trial's run.
        folds: Folders of the folds' data, where a trial is judged by them.
    """

    job: TuneJob
    folder: SearchFolder
    task: str
    objective: str
    direction: str
    seed: int
    tags: Mapping[str, str]
    folds: Sequence[str] = ()


class SearchLoop:
    """Runs a search until it has its trials.

    Args:
        plan: What stays the same.
        oracle: Proposes trials.
        state: What is known already.
        store: Where runs are tracked.
        experiment: MLflow's experiment.
        progress: Told of each trial.
    """

    def __init__(
        self, plan: SearchPlan, oracle: AskTell, state: SearchState, store: Store, experiment: Any, progress: Progress
    ) -> None:
        self.plan, self.oracle, self.state = plan, oracle, state
        self.store, self.experiment, self.progress = store, experiment, progress
        self.open: dict[str, TrackedRun] = {}
        self._began: dict[str, float] = {}
        self._resumed = bool(state.trials)
        self._mark = time.perf_counter()

    def run(self, workers: Workers) -> None:
        """Run trials until the oracle has no more.

        Raises:
            UsageError, JobError: When a trial fails by the data's or the model's fault: no other would do better.
        """
        waiting = [record for record in self.state.trials.values() if record.status == "RUNNING"]
        try:
            while True:
                while workers.free and (record := waiting.pop(0) if waiting else self._next()) is not None:
                    self._start(workers, record)
                if not workers.running:
                    break
                for event in workers.wait():
                    self._handle(event)
        except KeyboardInterrupt:
            self._end_open("KILLED", "interrupted")
            raise
        except BaseException as error:
            self._end_open("FAILED", str(error))
            raise
        finally:
            self.save()

    def save(self) -> None:
        """Store everything, atomically."""
        now = time.perf_counter()
        self.state.seconds += now - self._mark
        self._mark = now
        self.plan.folder.write({**asdict(self.state), "oracle": self.oracle.state()})

    def best(self) -> TrialRecord:
        """Return the completed trial with the best score.

        Raises:
            JobError: When none completed.
        """
        done = [record for record in self.state.trials.values() if record.score is not None]
        if not done:
            reasons = {record.reason for record in self.state.trials.values()}
            raise JobError(f"no trial completed: {'; '.join(sorted(reasons)) or 'there were none'}")
        sign = 1 if self.plan.direction == "min" else -1
        return min(done, key=lambda record: sign * (record.score if record.score is not None else math.inf))

    def _next(self) -> TrialRecord | None:
        asked: Asked = self.oracle.ask()
        if asked.hyperparameters is None:
            return None
        if asked.promotes is not None:
            record = next(known for known in self.state.trials.values() if known.oracle_id == asked.promotes)
            record.status = "RUNNING"
        else:
            number = str(len(self.state.trials))
            record = self.state.trials[number] = TrialRecord(number, dict(asked.hyperparameters))
        record.oracle_id, record.epochs = asked.oracle_id, asked.epochs
        return record

    def _start(self, workers: Workers, record: TrialRecord) -> None:
        plan, values = self.plan, record.hyperparameters
        if record.run_id is None:
            tags = {**plan.tags, "zoo.trial": record.trial_id}
            run = self._left_behind(record) or TrackedRun.create(
                self.store, self.experiment, f"trial {record.trial_id}", tags=tags, parent=self.state.run_id
            )
            record.run_id = run.run_id
            self.open[record.trial_id] = run
            run.params(values)
        else:
            run = self.open[record.trial_id] = TrackedRun.reopen(self.store, record.run_id)
        self.save()
        payload = {
            "model": plan.job.model,
            "task": plan.task,
            "data": str(plan.folder.data),
            "folder": str(plan.folder.trial(record.trial_id)),
            "hyperparameters": values,
            "seed": plan.seed,
            "epochs": record.epochs or plan.job.epochs,
            "threads": threads_of(plan.job.workers),
            "folds": list(plan.folds),
        }
        self._began[record.trial_id] = time.perf_counter()
        workers.start(record.trial_id, run_trial, payload)

    def _left_behind(self, record: TrialRecord) -> TrackedRun | None:
        """The run of a trial that an earlier driver began and was stopped before it could write that down."""
        if not self._resumed:
            return None
        wanted = f"tags.`{PARENT_TAG}` = '{self.state.run_id}' and tags.`zoo.trial` = '{record.trial_id}'"
        found = self.store.search(wanted, limit=1)
        return TrackedRun.reopen(self.store, found[0].info.run_id) if found else None

    def _handle(self, event: Event) -> None:
        if event.kind == "message":
            return
        record = self.state.trials[event.key]
        record.seconds += time.perf_counter() - self._began[event.key]
        run = self.open[event.key]
        if event.kind == "done":
            self._complete(record, run, event.value)
        else:
            self._fail(record, run, event)
        del self.open[event.key]
        self.save()
        self._show(record)

    def _complete(self, record: TrialRecord, run: TrackedRun, answer: dict[str, Any]) -> None:
        result, values = answer["result"], answer["hyperparameters"]
        known = record.result.get("epochs_run", 0)
        scores = result["history"].get(self.plan.objective, [])
        score = scores[result["best_epoch"] - 1] if scores and result["best_epoch"] else math.nan
        score = result["scores"].get(self.plan.objective, score)  # some are known only once training is over
        record.result, record.hyperparameters = result, values
        run.params(values)
        run.epochs(result["history"], after=known)
        if math.isnan(score):
            record.status, record.reason = "FAILED", f"{self.plan.objective} is not a number"
            self.oracle.tell(record.oracle_id, None, record.reason)
            run.end("FAILED", record.reason)
            return
        record.status, record.score = "COMPLETED", score
        self.oracle.tell(record.oracle_id, score, space=answer["space"], values=values)
        run.metrics(
            {
                **result["scores"],
                self.plan.objective: score,
                "seconds": record.seconds,
                "best_epoch": result["best_epoch"],
                "epochs_run": result["epochs_run"],
            }
        )
        run.end("FINISHED")

    def _fail(self, record: TrialRecord, run: TrackedRun, event: Event) -> None:
        record.reason, blame = _reason(event)
        run.end("FAILED", record.reason)
        if blame is not None:
            raise blame  # the trial counts as running, so that it is run again once the cause is mended
        record.status = "FAILED"
        self.oracle.tell(record.oracle_id, None, record.reason)

    def _show(self, record: TrialRecord) -> None:
        score = record.reason if record.score is None else f"{self.plan.objective} {number(record.score)}"
        done = sum(known.status != "RUNNING" for known in self.state.trials.values())
        best = min((r.score for r in self.state.trials.values() if r.score is not None), default=math.nan)
        if self.plan.direction == "max":
            best = max((r.score for r in self.state.trials.values() if r.score is not None), default=math.nan)
        self.progress.epoch(done, {"best": best})
        if self.progress.verbose:
            self.progress.say(f"trial {record.trial_id} {record.status}: {score} in {record.seconds:.1f} s")

    def _end_open(self, status: str, reason: str) -> None:
        for trial_id, run in self.open.items():
            if self.state.trials[trial_id].status == "COMPLETED":  # stopped between the trial's end and its run's
                run.end("FINISHED")
            else:
                run.end(status, reason)
        self.open.clear()


def threads_of(workers: int) -> int | None:
    """Return the threads of one worker; None leaves TensorFlow its own choice."""
    return max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None


def _reason(event: Event) -> tuple[str, Exception | None]:
    """Why a trial failed, and the error that ends the whole search where another trial would fail too."""
    value = event.value
    if event.kind == "died":
        cause = value["signal"] or f"exit status {value['status']}"
        return f"its process was ended by {cause}", None
    reason = f"{value['type']}: {value['message']}"
    if value["type"] in _ENDS_ALONE:
        return reason, None
    if value["type"] in _MACHINE:
        return reason, JobError(f"a trial could not go on: {value['message']}")
    if value.get("error"):
        known = value["error"]
        return reason, UsageError(known["message"], where=known["where"], nearest=known["nearest"])
    return reason, JobError(f"the model failed in a trial, and would in each:\n{value['traceback'].rstrip()}")


def make_workers(job: TuneJob, folder: Path) -> Workers:
    """Return the processes that a search's trials run in."""
    return Workers(job.workers, folder=folder / "calls", preload=PRELOAD)
