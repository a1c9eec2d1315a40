"""Weights of rows: given by a column, made by sampling, or by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.limits import row_in_source
from zoo.errors import DataError, UsageError, nearest_name
from zoo.jobs.data_options import DataJob
from zoo.spec import Target


def column_weights(frame: pd.DataFrame, column: str | None, *, where: str) -> np.ndarray | None:
    """Return the weights (N,) that a column holds; None where no column is named.

    Raises:
        DataError: When there is no such column, or a weight is missing, no number or negative, or all are zero.
    """
    if column is None:
        return None
    if column not in frame.columns:
        known = [str(name) for name in frame.columns]
        raise DataError(f"there is no column {column!r} of weights", where=where, nearest=nearest_name(column, known))
    values = frame[column]
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(numbers) | (numbers < 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        received = "it is missing" if pd.isna(values.iloc[row]) else f"received {values.iloc[row]}"
        place = f"{where}, column {column}, row {row_in_source(values, row)}"
        raise DataError(f"a weight must be a number from 0 upwards; {received}", where=place)
    if not numbers.any():
        raise DataError("all weights are zero", where=f"{where}, column {column}")
    return numbers


def meaning_of_weights(job: DataJob, weight: np.ndarray | None = None) -> str:
    """Return in words what the weights (N,) of a job's column mean."""
    if job.weight_kind == "frequency":
        broken = weight is not None and bool((weight != np.floor(weight)).any())
        told = "; some are no whole numbers: are they importances? --weight-kind importance" if broken else ""
        return f"column {job.weight} weighs rows by frequency: a weight of 2 is the same row twice{told}"
    return (
        f"column {job.weight} weighs rows by importance: it scales loss and scores, and says nothing of how many rows "
        "there are; --weight-kind frequency, if a weight of 2 is the same row twice"
    )


@dataclass(frozen=True)
class Sampled:
    """Training rows that a network sees, and what each weighs.

    Args:
        rows: Positions of the rows (M,); one that is repeated stands several times.
        weight: Weight of each in scores (M,); None for equal ones.
        fit_weight: Weight of each in the loss (M,), where that is another.
        note: What was done, for people.
    """

    rows: np.ndarray
    weight: np.ndarray | None
    fit_weight: np.ndarray | None = None
    note: str | None = None


def sampled(
    job: DataJob, rows: np.ndarray, codes: np.ndarray | None, target: Target | None, weight: np.ndarray | None
) -> Sampled:
    """Return the training rows after sampling, and their weights by row and by class.

    Down-sampling keeps one in N rows of the most frequent class and multiplies its weight by N, so that
    probabilities stay those of all rows. Up-sampling repeats the rows of all other classes: the loss sees each
    N times, the scores of the training part once.

    Args:
        job: Its ``sample``, ``class_weight`` and seed.
        rows: Positions of the training rows (N,).
        codes: Class of every row of the source by index.
        target: The target.
        weight: Weight of every row of the source; None for equal ones.

    Raises:
        UsageError: When there are no classes, or one that is named is none of them.
    """
    for name in ("sample", "class_weight"):
        if getattr(job, name) is not None and (target is None or target.kind != "class"):
            raise UsageError("it goes by class, and the target has none", where=name)
    made = Sampled(rows, None if weight is None else weight[rows])
    if job.sample is not None:
        assert codes is not None
        assert target is not None
        made = _sample(job, made, codes[rows], target)
    if job.class_weight is not None:
        assert codes is not None
        assert target is not None
        base = made.fit_weight if made.fit_weight is not None else made.weight
        factors = _class_factors(job.class_weight, codes[made.rows], base, target)[codes[made.rows]]
        made = Sampled(made.rows, made.weight, factors if base is None else factors * base, made.note)
    return made


def _sample(job: DataJob, split: Sampled, codes: np.ndarray, target: Target) -> Sampled:
    assert job.sample is not None
    way, _, text = job.sample.partition("=")
    factor = float(text)
    counts = np.bincount(codes, minlength=len(target.classes))
    most = int(counts.argmax())
    name = target.classes[most]
    if (counts > 0).sum() < 2:
        raise DataError(
            f"class {name!r} is the only one among the training rows: sampling needs another", where="sample"
        )
    weight = np.ones(len(codes)) if split.weight is None else split.weight
    seed = [job.seed if job.split_seed is None else job.split_seed, 3]
    if way == "up":
        times = np.where(codes == most, 1, round(factor))
        chosen = np.repeat(np.arange(len(codes)), times)
        note = f"training rows of all classes but {name} are repeated {round(factor)} times"
        return Sampled(split.rows[chosen], (weight / times)[chosen], weight[chosen], note)
    frequent = np.flatnonzero(codes == most)
    many = max(1, round(len(frequent) / factor))
    kept = np.sort(np.random.default_rng(seed).choice(frequent, many, replace=False))
    chosen = np.sort(np.concatenate([np.flatnonzero(codes != most), kept]))
    weight = np.where(codes == most, weight * factor, weight)
    note = (
        f"{many:,} of {len(frequent):,} training rows of class {name} are kept, each with {factor:g} times its weight"
    )
    return Sampled(split.rows[chosen], weight[chosen], None, note)


def _class_factors(given: Any, codes: np.ndarray, weight: np.ndarray | None, target: Target) -> np.ndarray:
    """Factor of the loss for each class: given, or such that all classes weigh the same (King and Zeng 2001)."""
    if given == "balanced":
        mass = np.bincount(codes, weights=weight, minlength=len(target.classes)).astype(float)
        present = mass > 0
        return np.where(present, mass.sum() / present.sum() / np.where(present, mass, 1.0), 0.0)
    for name in given:
        if name not in target.classes:
            known = ", ".join(target.classes[:20])
            near = nearest_name(name, target.classes)
            raise UsageError(f"class {name!r} is not among {known}", where="class_weight", nearest=near)
    return np.array([given.get(name, 1.0) for name in target.classes])
