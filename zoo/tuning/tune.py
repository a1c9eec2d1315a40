"""A tune job becomes a search: a parent run, a run for each trial, and the best trial's model scored once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import keras_tuner

from zoo.data.dataset import Dataset, save_dataset
from zoo.data.streamed import StreamedPart
from zoo.errors import UsageError
from zoo.job import TuneJob, gathered, job_yaml, make_job
from zoo.layers.search_space import CheckedHyperParameters
from zoo.running.baselines import run_baselines
from zoo.running.candidate import Candidate, candidate_of
from zoo.running.finish import Fitted, finish_run
from zoo.running.lookup import BEST_TAG, OBJECTIVE_TAG, best_of, stored_run
from zoo.running.progress import Progress
from zoo.running.report import keep_report
from zoo.running.results import Run, Search, Trial
from zoo.running.train import JOB_FILE, experiment_name, job_params, objective_tags, run_tags, show_scores
from zoo.tracking.run import TrackedRun, ending
from zoo.tracking.store import Store
from zoo.training.loop import FitPlan, FitResult
from zoo.training.settings import FitSettings
from zoo.tuning.halving import rungs_of
from zoo.tuning.oracles import AskTell
from zoo.tuning.search import SearchLoop, SearchPlan, SearchState, TrialRecord, make_workers
from zoo.tuning.state import SearchFolder
from zoo.tuning.summary import figures_of, importance_of, summary, varied
from zoo.tuning.trial import (
    CHECKPOINT_FILE,
    FOLDS_PREFIX,
    WEIGHTS_FILE,
    fit_result,
    restore_weights,
    trial_hyperparameters,
)


def tune(model: Any, source: Any, *, verbose: bool = False, quiet: bool = False, **options: Any) -> Search:
    """Search a model's hyperparameters; each trial is a run below one parent run.

    The model's default is the first trial. A search that was interrupted or killed goes on when the
    same is asked again; one that is finished gives its stored result; more trials are added to it.

    Args:
        model: A name of the catalogue; a ``keras_tuner.HyperModel``; or a function ``build(hp, spec)`` or
            ``build(hp)``.
        source: A frame, arrays, a file or a bundled name.
        verbose: Print a line for each trial.
        quiet: Print nothing.
        **options: The other keys of :class:`zoo.job.TuneJob`, such as ``target``, ``trials``, ``workers``,
            ``search``, ``epochs`` or ``hyperparameters={"units": 64}`` for what is fixed.

    Returns:
        The search: its trials, and the best one's run, scored on test once.

    Raises:
        UsageError: When model, data or options do not fit.
        JobError: When no trial completed, or the model's own code fails.

    Example:
        >>> search = tune("classification/mlp", "wine", trials=8, workers=2)  # doctest: +SKIP
        >>> search.best.metrics["test_accuracy"]  # doctest: +SKIP
    """
    job = make_job(TuneJob, gathered(TuneJob, {"model": model, "source": source, **options}))
    return run_tune(job, progress=Progress(verbose=verbose, quiet=quiet, unit="trial"))


def run_tune(job: TuneJob, *, progress: Progress | None = None) -> Search:
    """Carry out a tune job; see :func:`tune`."""
    candidate = candidate_of(job.model, job.task)
    if candidate.build is None:
        raise UsageError("a model that is built already has nothing to search; give a function build(hp, spec)")
    dataset = candidate.task.read(job)
    candidate.task.check_settling(dataset, job)
    if any(isinstance(part, StreamedPart) for part in dataset.parts.values()):
        raise UsageError(
            "a search trains many times, and these rows pass by because they are many; search on a sample of them, "
            "then train with what was found: zoo train --set …",
            where="stream",
        )
    if "validation" not in dataset.parts and job.cv is None:
        raise UsageError("a search ranks its trials on a validation part, and there is none", where="validation_size")
    store = Store()
    store.close_orphans()
    folder = SearchFolder(store.state / "searches", job, dataset.split_digest)
    progress = progress or Progress(quiet=True)
    with folder.locked():
        if job.fresh:
            folder.clear()
        try:
            return _Tuning(job, candidate, dataset, store, folder, progress).run()
        except KeyboardInterrupt:
            progress.say("stopped; what is finished is kept, and the same command goes on")
            raise


class _Tuning:
    def __init__(
        self,
        job: TuneJob,
        candidate: Candidate,
        dataset: Dataset,
        store: Store,
        folder: SearchFolder,
        progress: Progress,
    ) -> None:
        self.job, self.candidate, self.dataset = job, candidate, dataset
        self.store, self.folder, self.progress = store, folder, progress
        self.objective = candidate.task.scores(dataset.spec)[0]
        self.folds = fold_count(job, candidate.task) if job.cv is not None else 0
        prefix = candidate.task.objective_prefix if job.cv is None else FOLDS_PREFIX
        self.score_name = prefix + self.objective.name

    def run(self) -> Search:
        """Run, go on with, or recall the search."""
        stored = self._stored()
        if stored is not None and SearchState.from_json(stored).is_over(self.job):
            return self._recalled(SearchState.from_json(stored))
        # The server imports TensorFlow while this process reads the model's search space.
        with make_workers(self.job, self.folder.path) as workers:
            space = self._space()
            experiment = self.store.experiment(self.job.experiment or experiment_name(self.dataset))
            parent = self._parent(stored, experiment)
            with ending(parent):
                if stored is None:
                    self._begin(parent)
                state = SearchState.from_json(stored) if stored is not None else SearchState(parent.run_id)
                loop = SearchLoop(
                    self._plan(space), self._oracle(space, stored), state, self.store, experiment, self.progress
                )
                self._write_data()
                self.progress.start(self.job.trials, f"{self.job.trials} trials, {self.job.workers} at a time")
                try:
                    loop.run(workers)
                finally:
                    self.progress.close()
                self._finish(loop, parent, experiment)
        return self._result(loop.state)

    def _recalled(self, state: SearchState) -> Search:
        """Return a finished search's result; baselines that it lacks are run now."""
        search = self._result(state)
        self.progress.say(f"this search is finished, in the experiment {search.best.experiment}; its stored result:")
        if self.job.experiment not in (None, search.best.experiment):
            raise UsageError(f"this search was made in the experiment {search.best.experiment!r}", where="experiment")
        experiment = self.store.experiment(search.best.experiment)
        baselines, _ = self._baselines(experiment)
        search.best.baselines = {**search.best.baselines, **baselines}
        return search

    def _baselines(self, experiment: Any) -> tuple[dict[str, dict[str, float]], list[str]]:
        return run_baselines(
            self.candidate.task,
            self.dataset,
            self.job.baselines,
            store=self.store,
            experiment=experiment,
            seed=self.job.seed,
        )

    def _stored(self) -> dict[str, Any] | None:
        stored = self.folder.read()
        if stored is None:
            return None
        try:
            self.store.client.get_run(stored["run_id"])
        except Exception:
            if not self._gone(stored["run_id"]):
                raise
            self.folder.clear()  # its runs were deleted from the store: what is left here belongs to nothing
            return None
        return stored

    def _gone(self, run_id: str) -> bool:
        return not self.store.search(f"attributes.run_id = '{run_id}'", limit=1)

    def _space(self) -> CheckedHyperParameters:
        _, space = self.candidate.built(self.job.hyperparameters, self.dataset.spec, seed=self.job.seed)
        if self.job.search == "grid":
            _check_grid(space, self.job.trials, self.progress)
        return space

    def _parent(self, stored: dict[str, Any] | None, experiment: Any) -> TrackedRun:
        if stored is not None:
            return TrackedRun.reopen(self.store, stored["run_id"])
        name = self.job.name or f"search {self.candidate.name} on {self.dataset.name}"
        tags = {**run_tags(self.candidate, self.dataset, "search", self.job.seed), OBJECTIVE_TAG: self.score_name}
        return TrackedRun.create(self.store, experiment, name, tags=tags)

    def _begin(self, parent: TrackedRun) -> None:
        parent.params({**job_params(self.job, self.dataset), "search": self.job.search})
        parent.dataset(self.dataset)
        parent.text(job_yaml(self.job), JOB_FILE)
        keep_report(parent, self.candidate.task, self.dataset, self.job.baselines)

    def epochs(self, space: CheckedHyperParameters) -> int:
        """Most epochs of a trial."""
        return int(self.job.epochs or space.values.get("epochs", 100))

    def _starts(self, space: CheckedHyperParameters) -> list[dict[str, Any]]:
        """What is tried after the default: the values that were told, and the best of an earlier run."""
        made = [self._values_of(values) for values in self.job.start]
        if self.job.start_from is not None:
            found = best_of(self.store, self.job.start_from)
            values = {name: value for name, value in found.hyperparameters.items() if name in space.declared}
            strange = sorted(set(found.hyperparameters) - set(values))
            if strange:
                self.progress.say(f"note: {self.candidate.name} has no {', '.join(strange)}, and starts without")
            made.append(self._values_of(values))
        return made

    def _values_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values in the types that the model declares; one that is fixed stays as it is."""
        _, space = self.candidate.built({**values, **self.job.hyperparameters}, self.dataset.spec, seed=self.job.seed)
        return {name: space.values[name] for name in values if name not in self.job.hyperparameters}

    def _plan(self, space: CheckedHyperParameters) -> SearchPlan:
        tags = {**run_tags(self.candidate, self.dataset, "trial", self.job.seed), OBJECTIVE_TAG: self.score_name}
        return SearchPlan(
            self.job,
            self.folder,
            self.candidate.task.name,
            self.score_name,
            self.objective.direction,
            self.job.seed,
            tags,
            [str(self.folder.data / f"fold-{number}") for number in range(1, self.folds + 1)],
            rungs_of(self.epochs(space)) if self.job.search == "asha" and not self.folds else (),
        )

    def _oracle(self, space: CheckedHyperParameters, stored: dict[str, Any] | None) -> AskTell:
        plain = keras_tuner.HyperParameters.from_config(space.get_config())
        plain.values = {}
        oracle = AskTell(
            self.job.search,
            plain,
            objective=self.score_name,
            direction=self.objective.direction,
            trials=self.job.trials,
            epochs=self.epochs(space),
            seed=self.job.seed,
            starts=self._starts(space),
        )
        if stored is not None:
            oracle.restore(stored["oracle"])
        return oracle

    def _write_data(self) -> None:
        if not (self.folder.data / "dataset.json").exists():
            save_dataset(self.dataset, self.folder.data)
        for number in range(1, self.folds + 1):
            folder = self.folder.data / f"fold-{number}"
            if not (folder / "dataset.json").exists():
                save_dataset(self.candidate.task.read(fold_job(self.job, number, self.folds)), folder)

    def _finish(self, loop: SearchLoop, parent: TrackedRun, experiment: Any) -> None:
        """Score the best trial's kept weights once, on its own run, and point the parent at it."""
        best = loop.best()
        loop.state.importance = importance_of(loop.state)
        if loop.state.best != best.trial_id:
            baselines, notes = self._baselines(experiment)
            run = self._finish_best(best, baselines, (*self.dataset.notes, *notes))
            loop.state.best = best.trial_id
        else:
            run = stored_run(self.store, best.run_id or "")
        loop.save()
        parent.tags({BEST_TAG: run.run_id, "mlflow.note.content": summary(loop.state, run)})
        # A score is logged once: a search that was added to shows its trials' number and best in the tags too.
        parent.text(json.dumps([t.as_dict() for t in _trials(loop.state)], indent=1), "trials.json")
        parent.figures(figures_of(loop.state, self.score_name, self.objective.direction))
        assert best.score is not None
        parent.metrics({self.score_name: best.score, "trials": len(loop.state.trials)})
        show_scores(self.store, experiment, run, params=varied(loop.state))
        self.folder.drop_data(best.trial_id)

    def _finish_best(self, best: TrialRecord, baselines: Any, notes: tuple[str, ...]) -> Run:
        assert best.run_id is not None
        values = best.hyperparameters
        pieces = self.candidate.pieces(trial_hyperparameters(values), self.dataset.spec, seed=self.job.seed)
        if self.folds:
            best.result = dataclasses.asdict(self._refitted(best, pieces))
        else:
            restore_weights(self.folder.trial(best.trial_id) / WEIGHTS_FILE, pieces)
        result = dataclasses.replace(fit_result(best.result), seconds=best.seconds)
        run = TrackedRun.reopen(self.store, best.run_id)
        with ending(run):
            if self.folds:
                run.epochs(result.history)
                run.tags(objective_tags(self.candidate, self.dataset))
            run.dataset(self.dataset)
            run.text(job_yaml(_train_job(self.job, values, best.epochs)), JOB_FILE)
            return finish_run(
                run, Fitted(self.job, self.candidate, pieces, self.dataset, values, result), baselines, notes
            )

    def _refitted(self, best: TrialRecord, pieces: Any) -> FitResult:
        """Train the hyperparameters that are best over folds once more, on all rows that are not test."""
        self.progress.say("the best hyperparameters over the folds are trained once more, on the whole training part")
        settings = FitSettings.from_hyperparameters(best.hyperparameters, epochs=best.epochs or self.job.epochs)
        checkpoint = self.folder.trial(best.trial_id) / CHECKPOINT_FILE
        plan = FitPlan(settings, seed=self.job.seed, checkpoint=checkpoint)
        result: FitResult = self.candidate.task.fit(pieces, self.dataset, plan)
        if result.stopped == "interrupted":
            raise KeyboardInterrupt
        return result

    def _result(self, state: SearchState) -> Search:
        assert state.best is not None
        best = state.trials[state.best]
        assert best.run_id is not None
        return Search(
            run_id=state.run_id,
            best=stored_run(self.store, best.run_id),
            trials=_trials(state),
            direction=self.objective.direction,
            seconds=state.seconds,
            importance=state.importance,
        )


def fold_job(job: TuneJob, number: int, count: int) -> TuneJob:
    """Return the job that reads one fold of the rows that are not test."""
    folds = None if isinstance(job.cv, int) else job.cv
    return job.model_copy(update={"cv": None, "fold": f"{number}/{count}", "folds": folds, "aside": True})


def fold_count(job: TuneJob, task: Any) -> int:
    """Return the number of folds of a search's cross-validation.

    Raises:
        UsageError: When the task knows no folds.
        DataError: When the data are too few for them.
    """
    if task.no_folds is not None:
        raise UsageError(task.no_folds, where="cv")
    first: Dataset = task.read(fold_job(job, 1, job.cv if isinstance(job.cv, int) else 2))
    return first.folds


def _trials(state: SearchState) -> list[Trial]:
    return [Trial(r.trial_id, r.status, r.score, r.hyperparameters, r.seconds, r.run_id) for r in state.trials.values()]


def _train_job(job: TuneJob, values: dict[str, Any], epochs: int | None) -> Any:
    """The job that trains the best trial's settings again."""
    from zoo.job import TrainJob

    keys = set(TrainJob.model_fields) - {"command", "hyperparameters", "name"}
    settings = {key: getattr(job, key) for key in keys}
    return TrainJob(**{**settings, "cv": None, "epochs": epochs or job.epochs}, hyperparameters=values)


def _check_grid(space: Any, trials: int, progress: Progress) -> None:
    """Say how large a grid is when not all of it will be tried."""
    size = 1
    for known in space.space:
        size *= max(1, len(list(known.values)))
    if size > trials:
        progress.say(f"note: the grid has {size:,} points, of which the first {trials} are tried")
