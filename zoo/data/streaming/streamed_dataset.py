"""A dataset whose training and test rows pass by: surveyed in one pass, split by the numbers of its rows."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.describe_table import describe_classes
from zoo.data.columns.encode import MISSING, encode_target, has_value, raw_inputs
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.sources.read import frame_digest
from zoo.data.splitting.sample_weights import column_weights
from zoo.data.splitting.splitters import parts_of_column, suggested_sizes
from zoo.data.streaming.stream import Kept, Stream, Totals, count_levels, row_shares
from zoo.errors import DataError, UsageError, nearest_name
from zoo.jobs.data_options import SUGGESTED, DataJob
from zoo.spec import Spec, Target

SAMPLE_ROWS = 100_000
UNKNOWN = 0.2  # share of a part whose size was to be suggested, where the number of rows is not known
HELD_ROWS = 100_000  # most rows of the validation part, and of the calibration part
_NOT_STREAMED = ("test", "fold", "cv", "sample", "class_weight", "gap")
_SPLITS = (None, "random", "column")


@dataclass(frozen=True)
class StreamedSplit(Split):
    """A part whose rows pass by; what it holds is a sample of them.

    Args:
        total_rows: Number of all rows.
        chunks: From an order of the source's pieces (None for their own) to the part's rows in pieces.
        pieces: Number of the source's pieces.
    """

    total_rows: int = 0
    chunks: Callable[[Any], Iterator[Split]] = field(default=iter)
    pieces: int = 1

    @property
    def total(self) -> int:
        """Number of all rows."""
        return self.total_rows


@dataclass
class _Rule:
    """Which part a row belongs to, by its number or by a column."""

    job: DataJob
    test: float
    seed: int
    held: Mapping[str, Kept]  # validation and calibration, in this order
    given: frozenset[str] = frozenset()  # parts that the column names

    def splits(self, rows: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
        """Return the part of each row (N,) by the shares as they are now."""
        column = self.job.split_column
        splits = np.full(len(rows), "train", dtype="<U11")
        if column is not None:
            splits = parts_of_column(frame[column], where=str(self.job.source))
        else:
            splits[row_shares(rows, self.seed) < self.test] = "test"
        for salt, (name, kept) in enumerate(self.held.items(), start=1):
            if name in self.given:
                continue
            splits[(splits == "train") & (row_shares(rows, self.seed + salt) < kept.share)] = name
        return splits


def streamed_dataset(
    stream: Stream,
    job: DataJob,
    *,
    task: str,
    target_kind: str,
    describe: Callable[[pd.DataFrame, Target | None, str], tuple[Spec, list[str]]],
    options: Mapping[str, Any],
) -> Dataset:
    """Return the dataset of a source whose rows pass by.

    One pass over all rows finds their number, the moments and extremes of numbers and the counts of levels of the
    training rows, and keeps a sample of them, which quantiles and kinds of columns come from. Validation and
    calibration rows are kept in memory, at most 100,000 each; a row's part depends on its number and the seed, or on
    a column, which takes a pass before to find the parts that it names. Where only a pass tells how many rows there
    are, and held parts turn out too large, they are made smaller and there is another pass.

    Args:
        stream: The source.
        job: Says which target, columns and split.
        task: Name of the task.
        target_kind: ``class`` or ``number``.
        describe: As in :class:`zoo.data.layout.Layout`.
        options: The task's own options, in plain values.

    Raises:
        UsageError: When the job asks for what needs all rows at once.
        DataError: When the data cannot be used.
    """
    _check(job, stream)
    name = _target_of(job, stream)
    given = _parts_given(stream, job)
    test, held, why = _sizes(stream, job, given)
    survey = _survey(stream, job, name, target_kind != "number", test, held, given)
    target = _described_target(survey, name, target_kind, job)
    left_out = {name, job.split_column, job.weight, *job.drop}
    sample = survey.sample.frame()
    assert sample is not None
    features = sample.drop(columns=[column for column in sample.columns if column in left_out])
    spec, notes = describe(features, target, task)
    spec = _exact(spec, survey.totals)
    spec = dataclasses.replace(
        spec, options=dict(options), rows=survey.counts["train"], weight=job.weight, weight_kind=job.weight_kind
    )

    def split(frame: pd.DataFrame) -> Split:
        inputs = raw_inputs(frame, spec, where=stream.source)
        weight = column_weights(frame, job.weight, where=stream.source) if job.weight else None
        return Split(inputs, encode_target(frame[name], target), frame.index.to_numpy(), weight)

    held_frames = {which: kept.frame() for which, kept in survey.rule.held.items()}
    splits = {which: split(frame) for which, frame in held_frames.items() if frame is not None}
    for which, kept in (("train", survey.sample), ("test", survey.test)):
        frame = kept.frame()
        if frame is not None:
            kept_rows = split(frame)
            splits[which] = StreamedSplit(
                **vars(kept_rows),
                total_rows=survey.counts[which],
                chunks=_chunks_of(stream, survey.rule, which, name, split),
                pieces=len(stream.pieces),
            )
    splits = {which: splits[which] for which in SPLITS if which in splits}
    digest, split_digest = _digests(stream, sample, survey, job, name)
    told = (
        f"rows pass by and are not held in memory: {survey.counts['train']:,} train, {survey.counts['test']:,} test; "
        f"quantiles and kinds of columns come from a sample of {len(sample):,} training rows, as do baselines"
    )
    return Dataset(
        name=stream.name,
        source=stream.source,
        digest=digest,
        split_digest=split_digest,
        spec=spec,
        splits=splits,
        notes=(told, *why, *notes),
    )


def _digests(stream: Stream, sample: pd.DataFrame, survey: _Survey, job: DataJob, target: str) -> tuple[str, str]:
    """The digest of the data, as far as a sample tells, and that of data, split and target together."""
    digest = hashlib.sha256(f"{stream.digest}{frame_digest(sample)}{survey.counts}".encode()).hexdigest()[:16]
    options = [getattr(job, name) for name in ("seed", "split_seed", "split", "weight", "column", "missing")]
    split = hashlib.sha256(f"{digest} {options} {survey.rule.test} {target}".encode())
    return digest, split.hexdigest()[:16]


@dataclass
class _Survey:
    rule: _Rule
    sample: Kept
    test: Kept
    totals: dict[str, Totals]
    counts: dict[str, int]
    classes: Counter[str] = field(default_factory=Counter)  # of all parts


def _sizes(stream: Stream, job: DataJob, given: frozenset[str]) -> tuple[float, float, list[str]]:
    """The shares of test and validation rows, and why, where they were to be suggested."""
    asked = {"test": job.test_size == SUGGESTED, "validation": job.validation_size == SUGGESTED}
    told = [
        split for split in asked if asked[split] and split not in given and not (split == "test" and job.split_column)
    ]
    if stream.rows is None:
        test, held = UNKNOWN, UNKNOWN
        why = f"{UNKNOWN:g} for the {' and the '.join(told)} part: how many rows there are is not known before"
    else:
        test, held, why = suggested_sizes(stream.rows, 0, told)
    test = test if asked["test"] else float(job.test_size)
    held = held if asked["validation"] else float(job.validation_size)
    return 0.0 if job.split_column else test, held, [why] if told else []


def _survey(
    stream: Stream, job: DataJob, target: str, classes: bool, test: float, held: float, given: frozenset[str]
) -> _Survey:
    """Go through all rows once, or until the held parts are as large as they may be."""
    seed = job.seed if job.split_seed is None else job.split_seed
    share = 1.0 if stream.rows is None else min(1.0, 1.5 * SAMPLE_ROWS / stream.rows)
    shares = {"validation": held, "calibration": job.calibration_share}
    for name in shares:
        if name in given:
            shares[name] = 1.0
        elif stream.rows is not None:  # what would be thrown away again is not taken in
            shares[name] = min(shares[name], 0.9 * HELD_ROWS / stream.rows)
    while True:
        rule = _Rule(job, test, seed, {name: Kept(own, HELD_ROWS) for name, own in shares.items()}, given)
        made = _Survey(rule, Kept(share, SAMPLE_ROWS), Kept(share, SAMPLE_ROWS), {}, {"train": 0, "test": 0})
        _pass(stream, made, seed, target, classes)
        lowered = {name: kept.share for name, kept in rule.held.items() if kept.dropped and name not in given}
        if not lowered:
            break
        # Rows of a held part that was too large are training rows by now, and were not counted as such.
        shares |= lowered
    if not made.counts["train"]:
        raise DataError("no training rows are left", where=stream.source)
    return made


def _pass(stream: Stream, made: _Survey, seed: int, target: str, classes: bool) -> None:
    """Go through all rows once, and put what is found into a survey."""
    rule = made.rule
    for first, frame in stream.chunks():
        rows = np.arange(first, first + len(frame))
        keep = has_value(frame[target])
        rows, frame = rows[keep], frame[keep]
        if classes:
            count_levels(made.classes, frame[target])
        splits = rule.splits(rows, frame)
        places = row_shares(rows, seed + 3)
        for name, kept in (("train", made.sample), ("test", made.test)):
            own = splits == name
            kept.add(frame[own], rows[own], places[own])
            made.counts[name] += int(own.sum())
        for salt, (name, kept) in enumerate(rule.held.items(), start=1):
            own = splits == name
            kept.add(frame[own], rows[own], row_shares(rows[own], seed + salt))
        train = frame[splits == "train"]
        for column in frame.columns:
            if column not in made.totals:
                numeric = pd.api.types.is_numeric_dtype(frame[column].dtype) and not (classes and column == target)
                made.totals[column] = Totals(numeric and not pd.api.types.is_bool_dtype(frame[column].dtype))
            made.totals[column].add(train[column])


def _parts_given(stream: Stream, job: DataJob) -> frozenset[str]:
    """The parts that a column names, which takes going through the rows; none without such a column."""
    column = job.split_column
    if column is None:
        return frozenset()
    seen: set[str] = set()
    for _, frame in stream.chunks():
        seen |= set(parts_of_column(frame[column], where=str(job.source)).tolist())
    return frozenset(seen)


def _described_target(survey: _Survey, name: str, kind: str, job: DataJob) -> Target:
    sample = survey.sample.frame()
    assert sample is not None
    totals = survey.totals[name]
    if kind == "number":
        if not totals.numeric:
            raise DataError(f"the target {name!r} must be numbers", where=str(job.source))
        if totals.low == totals.high:
            raise DataError(f"the target {name!r} is constant: every row is {totals.low:g}", where=str(job.source))
        return Target(name, "number", mean=totals.mean, std=totals.std)
    target = describe_classes(sample[name], positive=job.positive, where=str(job.source), counted=survey.classes)
    return dataclasses.replace(target, counts=tuple(totals.levels[level] for level in target.classes))


def _exact(spec: Spec, totals: Mapping[str, Totals]) -> Spec:
    """Put what the pass over all rows found in place of what the sample has."""
    inputs = []
    for known in spec.inputs:
        found = totals.get(known.name)
        if found is not None and known.kind == "number" and found.numeric and "was_missing" not in known.statistics:
            facts = {"mean": found.mean, "std": found.std, "min": found.low, "max": found.high}
            quantiles = list(known.statistics["quantiles"])
            quantiles[0], quantiles[-1] = found.low, found.high
            statistics = {**known.statistics, **facts, "quantiles": quantiles}
            known = dataclasses.replace(known, missing=found.missing, statistics=statistics)
        elif found is not None and known.kind == "category" and not found.numeric and known.levels:
            counted = {**found.levels}
            counted.pop(MISSING, None)
            if not known.statistics.get("ordered") and len(counted) <= 64:
                levels = tuple(sorted(counted, key=lambda level: (-counted[level], level)))
                fill = known.statistics.get("fill")
                levels += (fill,) if fill is not None and fill not in levels else ()
                known = dataclasses.replace(known, levels=levels)
            known = dataclasses.replace(known, missing=found.missing)
        inputs.append(known)
    return dataclasses.replace(spec, inputs=tuple(inputs))


def _chunks_of(
    stream: Stream, rule: _Rule, which: str, target: str, split: Callable[[pd.DataFrame], Split]
) -> Callable[[Any], Iterator[Split]]:
    def chunks(order: Any = None) -> Iterator[Split]:
        for first, frame in stream.chunks(order):
            rows = np.arange(first, first + len(frame))
            keep = has_value(frame[target])
            own = keep.copy()
            own[keep] = rule.splits(rows[keep], frame[keep]) == which
            if own.any():
                yield split(frame[own].set_axis(rows[own], axis=0))

    return chunks


def _target_of(job: DataJob, stream: Stream) -> str:
    name = job.target if job.target is not None else stream.target
    listed = ", ".join(stream.columns[:30]) + (" …" if len(stream.columns) > 30 else "")
    if name is None:
        raise DataError(f"which column is to be predicted? Say --target COLUMN; columns: {listed}", where=stream.source)
    dropped = ((column, "drop") for column in job.drop)
    for column, what in ((name, "predict"), (job.weight, "weigh by"), (job.split_column, "split by"), *dropped):
        if column is not None and column not in stream.columns:
            near = nearest_name(column, stream.columns)
            raise DataError(
                f"there is no column {column!r} to {what}; columns: {listed}", where=stream.source, nearest=near
            )
    return name


def _check(job: DataJob, stream: Stream) -> None:
    for option in _NOT_STREAMED:
        if getattr(job, option, None) is not None:
            raise UsageError(
                "that needs all rows at once, and these pass by; --no-stream holds them in memory",
                where=option,
            )
    if (job.split or "random").split("=")[0] not in _SPLITS:
        raise UsageError("rows that pass by are split at random, or by --split column=NAME", where="split")
    if any(way.startswith("last") for way in job.missing.values()):
        raise UsageError("the last known value needs the rows in order, and these pass by in another", where="missing")
