"""Registration of a run's model; a new champion must win on rows that neither model has seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import encode_targets, extract_inputs, has_value
from zoo.data.columns.unreadable_cells import clear_unreadable_cells
from zoo.data.dataset import Split
from zoo.data.ragged import Ragged
from zoo.data.reading_options import apply_reading_options
from zoo.data.splitting.sample_weights import read_weights
from zoo.data.written_targets import restore_classes
from zoo.errors import UsageError
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import RegisterJob
from zoo.metrics.significance import bounded_losses, cautious_difference
from zoo.spec import Spec
from zoo.stored_runs.lookup import load, load_job, resolve_run
from zoo.task import Task, load_task
from zoo.text import convert_to_plain, format_interval, format_number
from zoo.tracking.model_registry import Version, describe_version, find_version, register_version, set_alias
from zoo.tracking.store import Store
from zoo.tracking.tags import SPLIT_FILE

CHAMPION = "champion"
LEAST_ROWS = 30  # unseen by both models
WORST = 2.0  # largest Brier score of a row


@dataclass(frozen=True)
class Contest:
    """A comparison of two models on rows that neither has seen.

    Args:
        source: Where the rows are from.
        rows: Number of rows.
        seen: Rows of the source left out because one of the models has seen equal rows.
        champion: Mean loss of the present champion: Brier score of classes, squared error of numbers.
        challenger: Mean loss of the new model.
        difference: 95 % interval of challenger minus champion, which counts one more row on which the challenger is
            as wrong as it can be: few rows do not show rare, large errors.
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
        model = load(run_id)
        task = load_task(model.spec.task)
        rows = _labelled_rows(task, model.spec, on)
        predicted = task.rules(model.spec).held_out(rows, task.output(model.keras_model, rows.inputs))
        assert predicted is not None  # there are targets
        frames.append(predicted.set_index("row"))
        seen |= _seen(store, run_id, task, model.spec, rows)
    common = frames[0].index.intersection(frames[1].index)
    unseen = common.difference(pd.Index(sorted(seen)))
    if len(unseen) < LEAST_ROWS:
        raise UsageError(
            f"only {len(unseen):,} of {len(common):,} rows are unseen by both models, too few for a comparison; "
            f"give at least {LEAST_ROWS}",
            where=str(on),
        )
    frames = [frame.loc[unseen] for frame in frames]
    losses = [bounded_losses(frame) for frame in frames]
    weight = frames[0]["weight"].to_numpy(float) if "weight" in frames[0] else None
    return Contest(
        str(on) if isinstance(on, str) else f"{type(on).__name__} in memory",
        len(unseen),
        len(common) - len(unseen),
        float(np.average(losses[0], weights=weight)),
        float(np.average(losses[1], weights=weight)),
        cautious_difference(losses[1], losses[0], weight, worst=WORST if _has_classes(frames[0]) else None),
    )


def _labelled_rows(task: Task, spec: Spec, source: Any) -> Split:
    """Return the rows of a source that have the targets, as the model takes them."""
    table = restore_classes(task.rows(source, spec), spec.targets)
    names = [target.name for target in spec.targets]
    if not names:
        raise UsageError(f"{task.name} has no target on which two models can be compared", where="on")
    for name in names:
        if name not in table.frame.columns:
            raise UsageError(f"there is no column {name!r} with the truth", where=table.source)
    frame = table.frame[np.logical_and.reduce([has_value(table.frame[name]) for name in names])]
    frame, _ = clear_unreadable_cells(frame, spec, where=table.source)
    weighted = spec.weight is not None and spec.weight in frame.columns
    return Split(
        extract_inputs(frame, spec, where=table.source),
        encode_targets(frame, spec, where=table.source),
        frame.index.to_numpy(),
        read_weights(frame, spec.weight, where=table.source) if weighted else None,
    )


def _seen(store: Store, run_id: str, task: Task, spec: Spec, rows: Split) -> set[int]:
    """Return the rows whose inputs equal those of a row that the run used outside its test split.

    All rows of the run's source count, also those that sampling left out, except its stored test rows.
    """
    job = load_job(store, run_id)
    if str(job.source).endswith(" in memory)"):
        message = f"run {run_id[:8]} was trained on data in memory, so the rows that it used cannot be read again"
        raise UsageError(f"{message}; compare models that were trained on a file", where="on")
    with apply_reading_options(job):
        table = task.rows(job.source, spec)
    split_rows = json.loads(store.read_text(run_id, SPLIT_FILE) or "{}")
    test_rows = split_rows.get("test", []) if job.test is None else []
    frame = table.frame[~table.frame.index.isin(test_rows)]
    frame, _ = clear_unreadable_cells(frame, spec, where=table.source)
    used = Split(extract_inputs(frame, spec, where=table.source), None, frame.index.to_numpy())
    return set(rows.rows[np.isin(_hashes(rows), _hashes(used))].tolist())


def _has_classes(predicted: pd.DataFrame) -> bool:
    return any(name.startswith("probability_") for name in predicted.columns)


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
