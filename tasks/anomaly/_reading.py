"""Reading of tables for anomaly detection, with labels that only score."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.layout import create_layout
from zoo.data.table_dataset import create_table_dataset
from zoo.errors import DataError, UsageError, find_nearest_name, join_first
from zoo.jobs.data_options import DataJob
from zoo.preprocessing.table import preprocess_table


def read_dataset(job: DataJob, task: str, options: Any) -> Dataset:
    """Return the job's dataset, whose targets are 1 for an anomaly, 0 for others and -1 without a label.

    Raises:
        DataError: If the data cannot be used, or the labels do not say which rows are anomalies.
        UsageError: If the job has a target.
    """
    if job.target:
        raise UsageError("anomaly detection predicts no column; --labels COLUMN scores by one", where="target")
    if job.positive and options.labels is None:
        raise UsageError("it is the label of anomalies; --labels COLUMN says where the labels are", where="positive")
    dataset = create_table_dataset(
        job,
        task=task,
        target_kind="none",
        layout=create_layout(job.column, job.missing),
        options=options.model_dump(exclude_none=True),
        labels=options.labels,
    )
    dataset = _with_columns(dataset)
    return dataset if options.labels is None else _with_anomalies(dataset, options.labels, job.positive)


def _with_columns(dataset: Dataset) -> Dataset:
    """Store the names of the scored columns in the spec, for predictions; note the columns that are not scored."""
    preprocessing = preprocess_table(dataset.spec)
    columns = list(dict.fromkeys(preprocessing.columns_of_features))
    if not columns:
        names = ", ".join(input_.name for input_ in dataset.spec.inputs)
        raise DataError(f"no column to score: each has many levels, as ids have: {names}", where=dataset.source)
    notes = [
        f"column {input_.name} has many categories: the network sees them, but they are not scored themselves"
        for input_ in preprocessing.embedded
    ]
    spec = dataclasses.replace(dataset.spec, options={**dataset.spec.options, "columns": columns})
    return dataclasses.replace(dataset, spec=spec, notes=(*dataset.notes, *notes))


def _with_anomalies(dataset: Dataset, labels: str, positive: str | None) -> Dataset:
    """Replace the codes of the labels by 1 for an anomaly and 0 for other labels."""
    codes = np.concatenate([split.target for split in dataset.splits.values() if split.target is not None])
    counts = np.bincount(codes[codes >= 0], minlength=len(dataset.labels))
    if positive is None and len(dataset.labels) > 2:
        values = join_first(list(dataset.labels), 5)
        message = f"{labels} has {len(counts)} values ({values}): --positive VALUE says which of them is the anomaly"
        raise DataError(message, where=dataset.source)
    if positive is not None and positive not in dataset.labels:
        nearest = find_nearest_name(positive, list(dataset.labels))
        values = join_first(list(dataset.labels), 5)
        message = f"no row has {labels} {positive!r}, which --positive names; its values are {values}"
        raise DataError(message, where=dataset.source, nearest=nearest)
    chosen = int(counts.argmin()) if positive is None else dataset.labels.index(positive)
    splits = {
        name: dataclasses.replace(split, target=np.where(split.target < 0, -1, split.target == chosen))
        for name, split in dataset.splits.items()
        if split.target is not None
    }
    name, rows = dataset.labels[chosen], int(counts.sum())
    note = f"{counts[chosen]:,} of {rows:,} rows are anomalies by the labels: {labels} is {name}"
    note += "" if positive else ", the rarer value; --positive names another"
    return dataclasses.replace(dataset, splits=splits, labels=("others", name), notes=(*dataset.notes, note))
