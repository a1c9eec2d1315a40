"""A compare job becomes one parent run: models trained on the same parts, tested against each other and baselines."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.comparing.board import BASELINE, MODEL, Board, Comparison, Entry
from zoo.data.dataset import Dataset
from zoo.errors import UsageError
from zoo.fitting.model_builder import model_builder
from zoo.inspection.latency import latency_ms
from zoo.jobs.commands import DEFAULT_SEEDS, CompareJob
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import gathered, job_yaml, make_job
from zoo.registry import matching_entries
from zoo.running.nested_runs import run_child, runs_below
from zoo.running.progress import Progress
from zoo.running.repeats import children_of, share_tested
from zoo.running.run_facts import experiment_name, show_scores, split_of, tracked_name
from zoo.saving.files import check_folder, replacing
from zoo.stored_runs.lookup import stored_job, stored_run
from zoo.stored_runs.results import Run
from zoo.tracking.process_tags import is_running
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.tags import BEST_TAG, COMPARED, CROSS_VALIDATION, JOB_FILE, SCORED_TAG, SEEDS
from zoo.tracking.tracked_run import TrackedRun, ending

COMPARISON, KEY_TAG = "comparison", "zoo.comparison"
_NORMAL_95 = 1.959964


def compare(
    source: Any = None,
    models: Any = (),
    *,
    runs: Sequence[str] = (),
    quiet: bool = False,
    verbose: bool = False,
    **options: Any,
) -> Comparison:
    """Compare models with each other and with baselines: what is better, and what is luck.

    All are trained on the same parts. Over ``seeds``, each draws another split where the split is drawn; the tests
    allow for rows that the splits share, and for the luck of a test part that they all share.

    Args:
        source: A frame, arrays, a file or a bundled name.
        models: Names of the catalogue, patterns, or models of one's own.
        runs: Runs that were made before, in place of a source and models.
        quiet: Print nothing.
        verbose: Print a line for each epoch.
        **options: The other keys of :class:`zoo.jobs.commands.CompareJob`, such as ``seeds``, ``cv``, ``others``
            (further sources), ``target`` or ``output="comparison.html"``.

    Returns:
        The comparison: a board for each source, figures, and a page.

    Raises:
        UsageError: When models, runs or data do not fit each other.

    Example:
        >>> compare("wine", ["classification/mlp", "classification/linear"], seeds=3)  # doctest: +SKIP
    """
    given = {"source": source, "models": models, "runs": runs, **options}
    job = make_job(CompareJob, gathered(CompareJob, given))
    return run_compare(job, progress=Progress(verbose=verbose, quiet=quiet))


def run_compare(job: CompareJob, *, progress: Progress | None = None) -> Comparison:
    """Carry out a compare job; see :func:`compare`."""
    if job.output is not None:
        check_folder(Path(job.output))
    store, progress = Store(), progress or Progress(quiet=True)
    store.close_orphans()
    if job.runs and not job.refit:
        return _Made(store, job).compare()
    return _Training(store, _again(store, job) if job.refit else job, progress).compare()


@dataclass
class _Contestant:
    """A model that takes part, by the name that the board calls it."""

    name: str
    model: Any
    hyperparameters: dict[str, Any]
    epochs: int | None


class _Training:
    """A comparison of models that are trained for it."""

    def __init__(self, store: Store, job: CompareJob, progress: Progress) -> None:
        self.store, self.job, self.progress = store, job, progress
        self.contestants = _contestants(store, job)
        self.sources = (job.source, *job.others)
        first = self.contestants[0]
        self.children = [self._jobs(first, source) for source in self.sources]
        self.candidates = {known.name: model_builder(known.model, job.task) for known in self.contestants}
        tasks = {builder.task.name for builder in self.candidates.values()}
        if len(tasks) > 1:
            raise UsageError(f"models of {' and '.join(sorted(tasks))} have different scores", where="models")
        self.task = next(iter(self.candidates.values())).task
        if job.cv is not None and self.task.no_folds is not None:
            raise UsageError(self.task.no_folds, where="cv")
        self.datasets: list[Dataset] = [self.task.read(jobs[0]) for jobs in self.children]
        if job.cv is not None:
            self.children = [
                self._jobs(first, source, known.folds)
                for source, known in zip(self.sources, self.datasets, strict=True)
            ]
        for contestant in self.contestants:  # what is wrong with the last is said before the first is trained
            for dataset in self.datasets:
                self.candidates[contestant.name].build_checked(contestant.hyperparameters, dataset.spec, seed=job.seed)

    def compare(self) -> Comparison:
        """Train what is missing, and bring it together."""
        store, job = self.store, self.job
        name = job.experiment or (experiment_name(self.datasets[0]) if len(self.sources) == 1 else COMPARISON)
        experiment = store.experiment(name)
        parent = self._parent(experiment)
        with ending(parent):
            boards = [self._board(parent, experiment, place) for place in range(len(self.sources))]
            return _keep(parent, experiment, Comparison(parent.run_id, experiment.name, boards, job.output))

    def _jobs(self, contestant: _Contestant, source: Any, folds: int = 0) -> list[TrainJob]:
        """The jobs of a model on a source, one for each repeat."""
        job = self.job
        left_out = ("command", "model", "source", "seeds", "cv", "repeats", "hyperparameters", "epochs")
        shared = {name: getattr(job, name) for name in TrainJob.model_fields if name not in left_out}
        own = {"hyperparameters": contestant.hyperparameters, "epochs": contestant.epochs}
        values = {**shared, **own, "model": contestant.model, "source": source}
        if job.cv is not None:
            repeated = make_job(TrainJob, {**values, "cv": job.cv, "repeats": job.repeats})
            return children_of(repeated, folds or (job.cv if isinstance(job.cv, int) else 2))
        return [make_job(TrainJob, {**values, "seed": job.seed + k}) for k in range(job.seeds or DEFAULT_SEEDS)]

    def _parent(self, experiment: Any) -> TrackedRun:
        """The run above all: a new one, or that of the same comparison, which was cut short."""
        job, store = self.job, self.store
        told = job_yaml(job.model_copy(update={"output": None})) + " ".join(d.split_digest for d in self.datasets)
        key = hashlib.sha256(told.encode()).hexdigest()[:24]
        for found in store.search(f"tags.`{KEY_TAG}` = '{key}'", experiment=experiment):
            if is_running(found):
                raise UsageError(f"this comparison is running already, in process {found.data.tags['zoo.process']}")
            if found.info.status != "FINISHED":
                self.progress.say(f"run {found.info.run_id[:8]} was cut short: it goes on")
                return TrackedRun.reopen(store, found.info.run_id)
        names = ", ".join(contestant.name for contestant in self.contestants)
        on = ", ".join(dataset.name for dataset in self.datasets)
        tags = {
            KEY_TAG: key, "zoo.kind": COMPARISON, "zoo.task": self.task.name, "zoo.model": names[:500],
            "zoo.source": ", ".join(dataset.source for dataset in self.datasets)[:500],
        }  # fmt: skip
        parent = TrackedRun.create(store, experiment, job.name or f"{names} on {on}"[:200], tags=tags)
        parent.params({"models": names, "repeats": len(self.children[0]), "seed": job.seed})
        for dataset in self.datasets:
            parent.dataset(dataset)
        parent.text(job_yaml(job), JOB_FILE)
        return parent

    def _board(self, parent: TrackedRun, experiment: Any, place: int) -> Board:
        known, dataset = runs_below(self.store, parent.run_id), self.datasets[place]
        count = len(self.children[place])
        runs: dict[str, list[Run]] = {contestant.name: [] for contestant in self.contestants}
        for index in range(count):
            for contestant in self.contestants:
                child = self._jobs(contestant, self.sources[place], dataset.folds)[index]
                what = f"fold {child.fold}" if child.fold else f"seed {child.seed}"
                title = f"{contestant.name} on {dataset.name}, {what}"
                self.progress.say(f"{title}: {index + 1} of {count}")
                child = child.model_copy(update={"experiment": experiment.name, "name": title})
                key = f"{place}/{contestant.name}/{index + 1}"
                tags = {"zoo.kind": COMPARED}
                made = run_child(child, parent, key, known, tags=tags, progress=self.progress)
                runs[contestant.name].append(made)
        tested, shared, judged = self._judged(place)
        latencies = {name: latency_ms(made[0].model.keras_model, dataset) for name, made in runs.items()}
        seconds = _baseline_seconds(self.store, experiment, dataset.digest)
        return _board(
            self.task.name, runs, tested=tested, shared=shared, judged=judged, latencies=latencies, seconds=seconds
        )

    def _judged(self, place: int) -> tuple[float, bool, str]:
        """Test rows for each row that is learnt from, whether all repeats share them, and what the repeats are."""
        children, dataset = self.children[place], self.datasets[place]
        if self.job.cv is not None:
            return share_tested(dataset), False, f"{len(children)} folds"
        told = f"{len(children)} seeds"
        if "test" not in dataset.split_rows:
            return 0.0, False, told
        other = split_of(self.task.read(children[1]))["test"]
        if np.array_equal(np.asarray(split_of(dataset)["test"]), np.asarray(other)):
            return 0.0, True, f"{told} on one test part, whose rows' luck is in the intervals"
        if self.task.no_folds is not None:  # episodes are drawn from an endless supply
            return 0.0, False, told
        return share_tested(dataset), False, f"{told}, each with a split of its own"


class _Made:
    """A comparison of runs that were made before."""

    def __init__(self, store: Store, job: CompareJob) -> None:
        self.store, self.job = store, job
        self.found = [store.run(run_id) for run_id in job.runs]
        self.runs = {f"{_title(found)} {found.info.run_id[:8]}": _runs_of(store, found) for found in self.found}
        if len(self.runs) < len(self.found):
            raise UsageError("a run is given twice", where="runs")
        self._check_alike()

    def compare(self) -> Comparison:
        """Bring them together."""
        first = next(iter(self.runs.values()))
        experiment = self.store.experiment(self.job.experiment or first[0].experiment)
        tags = {"zoo.kind": COMPARISON, "zoo.task": first[0].task, "zoo.source": first[0].source[:500]}
        name = self.job.name or f"{', '.join(self.runs)}"[:200]
        parent = TrackedRun.create(self.store, experiment, name, tags=tags)
        with ending(parent):
            parent.params({"runs": ", ".join(found.info.run_id for found in self.found)})
            parent.text(job_yaml(self.job), JOB_FILE)
            count = len(first)
            kind = self.found[0].data.tags.get("zoo.kind")
            folds = kind == CROSS_VALIDATION
            told = f"{count} {'folds' if folds else 'seeds on one test split'}"
            judged = told if count > 1 else "one run of each: the luck of a training is not in the intervals"
            tested = self._tested() if folds else 0.0
            board = _board(first[0].task, self.runs, tested=tested, shared=not folds, judged=judged)
            return _keep(parent, experiment, Comparison(parent.run_id, experiment.name, [board], self.job.output))

    def _tested(self) -> float:
        split_rows = _split(self.store, next(iter(self.runs.values()))[0])
        trained = sum(len(rows) for name, rows in split_rows.items() if name != "test")
        return len(split_rows["test"]) / trained

    def _check_alike(self) -> None:
        """Refuse runs whose scores do not compare.

        Raises:
            UsageError: They are of another task, target or number, or have different test rows.
        """
        (name, first), *others = self.runs.items()
        wanted = [_judged_rows(self.store, run) for run in first]
        for other, several in others:
            if several[0].task != first[0].task or several[0].objective != first[0].objective:
                raise UsageError(f"{name} and {other} have different scores, and do not compare", where="runs")
            if len(several) != len(first):
                raise UsageError(
                    f"{name} has {len(first)} runs and {other} {len(several)}; --refit trains them again, as often",
                    where="runs",
                )
            if [_judged_rows(self.store, run) for run in several] != wanted:
                raise UsageError(
                    f"{name} and {other} have different test rows; --refit trains them again on the data of the first",
                    where="runs",
                )


def _contestants(store: Store, job: CompareJob) -> list[_Contestant]:
    """The models that take part; of runs that are trained again, with their hyperparameters."""
    made = []
    for run_id in job.runs:
        found = store.run(run_id)
        own = stored_job(store, found.data.tags.get(BEST_TAG, found.info.run_id))
        name = f"{_title(found)} {found.info.run_id[:8]}"
        made.append(_Contestant(name, own.model, dict(own.hyperparameters), job.epochs or own.epochs))
    for model in job.models:
        names = [known.name for known in matching_entries(model)] if isinstance(model, str) else [model]
        made += [_Contestant(tracked_name(one), one, dict(job.hyperparameters), job.epochs) for one in names]
    if len({contestant.name for contestant in made}) < len(made):
        raise UsageError("a model is given twice", where="models")
    return made


def _again(store: Store, job: CompareJob) -> CompareJob:
    """The job that trains runs again, all on the data of the first of them."""
    found = store.run(job.runs[0])
    first = stored_job(store, found.data.tags.get(BEST_TAG, found.info.run_id))
    own = {"model", "hyperparameters", "epochs", "baselines", "experiment", "name", "seeds", "cv", "repeats", "command"}
    shared = {name: getattr(first, name) for name in TrainJob.model_fields if name not in own}
    return job.model_copy(update=shared)


def _board(
    task: str,
    runs: dict[str, list[Run]],
    *,
    tested: float,
    shared: bool,
    judged: str,
    latencies: dict[str, float] | None = None,
    seconds: dict[str, float] | None = None,
) -> Board:
    """Bring runs of models, and the baselines beside them, on one board."""
    first = next(iter(runs.values()))[0]
    score = first.headline
    entries = []
    for name, made in runs.items():
        bounds = [run.intervals.get(score, (math.nan, math.nan)) for run in made]
        errors = [(high - low) / (2 * _NORMAL_95) for low, high in bounds if not math.isnan(high - low)]
        entries.append(
            Entry(
                name,
                MODEL,
                [run.metrics.get(score, math.nan) for run in made],
                _means([run.metrics for run in made]),
                noise=float(np.mean(errors)) if shared and errors else 0.0,
                seconds=float(np.mean([run.seconds for run in made])),
                latency_ms=(latencies or {}).get(name),
                n_parameters=made[0].n_parameters,
                run_ids=[run.run_id for run in made],
            )
        )
    # A baseline has no interval of its own; the same rows are as lucky for it as for a model.
    noise = max(entry.noise for entry in entries)
    beside = next(iter(runs.values()))
    for name in beside[0].baselines:
        if all(name in run.baselines for run in beside):
            scores = [run.baselines[name].get(score, math.nan) for run in beside]
            means = _means([run.baselines[name] for run in beside])
            entries.append(Entry(name, BASELINE, scores, means, noise, (seconds or {}).get(name, math.nan)))
    notes = dict.fromkeys(note for made in runs.values() for run in made for note in run.notes if "baseline" in note)
    return Board(first.source, task, score, first.direction, entries, tested, judged, tuple(notes))


def _means(several: Sequence[Any]) -> dict[str, float]:
    names = [name for name in several[0] if all(name in one for one in several)]
    return {name: float(np.mean([one[name] for one in several])) for name in names}


def _keep(parent: TrackedRun, experiment: Any, made: Comparison) -> Comparison:
    """Log the comparison, and write its page where one was asked for."""
    page = made.page()
    parent.text(page, "comparison.html")
    parent.text(json.dumps(made.as_dict(), indent=1), "comparison.json")
    parent.figures(made.figures)
    parent.tags({"mlflow.note.content": made.markdown()})
    ids = [run_id for entry in made.boards[0].entries for run_id in entry.run_ids]
    show_scores(parent.store, experiment, stored_run(parent.store, ids[0]), params=("model", "seed"))
    if made.output is not None:
        with replacing(Path(made.output)) as writing:
            writing.write_text(page, encoding="utf-8")
    return made


def _baseline_seconds(store: Store, experiment: Any, digest: str) -> dict[str, float]:
    """The mean time of the baselines on some data, by name."""
    found: dict[str, list[float]] = {}
    where = f"tags.`zoo.kind` = 'baseline' and tags.`zoo.digest` = '{digest}' and attributes.status = 'FINISHED'"
    for run in store.search(where, experiment=experiment):
        if "seconds" in run.data.metrics:
            found.setdefault(run.data.tags["zoo.model"], []).append(run.data.metrics["seconds"])
    return {name: float(np.mean(values)) for name, values in found.items()}


def _title(found: Any) -> str:
    return found.data.tags.get("zoo.model") or found.info.run_name or "run"


def _runs_of(store: Store, found: Any) -> list[Run]:
    """The runs that a run stands for: itself, of a search its best, of repeats each.

    Raises:
        UsageError: When it did not finish, or is no run of a model.
    """
    if found.data.tags.get("zoo.kind") in (SEEDS, CROSS_VALIDATION):
        below = store.search(f"tags.`{PARENT_TAG}` = '{found.info.run_id}' and attributes.status = 'FINISHED'")
        return [stored_run(store, run.info.run_id) for run in sorted(below, key=lambda run: run.info.start_time)]
    chosen = store.run(found.data.tags.get(BEST_TAG, found.info.run_id))
    if chosen.data.tags.get(SCORED_TAG) is None:
        kind = found.data.tags.get("zoo.kind", "other")
        raise UsageError(f"run {found.info.run_id[:8]} ({kind}) has no scores of a model", where="runs")
    return [stored_run(store, chosen.info.run_id)]


def _judged_rows(store: Store, run: Run) -> tuple[str, str]:
    """The data and the test rows of a run, as what tells them from others."""
    tags = store.run(run.run_id).data.tags
    rows = _split(store, run).get("test", [])
    return tags.get("zoo.digest", ""), f"{tags.get('zoo.target', '')} {sorted(rows)}"


def _split(store: Store, run: Run) -> dict[str, list[int]]:
    known: dict[str, list[int]] = json.loads(store.read_text(run.run_id, "split.json") or "{}")
    return known
