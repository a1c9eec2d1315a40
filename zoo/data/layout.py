"""Layouts: how a task reads a source into examples, and describes them as a spec."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from zoo.data.columns.column_kinds import NAMED, NUMBER, parse_kind
from zoo.data.columns.describe_table import describe_table
from zoo.data.sources.read import Table, read_table
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.spec import Spec, Target


@dataclass(frozen=True)
class Layout:
    """Functions that read a task's source into examples and describe them as a spec.

    Args:
        read: Takes a source and the columns to read as text; returns a table.
        describe: Takes the features of the training rows, the targets and the task's name; returns the spec and notes.
    """

    read: Callable[[Any, Collection[str]], Table]
    describe: Callable[[pd.DataFrame, tuple[Target, ...], str], tuple[Spec, list[str]]]


COLUMNS = Layout(lambda source, text: read_table(source, text=text), describe_table)


def create_layout(column: Mapping[str, str], missing: Mapping[str, str]) -> Layout:
    """Return the layout of a table with given column kinds or imputation of missing values.

    Args:
        column: Kinds that override the inferred ones, by column.
        missing: Imputation of missing values, by column; ``*`` for all.
    """
    named = find_named_columns(column)
    return Layout(
        lambda source, text: read_table(source, text=[*text, *named]),
        partial(describe_table, column=column, missing=missing),
    )


def find_named_columns(column: Mapping[str, str]) -> list[str]:
    """Return the columns whose given kind needs their cells as they are written, so that 007 keeps its zeros.

    Example:
        >>> find_named_columns({"zip": "category", "age": "number", "price": "number:1.234,5"})
        ['zip', 'price']
    """
    kinds = {name: parse_kind(kind) for name, kind in column.items()}
    return [name for name, kind in kinds.items() if kind.kind in NAMED or (kind.kind == NUMBER and kind.detail)]


def refuse_kinds_of_columns(job: DataJob, examples: str) -> None:
    """Raise an error if a job sets column kinds or imputation for examples that are not table rows.

    Args:
        job: The job.
        examples: What the examples are, such as ``images``.

    Raises:
        UsageError: If the job sets ``column`` or ``missing``.
    """
    for option in ("column", "missing"):
        if getattr(job, option):
            raise UsageError(f"only for tables; the examples of this task are {examples}", where=option)
