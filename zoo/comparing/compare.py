"""Comparison of models on the same splits: one parent run, tests against each other and baselines."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.comparing.board import BASELINE, MODEL, Board, Comparison, Entry
from zoo.comparing.comparison_metric import check_comparison, choose_score
from zoo.comparing.contestants import Contestant, get_title, keep_suited, list_contestants
from zoo.data.dataset import Dataset
from zoo.errors import UsageError
from zoo.fitting.model_builder import create_model_builder
from zoo.inspection.latency import measure_latency
from zoo.jobs.compare_options import DEFAULT_SEEDS, CompareJob
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import format_job, make_job
from zoo.jobs.keywords import accept_keywords
from zoo.metrics.significance import compute_standard_error
from zoo.running.nested_runs import find_runs_below, run_child
from zoo.running.progress import Progress
from zoo.running.repeats import compute_test_ratio, create_jobs
from zoo.running.run_facts import name_experiment, show_scores, split_of
from zoo.saving.files import check_folder, write_atomically
from zoo.stored_runs.lookup import load_job, load_run
from zoo.stored_runs.results import Run, find_common_notes
from zoo.tracking.process_tags import is_running
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.tags import (
    BEST_TAG,
    COMPARED,
    CROSS_VALIDATION,
    JOB_FILE,
    PROCESS_TAG,
    SCORED_TAG,
    SEEDS,
    SPLIT_FILE,
    unpack_tags,
)
from zoo.tracking.tracked_run import TrackedRun, end_run

COMPARISON, KEY_TAG = "comparison", "zoo.comparison"


@accept_keywords(CompareJob, "source", "models")
def compare(
    job: CompareJob, *, verbose: bool = False, quiet: bool = False, progress: Progress | None = None
) -> Comparison:
    """Compare models with each other and with baselines, with significance tests.

    All models are trained on the same splits. Each of the ``seeds`` draws another split if the split is random. The
    tests account for rows that the splits share, and for the sampling error of a shared test split. Models are names of
    the catalogue, patterns, or your own. Of a pattern, models that do not take the data are left out, with a message.

    Args:
        job: The job; or its keys as keywords, such as ``seeds``, ``cv``, ``others``, ``target`` or
            ``output="comparison.html"``.
        verbose: Print a line for each epoch.
        quiet: Print nothing.
        progress: Where to show progress, in place of the two.

    Returns:
        The comparison: a board for each source, figures, and a page.

    Raises:
        UsageError: When models, runs and data do not fit together.

    Example:
        >>> compare("wine", ["classification/mlp", "classification/linear"], seeds=3)  # doctest: +SKIP
    """
    if job.output is not None:
        check_folder(Path(job.output))
    store, progress = Store(), progress or Progress(verbose=verbose, quiet=quiet)
    store.close_orphans()
    if job.runs and not job.refit:
        return _TrackedRunsComparison(store, job).compare()
    return _TrainedComparison(store, _refit_job(store, job) if job.refit else job, progress).compare()


class _TrainedComparison:
    """A comparison that trains its models."""

    def __init__(self, store: Store, job: CompareJob, progress: Progress) -> None:
        self.store, self.job, self.progress = store, job, progress
        self.contestants = list_contestants(store, job)
        self.sources = (job.source, *job.others)
        first = self.contestants[0]
        self.children = [self._jobs(first, source) for source in self.sources]
        self.builders = {
            item.name: create_model_builder(item.model, job.task, hardware=job.hardware) for item in self.contestants
        }
        tasks = {builder.task.name for builder in self.builders.values()}
        if len(tasks) > 1:
            raise UsageError(f"models of {' and '.join(sorted(tasks))} have different metrics", where="models")
        self.task = next(iter(self.builders.values())).task
        if job.cv is not None and self.task.no_folds is not None:
            raise UsageError(self.task.no_folds, where="cv")
        self.datasets: list[Dataset] = [self.task.read(jobs[0]) for jobs in self.children]
        specs = [dataset.spec for dataset in self.datasets]
        check_comparison(self.task, specs)
        if job.cv is not None:
            self.children = [
                self._jobs(first, source, item.folds) for source, item in zip(self.sources, self.datasets, strict=True)
            ]
        self.contestants, refused = keep_suited(self.contestants, specs)
        for name, reason in refused.items():
            progress.say(f"{name} is left out: {reason}")
        for contestant in self.contestants:  # raises errors of all models before the first is trained
            for spec in specs:
                self.builders[contestant.name].build_checked(contestant.hyperparameters, spec, seed=job.seed)

    def compare(self) -> Comparison:
        """Train the missing runs, and compare all."""
        store, job = self.store, self.job
        name = job.experiment or (name_experiment(self.datasets[0]) if len(self.sources) == 1 else COMPARISON)
        experiment = store.experiment(name)
        parent = self._parent(experiment)
        with end_run(parent):
            boards = [self._board(parent, experiment, source_index) for source_index in range(len(self.sources))]
            return _keep(parent, experiment, Comparison(parent.run_id, experiment.name, boards, job.output))

    def _jobs(self, contestant: Contestant, source: Any, folds: int = 0) -> list[TrainJob]:
        """Return the jobs of a model on a source, one for each repeat."""
        job = self.job
        excluded = ("command", "model", "source", "seeds", "cv", "repeats", "hyperparameters", "epochs")
        shared = {name: getattr(job, name) for name in TrainJob.model_fields if name not in excluded}
        model_options = {"hyperparameters": contestant.hyperparameters, "epochs": contestant.epochs}
        values = {**shared, **model_options, "model": contestant.model, "source": source}
        if job.cv is not None:
            repeated = make_job(TrainJob, {**values, "cv": job.cv, "repeats": job.repeats})
            return create_jobs(repeated, folds or (job.cv if isinstance(job.cv, int) else 2))
        return [make_job(TrainJob, {**values, "seed": job.seed + k}) for k in range(job.seeds or DEFAULT_SEEDS)]

    def _parent(self, experiment: Any) -> TrackedRun:
        """Return the parent run: a new one, or the interrupted one of the same comparison."""
        job, store = self.job, self.store
        neutral = {"output": None, "options": self.task.options.drop_changeable(job.options)}
        key_text = format_job(job.model_copy(update=neutral)) + " ".join(d.split_digest for d in self.datasets)
        key = hashlib.sha256(key_text.encode()).hexdigest()[:24]
        names = ", ".join(contestant.name for contestant in self.contestants)
        for run in store.search(f"tags.`{KEY_TAG}` = '{key}'", experiment=experiment):
            if is_running(run):
                raise UsageError(f"this comparison is already running in process {unpack_tags(run)[PROCESS_TAG]}")
            if run.info.status != "FINISHED":
                self.progress.say(f"resuming the interrupted run {run.info.run_id[:8]}")
                parent = TrackedRun.reopen(store, run.info.run_id)
                return parent if find_runs_below(store, parent.run_id) else self._begin(parent, names)  # killed early
        run_name = job.name or f"{names} on {', '.join(dataset.name for dataset in self.datasets)}"[:200]
        tags = {
            KEY_TAG: key, "zoo.kind": COMPARISON, "zoo.task": self.task.name, "zoo.model": names[:500],
            "zoo.source": ", ".join(dataset.source for dataset in self.datasets)[:500],
        }  # fmt: skip
        return self._begin(TrackedRun.create(store, experiment, run_name, tags=tags), names)

    def _begin(self, parent: TrackedRun, names: str) -> TrackedRun:
        parent.params({"models": names, "repeats": len(self.children[0]), "seed": self.job.seed})
        for dataset in self.datasets:
            parent.dataset(dataset)
        parent.text(format_job(self.job), JOB_FILE)
        return parent

    def _board(self, parent: TrackedRun, experiment: Any, source_index: int) -> Board:
        finished, dataset = find_runs_below(self.store, parent.run_id), self.datasets[source_index]
        count = len(self.children[source_index])
        runs: dict[str, list[Run]] = {contestant.name: [] for contestant in self.contestants}
        for index in range(count):
            for contestant in self.contestants:
                child = self._jobs(contestant, self.sources[source_index], dataset.folds)[index]
                what = f"fold {child.fold}" if child.fold else f"seed {child.seed}"
                title = f"{contestant.name} on {dataset.name}, {what}"
                self.progress.say(f"{title}: {index + 1} of {count}")
                child = child.model_copy(update={"experiment": experiment.name, "name": title})
                key, tags = f"{source_index}/{contestant.name}/{index + 1}", {"zoo.kind": COMPARED}
                run = run_child(child, parent, key, finished, tags=tags, progress=self.progress)
                runs[contestant.name].append(run)
        test_ratio, shared, evaluation = self._evaluation(source_index)
        latencies = {
            name: measure_latency(model_runs[0].model.keras_model, dataset) for name, model_runs in runs.items()
        }
        seconds = _baseline_seconds(self.store, experiment, dataset.digest)
        return _board(
            self.task.name, runs, test_ratio=test_ratio, shared=shared, evaluation=evaluation, latencies=latencies,
            seconds=seconds,
        )  # fmt: skip

    def _evaluation(self, source_index: int) -> tuple[float, bool, str]:
        """Return test rows per training row, whether all repeats share the test rows, and a text about the repeats."""
        children, dataset = self.children[source_index], self.datasets[source_index]
        if self.job.cv is not None:
            return compute_test_ratio(dataset), False, f"{len(children)} folds"
        count_text = f"{len(children)} seeds"
        if "test" not in dataset.split_rows:
            return 0.0, False, count_text
        other = split_of(self.task.read(children[1]))["test"]
        if np.array_equal(np.asarray(split_of(dataset)["test"]), np.asarray(other)):
            return 0.0, True, f"{count_text} on one test split; the intervals include its sampling error"
        if self.task.no_folds is not None:  # each episode is a new sample
            return 0.0, False, count_text
        return compute_test_ratio(dataset), False, f"{count_text}, each with its own split"


class _TrackedRunsComparison:
    """A comparison of existing runs."""

    def __init__(self, store: Store, job: CompareJob) -> None:
        self.store, self.job = store, job
        self.tracked_runs = [store.run(run_id) for run_id in job.runs]
        self.runs = {f"{get_title(run)} {run.info.run_id[:8]}": _runs_of(store, run) for run in self.tracked_runs}
        if len(self.runs) < len(self.tracked_runs):
            raise UsageError("the same run is given twice", where="runs")
        self._check_comparable()

    def compare(self) -> Comparison:
        """Compare the runs."""
        first = next(iter(self.runs.values()))
        experiment = self.store.experiment(self.job.experiment or first[0].experiment)
        tags = {"zoo.kind": COMPARISON, "zoo.task": first[0].task, "zoo.source": first[0].source[:500]}
        name = self.job.name or f"{', '.join(self.runs)}"[:200]
        parent = TrackedRun.create(self.store, experiment, name, tags=tags)
        with end_run(parent):
            parent.params({"runs": ", ".join(run.info.run_id for run in self.tracked_runs)})
            parent.text(format_job(self.job), JOB_FILE)
            count = len(first)
            kind = self.tracked_runs[0].data.tags.get("zoo.kind")
            folds = kind == CROSS_VALIDATION
            count_text = f"{count} {'folds' if folds else 'seeds on one test split'}"
            single = "one run of each; the intervals do not include the variance between trainings"
            evaluation = count_text if count > 1 else single
            test_ratio = self._test_ratio() if folds else 0.0
            board = _board(first[0].task, self.runs, test_ratio=test_ratio, shared=not folds, evaluation=evaluation)
            return _keep(parent, experiment, Comparison(parent.run_id, experiment.name, [board], self.job.output))

    def _test_ratio(self) -> float:
        split_rows = _split(self.store, next(iter(self.runs.values()))[0])
        trained = sum(len(rows) for name, rows in split_rows.items() if name != "test")
        return len(split_rows["test"]) / trained

    def _check_comparable(self) -> None:
        """Refuse runs whose scores are not comparable.

        Raises:
            UsageError: They differ in task, target, number or test rows.
        """
        (name, first), *others = self.runs.items()
        test_rows = [_test_rows(self.store, run) for run in first]
        for other, other_runs in others:
            if other_runs[0].task != first[0].task or other_runs[0].objective != first[0].objective:
                raise UsageError(f"{name} and {other} have different metrics and cannot be compared", where="runs")
            if len(other_runs) != len(first):
                raise UsageError(
                    f"{name} has {len(first)} runs, but {other} has {len(other_runs)}; train equally many with --refit",
                    where="runs",
                )
            if [_test_rows(self.store, run) for run in other_runs] != test_rows:
                raise UsageError(
                    f"{name} and {other} have different test rows; train both on the data of the first with --refit",
                    where="runs",
                )


def _refit_job(store: Store, job: CompareJob) -> CompareJob:
    """Return the job that trains runs again, all on the data of the first."""
    run = store.run(job.runs[0])
    first = load_job(store, run.data.tags.get(BEST_TAG, run.info.run_id))
    excluded = {"command", "model", "hyperparameters", "epochs", "baselines", "experiment", "name"}
    excluded |= {"seeds", "cv", "repeats"}
    shared = {name: getattr(first, name) for name in TrainJob.model_fields if name not in excluded}
    return job.model_copy(update=shared)


def _board(
    task: str,
    runs: dict[str, list[Run]],
    *,
    test_ratio: float,
    shared: bool,
    evaluation: str,
    latencies: dict[str, float] | None = None,
    seconds: dict[str, float] | None = None,
) -> Board:
    """Build a board from runs of models and their baselines."""
    first = next(iter(runs.values()))[0]
    score, direction = choose_score(first)
    entries = []
    for name, model_runs in runs.items():
        intervals = [run.intervals.get(score, (math.nan, math.nan)) for run in model_runs]
        entries.append(
            Entry(
                name,
                MODEL,
                [run.metrics.get(score, math.nan) for run in model_runs],
                _means([run.metrics for run in model_runs]),
                noise=compute_standard_error(intervals) if shared else 0.0,
                seconds=float(np.mean([run.seconds for run in model_runs])),
                latency_ms=(latencies or {}).get(name),
                n_parameters=model_runs[0].n_parameters,
                run_ids=[run.run_id for run in model_runs],
            )
        )
    # A baseline has no interval of its own; its sampling error on the same rows is taken from the models.
    noise = float(np.max([entry.noise for entry in entries]))
    first_runs = next(iter(runs.values()))
    for name in first_runs[0].baselines:
        if all(name in run.baselines for run in first_runs):
            scores = [run.baselines[name].get(score, math.nan) for run in first_runs]
            means = _means([run.baselines[name] for run in first_runs])
            entries.append(Entry(name, BASELINE, scores, means, noise, (seconds or {}).get(name, math.nan)))
    notes = find_common_notes([run for model_runs in runs.values() for run in model_runs])
    return Board(first.source, task, score, direction, entries, test_ratio, evaluation, notes, first.find_limits(score))


def _means(runs: Sequence[Any]) -> dict[str, float]:
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return {name: float(np.mean([run[name] for run in runs])) for name in names}


def _keep(parent: TrackedRun, experiment: Any, comparison: Comparison) -> Comparison:
    """Log the comparison, and write its page if requested."""
    page = comparison.page()
    parent.text(page, "comparison.html")
    parent.text(json.dumps(comparison.as_dict(), indent=1), "comparison.json")
    parent.figures(comparison.figures)
    parent.tags({"mlflow.note.content": comparison.markdown()})
    ids = [run_id for entry in comparison.boards[0].entries for run_id in entry.run_ids]
    show_scores(parent.store, experiment, load_run(parent.store, ids[0]), params=("model", "seed"))
    if comparison.output is not None:
        with write_atomically(Path(comparison.output)) as writing:
            writing.write_text(page, encoding="utf-8")
    return comparison


def _baseline_seconds(store: Store, experiment: Any, digest: str) -> dict[str, float]:
    """Return the mean training time of each baseline on some data, by name."""
    seconds: dict[str, list[float]] = {}
    where = f"tags.`zoo.kind` = 'baseline' and tags.`zoo.digest` = '{digest}' and attributes.status = 'FINISHED'"
    for run in store.search(where, experiment=experiment):
        if "seconds" in run.data.metrics:
            seconds.setdefault(run.data.tags["zoo.model"], []).append(run.data.metrics["seconds"])
    return {name: float(np.mean(values)) for name, values in seconds.items()}


def _runs_of(store: Store, run: Any) -> list[Run]:
    """Return the finished runs of a run: itself, the best of a search, or all repeats.

    Raises:
        UsageError: When it did not finish, or is not a run of a model.
    """
    if run.data.tags.get("zoo.kind") in (SEEDS, CROSS_VALIDATION):
        children = store.search(f"tags.`{PARENT_TAG}` = '{run.info.run_id}' and attributes.status = 'FINISHED'")
        return [
            load_run(store, child.info.run_id) for child in sorted(children, key=lambda child: child.info.start_time)
        ]
    chosen = store.run(run.data.tags.get(BEST_TAG, run.info.run_id))
    if chosen.data.tags.get(SCORED_TAG) is None:
        kind = run.data.tags.get("zoo.kind", "other")
        raise UsageError(f"run {run.info.run_id[:8]} ({kind}) has no scores of a model", where="runs")
    return [load_run(store, chosen.info.run_id)]


def _test_rows(store: Store, run: Run) -> tuple[str, str]:
    """Return what identifies a run's data and test rows."""
    tags = store.run(run.run_id).data.tags
    rows = _split(store, run).get("test", [])
    return tags.get("zoo.digest", ""), f"{tags.get('zoo.target', '')} {sorted(rows)}"


def _split(store: Store, run: Run) -> dict[str, list[int]]:
    split_rows: dict[str, list[int]] = json.loads(store.read_text(run.run_id, SPLIT_FILE) or "{}")
    return split_rows
