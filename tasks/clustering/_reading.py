"""Reading of data for clustering, table rows or images, and its options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field, field_validator

from zoo.data.columns.describe_table import describe_table
from zoo.data.dataset import Dataset, Split
from zoo.data.examples.array_columns import IMAGE, find_array_columns
from zoo.data.examples.describe_examples import describe_image
from zoo.data.layout import Layout
from zoo.data.sources.read import Table, read_table
from zoo.errors import DataError, UsageError
from zoo.inspection.probe_rows import choose_rows
from zoo.jobs.fit_options import TaskOptions
from zoo.preprocessing.table import preprocess_table
from zoo.spec import ImageInput, Spec, Target


class Options(TaskOptions):
    """Options of clustering."""

    clusters: int | None = Field(
        None, ge=2, description="number of clusters; default auto: by stability under resampling of the training rows"
    )
    labels: str | None = Field(None, description="column of known groups, for scoring only: nothing learns from it")
    size: int | None = Field(None, ge=4, description="height and width that images are brought to; default their own")

    @field_validator("clusters", mode="before")
    @classmethod
    def _read_auto(cls, value: Any) -> Any:
        return None if value == "auto" else value


def read_rows(source: Any, text: Collection[str] = ()) -> Table:
    """Return images if the source holds images, otherwise a table."""
    bundled = isinstance(source, str) and not Path(source).expanduser().exists()
    if bundled or isinstance(source, (pd.DataFrame, Mapping)):
        return read_table(source, text=text)
    table = read_table(source, text=text, cells=IMAGE)
    cells = find_array_columns(table.frame)
    flat = bool(cells) and all(values.iloc[0].ndim < 2 for values in cells.values())
    return read_table(source, text=text) if flat else table


def describe_rows(
    frame: pd.DataFrame,
    targets: tuple[Target, ...],
    task: str,
    size: int | None = None,
    column: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
) -> tuple[Spec, list[str]]:
    """Return the spec of the training rows, and notes."""
    cells = find_array_columns(frame)
    if not cells:
        return describe_table(frame, targets, task, column=column, missing=missing)
    if column or missing:
        message = "this is for tables, and the examples here are images"
        raise UsageError(message, where="column" if column else "missing")
    name, values = next(iter(cells.items()))
    return Spec(task, (describe_image(name, values, size=size, where="the images"),), targets, len(frame)), []


def check_enough(dataset: Dataset, clusters: int) -> None:
    """Raise if the data cannot be clustered.

    Raises:
        UsageError: If there are no more rows than clusters.
        DataError: If a table has no column that distances can be computed from.
    """
    spec = dataset.spec
    if clusters >= spec.rows:
        message = f"{clusters} clusters for {spec.rows} training rows: there must be more rows"
        raise UsageError(message, where="clusters")
    if not spec.of_kind(ImageInput) and "features" not in preprocess_table(spec).tensors():
        names = ", ".join(column.name for column in spec.inputs)
        raise DataError(f"no column to cluster by: each has many levels, as ids have: {names}", where=dataset.source)


def sample_rows(split: Split, most: int = 10_000) -> dict[str, Any]:
    """Return the inputs of a random sample of rows, which is enough to describe clusters and their stability."""
    if len(split) <= most:
        return dict(split.inputs)
    rows = choose_rows(len(split), most)
    return {key: values[rows] for key, values in split.inputs.items()}


ROWS = Layout(read_rows, describe_rows)
