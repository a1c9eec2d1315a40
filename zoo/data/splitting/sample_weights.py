"""Sample weights: from a column, from sampling, or by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.number_notation import find_numbers
from zoo.data.limits import check_memory, find_source_row
from zoo.errors import DataError, UsageError, find_nearest_name
from zoo.jobs.data_options import DataJob
from zoo.spec import Target

MOST_WEIGHT = 1e12  # networks train in 32-bit float, where products and sums of weights must not overflow
_ROW_BYTES = 64  # position, weights and codes of a sampled row
MOST_REPEATED = 1_000_000  # rows, for statistics with frequency weights


def read_weights(frame: pd.DataFrame, column: str | None, *, where: str) -> np.ndarray | None:
    """Return the sample weights (N,) of a column; None if no column is given.

    Raises:
        DataError: If there is no such column, a weight is missing, negative, not a number, too large or too
            small, or all are zero.
    """
    if column is None:
        return None
    if column not in frame.columns:
        columns = [str(name) for name in frame.columns]
        raise DataError(
            f"there is no column {column!r} of weights", where=where, nearest=find_nearest_name(column, columns)
        )
    values = frame[column]
    texts = find_numbers(values, keep_integers=False)
    plain = texts[0] if texts is not None else pd.to_numeric(values, errors="coerce")
    numbers = plain.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(numbers) | (numbers < 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        received = "it is missing" if pd.isna(values.iloc[row]) else f"received {values.iloc[row]}"
        place = f"{where}, column {column}, row {find_source_row(values, row)}"
        raise DataError(f"a weight must be a number of at least 0; {received}", where=place)
    if not numbers.any():
        raise DataError("all weights are zero", where=f"{where}, column {column}")
    least, most = numbers[numbers > 0].min(), numbers.max()
    if least < 1 / MOST_WEIGHT or most > MOST_WEIGHT:
        message = f"weights must be 0 or from {1 / MOST_WEIGHT:g} to {MOST_WEIGHT:g}; received {least:g} to {most:g}"
        raise DataError(message, where=f"{where}, column {column}")
    return numbers


def repeat_rows(rows: np.ndarray, weight: np.ndarray | None, *, most: int = MOST_REPEATED) -> np.ndarray:
    """Return rows (M,), each as often as its frequency weight says, for what takes no weights.

    Weights that are not integers are rounded so that their sum stays, and is at least the number of rows; larger ones
    are scaled down to ``most`` rows. A row with a weight above 0 is returned at least once.

    Args:
        rows: Row numbers (N,).
        weight: Frequency weight of every row; None for one each.
        most: Maximum number of returned rows, unless there are more rows.

    Example:
        >>> repeat_rows(np.array([0, 2]), np.array([1.0, 1.0, 3.0])).tolist()
        [0, 2, 2, 2]
    """
    if weight is None:
        return rows
    chosen = weight[rows]
    total = chosen.sum()
    if not total > 0:
        return rows
    least = 0 if (chosen == np.floor(chosen)).all() else len(rows)  # weights may be fractions of 1
    ends = np.cumsum(chosen) * (np.clip(total, least, max(most, len(rows))) / total)
    times = np.diff(np.round(ends), prepend=0.0).astype(np.int64)
    return np.repeat(rows, np.maximum(times, chosen > 0))


def describe_weights(job: DataJob, weight: np.ndarray | None = None) -> str:
    """Return a note on how the weights (N,) of a job's column are used."""
    if job.weight_kind == "frequency":
        broken = weight is not None and bool((weight != np.floor(weight)).any())
        warning = "; some are not integers: if they are importances, use --weight-kind importance" if broken else ""
        return f"column {job.weight} has frequency weights: a weight of 2 counts as two equal rows{warning}"
    return (
        f"column {job.weight} has importance weights, which scale loss and scores but not the number of rows; "
        "if a weight of 2 means two equal rows, use --weight-kind frequency"
    )


@dataclass(frozen=True)
class SampledRows:
    """Training rows after sampling, and their weights.

    Args:
        rows: Positions of the rows (M,), with repetitions.
        weight: Weights in metrics (M,); None for equal ones.
        fit_weight: Weights in the loss (M,), if they differ.
        note: Note for the user.
    """

    rows: np.ndarray
    weight: np.ndarray | None
    fit_weight: np.ndarray | None = None
    note: str | None = None


def sample_rows(
    job: DataJob, rows: np.ndarray, codes: np.ndarray | None, target: Target | None, weight: np.ndarray | None
) -> SampledRows:
    """Return the training rows after sampling, and their weights by row and by class.

    Down-sampling keeps one in N rows of the most frequent class and multiplies its weight by N, so that
    probabilities stay those of all rows. Up-sampling repeats the rows of all other classes: each counts N times in
    the loss and once in metrics of the training split.

    Args:
        job: Its ``sample``, ``class_weight`` and seed.
        rows: Positions of the training rows (N,).
        codes: Class index of every source row.
        target: The target.
        weight: Weight of every source row; None for equal ones.

    Raises:
        UsageError: If the target has no classes, or a named class does not exist.
    """
    for name in ("sample", "class_weight"):
        if getattr(job, name) is not None and (target is None or target.kind != "class"):
            raise UsageError("needs a target with classes", where=name)
    sample = SampledRows(rows, None if weight is None else weight[rows])
    if job.sample is not None:
        assert codes is not None
        assert target is not None
        sample = _sample(job, sample, codes[rows], target)
    if job.class_weight is not None:
        assert codes is not None
        assert target is not None
        base = sample.fit_weight if sample.fit_weight is not None else sample.weight
        factors = _class_factors(job.class_weight, codes[sample.rows], base, target)[codes[sample.rows]]
        sample = SampledRows(sample.rows, sample.weight, factors if base is None else factors * base, sample.note)
    return sample


def _sample(job: DataJob, split: SampledRows, codes: np.ndarray, target: Target) -> SampledRows:
    assert job.sample is not None
    method, _, text = job.sample.partition("=")
    factor = float(text)
    counts = np.bincount(codes, minlength=len(target.classes))
    most = int(counts.argmax())
    name = target.classes[most]
    if (counts > 0).sum() < 2:
        raise DataError(
            f"the training rows have only class {name!r}; sampling needs at least two classes", where="sample"
        )
    weight = np.ones(len(codes)) if split.weight is None else split.weight
    seed = [job.seed_of_split, 3]
    if method == "up":
        times = np.where(codes == most, 1.0, round(factor))
        check_memory(_ROW_BYTES * times.sum(), f"{times.sum():,.0f} repeated rows", "sample")
        times = times.astype(np.int64)
        chosen = np.repeat(np.arange(len(codes)), times)
        note = f"training rows of all classes but {name} are repeated {round(factor)} times"
        return SampledRows(split.rows[chosen], (weight / times)[chosen], weight[chosen], note)
    frequent = np.flatnonzero(codes == most)
    n_kept = max(1, round(len(frequent) / factor))
    kept = np.sort(np.random.default_rng(seed).choice(frequent, n_kept, replace=False))
    chosen = np.sort(np.concatenate([np.flatnonzero(codes != most), kept]))
    weight = np.where(codes == most, weight * factor, weight)
    note = f"{n_kept:,} of {len(frequent):,} training rows of class {name} are kept, with {factor:g} times the weight"
    return SampledRows(split.rows[chosen], weight[chosen], None, note)


def _class_factors(class_weight: Any, codes: np.ndarray, weight: np.ndarray | None, target: Target) -> np.ndarray:
    """Return the loss weight of each class: given, or balanced (King and Zeng 2001)."""
    if class_weight == "balanced":
        mass = np.bincount(codes, weights=weight, minlength=len(target.classes)).astype(float)
        present = mass > 0
        return np.where(present, mass.sum() / present.sum() / np.where(present, mass, 1.0), 0.0)
    for name in class_weight:
        if name not in target.classes:
            classes = ", ".join(target.classes[:20])
            near = find_nearest_name(name, target.classes)
            raise UsageError(f"class {name!r} is not among {classes}", where="class_weight", nearest=near)
    return np.array([class_weight.get(name, 1.0) for name in target.classes])
