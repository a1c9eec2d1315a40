"""Streamed datasets: statistics in one pass over the rows, splits by row number."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.describe_table import choose_positive, describe_classes
from zoo.data.columns.encode import MISSING, encode_target, extract_inputs, has_value
from zoo.data.columns.unreadable_cells import clear_unreadable_cells
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.sources.read import compute_frame_digest
from zoo.data.splitting.sample_weights import read_weights
from zoo.data.splitting.splitters import read_split_column, suggest_sizes
from zoo.data.streaming.stream import RowSample, Stream, Totals, count_categories, hash_rows
from zoo.errors import MOST_NAMES, DataError, UsageError, find_nearest_name, join_first
from zoo.jobs.data_options import SUGGESTED, DataJob
from zoo.spec import CategoryInput, NumberInput, Spec, Target

SAMPLE_ROWS = 100_000
UNKNOWN = 0.2  # suggested size of a split if the number of rows is unknown
HELD_ROWS = 100_000  # maximum number of rows of the validation split, and of the calibration split
_NOT_STREAMED = ("test", "fold", "cv", "sample", "class_weight", "gap")
_SPLITS = (None, "random", "column")


@dataclass(frozen=True)
class StreamedSplit(Split):
    """A split whose rows are streamed; its arrays hold a sample of them.

    Args:
        total_rows: Number of all rows.
        chunks: Takes an order of the source's pieces (None for the natural order); yields the rows in chunks.
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
    """Assigns rows to splits, by row number or by a column."""

    job: DataJob
    test: float
    seed: int
    held: Mapping[str, RowSample]  # validation and calibration, in this order
    given: frozenset[str] = frozenset()  # splits that the column contains

    def splits(self, rows: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
        """Return the split of each row (N,) for the current sizes."""
        column = self.job.split_column
        splits = np.full(len(rows), "train", dtype="<U11")
        if column is not None:
            splits = read_split_column(frame[column], where=str(self.job.source))
        else:
            splits[hash_rows(rows, self.seed) < self.test] = "test"
        for salt, (name, kept) in enumerate(self.held.items(), start=1):
            if name in self.given:
                continue
            splits[(splits == "train") & (hash_rows(rows, self.seed + salt) < kept.fraction)] = name
        return splits


def create_streamed_dataset(
    stream: Stream,
    job: DataJob,
    *,
    task: str,
    target_kind: str,
    describe: Callable[[pd.DataFrame, tuple[Target, ...], str], tuple[Spec, list[str]]],
    options: Mapping[str, Any],
) -> Dataset:
    """Return the dataset of a streamed source.

    One pass over all rows computes their number, the moments and extremes of numbers and the counts of categories of
    the training rows, and keeps a sample, from which quantiles and column kinds are computed. Validation and
    calibration rows are kept in memory, at most 100,000 each. The split of a row depends on its number and the seed,
    or on a column, which needs one more pass to find the splits in it. If the number of rows is unknown and the
    validation or calibration split is too large, it is made smaller and the pass is repeated.

    Args:
        stream: The source.
        job: Data options: target, columns and split.
        task: Name of the task.
        target_kind: ``class`` or ``number``.
        describe: As in :class:`zoo.data.layout.Layout`.
        options: Options of the task, as plain values.

    Raises:
        UsageError: If an option needs all rows in memory.
        DataError: If the data cannot be used.
    """
    _check(job, stream)
    name = _target_of(job, stream)
    given = _given_splits(stream, job)
    test, held, reasons = _sizes(stream, job, given)
    survey = _survey(stream, job, name, target_kind != "number", test, held, given)
    target = _described_target(survey, name, target_kind, job)
    left_out = {name, job.split_column, job.weight, *job.drop}
    sample = survey.sample.frame()
    assert sample is not None
    features = sample.drop(columns=[column for column in sample.columns if column in left_out])
    spec, notes = describe(features, (target,), task)
    spec = _exact(spec, survey.totals)
    spec = dataclasses.replace(
        spec, options=dict(options), rows=survey.counts["train"], weight=job.weight, weight_kind=job.weight_kind
    )

    def split(frame: pd.DataFrame) -> Split:
        inputs = extract_inputs(clear_unreadable_cells(frame, spec, whole=False)[0], spec, where=stream.source)
        weight = read_weights(frame, job.weight, where=stream.source) if job.weight else None
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
    notes += _describe_unreadable({**held_frames, "test": survey.test.frame()}, spec)
    digest, split_digest = _digests(stream, sample, survey, job, name)
    note = (
        f"streaming {survey.counts['train']:,} training and {survey.counts['test']:,} test rows; quantiles, column "
        f"kinds and baselines use a sample of {len(sample):,} training rows"
    )
    return Dataset(
        name=stream.name,
        source=stream.source,
        digest=digest,
        split_digest=split_digest,
        spec=spec,
        splits=splits,
        notes=(note, *reasons, *notes),
    )


def _describe_unreadable(frames: Mapping[str, pd.DataFrame | None], spec: Spec) -> list[str]:
    """Return notes on cells of held-out rows that do not have the kind of their column."""
    return [
        f"in the {which} rows in memory, {note}"
        for which, frame in frames.items()
        if frame is not None
        for note in clear_unreadable_cells(frame, spec)[1]
    ]


def _digests(stream: Stream, sample: pd.DataFrame, survey: _Survey, job: DataJob, target: str) -> tuple[str, str]:
    """Return the digest of the data, from a sample, and that of data, split and target together."""
    digest = hashlib.sha256(f"{stream.digest}{compute_frame_digest(sample)}{survey.counts}".encode()).hexdigest()[:16]
    options = [getattr(job, name) for name in ("seed", "split_seed", "split", "weight", "column", "missing")]
    split = hashlib.sha256(f"{digest} {options} {survey.rule.test} {target}".encode())
    return digest, split.hexdigest()[:16]


@dataclass
class _Survey:
    rule: _Rule
    sample: RowSample
    test: RowSample
    totals: dict[str, Totals]
    counts: dict[str, int]
    classes: Counter[str] = field(default_factory=Counter)  # of all splits


def _sizes(stream: Stream, job: DataJob, given: frozenset[str]) -> tuple[float, float, list[str]]:
    """Return the sizes of the test and validation splits, and the reasons for suggested ones."""
    is_suggested = {"test": job.test_size == SUGGESTED, "validation": job.validation_size == SUGGESTED}
    suggested = [
        split
        for split in is_suggested
        if is_suggested[split] and split not in given and not (split == "test" and job.split_column)
    ]
    if stream.rows is None:
        test, held = UNKNOWN, UNKNOWN
        reason = f"{UNKNOWN:g} for the {' and the '.join(suggested)} split, as the number of rows is unknown"
    else:
        test, held, reason = suggest_sizes(stream.rows, 0, suggested)
    test = test if is_suggested["test"] else float(job.test_size)
    held = held if is_suggested["validation"] else float(job.validation_size)
    return 0.0 if job.split_column else test, held, [reason] if suggested else []


def _survey(
    stream: Stream, job: DataJob, target: str, classes: bool, test: float, held: float, given: frozenset[str]
) -> _Survey:
    """Pass over all rows, again if the validation or calibration split is too large."""
    seed = job.seed_of_split
    fraction = 1.0 if stream.rows is None else min(1.0, 1.5 * SAMPLE_ROWS / stream.rows)
    fractions = {"validation": held, "calibration": job.calibration_fraction}
    for name in fractions:
        if name in given:
            fractions[name] = 1.0
        elif stream.rows is not None:  # do not keep rows that would be discarded
            fractions[name] = min(fractions[name], 0.9 * HELD_ROWS / stream.rows)
    while True:
        rule = _Rule(
            job, test, seed, {name: RowSample(fraction, HELD_ROWS) for name, fraction in fractions.items()}, given
        )
        survey = _Survey(
            rule, RowSample(fraction, SAMPLE_ROWS), RowSample(fraction, SAMPLE_ROWS), {}, {"train": 0, "test": 0}
        )
        _pass(stream, survey, seed, target, classes)
        lowered = {name: kept.fraction for name, kept in rule.held.items() if kept.dropped and name not in given}
        if not lowered:
            break
        # Rows removed from a split that was too large are training rows, and were not counted as such.
        fractions |= lowered
    if not survey.counts["train"]:
        raise DataError("the split leaves no training rows", where=stream.source)
    return survey


def _pass(stream: Stream, survey: _Survey, seed: int, target: str, classes: bool) -> None:
    """Pass over all rows once and add their statistics to a survey."""
    rule = survey.rule
    for first, frame in stream.chunks():
        rows = np.arange(first, first + len(frame))
        keep = has_value(frame[target])
        rows, frame = rows[keep], frame[keep]
        if classes:
            count_categories(survey.classes, frame[target])
        splits = rule.splits(rows, frame)
        places = hash_rows(rows, seed + 3)
        for name, kept in (("train", survey.sample), ("test", survey.test)):
            mask = splits == name
            kept.add(frame[mask], rows[mask], places[mask])
            survey.counts[name] += int(mask.sum())
        for salt, (name, kept) in enumerate(rule.held.items(), start=1):
            mask = splits == name
            kept.add(frame[mask], rows[mask], hash_rows(rows[mask], seed + salt))
        train = frame[splits == "train"]
        for column in frame.columns:
            if column not in survey.totals:
                numeric = pd.api.types.is_numeric_dtype(frame[column].dtype) and not (classes and column == target)
                survey.totals[column] = Totals(numeric and not pd.api.types.is_bool_dtype(frame[column].dtype))
            survey.totals[column].add(train[column])


def _given_splits(stream: Stream, job: DataJob) -> frozenset[str]:
    """Return the splits that the split column contains, which needs a pass over the rows; none without a column."""
    column = job.split_column
    if column is None:
        return frozenset()
    names: set[str] = set()
    for _, frame in stream.chunks():
        names |= set(read_split_column(frame[column], where=str(job.source)).tolist())
    return frozenset(names)


def _described_target(survey: _Survey, name: str, kind: str, job: DataJob) -> Target:
    sample = survey.sample.frame()
    assert sample is not None
    totals = survey.totals[name]
    if kind == "number":
        if not totals.numeric:
            raise DataError(f"the target {name!r} must be numeric", where=str(job.source))
        if totals.low == totals.high:
            raise DataError(f"the target {name!r} is constant: every row is {totals.low:g}", where=str(job.source))
        return Target(name, "number", mean=totals.mean, std=totals.std)
    target = describe_classes(
        sample[name], positive=job.positive, order=job.ordered, where=str(job.source), counted=survey.classes
    )
    counts = tuple(totals.categories[category] for category in target.classes)  # of the training rows
    return dataclasses.replace(choose_positive(target, counts), counts=counts)


def _exact(spec: Spec, totals: Mapping[str, Totals]) -> Spec:
    """Replace statistics of the sample by those of the pass over all rows."""
    inputs = []
    for input_ in spec.inputs:
        column_totals = totals.get(input_.name)
        if column_totals is not None and column_totals.numeric and isinstance(input_, NumberInput):
            input_ = input_ if input_.indicates_missing else _exact_number(input_, column_totals)
        elif column_totals is not None and not column_totals.numeric and isinstance(input_, CategoryInput):
            input_ = _exact_categories(input_, column_totals) if input_.categories else input_
        inputs.append(input_)
    return dataclasses.replace(spec, inputs=tuple(inputs))


def _exact_number(input_: NumberInput, totals: Totals) -> NumberInput:
    low, high = totals.low, totals.high
    return dataclasses.replace(
        input_,
        missing=totals.missing,
        mean=totals.mean,
        std=totals.std,
        min=low,
        max=high,
        quantiles=(low, *input_.quantiles[1:-1], high),
    )


def _exact_categories(input_: CategoryInput, totals: Totals) -> CategoryInput:
    counts = {**totals.categories}
    counts.pop(MISSING, None)
    categories = input_.categories
    if not input_.ordered and len(counts) <= 64:
        categories = tuple(sorted(counts, key=lambda name: (-counts[name], name)))
        categories += (input_.fill,) if input_.fill is not None and input_.fill not in categories else ()
    return dataclasses.replace(input_, missing=totals.missing, categories=categories)


def _chunks_of(
    stream: Stream, rule: _Rule, which: str, target: str, split: Callable[[pd.DataFrame], Split]
) -> Callable[[Any], Iterator[Split]]:
    def chunks(order: Any = None) -> Iterator[Split]:
        for first, frame in stream.chunks(order):
            rows = np.arange(first, first + len(frame))
            keep = has_value(frame[target])
            mask = keep.copy()
            mask[keep] = rule.splits(rows[keep], frame[keep]) == which
            if mask.any():
                yield split(frame[mask].set_axis(rows[mask], axis=0))

    return chunks


def _target_of(job: DataJob, stream: Stream) -> str:
    if len(job.target) > 1:
        raise UsageError("with streaming, only one target can be predicted; use --no-stream", where="target")
    name = job.target[0] if job.target else stream.target
    listed = join_first(stream.columns, MOST_NAMES)
    if name is None:
        raise DataError(f"which column is the target? Use --target COLUMN; columns: {listed}", where=stream.source)
    dropped = ((column, "drop") for column in job.drop)
    for column, what in ((name, "predict"), (job.weight, "weigh by"), (job.split_column, "split by"), *dropped):
        if column is not None and column not in stream.columns:
            near = find_nearest_name(column, stream.columns)
            raise DataError(
                f"there is no column {column!r} to {what}; columns: {listed}", where=stream.source, nearest=near
            )
    return name


def _check(job: DataJob, stream: Stream) -> None:
    for option in _NOT_STREAMED:
        if getattr(job, option, None) is not None:
            raise UsageError(
                "not available with streaming, as it needs all rows in memory; use --no-stream",
                where=option,
            )
    if (job.split or "random").split("=")[0] not in _SPLITS:
        raise UsageError("with streaming, only --split random and --split column=NAME are available", where="split")
    if any(method.startswith("last") for method in job.missing.values()):
        raise UsageError(
            "not available with streaming: filling with the last value needs the rows in order", where="missing"
        )
