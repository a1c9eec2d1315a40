"""A random sample of rows that are streamed because all of them would not fit into memory."""

from __future__ import annotations

import pandas as pd

from zoo.data.raw_table import Table
from zoo.data.streaming.stream import hash_rows, open_stream
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob

SALT = 97  # so that the sample and the splits are drawn independently


def sample_streamed_rows(job: DataJob) -> DataJob:
    """Return a job whose source is a sample of the rows of a streamed source, held in memory.

    Args:
        job: Its source can be streamed, and ``sample_rows`` is the size of the sample.

    Raises:
        UsageError: If a number of rows is asked for and the source does not know how many it has.
        DataError: If no row is drawn.
    """
    assert job.sample_rows is not None
    stream, fraction = open_stream(job.source), job.sample_rows
    if fraction >= 1:
        if stream.rows is None:
            raise UsageError("the number of rows is unknown; use a fraction such as 0.1", where="sample_rows")
        fraction = fraction / stream.rows
    frames = []
    for first, chunk in stream.chunks():
        rows = pd.RangeIndex(first, first + len(chunk))
        drawn = hash_rows(rows.to_numpy(), job.seed_of_split + SALT) < fraction
        frames.append(chunk.set_axis(rows, axis=0)[drawn])
    frame = pd.concat(frames)
    if frame.empty:
        raise DataError("no row is drawn; use a larger sample", where="sample_rows")
    total = rows.stop
    table = Table(
        frame,
        stream.name,
        stream.source,
        stream.target,
        notes=(f"a sample of {len(frame):,} of the {total:,} rows is used",),
    )
    return job.model_copy(update={"source": table, "sample_rows": None, "stream": False})
