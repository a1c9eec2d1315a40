"""The end of a search: evaluate the best trial's model once on test, or refit it on all rows except the test split."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.data.dataset import Dataset
from zoo.errors import JobError, UsageError, join_first
from zoo.fitting.fit import Fitted, Plan, fit_built
from zoo.fitting.model_builder import MODEL, ModelBuilder, create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import format_job
from zoo.jobs.search_options import TuneJob
from zoo.running.baselines import run_baselines
from zoo.running.finish import finish_run
from zoo.running.run_facts import begin_run, create_objective_tags, keep_split, run_tags, show_scores, split_of
from zoo.running.search_progress import SearchProgress
from zoo.stored_runs.lookup import load_run
from zoo.stored_runs.results import Run, Search, Trial
from zoo.text import format_number
from zoo.tracking.store import Store
from zoo.tracking.tags import BEST_TAG, JOB_FILE
from zoo.tracking.tracked_run import TrackedRun, end_run
from zoo.training.training_state import FitResult
from zoo.tuning.objective import Objective
from zoo.tuning.search import SearchLoop
from zoo.tuning.select_trial import TrialComparison, select_trial
from zoo.tuning.storage.records import SearchState, TrialRecord, apply_epochs
from zoo.tuning.storage.search_folder import SearchFolder
from zoo.tuning.summary import describe_search, draw_figures, rank_hyperparameters, select_varied
from zoo.tuning.trial import CHECKPOINT_FILE, WEIGHTS_FILE, fit_result, restore_hyperparameters, restore_weights

REFIT = "refit"


@dataclass
class Finishing:
    """Finishes a search.

    Args:
        job: The search job.
        builder: Builder of the model.
        dataset: The dataset.
        store: The store that tracks the runs.
        folder: Folder of the search, with the weights of the trials.
        progress: Where to show progress.
        objective: Objective of the search.
    """

    job: TuneJob
    builder: ModelBuilder
    dataset: Dataset
    store: Store
    folder: SearchFolder
    progress: SearchProgress
    objective: Objective

    def finish(self, loop: SearchLoop, parent: TrackedRun, experiment: Any) -> Search:
        """Evaluate the model of the best trial, or its refit, once on test, and tag the parent run with its id."""
        state, kept = loop.state, loop.kept()
        if not kept:
            reasons = sorted({record.reason for record in state.trials.values()})
            raise JobError(f"no trial completed: {join_first(reasons, 2, '; ') or 'no trial was started'}")
        for record in kept:
            self.folder.fetch_trial(record.trial_id)
        best, why = self._select(loop)
        state.importance = rank_hyperparameters(state, self.job.epochs)
        fresh = state.best != best.trial_id
        if self.job.refit and (fresh or state.refitted is None):
            run = self._refit(best, parent, experiment, why)
            state.refitted = run.run_id
        elif fresh:
            run = self._finish_best(best, *self.run_baselines(experiment), why)
            state.refitted = None
        else:
            run = self._stored_best(state)
        state.best, state.select = best.trial_id, self.job.select
        loop.save()
        # As tags, for MLflow's parameters cannot change, and a search that is extended may have another best.
        varied, chosen = select_varied(state, self.job.epochs), apply_epochs(best.hyperparameters, self.job.epochs)
        values = {f"best.{name}": str(chosen.get(name, "")) for name in varied}
        parent.tags({BEST_TAG: run.run_id, "mlflow.note.content": describe_search(state, run), **values})
        # Metrics are logged only once, so an extended search also updates its number of trials and best score in tags.
        parent.text(json.dumps([t.as_dict() for t in _trials(state, self.job)], indent=1), "trials.json")
        if self.job.figures:
            parent.figures(draw_figures(state, self.objective.name, self.objective.direction, self.job.epochs))
        assert best.score is not None
        parent.metrics({self.objective.name: best.score, "trials": len(state.trials)})
        ranked_by = (self.objective.name, self.objective.direction)
        show_scores(self.store, experiment, run, params=varied, by=ranked_by)
        self.folder.drop_data([record.trial_id for record in kept])
        return self._result(state, run)

    def _select(self, loop: SearchLoop) -> tuple[TrialRecord, tuple[str, ...]]:
        """Return the trial to use, and a note where it is not the first in the ranking."""
        ranked, first = loop.ranked(), loop.ranked()[0]
        if self.job.select == "best-score":
            return first, ()
        comparison = TrialComparison(
            self.job, self.builder, self.dataset, self.folder, self.objective, loop.state.fits, len(ranked)
        )
        best = select_trial(ranked, loop.defaults(), comparison.is_better, self.job.keep)
        if best is first:
            return best, ()
        default = loop.defaults()[0]
        rows = "the folds" if self.job.cv else f"{len(self.dataset.splits['validation']):,} validation rows"
        used = "which are used" if best is default else f"and trial {best.trial_id}, the first that is, is used"
        more = "" if self.job.cv else "--cv 5 ranks on more rows; "
        scores = [format_number(record.score) for record in (first, default)]
        return best, (
            f"the best {self.objective.name}, {scores[0]} of trial {first.trial_id}, is not significantly better on "
            f"{rows} than {scores[1]} of the default hyperparameters, {used}; {more}--select best-score uses the best "
            "score",
        )

    def recalled(self, state: SearchState) -> Search:
        """Return the stored result of a finished search; missing baselines are computed now."""
        search = self._result(state, self._stored_best(state))
        self.progress.say(f"this search is finished, in the experiment {search.best.experiment}; its stored result:")
        if self.job.experiment not in (None, search.best.experiment):
            raise UsageError(f"this search belongs to the experiment {search.best.experiment!r}", where="experiment")
        baselines, _ = self.run_baselines(self.store.experiment(search.best.experiment))
        search.best.baselines = {**search.best.baselines, **baselines}
        return search

    def _stored_best(self, state: SearchState) -> Run:
        assert state.best is not None
        return load_run(self.store, state.refitted or state.trials[state.best].run_id or "")

    def _result(self, state: SearchState, best: Run) -> Search:
        """Return the result of a finished search."""
        return Search(
            run_id=state.run_id,
            best=best,
            trials=_trials(state, self.job),
            direction=self.objective.direction,
            seconds=state.seconds,
            importance=state.importance,
            selected=state.best or "",
        )

    def run_baselines(self, experiment: Any) -> tuple[dict[str, dict[str, float]], list[str]]:
        """Return the metrics of the baselines and notes about skipped ones; what was computed before is only read."""
        return run_baselines(
            self.builder.task,
            self.dataset,
            self.job.baselines,
            store=self.store,
            experiment=experiment,
            seed=self.job.seed,
            threshold=self.job.threshold,
        )

    def _finish_best(
        self,
        best: TrialRecord,
        baselines: Mapping[str, Mapping[str, float]],
        notes: list[str],
        why: tuple[str, ...],
    ) -> Run:
        """Load the trial's saved weights into its network, and finish its run like a training run."""
        assert best.run_id is not None
        builder, values = self.builder, apply_epochs(best.hyperparameters, self.job.epochs)
        built_model = builder.build_model(restore_hyperparameters(values), self.dataset.spec, seed=self.job.seed)
        if self.job.cv is not None:
            best.result = self._trained_on_all(best, built_model).facts()
        else:
            restore_weights(self.folder.trial(best.trial_id) / WEIGHTS_FILE, built_model)
            built_model.run_after_fit(self.dataset)
        result = dataclasses.replace(fit_result(best.result), seconds=best.seconds)
        named = builder if not builder.models else create_model_builder(values[MODEL], hardware=self.job.hardware)
        run = TrackedRun.reopen(self.store, best.run_id)
        with end_run(run):
            if self.job.cv is not None:
                run.epochs(result.history)
                run.tags(create_objective_tags(named, self.dataset))
            run.tags({"zoo.model": named.name})
            run.dataset(self.dataset)
            run.text(format_job(_train_job(self.job, values, best.epochs)), JOB_FILE)
            keep_split(run, self.dataset)
            fitted = Fitted(named, built_model, self.dataset, values, result)
            return finish_run(run, self.job, fitted, baselines, (*self.dataset.notes, *notes, *why))

    def _trained_on_all(self, best: TrialRecord, built_model: Any) -> FitResult:
        """Retrain the hyperparameters that are best over folds on all rows except the test split."""
        self.progress.say(
            "the best hyperparameters over the folds are used for one more fit, on the full training split"
        )
        plan = Plan(
            seed=self.job.seed,
            epochs=best.epochs or self.job.epochs,
            checkpoint=self.folder.trial(best.trial_id) / CHECKPOINT_FILE,
        )
        return self._fit(self.builder, built_model, self.dataset, best.hyperparameters, plan).result

    def _refit(self, best: TrialRecord, parent: TrackedRun, experiment: Any, why: tuple[str, ...]) -> Run:
        """Refit the best hyperparameters on training and validation rows, as a child run of the search."""
        values = apply_epochs(best.hyperparameters, self.job.epochs)
        # Without held-out rows there is no early stopping: use the trial's best epoch.
        epochs = fit_result(best.result).best_epoch or best.epochs or self.job.epochs
        job = _train_job(self.job, values, epochs)
        file = self.folder.path / "refit.json"
        job = job.model_copy(update=_on_all_rows(job, self.dataset, file))
        self.progress.say(f"the best trial is trained once more on training and validation rows, for {epochs} epochs")
        builder = create_model_builder(values.get(MODEL, self.job.model), self.job.task, hardware=self.job.hardware)
        dataset = builder.task.read(job)
        built_model = builder.build_model(restore_hyperparameters(values), dataset.spec, seed=job.seed)
        tags = {**run_tags(builder, dataset, REFIT, job.seed), "zoo.trial": best.trial_id}
        name = f"refit of trial {best.trial_id}"
        run = TrackedRun.create(self.store, experiment, name, tags=tags, parent=parent.run_id)
        with end_run(run):
            begin_run(run, job, dataset, {**values, "epochs": epochs})
            fitted = self._fit(builder, built_model, dataset, values, Plan(seed=job.seed, epochs=epochs))
            run.epochs(fitted.result.history)
            baselines, notes = self.run_baselines(experiment)
            return finish_run(run, job, fitted, baselines, (*dataset.notes, *notes, *why))

    @staticmethod
    def _fit(
        builder: ModelBuilder, built_model: Any, dataset: Dataset, values: Mapping[str, Any], plan: Plan
    ) -> Fitted:
        fitted = fit_built(builder, built_model, dataset, values, plan)
        if fitted.result.stopped == "interrupted":
            raise KeyboardInterrupt
        return fitted


def _trials(state: SearchState, job: TuneJob) -> list[Trial]:
    return [
        Trial(
            r.trial_id,
            "STOPPED" if r.status == "RUNNING" else r.status,
            r.score,
            apply_epochs(r.hyperparameters, job.epochs),
            r.seconds,
            r.run_id,
            estimated=r.lost_to is not None,
        )
        for r in state.trials.values()
    ]


def _train_job(job: TuneJob, values: Mapping[str, Any], epochs: int | None) -> TrainJob:
    """Return the job that retrains a trial's hyperparameters."""
    keys = set(TrainJob.model_fields) - {"command", "hyperparameters", "name", "seeds", "repeats", "track_layers"}
    settings = {key: getattr(job, key) for key in keys}
    changes = {"model": values.get(MODEL, job.model), "cv": None, "epochs": epochs or job.epochs}
    fixed = {name: value for name, value in values.items() if name != MODEL and changes.get(name) is None}
    return TrainJob(**{**settings, **changes}, hyperparameters=fixed)


def _on_all_rows(job: TrainJob, dataset: Dataset, file: Any) -> dict[str, Any]:
    """Return the changes to a job that move validation rows to the training split; the splits are written to a file."""
    rows = {name: [int(row) for row in numbers] for name, numbers in split_of(dataset).items()}
    rows["train"] = sorted(rows["train"] + rows.pop("validation", []))
    if dataset.has_test_source:
        rows.pop("test", None)
    file.write_text(json.dumps(rows))
    # The column that defined the split is never a feature.
    column = job.split_column or job.split_by("group") or job.split_by("hash")
    drop = job.drop if column is None else (*job.drop, column)
    return {"split": f"file={file}", "validation_size": 0, "gap": None, "drop": drop}
