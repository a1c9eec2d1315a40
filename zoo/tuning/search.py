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
from zoo.job import TuneJob, bytes_in, seconds_in
from zoo.running.progress import Progress
from zoo.running.results import number
from zoo.tracking.run import PARENT_TAG, TrackedRun
from zoo.tracking.store import Store
from zoo.tuning.halving import Rungs
from zoo.tuning.oracles import Asked, AskTell
from zoo.tuning.state import SearchFolder
from zoo.tuning.trial import run_trial
from zoo.tuning.workers import Event, Workers

# Modules that every trial needs: the server imports them once.
PRELOAD = ("tensorflow", "keras", "keras_tuner", "pandas", "zoo.tuning.trial", "zoo.training.supervised")
_MACHINE = ("OSError", "PermissionError", "FileNotFoundError", "BlockingIOError", "InterruptedError")
OUT_OF_TIME = "the search's time was over"
STATUS_TAG = "zoo.status"
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
    stopped_at: int | None = None
    ended_s: float | None = None


@dataclass
class SearchState:
    """All that a search stores beside the oracle's own state."""

    run_id: str
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    seconds: float = 0.0
    best: str | None = None
    rungs: dict[str, dict[str, float]] = field(default_factory=dict)
    importance: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SearchState:
        """Return the state that was stored."""
        trials = {key: TrialRecord(**record) for key, record in values["trials"].items()}
        importance = {name: (mean, std) for name, (mean, std) in values.get("importance", {}).items()}
        return cls(values["run_id"], trials, values["seconds"], values["best"], values.get("rungs", {}), importance)

    @property
    def scored(self) -> list[TrialRecord]:
        """The trials that have a score."""
        return [record for record in self.trials.values() if record.score is not None]

    def is_over(self, job: TuneJob) -> bool:
        """Tell whether a search has its trials, or has used up its time."""
        spent = job.time_budget is not None and self.seconds >= seconds_in(job.time_budget)
        return self.best is not None and (len(self.trials) >= job.trials or spent)


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
        rungs: Epochs at which trials are compared, and the worse ones stopped.
    """

    job: TuneJob
    folder: SearchFolder
    task: str
    objective: str
    direction: str
    seed: int
    tags: Mapping[str, str]
    folds: Sequence[str] = ()
    rungs: tuple[int, ...] = ()


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
        self.rungs = Rungs(plan.rungs, plan.direction, state.rungs)
        state.rungs = self.rungs.scores
        self._began: dict[str, float] = {}
        self._best_yet: dict[str, float] = {}
        self._resumed = bool(state.trials)
        self._mark = time.perf_counter()
        budget, timeout = plan.job.time_budget, plan.job.trial_timeout
        self._deadline = self._mark + seconds_in(budget) - state.seconds if budget is not None else math.inf
        self._timeout_s = seconds_in(timeout) if timeout is not None else math.inf
        self._told_to_stop = False

    def run(self, workers: Workers) -> None:
        """Run trials until the oracle has no more.

        Raises:
            UsageError, JobError: When a trial fails by the data's or the model's fault: no other would do better.
        """
        waiting = [record for record in self.state.trials.values() if record.status == "RUNNING"]
        try:
            while True:
                while workers.free and (record := self._following(waiting)) is not None:
                    self._start(workers, record)
                if not workers.running:
                    break
                for event in workers.wait(self._patience()):
                    self._handle(workers, event)
                self._end_in_time(workers)
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
        done = self.state.scored
        if not done:
            reasons = {record.reason for record in self.state.trials.values()}
            raise JobError(f"no trial completed: {'; '.join(sorted(reasons)) or 'there were none'}")
        sign = 1 if self.plan.direction == "min" else -1
        return min(done, key=lambda record: sign * (record.score if record.score is not None else math.inf))

    def _following(self, waiting: list[TrialRecord]) -> TrialRecord | None:
        """The trial that is started next: one that was cut, or a new one; none once the time is over."""
        if time.perf_counter() >= self._deadline and (self.open or self.state.scored):
            return None
        return waiting.pop(0) if waiting else self._next()

    def _patience(self) -> float | None:
        """Seconds until something has to be ended, whatever is heard until then; None where nothing has."""
        ends = [self._began[key] + self._timeout_s for key in self.open]
        ends.append(self._deadline + (self._grace_s if self._told_to_stop else 0.0))
        first = min(ends)
        return None if math.isinf(first) else max(0.05, first - time.perf_counter())

    @property
    def _grace_s(self) -> float:
        """Seconds that a trial has for the epoch that it is in, once the time is over."""
        return max(30.0, 0.1 * seconds_in(self.plan.job.time_budget or "0"))

    def _end_in_time(self, workers: Workers) -> None:
        """Have trials end with their epoch once the search's time is over, and end those that take too long."""
        now = time.perf_counter()
        for key in workers.running:
            if now >= self._began[key] + self._timeout_s:
                self._kill(workers, key, f"it took longer than {self.plan.job.trial_timeout}")
            elif now >= self._deadline + self._grace_s and self.state.scored:
                self._kill(workers, key, "its epoch outlasted the time budget")
        if now >= self._deadline and not self._told_to_stop and self.open:
            self._told_to_stop = True
            for key in workers.running:
                self.state.trials[key].reason = OUT_OF_TIME
                workers.tell(key, {"stop": True})

    def _kill(self, workers: Workers, key: str, reason: str) -> None:
        self.state.trials[key].reason = reason
        workers.kill(key)

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
            "epochs": record.stopped_at or record.epochs or plan.job.epochs,
            "threads": threads_of(plan.job.workers),
            "folds": list(plan.folds),
            "rungs": list(plan.rungs),
        }
        self._began[record.trial_id] = time.perf_counter()
        limit = bytes_in(plan.job.memory) if plan.job.memory is not None else None
        workers.start(record.trial_id, run_trial, payload, memory_bytes=limit)

    def _left_behind(self, record: TrialRecord) -> TrackedRun | None:
        """The run of a trial that an earlier driver began and was stopped before it could write that down."""
        if not self._resumed:
            return None
        wanted = f"tags.`{PARENT_TAG}` = '{self.state.run_id}' and tags.`zoo.trial` = '{record.trial_id}'"
        found = self.store.search(wanted, limit=1)
        return TrackedRun.reopen(self.store, found[0].info.run_id) if found else None

    def _hear(self, workers: Workers, trial_id: str, epoch: int, scores: Mapping[str, float]) -> None:
        """Take in an epoch of a trial, and at a rung say whether it goes on."""
        value = scores.get(self.plan.objective, math.nan)
        best = self._best_yet.get(trial_id, math.nan)
        better = min if self.plan.direction == "min" else max
        self._best_yet[trial_id] = value if math.isnan(best) else best if math.isnan(value) else better(best, value)
        if epoch not in self.rungs.epochs:
            return
        record = self.state.trials[trial_id]
        # A trial that goes on from a checkpoint is judged by what it has shown since.
        goes_on = self.rungs.goes_on(trial_id, epoch, self._best_yet[trial_id])
        if not goes_on:
            record.stopped_at = epoch
        self.save()
        workers.tell(trial_id, {"go": True} if goes_on else {"stop": True})

    def _handle(self, workers: Workers, event: Event) -> None:
        if event.kind == "message":
            self._hear(workers, event.key, event.value["epoch"], event.value["scores"])
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
        record.ended_s = self.state.seconds
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
        record.status, record.score = "COMPLETED" if record.stopped_at is None else "PRUNED", score
        if record.stopped_at is not None:
            record.reason = f"stopped after epoch {result['epochs_run']}: not among the best third that came so far"
            run.tags({STATUS_TAG: "pruned", "zoo.pruned_epoch": str(result["epochs_run"])})
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
        told, blame = _reason(event)
        record.reason = record.reason if event.kind == "died" and event.value["killed"] else told
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
            # Stopped between the trial's end and its run's.
            if self.state.trials[trial_id].status in ("COMPLETED", "PRUNED"):
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
