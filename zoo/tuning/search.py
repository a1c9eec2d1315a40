"""The search loop: an oracle proposes, workers train, the driver alone writes state and MLflow."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import JobError, listed
from zoo.running.search_progress import Ended, SearchProgress
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.tracked_run import TrackedRun
from zoo.tuning.execution.create_executor import threads_of
from zoo.tuning.execution.executor import Event, TrialExecutor
from zoo.tuning.failures import killed_from_outside, reason_of
from zoo.tuning.objective import SECONDS
from zoo.tuning.oracles.ask_tell import AskTell, ProposedTrial
from zoo.tuning.pruning import Racing, SuccessiveHalving
from zoo.tuning.storage.journal import SearchJournal
from zoo.tuning.storage.records import SearchPlan, SearchState, TrialRecord, as_trained
from zoo.tuning.time_budget import TimeBudgetClock
from zoo.tuning.trial import run_trial

# Searches whose next trial does not hang on how the last one ended, or hardly.
_ASKED_AHEAD = ("random", "asha", "bayesian")
OUT_OF_TIME = "the search's time was over"
STATUS_TAG = "zoo.status"
# Of a trial by a hand from outside; what dies again has itself to blame, as one that takes all memory. Nodes that are
# lent for a while are lost more often.
MOST_DEATHS, MOST_LOST = 1, 5


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
        self.rungs = SuccessiveHalving(plan.rungs, plan.objective.watched_direction, state.rungs)
        state.rungs = self.rungs.scores
        self.race = Racing(plan.objective.direction, state.fits)
        state.fits = self.race.scores
        for record in state.scored:
            self.race.ended(record.trial_id, complete=record.status == "COMPLETED" and record.trial_id in state.fits)
        self.keeper = SearchJournal(plan.folder, state, oracle)
        self.clock = TimeBudgetClock(plan.job, state.seconds)
        cut = [record for record in state.trials.values() if record.status == "RUNNING"]
        # What was asked for ahead by a driver that was stopped, when there are to be fewer trials now.
        fresh = [record for record in cut if not plan.folder.has_begun(record.trial_id)]
        self._take_back(fresh[::-1][: max(0, len(state.trials) - plan.job.trials)])
        self._waiting = [record for record in cut if record.trial_id in state.trials]
        self._dropped: set[str] = set()
        self._best_yet: dict[str, float] = {}
        self._resumed = bool(state.trials)
        self._mark = time.perf_counter()
        self._without_epoch: set[str] = set()

    def run(self, workers: TrialExecutor) -> None:
        """Run trials until the oracle has no more.

        Raises:
            UsageError, JobError: When a trial fails by the data's or the model's fault: no other would do better.
        """
        waiting = self._waiting
        try:
            while True:
                while workers.free and (record := self._following(waiting)) is not None:
                    self._start(workers, record)
                if self._asks_ahead and not waiting and not workers.free and (record := self._next()) is not None:
                    waiting.append(record)
                if not workers.running:
                    break
                for event in workers.wait(self.clock.patience(self.open)):
                    if event.kind == "done" and waiting and self.clock.left_s > 0:
                        self._start(workers, waiting.pop(0))  # no worker waits for the book-keeping of what ended
                    self._handle(workers, event)
                self._end_in_time(workers)
            self._take_back(waiting)
        except KeyboardInterrupt:
            self._end_open("KILLED", "interrupted")
            raise
        except BaseException as error:
            self._end_open("FAILED", str(error))
            raise
        finally:
            self.save()

    @property
    def _asks_ahead(self) -> bool:
        """Whether the next trial is thought about while all workers are busy: then none of them waits for it."""
        return self.state.search in _ASKED_AHEAD and self.plan.job.workers > 1

    def _take_back(self, waiting: list[TrialRecord]) -> None:
        """Forget trials that were asked for ahead, and not begun in time; end the runs of those that were cut."""
        for record in waiting:
            if record.run_id is not None:
                self.store.client.set_terminated(record.run_id, "KILLED")
            elif not self.plan.folder.has_begun(record.trial_id):
                self.oracle.forget(record.oracle_id)
                del self.state.trials[record.trial_id]

    def save(self, record: TrialRecord | None = None) -> None:
        """Store what changed of a trial; without one, everything."""
        now = time.perf_counter()
        self.state.seconds += now - self._mark
        self._mark = now
        self.keeper.save(record)

    def best(self) -> TrialRecord:
        """Return the trial with the best score.

        Raises:
            JobError: When none has one.
        """
        ranked = self.ranked()
        if not ranked:
            reasons = sorted({record.reason for record in self.state.trials.values()})
            raise JobError(f"no trial completed: {listed(reasons, 2, '; ') or 'there were none'}")
        return ranked[0]

    def ranked(self) -> list[TrialRecord]:
        """Return the trials that have a score, the best first; one that was stopped between folds only has a guess."""
        done = [record for record in self.state.scored if record.lost_to is None]
        sign = 1 if self.plan.objective.direction == "min" else -1
        return sorted(done, key=lambda record: sign * (record.score if record.score is not None else math.inf))

    def _following(self, waiting: list[TrialRecord]) -> TrialRecord | None:
        """The trial that is started next: one that was cut, or a new one; none once the time is over."""
        if self.clock.left_s <= 0 and (self.open or self.state.scored):
            return None
        return waiting.pop(0) if waiting else self._next()

    def _end_in_time(self, workers: TrialExecutor) -> None:
        """Have trials end with their epoch once the search's time is over, and end those that take too long.

        One without an epoch ends at once where others have a score: it goes on when the search gets more time.
        """
        for key in workers.running:
            if (reason := self.clock.overdue(key, scored=bool(self.state.scored))) is not None:
                self._kill(workers, key, reason)
        if self.clock.left_s <= 0 and not self.clock.told_to_stop and self.open:
            self.clock.told_to_stop = True
            for key in workers.running:
                self.state.trials[key].reason = OUT_OF_TIME
                if self.state.scored and key not in self._best_yet:
                    self._without_epoch.add(key)
                    workers.kill(key)
                else:
                    workers.tell(key, {"stop": True})

    def _kill(self, workers: TrialExecutor, key: str, reason: str) -> None:
        self.state.trials[key].reason = reason
        workers.kill(key)

    def _next(self) -> TrialRecord | None:
        asked: ProposedTrial = self.oracle.ask()
        if asked.hyperparameters is None:
            return None
        if asked.promotes is not None:
            record = next(known for known in self.state.trials.values() if known.oracle_id == asked.promotes)
            record.status = "RUNNING"
        else:
            number = str(len(self.state.trials))
            record = self.state.trials[number] = TrialRecord(number, dict(asked.hyperparameters))
        record.oracle_id, record.epochs = asked.oracle_id, asked.epochs
        self.save(record)  # what its process leaves in its folder must never meet another trial of the same number
        return record

    def _start(self, workers: TrialExecutor, record: TrialRecord) -> None:
        plan = self.plan
        payload = {
            "model": plan.job.model,
            "task": plan.task,
            "folder": str(plan.folder.trial(record.trial_id)),
            "hyperparameters": record.hyperparameters,
            "epochs": record.stopped_at or record.epochs or plan.job.epochs,
            "threads": threads_of(plan.job),
            "deterministic": plan.job.deterministic,
            "rungs": list(plan.rungs),
            "fits": [list(fit) for fit in plan.fits],
            "folds": plan.folds,
            "objective": plan.objective.name,
            "direction": plan.objective.direction,
            "prefix": plan.objective.prefix,
            "measured": list(plan.objective.measured),
            "constraints": [str(known) for known in plan.objective.constraints],
        }
        self.clock.forget(record.trial_id)
        workers.start(record.trial_id, run_trial, payload, memory_bytes=plan.job.memory_bytes)
        self._track(record)

    def _track(self, record: TrialRecord) -> None:
        """Open the run of a trial that has been started: the process need not wait for it."""
        if record.run_id is None:
            tags = {**self.plan.tags, "zoo.trial": record.trial_id, "zoo.search": self.state.run_id}
            run = self._left_behind(record) or TrackedRun.create(
                self.store, self.experiment, f"trial {record.trial_id}", tags=tags, parent=self.state.run_id
            )
            record.run_id = run.run_id
            self.open[record.trial_id] = run
            run.params(as_trained(record.hyperparameters, self.plan.job.epochs))
        else:
            self.open[record.trial_id] = TrackedRun.reopen(self.store, record.run_id)
            record.reason = ""
        self.save(record)

    def _left_behind(self, record: TrialRecord) -> TrackedRun | None:
        """The run of a trial that an earlier driver began and was stopped before it could write that down."""
        if not self._resumed:
            return None
        wanted = f"tags.`{PARENT_TAG}` = '{self.state.run_id}' and tags.`zoo.trial` = '{record.trial_id}'"
        found = self.store.search(wanted, limit=1)
        return TrackedRun.reopen(self.store, found[0].info.run_id) if found else None

    def _hear_fit(self, workers: TrialExecutor, trial_id: str, number: int, score: float) -> None:
        """Take in the score of a fold, or a seed, and say whether the next one is worth while."""
        better = self.race.take(trial_id, number, score)
        if number == len(self.plan.fits):
            return
        record = self.state.trials[trial_id]
        record.lost_to = better
        if better is not None:
            known = "folds" if self.plan.folds else "seeds"
            record.reason = (
                f"stopped after {number} of {len(self.plan.fits)} {known}: clearly worse than trial {better}"
            )
        self.save(record)
        workers.tell(trial_id, {"go": True} if better is None else {"stop": True})

    def _hear(self, workers: TrialExecutor, trial_id: str, epoch: int, scores: Mapping[str, float]) -> None:
        """Take in an epoch of a trial, and at a rung say whether it goes on."""
        self._note_best(trial_id, [scores.get(self.plan.objective.watched, math.nan)])
        if epoch not in self.rungs.epochs:
            return
        record = self.state.trials[trial_id]
        goes_on = self.rungs.goes_on(trial_id, epoch, self._best_yet[trial_id])
        if not goes_on:
            record.stopped_at = epoch
        self.save(record)
        workers.tell(trial_id, {"go": True} if goes_on else {"stop": True})

    def _note_best(self, trial_id: str, values: Sequence[float]) -> None:
        """Take down the best that a trial has shown so far; not a number where it has shown none."""
        better = np.fmin if self.plan.objective.watched_direction == "min" else np.fmax
        self._best_yet[trial_id] = float(better.reduce([self._best_yet.get(trial_id, math.nan), *values]))

    def _handle(self, workers: TrialExecutor, event: Event) -> None:
        if event.kind == "message":
            told = event.value
            if "fit" in told:
                self._hear_fit(workers, event.key, told["fit"], told["score"])
            elif "began" in told:
                self.clock.begin(event.key)
            elif "recalled" in told:
                self._note_best(event.key, told["recalled"].get(self.plan.objective.watched, []))
            else:
                self._hear(workers, event.key, told["epoch"], told["scores"])
            return
        record = self.state.trials[event.key]
        record.seconds += event.value["seconds"] if event.kind == "done" else self.clock.seconds_of(event.key)
        run = self.open[event.key]
        if event.kind == "died" and event.key in self._without_epoch:
            run.end("KILLED", OUT_OF_TIME)
            del self.open[event.key]
            self.save(record)
            self.progress.say(f"note: trial {event.key} had no epoch yet when the time was over; with more it goes on")
            return
        lost = event.kind == "died" and event.value.get("lost", False)
        if killed_from_outside(event) and record.deaths < (MOST_LOST if lost else MOST_DEATHS):
            record.deaths += 1
            self._waiting.insert(0, record)  # it goes on from its checkpoint
            del self.open[event.key]
            self.save(record)
            what = "its node was lost" if lost else "its process was killed from outside"
            self.progress.say(f"note: trial {event.key}: {what}; it goes on from its checkpoint")
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
        known = record.result.get("epochs_run", 0)
        record.result, record.hyperparameters = result, values
        run.params(as_trained(values, self.plan.job.epochs))
        run.epochs(result["history"], after=known)
        facts = {SECONDS: record.seconds, **result["scores"]}  # of several fits it is the mean
        score = objective.score(result, facts)
        broken = objective.broken(facts)
        epochs = {"best_epoch": result["best_epoch"], "epochs_run": result["epochs_run"]}
        run.metrics({**facts, **({} if math.isnan(score) else {objective.name: score}), **epochs})
        if broken is not None:
            constraint, excess = broken
            record.reason = f"{constraint.name} is {facts[constraint.name]:.6g}, and must keep to {constraint}"
            self._refuse(record, run, answer, excess)
            return
        if math.isnan(score):
            record.status, record.reason = "FAILED", f"{objective.name} is not a number"
            self.oracle.tell(record.oracle_id, None, record.reason)
            run.end("FAILED", record.reason)
            return
        record.status, record.score = "COMPLETED", score
        told = score
        if record.stopped_at is not None:
            record.reason = f"stopped after epoch {result['epochs_run']}: not among the best third that came so far"
            self._prune(record, run)
        elif record.lost_to is not None:
            told = record.score = self.race.estimate(record.trial_id, record.lost_to)
            self._prune(record, run)
        self.race.ended(record.trial_id, complete=record.status == "COMPLETED" and record.trial_id in self.state.fits)
        self.oracle.tell(record.oracle_id, told, space=answer["space"], values=values)
        run.end("FINISHED")
        self._keep_best()

    def _prune(self, record: TrialRecord, run: TrackedRun) -> None:
        record.status = "PRUNED"
        run.tags(
            {STATUS_TAG: "pruned", "zoo.pruned_epoch": str(record.result["epochs_run"]), "zoo.reason": record.reason}
        )

    def _refuse(self, record: TrialRecord, run: TrackedRun, answer: dict[str, Any], excess: float) -> None:
        """End a trial that breaks a constraint; the oracle hears of a score that is worse the further it is beyond."""
        scores = [known.score for known in self.state.scored if known.score is not None]
        sign = 1 if self.plan.objective.direction == "min" else -1
        told = None
        if scores:
            worst = max(scores, key=lambda score: sign * score)
            told = worst + sign * (np.ptp(scores) + 1e-3 * abs(worst)) * min(1 + excess, 10.0)
        self._prune(record, run)
        values = answer["hyperparameters"]
        self.oracle.tell(record.oracle_id, told, record.reason, space=answer["space"], values=values)
        run.end("FINISHED")

    def _keep_best(self) -> None:
        """Remove checkpoints of trials that are neither among the best nor may go on."""
        best = [record.trial_id for record in self.ranked()[: self.plan.job.keep]]
        for record in self.state.trials.values():
            gone = record.trial_id in self._dropped or record.status == "RUNNING" or record.trial_id in best
            if not gone and record.trial_id not in self.open and not self.oracle.may_promote(record.oracle_id):
                self.plan.folder.drop_trial(record.trial_id)
                self._dropped.add(record.trial_id)

    def _fail(self, record: TrialRecord, run: TrackedRun, event: Event) -> None:
        told, blame = reason_of(event, self.plan.job.memory)
        record.reason = record.reason if event.kind == "died" and event.value["killed"] else told
        run.end("FAILED", record.reason)
        if blame is not None:
            raise blame  # the trial counts as running, so that it is run again once the cause is mended
        record.status = "FAILED"
        self.oracle.tell(record.oracle_id, None, record.reason)

    def _show(self, record: TrialRecord) -> None:
        best = next(iter(self.ranked()), None)
        done = [known for known in self.state.trials.values() if known.status != "RUNNING"]
        each_s = float(np.mean([known.seconds for known in done])) / self.plan.job.workers
        left_s = min(each_s * (self.plan.job.trials - len(done)), self.clock.left_s)
        self.progress.trial(
            Ended(
                record.trial_id, record.status, record.score, record.reason, record.hyperparameters, record.seconds,
                best.trial_id if best is not None else "", best.score if best is not None else None,
                len(done), max(left_s, 0.0),
            )
        )  # fmt: skip

    def _end_open(self, status: str, reason: str) -> None:
        for trial_id, run in self.open.items():
            # Stopped between the trial's end and its run's.
            if self.state.trials[trial_id].status in ("COMPLETED", "PRUNED"):
                run.end("FINISHED")
            else:
                run.end(status, reason)
        self.open.clear()
