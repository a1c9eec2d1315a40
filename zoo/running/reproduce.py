"""Reproduce a tracked run: report what has changed since, and whether its scores agree."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.data.dataset import SPLIT_PREFIX, Dataset
from zoo.errors import UsageError
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import ReproduceJob
from zoo.running.progress import Progress
from zoo.running.train import run_train
from zoo.stored_runs.lookup import find_run, load_job, load_run
from zoo.stored_runs.results import Run
from zoo.task import load_task
from zoo.text import convert_to_plain, format_number
from zoo.tracking.store import Store
from zoo.tracking.tags import (
    BEST_TAG,
    GIT_CHANGED_TAG,
    MACHINE_TAG,
    PYTHON_TAG,
    REPRODUCTION,
    SCORED_TAG,
    SEED_TAG,
    SPLIT_TAG,
    VERSIONS_FILE,
    unpack_tags,
)
from zoo.tracking.tracked_run import create_origin_tags, list_versions

ORIGINAL_TAG = "zoo.reproduces"
EQUAL, WITHIN, DIFFERS = "equal", "within noise", "differs"
SAME_DIGITS = 1e-6  # relative tolerance: float32 rounding for a different summation order
# Tags that identify code and machine, with their display names.
_AROUND = {
    PYTHON_TAG: "Python",
    MACHINE_TAG: "the machine",
    "mlflow.source.git.commit": "the code's commit",
    GIT_CHANGED_TAG: "uncommitted changes",
}


@dataclass(frozen=True)
class Agreement:
    """A score of the original run and of the new run.

    Args:
        name: Name of the score, such as ``test_accuracy``.
        then: Score of the original run.
        now: Score of the new run.
        noise: Difference that two runs with different seeds stay below in 95 % of cases; None if no other seed is
            recorded.
    """

    name: str
    then: float
    now: float
    noise: float | None

    @property
    def verdict(self) -> str:
        """``equal``, ``within noise`` or ``differs``."""
        both_nan = math.isnan(self.then) and math.isnan(self.now)
        if both_nan or math.isclose(self.then, self.now, rel_tol=SAME_DIGITS, abs_tol=1e-9):
            return EQUAL
        return WITHIN if self.noise is not None and abs(self.now - self.then) <= self.noise else DIFFERS


@dataclass
class Reproduction:
    """A run and its reproduction.

    Args:
        original: MLflow id of the original run.
        run: The new run.
        changed: Differences in data, packages, code and machine.
        scores: Each score of the original and the new run.
        seeds: Number of recorded seeds of the same job, from which the noise is estimated.
    """

    original: str
    run: Run
    changed: Sequence[str] = ()
    scores: Sequence[Agreement] = field(default_factory=tuple)
    seeds: int = 0

    @property
    def agrees(self) -> bool:
        """Whether every score is equal or within noise."""
        return all(score.verdict != DIFFERS for score in self.scores)

    @property
    def failed(self) -> bool:
        """Whether the command exits with code 1."""
        return not self.agrees

    def as_dict(self) -> dict[str, Any]:
        """Return the output of ``zoo reproduce --json``."""
        return convert_to_plain(
            {
                "original": self.original,
                "run_id": self.run.run_id,
                "agrees": self.agrees,
                "changed": list(self.changed),
                "seeds": self.seeds,
                "scores": {
                    score.name: {"then": score.then, "now": score.now, "noise": score.noise, "verdict": score.verdict}
                    for score in self.scores
                },
            }
        )

    def __repr__(self) -> str:
        what = f"{self.run.model_name} on {self.run.source}"
        lines = [f"Run {self.run.run_id[:8]} reproduces {self.original[:8]}: {what}"]
        lines += [f"changed since: {text}" for text in self.changed] or [
            "code, versions, data and machine are the same"
        ]
        width = max((len(score.name) + 2 for score in self.scores), default=8)
        lines.append(f"{'score':<{width}}{'then':>12}{'now':>12}{'noise':>12}  verdict")
        for score in self.scores:
            numbers = "".join(f"{format_number(value):>12}" for value in (score.then, score.now, score.noise))
            lines.append(f"{score.name:<{width}}{numbers}  {score.verdict}")
        if any(score.noise is None and score.verdict == DIFFERS for score in self.scores):
            lines.append("the variation between seeds is unknown: train the job with --seeds 5, then reproduce again")
        lines.append("every score agrees" if self.agrees else "some scores differ")
        return "\n".join(lines)


@accept_keywords(ReproduceJob, "run")
def reproduce(job: ReproduceJob, *, model: Any = None, source: Any = None, quiet: bool = False) -> Reproduction:
    """Run the job of a tracked run again, and check whether each score agrees.

    Args:
        job: The job; or its key ``run``. Of a search, the best trial is reproduced.
        model: The custom model, if the run's model was not a catalogue name.
        source: The data, if they were in memory.
        quiet: Whether to print nothing.

    Raises:
        UsageError: If the run does not exist, has no scores, or is the parent of several runs.

    Example:
        >>> reproduce(run.run_id).agrees  # doctest: +SKIP
        True
    """
    progress, run_id = Progress(quiet=quiet), job.run
    store = Store()
    store.close_orphans()
    original_run = find_run(store, run_id)
    original_run = store.run(original_run.data.tags.get(BEST_TAG, original_run.info.run_id))
    original = original_run.info.run_id
    if original_run.data.tags.get(SCORED_TAG) is None:
        kind = original_run.data.tags.get("zoo.kind", "other")
        hint = "; name a run below it" if kind in ("cross_validation", "comparison") else ""
        raise UsageError(f"run {run_id} is a {kind} run without scores of its own{hint}", where="run")
    changes = {key: value for key, value in (("model", model), ("source", source)) if value is not None}
    stored = load_job(store, original, {**changes, "options": job.options})
    dataset = create_model_builder(stored.model, stored.task).task.read(stored)
    changed = _changed(store, original_run, dataset)
    for text in changed:
        progress.say(f"changed since: {text}")
    spread, seeds = _spread_over_seeds(store, original_run)
    then = load_run(store, original)
    again = stored.model_copy(update={"experiment": then.experiment, "name": f"reproduction of {original[:8]}"})
    now = _train_again(again, dataset, original, progress)
    scores = [
        Agreement(name, value, now.metrics[name], spread.get(name))
        for name, value in then.metrics.items()
        if name.startswith(tuple(SPLIT_PREFIX.values())) and name in now.metrics
    ]
    reproduction = Reproduction(original, now, changed, scores, seeds)
    store.log_text(now.run_id, json.dumps(reproduction.as_dict(), indent=1), "reproduction.json")
    store.client.set_tag(now.run_id, "zoo.agrees", "yes" if reproduction.agrees else "no")
    return reproduction


def _train_again(job: TrainJob, dataset: Dataset, original: str, progress: Progress) -> Run:
    tags = {"zoo.kind": REPRODUCTION, ORIGINAL_TAG: original}
    return run_train(job, progress=progress, tags=tags, dataset=dataset)


def _changed(store: Store, original_run: Any, dataset: Dataset) -> list[str]:
    """Return what has changed since the original run, each with its old and new value."""
    tags, now = unpack_tags(original_run), create_origin_tags()
    changed = []
    for tag, value, what in (
        ("zoo.digest", dataset.digest, "the data"),
        (SPLIT_TAG, dataset.split_digest, "the split of the data"),
    ):
        if tags.get(tag) != value:
            changed.append(f"{what}: digest {tags.get(tag, 'unknown')}, now {value}")
    text = store.read_text(original_run.info.run_id, VERSIONS_FILE)
    before = json.loads(text) if text is not None else {}
    for name, number_ in list_versions().items():
        if before.get(name) != number_:
            changed.append(f"{name}: {before.get(name, 'unknown')}, now {number_}")
    for tag, what in _AROUND.items():
        if tags.get(tag) != now.get(tag):
            changed.append(f"{what}: {tags.get(tag, 'unknown')}, now {now.get(tag, 'unknown')}")
    if tags.get(GIT_CHANGED_TAG) == now.get(GIT_CHANGED_TAG) == "yes":
        changed.append("perhaps the code: both runs had uncommitted changes")
    return changed


def _spread_over_seeds(store: Store, original_run: Any) -> tuple[dict[str, float], int]:
    """Return the noise of each score over seeds, see :class:`Agreement`, and the number of seeds.

    Two independent draws with standard deviation s differ by less than t s sqrt(2), where t is the quantile of
    Student's distribution (1908), which accounts for the small number of seeds.
    """
    from scipy import stats

    original_tags = unpack_tags(original_run)
    where = " and ".join(f"tags.`{tag}` = '{original_tags[tag]}'" for tag in ("zoo.task", "zoo.model", "zoo.digest"))
    ignored = ("seed", *load_task(original_tags["zoo.task"]).options.may_change)
    by_seed: dict[str, dict[str, float]] = {}
    for run in store.search(f"{where} and tags.`{SCORED_TAG}` = 'yes'"):
        tags = unpack_tags(run)
        same_split = tags.get(SPLIT_TAG) == original_tags.get(SPLIT_TAG)
        same_params = _select_params(run.data.params, ignored) == _select_params(original_run.data.params, ignored)
        if same_split and same_params and tags.get("zoo.kind") != REPRODUCTION:
            by_seed.setdefault(tags[SEED_TAG], run.data.metrics)
    if len(by_seed) < 2:
        return {}, len(by_seed)
    names = set.intersection(*(set(metrics) for metrics in by_seed.values()))
    factor = float(stats.t.ppf(0.975, len(by_seed) - 1)) * math.sqrt(2)
    values = {name: [metrics[name] for metrics in by_seed.values()] for name in names}
    return {name: factor * float(np.std(scores, ddof=1)) for name, scores in values.items()}, len(by_seed)


def _select_params(params: Mapping[str, str], ignored: Collection[str]) -> dict[str, str]:
    """Return the parameters that two runs of one job have in common: all but the ignored ones."""
    return {name: value for name, value in params.items() if name not in ignored}
