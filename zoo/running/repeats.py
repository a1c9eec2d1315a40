"""Repeated training: over seeds or cross-validation folds, as child runs of one parent run."""

from __future__ import annotations

import dataclasses
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.errors import JobError, UsageError
from zoo.fitting.model_builder import ModelBuilder, create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import format_job
from zoo.metrics.direction import Direction
from zoo.metrics.intervals import UNKNOWN
from zoo.metrics.metric import clip_to_limits
from zoo.metrics.significance import compute_standard_error, estimate_mean
from zoo.reporting.check_inputs import Finding
from zoo.reporting.diagnosis import WORSE, Training, check_baseline, check_stability
from zoo.running.data_report import keep_report
from zoo.running.finish import PREDICTIONS_FILE
from zoo.running.nested_runs import find_runs_below, run_child
from zoo.running.progress import Progress
from zoo.running.repeated_curves import keep_curves
from zoo.running.run_facts import check_same_data, name_experiment, run_tags, select_params, show_scores
from zoo.saving.model import Model
from zoo.stored_runs.lookup import describe_no_model, load_job
from zoo.stored_runs.results import Run, find_best_baseline, find_common_notes, format_baselines, format_findings
from zoo.text import INTERVAL_WIDTH, convert_to_plain, format_interval, format_number
from zoo.tracking.process_tags import is_running
from zoo.tracking.store import Store
from zoo.tracking.tags import BEST_TAG, CROSS_VALIDATION, JOB_FILE, JOB_TAG, PROCESS_TAG, SEEDS, unpack_tags
from zoo.tracking.tracked_run import TrackedRun, end_run


@dataclass
class Repeats:
    """Runs of one model that differ in their seed or in their test fold.

    Intervals are confidence intervals of the mean by Student's t over runs. Cross-validation folds share most of
    their training rows, so their scores vary less than those of models trained on independent data: the variance is
    corrected by the ratio of test to training rows (Nadeau and Bengio 2003, "Inference for the Generalization Error",
    equation 8). Runs over seeds share their test rows, whose sampling error does not average out: it is taken from the
    intervals of the runs and added (:func:`zoo.metrics.significance.estimate_mean`).

    Args:
        run_id: MLflow id of the parent run.
        kind: ``seeds`` or ``cross_validation``.
        runs: The runs.
        tested: Ratio of test rows to training and validation rows in cross-validation; 0 for seeds.
    """

    run_id: str
    kind: str
    runs: Sequence[Run] = field(default_factory=tuple)
    tested: float = 0.0

    @property
    def metrics(self) -> dict[str, float]:
        """Mean of each score, under its own name and as ``<name>_mean``, and standard deviation as ``<name>_std``."""
        metrics = {}
        for name in self.runs[0].metrics:
            values = self._values(name)
            metrics[name] = metrics[f"{name}_mean"] = float(values.mean())
            metrics[f"{name}_std"] = float(values.std(ddof=1))
        return metrics

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % confidence interval of the mean of each score; over seeds, of those on the evaluated split."""
        first = self.runs[0]
        evaluated = [name for name in first.intervals if name.startswith(first.headline.split("_")[0])]
        names = list(first.metrics) if self.kind == CROSS_VALIDATION else evaluated
        estimates = {
            name: estimate_mean(self._values(name), tested=self.tested, noise=self._noise(name)) for name in names
        }
        return {name: clip_to_limits(first.find_limits(name), each.low, each.high) for name, each in estimates.items()}

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """Mean scores of each baseline that all runs have."""
        names = [name for name in self.runs[0].baselines if all(name in run.baselines for run in self.runs)]
        return {
            name: {
                score: float(np.mean([run.baselines[name].get(score, math.nan) for run in self.runs]))
                for score in self.runs[0].baselines[name]
            }
            for name in names
        }

    @property
    def best(self) -> Run:
        """The run with the best objective on the validation split."""
        first = self.runs[0]
        key = Direction(first.direction).key
        return min(self.runs, key=lambda run: key(run.metrics.get(f"val_{first.objective}")))

    @property
    def model(self) -> Model:
        """The model of the best run over seeds.

        Raises:
            UsageError: For cross-validation, since its models were trained on different rows.
        """
        if self.kind == CROSS_VALIDATION:
            raise describe_no_model(self.run_id)
        return self.best.model

    @property
    def verdict(self) -> str:
        """Comparison with the best baseline on validation, by the interval of the paired differences.

        Over seeds, it includes the sampling error of the test rows, as if the errors of the two were independent.
        """
        first, best = self.runs[0], self._best_baseline()
        if best is None:
            return "baselines not compared" if self.baselines else "no baseline"
        name = first.headline
        differences = np.array([run.metrics[name] - run.baselines[best][name] for run in self.runs])
        noise = math.sqrt(2) * self._noise(name)  # the baseline's sampling error is assumed to be the model's
        estimate = estimate_mean(Direction(first.direction).sign * differences, tested=self.tested, noise=noise)
        if not (estimate.low > 0 or estimate.high < 0):
            return "tie"
        return "model better" if estimate.high < 0 else "baseline better"

    @property
    def diagnosis(self) -> tuple[Finding, ...]:
        """Problems that most runs share, and those of the means: worse than a baseline, unstable over seeds."""
        first, findings_ = self.runs[0], []
        name = first.headline
        if self.kind == SEEDS:
            baselines = [
                scores[name] for scores in self.baselines.values() if math.isfinite(scores.get(name, math.nan))
            ]
            guessed = max(baselines, key=Direction(first.direction).key, default=math.nan)
            bounds = [run.intervals[name] for run in self.runs if not math.isnan(sum(run.intervals.get(name, UNKNOWN)))]
            findings_ += check_stability(self._values(name).tolist(), bounds, guessed, name)
        everywhere = [finding for run in self.runs for finding in run.diagnosis]
        for topic in dict.fromkeys(finding.topic for finding in everywhere):
            same_topic = [finding for finding in everywhere if finding.topic == topic]
            if topic != WORSE and 2 * len(same_topic) > len(self.runs):
                text = f"in {len(same_topic)} of {len(self.runs)} runs, the first: {same_topic[0].text}"
                findings_.append(dataclasses.replace(same_topic[0], text=text))
        means = Training(
            {}, 0, "", 0, first.objective, self.metrics, self.intervals.get(name), self.baselines,
            verdict=self.verdict, best_baseline=self._best_baseline(),
        )  # fmt: skip
        return (*findings_, *check_baseline(means))

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user that all runs share."""
        return find_common_notes(self.runs)

    def as_dict(self) -> dict[str, Any]:
        """Return the output of ``zoo train --seeds --json``."""
        first = self.runs[0]
        return convert_to_plain(
            {
                "run_id": self.run_id,
                "experiment": first.experiment,
                "task": first.task,
                "model": first.model_name,
                "source": first.source,
                "kind": self.kind,
                "metrics": self.metrics,
                "intervals": self.intervals,
                "baselines": self.baselines,
                "diagnosis": [finding.as_dict() for finding in self.diagnosis],
                "notes": list(self.notes),
                "runs": [run.as_dict() for run in self.runs],
            }
        )

    def __repr__(self) -> str:
        first, best = self.runs[0], self._best_baseline()
        what = "seeds" if self.kind == SEEDS else "folds"
        lines = [f"Run {self.run_id[:8]}: {first.model_name} on {first.source}, {len(self.runs)} {what}"]
        names = [name for name in first.metrics if name.startswith(first.headline.split("_")[0] + "_")]
        width = max(18, *(len(name) + 2 for name in names))
        head = f"{'score':<{width}}{'mean':>10}  {'std':<11}{'95 % interval':<{INTERVAL_WIDTH}}"
        lines.append(head + (f"best baseline by validation ({best})" if best else ""))
        metrics, intervals, baselines = self.metrics, self.intervals, self.baselines
        for name in names:
            baseline = format_number(baselines[best].get(name, math.nan)) if best else ""
            lines.append(
                f"{name:<{width}}{format_number(metrics[name]):>10}  {format_number(metrics[name + '_std']):<11}"
                f"{format_interval(intervals.get(name)):<{INTERVAL_WIDTH}}{baseline}".rstrip()
            )
        lines += format_baselines(baselines, best, first.headline, names)
        each = ", ".join(f"{run.run_id[:8]} {format_number(run.metrics[first.headline])}" for run in self.runs)
        verdict_ = f"{self.verdict} by {first.objective}" if best else self.verdict
        lines += [f"{verdict_}; {first.headline} by run: {each}", *format_findings(self.diagnosis)]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    def _values(self, name: str) -> np.ndarray:
        return np.array([run.metrics.get(name, math.nan) for run in self.runs], float)

    def _noise(self, name: str) -> float:
        """Return the standard error from the test rows that all runs share; 0 for folds, which share none."""
        if self.kind == CROSS_VALIDATION:
            return 0.0
        return compute_standard_error([run.intervals.get(name, UNKNOWN) for run in self.runs])

    def _best_baseline(self) -> str | None:
        return find_best_baseline(self.baselines, self.runs[0].objective, self.runs[0].direction)


def run_repeats(job: TrainJob, *, callbacks: Sequence[Any] = (), progress: Progress | None = None) -> Repeats:
    """Execute a train job with ``seeds`` or ``cv``, as child runs of one parent run.

    Raises:
        UsageError: If the task does not support folds, or there are too few rows for them.
        JobError: If a run failed; ``zoo train --resume`` with the parent's id continues with the remaining runs.
    """
    builder = create_model_builder(job.model, job.task, hardware=job.hardware)
    if job.cv is not None and builder.task.no_folds is not None:
        raise UsageError(builder.task.no_folds, where="cv")
    dataset = builder.task.read(create_first_job(job))
    builder.task.check_calibration(dataset, job)
    children = create_jobs(job, dataset.folds)
    store = Store()
    store.close_orphans()
    experiment = store.experiment(job.experiment or name_experiment(dataset))
    kind = SEEDS if job.cv is None else CROSS_VALIDATION
    name = job.name or f"{builder.name} on {dataset.name}, {len(children)} {'seeds' if job.cv is None else 'folds'}"
    tags = {**run_tags(builder, dataset, kind, job.seed), JOB_TAG: format_job(job)}
    parent = TrackedRun.create(store, experiment, name, tags=tags)
    with end_run(parent):
        _begin(parent, job, builder, dataset)
        return _run_children(job, dataset, parent, experiment.name, {}, callbacks, progress or Progress(quiet=True))


def resume_repeats(
    parent_run: Any, *, changes: Mapping[str, Any], callbacks: Sequence[Any] = (), progress: Progress | None = None
) -> Repeats:
    """Resume interrupted repeats: keep the finished runs, and resume or start the others.

    Args:
        parent_run: The MLflow parent run.
        changes: The custom model and the data, if they were in memory, and options that change no result.
        callbacks: The Keras callbacks; they are not stored with the run.
        progress: Where to show progress.

    Raises:
        UsageError: If the parent run is finished or still running.
    """
    run_id, store = parent_run.info.run_id, Store()
    if parent_run.info.status == "FINISHED":
        raise UsageError(f"run {run_id} is finished: there is nothing to resume")
    if is_running(parent_run):
        raise UsageError(f"run {run_id} is still running, in process {unpack_tags(parent_run)[PROCESS_TAG]}")
    job = load_job(store, run_id, changes)
    builder = create_model_builder(job.model, job.task, hardware=job.hardware)
    dataset = builder.task.read(create_first_job(job))
    check_same_data(parent_run, dataset)
    existing = find_runs_below(store, run_id)
    experiment = store.client.get_experiment(parent_run.info.experiment_id)
    parent = TrackedRun.reopen(store, run_id)
    with end_run(parent):
        if not existing:  # perhaps killed before all of this was logged
            _begin(parent, job, builder, dataset)
        return _run_children(
            job, dataset, parent, experiment.name, existing, callbacks, progress or Progress(quiet=True)
        )


def _begin(parent: TrackedRun, job: TrainJob, builder: ModelBuilder, dataset: Dataset) -> None:
    """Log what is known before the first run: parameters, data, job and data report."""
    kind = SEEDS if job.cv is None else CROSS_VALIDATION
    parent.params({**select_params(job, dataset), kind: len(create_jobs(job, dataset.folds))})
    parent.dataset(dataset)
    parent.text(format_job(job), JOB_FILE)
    keep_report(parent, builder.task, dataset, job.baselines)


def create_first_job(job: TrainJob) -> TrainJob:
    """Return the job of the first run, whose data can be read before the number of runs is known."""
    return create_jobs(job, job.cv if isinstance(job.cv, int) else 2)[0]


def create_jobs(job: TrainJob, folds: int = 0) -> list[TrainJob]:
    """Return the jobs of the runs; each can be run on its own.

    Args:
        job: A job with ``seeds``, or with ``cv`` and optionally ``repeats``.
        folds: Number of folds of one cross-validation, as given by the data.

    Example:
        >>> from zoo.jobs.job import make_job
        >>> job = make_job(TrainJob, {"model": "classification/mlp", "source": "wine", "seed": 3, "seeds": 2})
        >>> [(child.seed, child.split_seed) for child in create_jobs(job)]
        [(3, 3), (4, 3)]
    """
    split_seed = job.seed if job.split_seed is None else job.split_seed
    if job.cv is not None:
        shared = {"seeds": None, "cv": None, "repeats": None, "folds": None if isinstance(job.cv, int) else job.cv}
        return [
            job.model_copy(update={**shared, "split_seed": split_seed + repeat, "fold": f"{k}/{folds}"})
            for repeat in range(job.repeats or 1)
            for k in range(1, folds + 1)
        ]
    assert job.seeds is not None
    return [
        job.model_copy(update={"seeds": None, "split_seed": split_seed, "seed": job.seed + k}) for k in range(job.seeds)
    ]


def _run_children(
    job: TrainJob,
    dataset: Dataset,
    parent: TrackedRun,
    experiment: str,
    existing: Mapping[Any, Any],
    callbacks: Sequence[Any],
    progress: Progress,
) -> Repeats:
    children = create_jobs(job, dataset.folds)
    names = [_name_of(job, child, index, len(children)) for index, child in enumerate(children, start=1)]
    runs: list[Run] = []
    tested_rows: list[Any] = []
    for index, (child, what) in enumerate(zip(children, names, strict=True), start=1):
        progress.say(f"{what}: run {index} of {len(children)}")
        named = child.model_copy(update={"experiment": experiment, "name": what})
        runs.append(run_child(named, parent, str(index), existing, callbacks=callbacks, progress=progress))
        if job.cv is not None:  # read now, while the tracking server responds
            tested_rows.append(_predictions_of(parent.store, runs[-1].run_id))
    tested = compute_test_ratio(dataset) if job.cv is not None else 0.0
    repeats = Repeats(parent.run_id, SEEDS if job.cv is None else CROSS_VALIDATION, tuple(runs), tested)
    _finish(parent, repeats)
    if job.figures:
        keep_curves(parent, runs, names)
    if job.cv is not None:
        predictions = [frame for frame in tested_rows if frame is not None]
        if predictions and len(predictions) == len(tested_rows):
            _keep_out_of_fold(parent, predictions, children)
        elif predictions:
            progress.say(
                "note: out_of_fold.csv is not written: the tracking server does not return the predictions of a fold"
            )
    return repeats


def compute_test_ratio(dataset: Dataset) -> float:
    """Return the ratio of test rows to rows used for fitting; 0 without a test split."""
    tested = len(dataset.splits["test"]) if "test" in dataset.splits else 0
    learnt = sum(len(rows) for split, rows in dataset.split_rows.items() if split != "test")
    return tested / learnt if learnt else 0.0


def _name_of(job: TrainJob, child: TrainJob, index: int, count: int) -> str:
    if job.cv is None:
        return f"seed {child.seed}"
    folds = count // (job.repeats or 1)
    return f"fold {child.fold}" + (f", repeat {(index - 1) // folds + 1}" if job.repeats else "")


def _predictions_of(store: Store, run_id: str) -> Any:
    """Return a fold's test predictions as a data frame, or None if the tracking server does not respond."""
    try:
        return store.read_csv(run_id, PREDICTIONS_FILE)
    except JobError:
        return None


def _keep_out_of_fold(parent: TrackedRun, tested_rows: Sequence[Any], children: Sequence[TrainJob]) -> None:
    """Log the out-of-fold predictions of all rows as one artifact of the parent run."""
    folds = len(children) if not children or children[0].fold is None else int(children[0].fold.split("/")[1])
    for index, (frame, child) in enumerate(zip(tested_rows, children, strict=True)):
        frame.insert(1, "fold", (child.fold or "").split("/")[0])
        frame.insert(1, "repeat", index // folds + 1)
    import pandas as pd

    together = pd.concat(tested_rows, ignore_index=True).sort_values(["repeat", "row"], kind="stable")
    parent.text(together.to_csv(index=False), "out_of_fold.csv")


def _finish(parent: TrackedRun, repeats: Repeats) -> None:
    first = repeats.runs[0]
    if any(run.metrics.keys() != first.metrics.keys() for run in repeats.runs):
        raise JobError("the runs have different metrics, so their means cannot be computed")
    parent.metrics(repeats.metrics)
    parent.text(json.dumps(repeats.as_dict(), indent=1), "repeats.json")
    topics = ", ".join(finding.topic for finding in repeats.diagnosis) or "none"
    tags = {"mlflow.note.content": f"```\n{repeats}\n```", "zoo.diagnosis": topics}
    if repeats.kind == SEEDS:
        tags[BEST_TAG] = repeats.best.run_id
    parent.tags(tags)
    experiment = parent.store.client.get_experiment(parent.experiment_id)
    show_scores(parent.store, experiment, first, params=("seed" if repeats.kind == SEEDS else "fold",))
