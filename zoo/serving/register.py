"""Registration of a run's model; a new champion must win on rows that neither model has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.dataset import Dataset, Split
from zoo.data.ragged import Ragged
from zoo.errors import UsageError
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import RegisterJob
from zoo.metrics.significance import paired_difference, row_losses
from zoo.stored_runs.lookup import load, load_job, resolve_run
from zoo.text import convert_to_plain, format_interval, format_number
from zoo.tracking.model_registry import Version, describe_version, find_version, register_version, set_alias
from zoo.tracking.store import Store

CHAMPION = "champion"
LEAST_ROWS = 30  # unseen by both models


@dataclass(frozen=True)
class Contest:
    """A comparison of two models on rows that neither has seen.

    Args:
        source: Where the rows are from.
        rows: Number of rows.
        seen: Rows of the source left out because one of the models has seen equal rows.
        champion: Mean loss of the present champion: log-loss of classes, squared error of numbers.
        challenger: Mean loss of the new model.
        difference: 95 % interval of challenger minus champion, with rows as the sample.
    """

    source: str
    rows: int
    seen: int
    champion: float
    challenger: float
    difference: tuple[float, float]

    @property
    def won(self) -> bool:
        """Whether the challenger is significantly better."""
        return self.difference[1] < 0


@dataclass(frozen=True)
class Registration:
    """A registered version, and the state of its alias.

    Args:
        version: The version.
        alias: The requested alias.
        holder: The version that has the alias now; None if there is none.
        contest: The comparison with the champion; None if there was none.
    """

    version: Version
    alias: str
    holder: Version | None
    contest: Contest | None = None

    @property
    def promoted(self) -> bool:
        """Whether the alias points to this version."""
        return self.holder == self.version

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo register --json`` prints."""
        version = {"name": self.version.name, "version": self.version.number, "run_id": self.version.run_id}
        holder = None if self.holder is None else {"version": self.holder.number, "run_id": self.holder.run_id}
        contest = None if self.contest is None else {**vars(self.contest), "won": self.contest.won}
        return convert_to_plain(
            {**version, "alias": self.alias, "promoted": self.promoted, "holder": holder, "contest": contest}
        )

    def __repr__(self) -> str:
        version, contest = self.version, self.contest
        lines = [f"{version.name}, version {version.number}, is the model of run {version.run_id[:8]}"]
        if contest is not None:
            left_out = f" ({contest.seen:,} more left out because a model has seen them)" if contest.seen else ""
            lines.append(f"on {contest.rows:,} rows of {contest.source} that neither model has seen{left_out}:")
            lines.append(
                f"  mean loss {format_number(contest.challenger)}, the champion's {format_number(contest.champion)}; "
                f"difference {format_interval(contest.difference)}"
            )
        if self.promoted:
            lines.append(f"it is the {self.alias}: zoo predict {version.name}@{self.alias} rows.csv")
        elif self.holder is not None:
            reason = "the new version is not significantly better" if contest is not None else "they were not compared"
            lines.append(
                f"the {self.alias} remains version {self.holder.number}, of run {self.holder.run_id[:8]}: {reason}"
                + ("" if contest is not None else "; give rows that neither model has seen with --on SOURCE")
            )
        return "\n".join(lines)


@accept_keywords(RegisterJob, "run", "name")
def register(job: RegisterJob) -> Registration:
    """Register a run's model under a name in MLflow's registry.

    The first version of a name becomes its champion; a later one replaces it only if it wins on rows that neither
    of the two has seen. Any other alias is set without a comparison.

    Args:
        job: The job; or its keys as keywords. Rows of ``on`` that equal one that a model has seen are left out.

    Raises:
        UsageError: When the run has no model, MLflow does not accept the name, or there are too few rows.

    Example:
        >>> register(run.run_id, "prices", on="june.csv").promoted  # doctest: +SKIP
        True
    """
    name, alias = job.name, job.alias
    store = Store()
    chosen = resolve_run(store, job.run)
    load(chosen)  # raises an error for a run without a usable model
    holder = find_version(store, name, alias)
    contest = None
    if alias == CHAMPION and holder is not None and holder.run_id != chosen and job.on is not None:
        contest = _contest(store, holder.run_id, chosen, job.on)
    version = register_version(store, name, chosen)
    if alias != CHAMPION or holder is None or (contest is not None and contest.won):
        set_alias(store, version, alias)
        holder = version
    registration = Registration(version, alias, holder, contest)
    describe_version(store, version, repr(registration))
    return registration


def _contest(store: Store, champion: str, challenger: str, on: Any) -> Contest:
    frames, seen = [], set()
    for run_id in (champion, challenger):
        job = load_job(store, run_id).model_copy(update={"test": on, "test_size": None})
        task = create_model_builder(job.model, job.task).task
        dataset = task.read(job)
        model, test_split = load(run_id), dataset.splits["test"]
        frame = task.rules(model.spec).held_out(test_split, task.output(model.keras_model, test_split.inputs))
        if frame is None:
            raise UsageError(f"{task.name} has no target on which two models can be compared", where="on")
        frames.append(frame.set_index("row"))
        seen |= _seen(dataset)
    common = frames[0].index.intersection(frames[1].index)
    rows = common.difference(pd.Index(sorted(seen)))
    if len(rows) < LEAST_ROWS:
        raise UsageError(
            f"only {len(rows):,} of {len(common):,} rows are unseen by both models, too few for a comparison; "
            f"give at least {LEAST_ROWS}",
            where=str(on),
        )
    losses = [row_losses(frame.loc[rows]) for frame in frames]
    return Contest(
        str(on) if isinstance(on, str) else f"{type(on).__name__} in memory",
        len(rows),
        len(common) - len(rows),
        float(losses[0].mean()),
        float(losses[1].mean()),
        paired_difference(losses[1], losses[0]),
    )


def _seen(dataset: Dataset) -> set[int]:
    """Return the test rows whose inputs equal those of a training, validation or calibration row."""
    other_hashes = [_hashes(split) for name, split in dataset.splits.items() if name != "test"]
    test = dataset.splits["test"]
    in_training = np.isin(_hashes(test), np.concatenate(other_hashes)) if other_hashes else np.zeros(len(test), bool)
    return set(test.rows[in_training].tolist())


def _hashes(split: Split) -> np.ndarray:
    """Return a hash of each row's inputs: (N,)."""
    hashes = np.zeros(len(split), np.uint64)
    for values in split.inputs.values():
        if isinstance(values, Ragged):
            input_hashes = np.array([hash(values.example(row).tobytes()) for row in range(len(split))], np.int64)
        else:
            flat = np.asarray(values).reshape(len(split), -1)
            input_hashes = np.zeros(len(split), np.uint64)
            for column in flat.T:
                input_hashes = input_hashes * np.uint64(31) + pd.util.hash_array(
                    np.ascontiguousarray(column), categorize=False
                )
        hashes = hashes * np.uint64(1_000_003) + input_hashes.astype(np.uint64)
    return hashes
