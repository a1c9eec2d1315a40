"""Hyperparameter search: a parent run, one run per trial, and a single test evaluation of the best trial's model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner

from zoo.data.dataset import Dataset, load_dataset, map_numbers, save_dataset
from zoo.data.memory import give_back_memory
from zoo.data.streaming.streamed_dataset import StreamedSplit
from zoo.errors import StorageError, UsageError
from zoo.fitting.model_builder import MODEL, ModelBuilder, create_model_builder
from zoo.jobs.data_options import SUGGESTED
from zoo.jobs.fit_options import RESUMED_WITH
from zoo.jobs.job import format_job, make_job
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.search_options import UNLIMITED_TRIALS, TuneJob, parse_range
from zoo.models.search_space import CheckedHyperParameters, count_searched
from zoo.running.data_report import keep_report
from zoo.running.nested_runs import find_runs_below
from zoo.running.run_facts import name_experiment, run_tags, select_params
from zoo.running.search_progress import SearchProgress, format_duration
from zoo.stored_runs.lookup import find_scored_run, load_job
from zoo.stored_runs.results import Search
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.tags import DIRECTION_TAG, JOB_FILE, JOB_TAG, OBJECTIVE_TAG
from zoo.tracking.tracked_run import TrackedRun, end_run
from zoo.tuning.best_trial import Finishing
from zoo.tuning.cross_validation import count_folds, create_fold_job
from zoo.tuning.execution.create_executor import create_executor, limit_workers
from zoo.tuning.execution.ray_executor import connect
from zoo.tuning.objective import create_objective
from zoo.tuning.oracles.ask_tell import AskTell
from zoo.tuning.oracles.choose_search import choose_search, count_grid_points, is_finite
from zoo.tuning.pruning import choose_rungs
from zoo.tuning.search import OUT_OF_TIME, SearchLoop
from zoo.tuning.storage.records import SearchPlan, SearchState
from zoo.tuning.storage.search_folder import MAY_CHANGE, SearchFolder, remove_abandoned_calls

SEARCH_KEY_TAG = "zoo.search_key"


@accept_keywords(TuneJob, "model", "source")
def tune(job: TuneJob, *, verbose: bool = False, quiet: bool = False) -> Search:
    """Search a model's hyperparameters; each trial is a run below one parent run.

    The first trial uses the model's default hyperparameters. The same call resumes a search that was interrupted or
    killed, returns the stored result of a finished one, and adds trials to it when ``trials`` is larger.

    The model is a name of the catalogue, or a pattern such as ``classification/*``, which makes the model the first
    hyperparameter; a ``keras_tuner.HyperModel``; or a function ``build(hp, spec)`` or ``build(hp)``. ``resume`` takes
    the id of a search's run or of one of its trials; give model and source again only if they are objects, not names.

    Args:
        job: The job; or its keys as keywords, such as ``target``, ``trials``, ``workers``, ``search``, ``epochs``, or
            ``hyperparameters={"units": 64}`` to fix a hyperparameter.
        verbose: Print a line for each trial.
        quiet: Print nothing.

    Returns:
        The search: its trials, and the run of the best one, evaluated once on the test split.

    Raises:
        UsageError: When model, data or options do not fit together; or there is no such search to resume, or it is not
            the one stored in the search folder.
        JobError: When no trial completed, or the model's own code fails.

    Example:
        >>> search = tune("classification/mlp", "wine", trials=8, workers=2)  # doctest: +SKIP
        >>> search.best.metrics["test_accuracy"]  # doctest: +SKIP
    """
    expected, began = None, time.perf_counter()
    if job.resume is not None:
        job, expected = _resumed(job, job.resume)
    builder = create_model_builder(job.model, job.task, several=True, hardware=job.hardware)
    if builder.build is None:
        raise UsageError("a built model has no hyperparameters to search; pass a function build(hp, spec)")
    dataset = builder.task.read(job)
    builder, refused = builder.keep_suited(dataset.spec, job.hyperparameters)
    if SUGGESTED in (job.test_size, job.validation_size):
        job = job.model_copy(update={"searched": count_searched(_read_space(job, builder, dataset))})
        dataset = builder.task.read(job)
    builder.task.check_calibration(dataset, job)
    if any(isinstance(split, StreamedSplit) for split in dataset.splits.values()):
        raise UsageError(
            "a search trains many times and does not support streaming; search on a sample of the rows, then train "
            "on all rows with the best hyperparameters: zoo train --set …",
            where="stream",
        )
    if "validation" not in dataset.splits and job.cv is None:
        raise UsageError("a search ranks its trials on a validation split, but there is none", where="validation_size")
    progress = SearchProgress(verbose=verbose, quiet=quiet)
    for name, reason in refused.items():
        progress.say(f"{name} is left out: {reason}")
    with connect(job.cluster):
        return _run_with(job, builder, dataset, progress, expected, began)


def _resumed(job: TuneJob, run_id: str) -> tuple[TuneJob, str]:
    """Return the stored job of a search with the job's changes, and what identifies the search."""
    store = Store()
    run = store.run(run_id)
    run = store.run(run.data.tags.get(PARENT_TAG, run.info.run_id))
    if run.data.tags.get("zoo.kind") != "search":
        raise UsageError(f"run {run_id} is neither a search nor a trial of one", where="resume")
    for name in job.given:
        if name not in (*MAY_CHANGE, *RESUMED_WITH):
            raise UsageError(f"cannot change {name} of a search; only {', '.join(MAY_CHANGE)} may change", where=name)
    stored = load_job(store, run.info.run_id, {"options": job.options})
    values = {name: getattr(stored, name) for name in type(stored).model_fields}
    return make_job(TuneJob, {**values, **job.given, "options": stored.options}), store.begun_as(run.info.run_id)


def _run_with(
    job: TuneJob,
    builder: ModelBuilder,
    dataset: Dataset,
    progress: SearchProgress,
    expected: str | None,
    began: float,
) -> Search:
    store = Store()
    store.close_orphans()
    remove_abandoned_calls(store.state / "searches")
    options = builder.task.options.drop_changeable(job.options)
    folder = SearchFolder(store.state / "searches", job, dataset.split_digest, options)
    if expected is not None and folder.run_id() != expected and not _is_unstarted(store, expected, folder):
        raise UsageError(
            "this search cannot be resumed: data, model or zoo have changed, or it was started again", where="resume"
        )
    with folder.locked():
        if job.fresh:
            folder.clear()
        try:
            return _Tuning(job, builder, dataset, store, folder, progress, began).run()
        except KeyboardInterrupt:
            run_id = folder.run_id()
            again = f", or zoo tune --resume {run_id[:8]}" if run_id is not None else ""
            progress.say(f"stopped; finished trials are kept. To resume: the same command{again}")
            raise
        except StorageError:
            if store.opened.is_removed:
                store.drop_state(folder.path)
            raise


def _is_unstarted(store: Store, run_id: str, folder: SearchFolder) -> bool:
    """Return whether a search was killed before its state was stored, so that it can start anew in its run."""
    run = store.run(run_id)
    is_same = run.data.tags.get(SEARCH_KEY_TAG) == folder.digest and folder.run_id() is None
    return is_same and run.info.status in ("KILLED", "FAILED") and not find_runs_below(store, run.info.run_id)


class _Tuning:
    def __init__(
        self,
        job: TuneJob,
        builder: ModelBuilder,
        dataset: Dataset,
        store: Store,
        folder: SearchFolder,
        progress: SearchProgress,
        began: float,
    ) -> None:
        self.began = began
        self.requested_job = job  # stored, because later there may be more memory or a larger cluster
        self.job = job = limit_workers(job, progress)
        self.builder, self.dataset = builder, dataset
        self.store, self.folder, self.progress = store, folder, progress
        self.objective = create_objective(job, builder.task, dataset.spec)
        self.folds = count_folds(job, builder.task) if job.cv is not None else 0
        self.search = ""
        self.finishing = Finishing(job, builder, dataset, store, folder, progress, self.objective)

    def run(self) -> Search:
        """Run or resume the search, or return its stored result."""
        stored = self._stored()
        state = SearchState.from_json(stored) if stored is not None else None
        if state is not None and state.is_over(self.job) and self._has_finished(state):
            return self.finishing.recalled(state)
        if stored is not None:
            self.folder.check_version(stored)
        # The server imports TensorFlow while this process reads the model's search space.
        with create_executor(self.job, self.folder) as executor:
            space = _read_space(self.job, self.builder, self.dataset)
            starts = self._starts(space)  # raises an error before a run is created
            experiment = self.store.experiment(self.job.experiment or name_experiment(self.dataset))
            parent = self._parent(stored, experiment)
            with end_run(parent):
                state = state or SearchState(parent.run_id)
                self._choose(state, space, new=stored is None)
                self._write_data()
                if stored is None:
                    self._begin(parent)
                oracle = self._oracle(space, starts, stored)
                plan = self._plan(space, oracle.first_values[: max(1, len(self.builder.models))])
                loop = SearchLoop(plan, oracle, state, self.store, experiment, self.progress)
                self.folder.share_data()
                if self.job.time_budget is not None:  # which they are part of; afterwards they are only read
                    self.finishing.run_baselines(experiment)
                self.progress.start(self.job.most_trials, self._title())
                try:
                    loop.run(executor)
                finally:
                    self.progress.close()
                _say_if_too_short(self.job, loop.state, self.progress)
                return self.finishing.finish(loop, parent, experiment)

    def _title(self) -> str:
        """Return how many trials there are, or how much time, and how many at a time."""
        most, at_a_time = self.job.most_trials, f"{self.job.workers} at a time"
        if most == UNLIMITED_TRIALS:
            return f"as many trials as fit into {self.job.time_budget}, {at_a_time}"
        return f"{most} trials, {at_a_time}"

    def _stored(self) -> dict[str, Any] | None:
        stored = self.folder.read()
        if stored is None or not self.store.has(stored["run_id"]):
            # Killed before its state was stored, or its runs were deleted: the files left here are useless.
            self.folder.clear()
            return None
        return stored

    def _has_finished(self, state: SearchState) -> bool:
        """Return whether the search's run was finished; the process may have been killed while finishing it."""
        return str(self.store.client.get_run(state.run_id).info.status) not in ("KILLED", "FAILED")

    def _choose(self, state: SearchState, space: CheckedHyperParameters, *, new: bool) -> None:
        """Set the search algorithm: the requested, the stored, or one chosen here with a message that says why."""
        if new and self.job.search is not None:
            state.search = self.job.search
        elif new:
            state.search, why = choose_search(
                space,
                trials=self.job.most_trials,
                epochs=self.epochs(space),
                full_trials=self.folds > 0 or self.job.seeds is not None,
                started=bool(self.job.start or self.job.start_from),
            )
            self.progress.say(f"Search: {state.search}; {why} (change with --search)")
        self.search = state.search
        if state.search == "grid" and not (is_finite(space) and count_grid_points(space) <= self.job.most_trials):
            _say_how_large(count_grid_points(space), self.job.most_trials, self.progress)

    def _parent(self, stored: dict[str, Any] | None, experiment: Any) -> TrackedRun:
        if stored is not None:
            return TrackedRun.reopen(self.store, stored["run_id"])
        for run in self.store.search(f"tags.`{SEARCH_KEY_TAG}` = '{self.folder.digest}'", experiment=experiment):
            if not self.job.fresh and _is_unstarted(self.store, run.info.run_id, self.folder):
                return TrackedRun.reopen(self.store, run.info.run_id)
        name = self.job.name or f"search {self.builder.name} on {self.dataset.name}"
        tags = {
            **run_tags(self.builder, self.dataset, "search", self.job.seed), **self._ranking(),
            SEARCH_KEY_TAG: self.folder.digest, JOB_TAG: format_job(self.requested_job),
        }  # fmt: skip
        return TrackedRun.create(self.store, experiment, name, tags=tags)

    def _begin(self, parent: TrackedRun) -> None:
        parent.params({**select_params(self.job, self.dataset), "search": self.search})
        parent.dataset(self.dataset)
        parent.text(format_job(self.requested_job), JOB_FILE)
        keep_report(parent, self.builder.task, self.dataset, self.job.report_level)

    def epochs(self, space: CheckedHyperParameters) -> int:
        """Return the maximum number of epochs of a trial."""
        return int(self.job.epochs or space.values.get("epochs", 100))

    def _starts(self, space: CheckedHyperParameters) -> list[dict[str, Any]]:
        """Return what is tried after the default: the given starting points, and the best of an earlier run."""
        starts = [self._values_of(values) for values in self.job.start]
        for values in starts:
            for name in _out_of_range(values, space):
                self.progress.say(f"note: the starting point {name}={values[name]} is outside the search space")
        if self.job.start_from is not None:
            run = find_scored_run(self.store, self.job.start_from)
            # The epochs of an earlier training are a budget, not a result.
            run_values = {k: v for k, v in run.hyperparameters.items() if k != "epochs" or k in self.job.ranges}
            values = {name: value for name, value in run_values.items() if name in space.declared}
            unknown_names = sorted(set(run_values) - set(values))
            if unknown_names:
                self.progress.say(
                    f"note: {self.builder.name} has no hyperparameter {', '.join(unknown_names)}; ignored"
                )
            starts.append(self._values_of(values))
        return starts

    def _values_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values in the types that the model declares, without hyperparameters that are fixed."""
        _, space = self.builder.build_checked(
            {**values, **self.job.hyperparameters}, self.dataset.spec, seed=self.job.seed
        )
        return {name: space.values[name] for name in values if name not in self.job.hyperparameters}

    def _plan(self, space: CheckedHyperParameters, defaults: Sequence[Mapping[str, Any]]) -> SearchPlan:
        tags = {**run_tags(self.builder, self.dataset, "trial", self.job.seed), **self._ranking()}
        fits = self._fits()
        return SearchPlan(
            self.job,
            self.folder,
            self.builder.task.name,
            self.objective,
            fits,
            self.folds > 0,
            tags,
            choose_rungs(self.epochs(space)) if self.search == "asha" and len(fits) == 1 else (),
            defaults,
            self.began,
        )

    def _fits(self) -> list[tuple[str, int]]:
        """Return what each trial trains."""
        if self.folds:
            return [(str(self.folder.data / f"fold-{number}"), self.job.seed) for number in range(1, self.folds + 1)]
        return [(str(self.folder.data), self.job.seed + number) for number in range(self.job.seeds or 1)]

    def _ranking(self) -> dict[str, str]:
        """Return the tags by which the search's runs are ranked."""
        return {OBJECTIVE_TAG: self.objective.name, DIRECTION_TAG: self.objective.direction}

    def _oracle(
        self, space: CheckedHyperParameters, starts: Sequence[Mapping[str, Any]], stored: dict[str, Any] | None
    ) -> AskTell:
        plain = keras_tuner.HyperParameters.from_config(space.get_config())
        plain.values = {}
        oracle = AskTell(
            self.search,
            plain,
            objective=self.objective.name,
            direction=self.objective.direction,
            trials=self.job.most_trials,
            epochs=self.epochs(space),
            seed=self.job.seed,
            starts=[*({MODEL: name} for name in self.builder.models[1:]), *starts],
        )
        if stored is not None:
            oracle.restore(stored["oracle"])
        return oracle

    def _write_data(self) -> None:
        if not (self.folder.data / "dataset.json").exists() or self._have_options_changed():
            save_dataset(self.dataset, self.folder.data)
        map_numbers(self.dataset, self.folder.data)
        give_back_memory(self.dataset.nbytes)
        for number in range(1, self.folds + 1):
            folder = self.folder.data / f"fold-{number}"
            if not (folder / "dataset.json").exists():
                save_dataset(self.builder.task.read(create_fold_job(self.job, number, self.folds)), folder)

    def _have_options_changed(self) -> bool:
        """Return whether the stored data have other values of options that may change, which trials read there."""
        names = self.builder.task.options.may_change
        if not names:
            return False
        before = load_dataset(self.folder.data).spec.options
        return any(before.get(name) != self.dataset.spec.options.get(name) for name in names)


def _read_space(job: TuneJob, builder: ModelBuilder, dataset: Dataset) -> CheckedHyperParameters:
    ranges = {name: parse_range(name, text) for name, text in job.ranges.items()}
    return builder.space(job.hyperparameters, dataset.spec, seed=job.seed, ranges=ranges)


def _out_of_range(values: Mapping[str, Any], space: CheckedHyperParameters) -> list[str]:
    """Return the names of the values outside the search space's ranges and choices."""
    names = []
    for hyperparameter in (hyperparameter for hyperparameter in space.space if hyperparameter.name in values):
        value: Any = values[hyperparameter.name]
        if hasattr(hyperparameter, "min_value"):
            inside = hyperparameter.min_value <= value <= hyperparameter.max_value
        else:
            inside = value in getattr(hyperparameter, "values", [value])
        if not inside:
            names.append(hyperparameter.name)
    return names


def _say_if_too_short(job: TuneJob, state: SearchState, progress: SearchProgress) -> None:
    """Print how long a trial takes if the time budget was too short for any of them."""
    started = [record for record in state.trials.values() if record.seconds]
    if job.time_budget is None or not started or any(record.reason != OUT_OF_TIME for record in started):
        return
    first = started[0]
    epochs = max(first.result.get("epochs_run", 0), 1)
    total_epochs = first.epochs or job.epochs or first.hyperparameters.get("epochs", epochs)
    duration = format_duration(first.seconds / epochs * total_epochs)
    progress.say(
        f"note: no trial finished within {job.time_budget}: the first ran {epochs} of {total_epochs} epochs in "
        f"{format_duration(first.seconds)} and needs about {duration}; raise --time-budget or set --epochs {epochs}"
    )


def _say_how_large(points: int, trials: int, progress: SearchProgress) -> None:
    """Print a note about a grid with more points than trials."""
    progress.say(
        f"note: the grid has {points:,} points; only the first {trials} are tried. Make it smaller with --range "
        "NAME=VALUE|VALUE or --set NAME=VALUE, or sample the whole space with another --search"
    )
