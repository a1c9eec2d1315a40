"""A random sample of a source, to try things on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from zoo.data.examples.array_columns import find_array_columns
from zoo.data.raw_table import Table
from zoo.data.target_columns import is_measured
from zoo.jobs.data_options import DataJob

SALT = 5  # so that the sample and the splits are drawn independently


def sample_table(table: Table, job: DataJob) -> Table:
    """Return a random sample of a table's rows in their order, as ``sample_rows`` asks, with a note.

    Of each class of the target, and of each split that the source defines, the same fraction is drawn.

    Args:
        table: All rows of the source.
        job: Its ``sample_rows``, target, split and seed.

    Example:
        >>> from zoo.data.sources.read import read_table
        >>> small = sample_table(read_table("iris"), DataJob(source="iris", sample_rows=0.2))
        >>> small.frame["class"].value_counts().tolist(), small.notes
        ([10, 10, 10], ('a sample of 30 of the 150 rows is used',))
    """
    if job.sample_rows is None:
        return table
    rows = len(table.frame)
    count = count_sampled_rows(job.sample_rows, rows)
    if count >= rows:
        return dataclasses.replace(table, notes=(*table.notes, f"all {rows:,} rows are used: there are no more"))
    chosen = _draw(_find_strata(table, job), count, np.random.default_rng([job.seed_of_split, SALT]))
    note = f"a sample of {count:,} of the {rows:,} rows is used"
    return dataclasses.replace(
        table,
        frame=table.frame.iloc[chosen],  # keeps the source's row numbers
        split=None if table.split is None else table.split[chosen],
        files=None if table.files is None else table.files[chosen],
        notes=(*table.notes, note),
    )


def count_sampled_rows(size: float, rows: int) -> int:
    """Return the number of rows of a sample, whose size is a fraction below 1 or a number of rows.

    Example:
        >>> count_sampled_rows(0.1, 506), count_sampled_rows(100, 506)
        (51, 100)
    """
    return max(1, round(size * rows)) if size < 1 else int(size)


def _find_strata(table: Table, job: DataJob) -> np.ndarray:
    """Return the stratum of each row (N,): its classes and its given split."""
    frame, keys = table.frame, [] if table.split is None else [pd.Series(table.split, index=table.frame.index)]
    targets = job.target or ((table.target,) if table.target is not None else ())
    for name in {*targets, job.split_column} & set(map(str, frame.columns)):
        values = frame[name]
        if not find_array_columns(frame[[name]]) and not is_measured(values):
            keys.append(values.astype(str))
    if not keys:
        return np.zeros(len(frame), np.int64)
    return np.asarray(frame.groupby([key.to_numpy() for key in keys], dropna=False).ngroup())


def _draw(strata: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Return the positions of a systematic sample: rows of a stratum are evenly spaced, from a random start."""
    order = random.permutation(len(strata))
    shuffled = pd.Series(strata[order])
    sizes = shuffled.map(shuffled.value_counts()).to_numpy()
    start = random.random(int(strata.max()) + 1)[shuffled.to_numpy()]
    place = (shuffled.groupby(shuffled).cumcount().to_numpy() + start) / sizes
    return np.sort(order[np.argsort(place, kind="stable")[:count]])
