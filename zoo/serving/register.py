"""Registering a run's model under a name; the champion is who wins on rows that neither model has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.dataset import Dataset, Split
from zoo.data.ragged import Ragged
from zoo.errors import UsageError
from zoo.fitting.model_builder import model_builder
from zoo.metrics.significance import paired_difference, row_losses
from zoo.stored_runs.lookup import load, resolve_run, stored_job
from zoo.text import interval, number, plain
from zoo.tracking.model_registry import Version, describe_version, holder_of, register_version, set_alias
from zoo.tracking.store import Store

CHAMPION = "champion"
LEAST_ROWS = 30  # that neither model has seen


@dataclass(frozen=True)
class Contest:
    """Two models on the same rows, which neither has seen.

    Args:
        source: Where the rows are from.
        rows: Their number.
        seen: Rows of the source that were left out, because one of the models has seen the same.
        champion: Mean loss of the present champion: log-loss of classes, squared error of numbers.
        challenger: Mean loss of the model that would take its place.
        difference: The 95 % interval of challenger less champion, over rows drawn anew.
    """

    source: str
    rows: int
    seen: int
    champion: float
    challenger: float
    difference: tuple[float, float]

    @property
    def won(self) -> bool:
        """Whether the challenger is better beyond the noise."""
        return self.difference[1] < 0


@dataclass(frozen=True)
class Registration:
    """A registered version, and what became of the alias.

    Args:
        version: The version.
        alias: The alias that was asked for.
        holder: Who has the alias now; None where nobody has.
        contest: How it went against the champion; None where there was none.
    """

    version: Version
    alias: str
    holder: Version | None
    contest: Contest | None = None

    @property
    def promoted(self) -> bool:
        """Whether the alias points at this version."""
        return self.holder == self.version

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo register --json`` prints."""
        made = {"name": self.version.name, "version": self.version.number, "run_id": self.version.run_id}
        held = None if self.holder is None else {"version": self.holder.number, "run_id": self.holder.run_id}
        contest = None if self.contest is None else {**vars(self.contest), "won": self.contest.won}
        return plain({**made, "alias": self.alias, "promoted": self.promoted, "holder": held, "contest": contest})

    def __repr__(self) -> str:
        made, contest = self.version, self.contest
        lines = [f"{made.name}, version {made.number}, is the model of run {made.run_id[:8]}"]
        if contest is not None:
            left_out = f"; {contest.seen:,} more were left out, for a model has seen them" if contest.seen else ""
            lines.append(f"on {contest.rows:,} rows of {contest.source} that neither has seen{left_out}:")
            lines.append(
                f"  mean loss {number(contest.challenger)}, the champion's {number(contest.champion)}; "
                f"difference {interval(contest.difference)}"
            )
        if self.promoted:
            lines.append(f"it is the {self.alias}: zoo predict {made.name}@{self.alias} rows.csv")
        elif self.holder is not None:
            why = "it is not better beyond the noise" if contest is not None else "nothing was compared"
            lines.append(
                f"the {self.alias} remains version {self.holder.number}, of run {self.holder.run_id[:8]}: {why}"
                + ("" if contest is not None else "; give --on SOURCE, rows that neither has seen")
            )
        return "\n".join(lines)


def register(run_id: str, name: str, *, alias: str = CHAMPION, on: Any = None) -> Registration:
    """Register a run's model under a name in MLflow's registry.

    The first version of a name becomes its champion; another takes that place only by winning on rows that neither
    of the two has seen. Any other alias is set without a contest.

    Args:
        run_id: MLflow's id, or its first characters; of a search its best trial's model is registered.
        name: Name of the registered model.
        alias: The alias to point at it.
        on: A source that neither model has learnt from, validated or tested on; rows that are the same as one of
            those are left out.

    Raises:
        UsageError: When the run has no model, MLflow does not take the name, or the rows do not decide.

    Example:
        >>> register(run.run_id, "prices", on="june.csv").promoted  # doctest: +SKIP
        True
    """
    store = Store()
    chosen = resolve_run(store, run_id)
    load(chosen)  # says now what is wrong with it
    holder = holder_of(store, name, alias)
    contest = None
    if alias == CHAMPION and holder is not None and holder.run_id != chosen and on is not None:
        contest = _contest(store, holder.run_id, chosen, on)
    version = register_version(store, name, chosen)
    if alias != CHAMPION or holder is None or (contest is not None and contest.won):
        set_alias(store, version, alias)
        holder = version
    made = Registration(version, alias, holder, contest)
    describe_version(store, version, repr(made))
    return made


def _contest(store: Store, champion: str, challenger: str, on: Any) -> Contest:
    frames, seen = [], set()
    for run_id in (champion, challenger):
        job = stored_job(store, run_id).model_copy(update={"test": on, "test_size": None})
        task = model_builder(job.model, job.task).task
        dataset = task.read(job)
        model, tested = load(run_id), dataset.splits["test"]
        frame = task.held_out(model.spec, tested, task.output(model.keras_model, tested.inputs))
        if frame is None:
            raise UsageError(f"{task.name} predicts no target by which two models could be told apart", where="on")
        frames.append(frame.set_index("row"))
        seen |= _seen(dataset)
    known = frames[0].index.intersection(frames[1].index)
    rows = known.difference(pd.Index(sorted(seen)))
    if len(rows) < LEAST_ROWS:
        raise UsageError(
            f"{len(known):,} rows, of which neither model has seen {len(rows):,}: too few to decide by; "
            f"give {LEAST_ROWS} at least",
            where=str(on),
        )
    losses = [row_losses(frame.loc[rows]) for frame in frames]
    return Contest(
        str(on) if isinstance(on, str) else f"{type(on).__name__} in memory",
        len(rows),
        len(known) - len(rows),
        float(losses[0].mean()),
        float(losses[1].mean()),
        paired_difference(losses[1], losses[0]),
    )


def _seen(dataset: Dataset) -> set[int]:
    """Rows of the test part whose inputs equal those of a row that the model learnt from or was chosen by."""
    learnt = [_hashes(split) for name, split in dataset.splits.items() if name != "test"]
    test = dataset.splits["test"]
    again = np.isin(_hashes(test), np.concatenate(learnt)) if learnt else np.zeros(len(test), bool)
    return set(test.rows[again].tolist())


def _hashes(split: Split) -> np.ndarray:
    """A number for each row, the same for rows that are the same in all inputs (N,)."""
    made = np.zeros(len(split), np.uint64)
    for values in split.inputs.values():
        if isinstance(values, Ragged):
            own = np.array([hash(values.example(row).tobytes()) for row in range(len(split))], np.int64)
        else:
            flat = np.asarray(values).reshape(len(split), -1)
            own = np.zeros(len(split), np.uint64)
            for column in flat.T:
                own = own * np.uint64(31) + pd.util.hash_array(np.ascontiguousarray(column), categorize=False)
        made = made * np.uint64(1_000_003) + own.astype(np.uint64)
    return made
