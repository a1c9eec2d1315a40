"""The search loop: the oracle proposes, workers train, and only the driver writes state and MLflow runs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.fitting.model_builder import MODEL
from zoo.running.search_progress import Ended, SearchProgress
from zoo.task import load_task
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.tracked_run import TrackedRun
from zoo.tuning.execution.create_executor import choose_threads
from zoo.tuning.execution.executor import Event, TrialExecutor
from zoo.tuning.failures import explain_failure, was_killed_from_outside
from zoo.tuning.objective import SECONDS
from zoo.tuning.oracles.ask_tell import AskTell, ProposedTrial
from zoo.tuning.pruning import Racing, SuccessiveHalving
from zoo.tuning.select_trial import find_defaults
from zoo.tuning.storage.journal import SearchJournal
from zoo.tuning.storage.records import SearchPlan, SearchState, TrialRecord, apply_epochs
from zoo.tuning.time_budget import TimeBudgetClock
from zoo.tuning.trial import run_trial

# Searches whose next trial does not depend, or hardly, on the result of the last one.
_PREFETCHING = ("random", "asha", "bayesian")
OUT_OF_TIME = "the time budget of the search was over"
STATUS_TAG = "zoo.status"
# How often a trial is restarted after a kill from outside; one killed again is probably the cause itself, for example
# by taking all memory. Preemptible nodes are lost more often.
MAX_DEATHS, MAX_LOST_NODES = 1, 5


class SearchLoop:
    """Runs a search until it has its trials.

    Args:
        plan: What stays the same during the search.
        oracle: Proposes trials.
        state: Trials and scores so far.
        store: Where runs are tracked.
        experiment: MLflow's experiment.
        progress: Shows each trial.
    """

    def __init__(
        self,
        plan: SearchPlan,
        oracle: AskTell,
        state: SearchState,
        store: Store,
        experiment: Any,
        progress: SearchProgress,
    ) -> None:
        self.plan, self.oracle, self.state = plan, oracle, state
        self.store, self.experiment, self.progress = store, experiment, progress
        self.open: dict[str, TrackedRun] = {}
        self.halving = SuccessiveHalving(plan.rungs, plan.objective.monitor_direction, state.rungs)
        state.rungs = self.halving.scores
        self.racing = Racing(plan.objective.direction, state.fits)
        state.fits = self.racing.scores
        for record in state.scored:
            self.racing.ended(record.trial_id, complete=record.status == "COMPLETED" and record.trial_id in state.fits)
        self.journal = SearchJournal(plan.folder, state, oracle)
        self.clock = TimeBudgetClock(plan.job, state.seconds, plan.began)
        unfinished = [record for record in state.trials.values() if record.status == "RUNNING"]
        # Prefetched by a driver that was stopped; too many if fewer trials are wanted now.
        not_started = [record for record in unfinished if not plan.folder.has_begun(record.trial_id)]
        self._discard_prefetched(not_started[::-1][: max(0, len(state.trials) - plan.job.most_trials)])
        self._pending = [record for record in unfinished if record.trial_id in state.trials]
        self._dropped: set[str] = set()
        self._best_so_far: dict[str, float] = {}
        self._resumed = bool(state.trials)
        self._mark = plan.began
        self._killed_without_epoch: set[str] = set()

    def run(self, executor: TrialExecutor) -> None:
        """Run trials until the oracle has no more.

        Raises:
            UsageError, JobError: When a trial fails for a reason that would make every other fail too.
        """
        pending = self._pending
        try:
            while True:
                while executor.free and (record := self._next_to_start(pending)) is not None:
                    self._start(executor, record)
                if self._prefetches and not pending and not executor.free and (record := self._next()) is not None:
                    pending.append(record)
                if not executor.running:
                    break
                for event in executor.wait(self.clock.patience(self.open)):
                    if event.kind == "done" and pending and self.clock.left_s > 0:
                        self._start(executor, pending.pop(0))  # before the bookkeeping, so that no worker waits for it
                    self._on_event(executor, event)
                self._enforce_time_budget(executor)
            self._discard_prefetched(pending)
        except KeyboardInterrupt:
            self._end_open("KILLED", "interrupted")
            raise
        except BaseException as error:
            self._end_open("FAILED", str(error))
            raise
        finally:
            self.save()

    @property
    def _prefetches(self) -> bool:
        """Whether the next trial is proposed while all workers are busy, so that no worker waits for the oracle."""
        return self.state.search in _PREFETCHING and self.plan.job.workers > 1

    def _discard_prefetched(self, records: list[TrialRecord]) -> None:
        """Discard prefetched trials that have not started, and end the runs of interrupted ones."""
        for record in records:
            if record.run_id is not None:
                self.store.client.set_terminated(record.run_id, "KILLED")
            elif not self.plan.folder.has_begun(record.trial_id):
                self.oracle.forget(record.oracle_id)
                del self.state.trials[record.trial_id]

    def save(self, record: TrialRecord | None = None) -> None:
        """Store what changed in a trial; without a trial, store everything."""
        now = time.perf_counter()
        self.state.seconds += now - self._mark
        self._mark = now
        self.journal.save(record)

    def kept(self) -> list[TrialRecord]:
        """Return the trials whose weights are kept: the best ones, and the best one with default hyperparameters."""
        best = self.ranked()[: self.plan.job.keep]
        return best + [record for record in self.defaults()[:1] if record not in best]

    def defaults(self) -> list[TrialRecord]:
        """Return the trials with a model's default hyperparameters, best first."""
        return find_defaults(self.ranked(), self.plan.defaults)

    def ranked(self) -> list[TrialRecord]:
        """Return the trials with a measured score, best first; trials stopped between folds only have an estimate."""
        done = [record for record in self.state.scored if record.lost_to is None]
        return sorted(done, key=lambda record: self.plan.objective.direction.key(record.score))

    def _next_to_start(self, pending: list[TrialRecord]) -> TrialRecord | None:
        """Return the next trial to start, a pending or a new one; None once the time is over."""
        if self.clock.left_s <= 0 and (self.open or self.state.scored):
            return None
        return pending.pop(0) if pending else self._next()

    def _enforce_time_budget(self, executor: TrialExecutor) -> None:
        """Stop all trials after their current epoch once the time is over, and kill those that take too long.

        If other trials have a score, a trial without an epoch is killed at once; it resumes with a larger budget.
        """
        for key in executor.running:
            if (reason := self.clock.overdue(key, scored=bool(self.state.scored))) is not None:
                self._kill(executor, key, reason)
        if self.clock.left_s <= 0 and not self.clock.stop_sent and self.open:
            self.clock.stop_sent = True
            for key in executor.running:
                self.state.trials[key].reason = OUT_OF_TIME
                if self.state.scored and key not in self._best_so_far:
                    self._killed_without_epoch.add(key)
                    executor.kill(key)
                else:
                    executor.tell(key, {"stop": True})

    def _kill(self, executor: TrialExecutor, key: str, reason: str) -> None:
        self.state.trials[key].reason = reason
        executor.kill(key)

    def _next(self) -> TrialRecord | None:
        proposal: ProposedTrial = self.oracle.ask()
        if proposal.hyperparameters is None:
            return None
        if proposal.promotes is not None:
            record = next(trial for trial in self.state.trials.values() if trial.oracle_id == proposal.promotes)
            record.status = "RUNNING"
        else:
            number = str(len(self.state.trials))
            record = self.state.trials[number] = TrialRecord(number, dict(proposal.hyperparameters))
        record.oracle_id, record.epochs = proposal.oracle_id, proposal.epochs
        self.save(record)  # before its process starts: no other trial may get its number and the files in its folder
        return record

    def _start(self, executor: TrialExecutor, record: TrialRecord) -> None:
        plan = self.plan
        payload = {
            "model": plan.job.model,
            "task": plan.task,
            "source": plan.job.source if "environment" in load_task(plan.task).reads else None,
            "folder": str(plan.folder.trial(record.trial_id)),
            "hyperparameters": record.hyperparameters,
            "epochs": record.stopped_at or record.epochs or plan.job.epochs,
            "threads": choose_threads(plan.job),
            "deterministic": plan.job.deterministic,
            "hardware": plan.job.hardware,
            "rungs": list(plan.rungs),
            "fits": [list(fit) for fit in plan.fits],
            "folds": plan.folds,
            "objective": plan.objective.name,
            "direction": plan.objective.direction,
            "prefix": plan.objective.prefix,
            "measured": list(plan.objective.extra_metrics),
            "constraints": list(map(str, plan.objective.constraints)),
        }
        self.clock.forget(record.trial_id)
        executor.start(record.trial_id, run_trial, payload, memory_bytes=plan.job.memory_bytes)
        self._track(record)

    def _track(self, record: TrialRecord) -> None:
        """Open the run of a trial after its process has been started, so that the process need not wait for it."""
        if record.run_id is None:
            tags = {**self.plan.tags, "zoo.trial": record.trial_id, "zoo.search": self.state.run_id}
            model = record.hyperparameters.get(MODEL, self.plan.tags["zoo.model"])
            name = f"trial {record.trial_id} · {model}"
            run = self._find_orphaned_run(record) or TrackedRun.create(
                self.store, self.experiment, name, tags=tags, parent=self.state.run_id
            )
            record.run_id = run.run_id
            self.open[record.trial_id] = run
            run.params(apply_epochs(record.hyperparameters, self.plan.job.epochs))
        else:
            self.open[record.trial_id] = TrackedRun.reopen(self.store, record.run_id)
            record.reason = ""
        self.save(record)

    def _find_orphaned_run(self, record: TrialRecord) -> TrackedRun | None:
        """Return the run of a trial whose driver was stopped before it could store the run's id."""
        if not self._resumed:
            return None
        filter_string = f"tags.`{PARENT_TAG}` = '{self.state.run_id}' and tags.`zoo.trial` = '{record.trial_id}'"
        runs = self.store.search(filter_string, limit=1)
        return TrackedRun.reopen(self.store, runs[0].info.run_id) if runs else None

    def _on_fit(self, executor: TrialExecutor, trial_id: str, number: int, score: float) -> None:
        """Record the score of a fold or seed, and tell the trial whether to train the next."""
        better = self.racing.take(trial_id, number, score)
        if number == len(self.plan.fits):
            return
        record = self.state.trials[trial_id]
        record.lost_to = better
        if better is not None:
            unit = "folds" if self.plan.folds else "seeds"
            record.reason = f"pruned after {number} of {len(self.plan.fits)} {unit}: clearly worse than trial {better}"
        self.save(record)
        executor.tell(trial_id, {"go": True} if better is None else {"stop": True})

    def _on_epoch(self, executor: TrialExecutor, trial_id: str, epoch: int, scores: Mapping[str, float]) -> None:
        """Record an epoch's scores, and at a rung tell the trial whether to continue."""
        self._update_best(trial_id, [scores.get(self.plan.objective.monitor, math.nan)])
        if epoch not in self.halving.epochs:
            return
        record = self.state.trials[trial_id]
        goes_on = self.halving.goes_on(trial_id, epoch, self._best_so_far[trial_id])
        if not goes_on:
            record.stopped_at = epoch
        self.save(record)
        executor.tell(trial_id, {"go": True} if goes_on else {"stop": True})

    def _update_best(self, trial_id: str, values: Sequence[float]) -> None:
        """Update a trial's best monitored score so far; not-a-number if it has none."""
        best = self._best_so_far.get(trial_id, math.nan)
        self._best_so_far[trial_id] = self.plan.objective.monitor_direction.best([best, *values])

    def _on_event(self, executor: TrialExecutor, event: Event) -> None:
        if event.kind == "message":
            message = event.value
            if "fit" in message:
                self._on_fit(executor, event.key, message["fit"], message["score"])
            elif "began" in message:
                self.clock.begin(event.key)
            elif "recalled" in message:
                self._update_best(event.key, message["recalled"].get(self.plan.objective.monitor, []))
            else:
                self._on_epoch(executor, event.key, message["epoch"], message["scores"])
            return
        record = self.state.trials[event.key]
        record.seconds += event.value["seconds"] if event.kind == "done" else self.clock.seconds_of(event.key)
        run = self.open[event.key]
        if event.kind == "died" and event.key in self._killed_without_epoch:
            run.end("KILLED", OUT_OF_TIME)
            del self.open[event.key]
            self.save(record)
            self.progress.say(f"note: trial {event.key} has no finished epoch; it resumes if you raise --time-budget")
            return
        lost = event.kind == "died" and event.value.get("lost", False)
        if was_killed_from_outside(event) and record.deaths < (MAX_LOST_NODES if lost else MAX_DEATHS):
            record.deaths += 1
            self._pending.insert(0, record)  # it resumes from its checkpoint
            del self.open[event.key]
            self.save(record)
            what = "its node was lost" if lost else "its process was killed from outside"
            self.progress.say(f"note: trial {event.key}: {what}; it resumes from its checkpoint")
            return
        if event.kind == "done":
            self._complete(record, run, event.value)
        else:
            self._fail(record, run, event)
        del self.open[event.key]
        record.ended_s = self.state.seconds + time.perf_counter() - self._mark
        self.save(record)
        self._show(record)

    def _complete(self, record: TrialRecord, run: TrackedRun, answer: dict[str, Any]) -> None:
        result, values, objective = answer["result"], answer["hyperparameters"], self.plan.objective
        record.result, record.hyperparameters = result, values
        run.params(apply_epochs(values, self.plan.job.epochs))
        run.epochs(result["history"])
        facts = {SECONDS: record.seconds, **result["scores"]}  # with several fits, their means
        score = objective.score(result, facts)
        violation = objective.violation(facts)
        epochs = {"best_epoch": result["best_epoch"], "epochs_run": result["epochs_run"]}
        run.metrics({**facts, **({} if math.isnan(score) else {objective.name: score}), **epochs})
        if violation is not None:
            constraint, excess = violation
            record.reason = f"{constraint.name} is {facts[constraint.name]:.6g}, which violates {constraint}"
            self._reject(record, run, answer, excess)
            return
        if math.isnan(score):
            record.status, record.reason = "FAILED", f"{objective.name} is not a number"
            self.oracle.tell(record.oracle_id, None, record.reason)
            run.end("FAILED", record.reason)
            return
        record.status, record.score = "COMPLETED", score
        oracle_score = score
        if record.stopped_at is not None:
            record.reason = f"pruned after epoch {result['epochs_run']}: not among the best third so far"
            self._prune(record, run)
        elif record.lost_to is not None:
            oracle_score = record.score = self.racing.estimate(record.trial_id, record.lost_to)
            self._prune(record, run)
        self.racing.ended(record.trial_id, complete=record.status == "COMPLETED" and record.trial_id in self.state.fits)
        self.oracle.tell(record.oracle_id, oracle_score, space=answer["space"], values=values)
        run.end("FINISHED")
        self._keep_best()

    def _prune(self, record: TrialRecord, run: TrackedRun) -> None:
        record.status = "PRUNED"
        run.tags(
            {STATUS_TAG: "pruned", "zoo.pruned_epoch": str(record.result["epochs_run"]), "zoo.reason": record.reason}
        )

    def _reject(self, record: TrialRecord, run: TrackedRun, answer: dict[str, Any], excess: float) -> None:
        """End a trial that violates a constraint; the oracle gets a score that grows worse with the excess."""
        scores = [trial.score for trial in self.state.scored if trial.score is not None]
        direction = self.plan.objective.direction
        oracle_score = None
        if scores:
            worst = max(scores, key=direction.key)
            oracle_score = worst + direction.sign * (np.ptp(scores) + 1e-3 * abs(worst)) * min(1 + excess, 10.0)
        self._prune(record, run)
        values = answer["hyperparameters"]
        self.oracle.tell(record.oracle_id, oracle_score, record.reason, space=answer["space"], values=values)
        run.end("FINISHED")

    def _keep_best(self) -> None:
        """Remove checkpoints of trials that are neither among the best nor may be promoted."""
        best = [record.trial_id for record in self.kept()]
        for record in self.state.trials.values():
            gone = record.trial_id in self._dropped or record.status == "RUNNING" or record.trial_id in best
            if not gone and record.trial_id not in self.open and not self.oracle.may_promote(record.oracle_id):
                self.plan.folder.drop_trial(record.trial_id)
                self._dropped.add(record.trial_id)

    def _fail(self, record: TrialRecord, run: TrackedRun, event: Event) -> None:
        reason, error = explain_failure(event, self.plan.job.memory)
        record.reason = record.reason if event.kind == "died" and event.value["killed"] else reason
        run.end("FAILED", record.reason)
        if error is not None:
            raise error  # the trial stays RUNNING, so that it runs again once the cause is fixed
        record.status = "FAILED"
        self.oracle.tell(record.oracle_id, None, record.reason)

    def _show(self, record: TrialRecord) -> None:
        best = next(iter(self.ranked()), None)
        done = [trial for trial in self.state.trials.values() if trial.status != "RUNNING"]
        each_s = float(np.mean([trial.seconds for trial in done])) / self.plan.job.workers
        values = apply_epochs(record.hyperparameters, self.plan.job.epochs)
        left_s = min(each_s * (self.plan.job.most_trials - len(done)), self.clock.left_s)
        self.progress.trial(
            Ended(
                record.trial_id, record.status, record.score, record.reason, values, record.seconds,
                best.trial_id if best is not None else "", best.score if best is not None else None,
                len(done), max(left_s, 0.0),
            )
        )  # fmt: skip

    def _end_open(self, status: str, reason: str) -> None:
        for trial_id, run in self.open.items():
            # Interrupted after the trial ended, before its run was ended.
            if self.state.trials[trial_id].status in ("COMPLETED", "PRUNED"):
                run.end("FINISHED")
            else:
                run.end(status, reason)
        self.open.clear()
