"""Layouts: how the source of a task becomes examples, and examples a spec."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from zoo.data.columns.column_kinds import NAMED, told_kind
from zoo.data.columns.describe_table import describe_table
from zoo.data.sources.read import Table, read_table
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.spec import Spec, Target


@dataclass(frozen=True)
class Layout:
    """How a task's sources become examples, and examples a spec.

    Args:
        read: From a source and the columns that are text whatever they look like to a table.
        describe: From the features of the training rows, the target and the task's name to the spec and notes.
    """

    read: Callable[[Any, Collection[str]], Table]
    describe: Callable[[pd.DataFrame, Target | None, str], tuple[Spec, list[str]]]


COLUMNS = Layout(lambda source, text: read_table(source, text=text), describe_table)


def column_layout(column: Mapping[str, str], missing: Mapping[str, str]) -> Layout:
    """Return the layout of a table whose columns have kinds that were told, or ways for missing values.

    Args:
        column: Kinds that overrule what would be found out, by column.
        missing: What stands for missing values, by column; ``*`` for all.
    """
    # A zip code that is told to be a category keeps the zeros that it begins with.
    named = [name for name, kind in column.items() if told_kind(kind).kind in NAMED]
    return Layout(
        lambda source, text: read_table(source, text=[*text, *named]),
        partial(describe_table, column=column, missing=missing),
    )


def refuse_kinds_of_columns(job: DataJob, examples: str) -> None:
    """Refuse kinds of columns and ways for missing values, where examples are no rows of columns.

    Args:
        job: The job.
        examples: What they are instead, such as ``images``.

    Raises:
        UsageError: When the job has such.
    """
    for option in ("column", "missing"):
        if getattr(job, option):
            raise UsageError(f"this is for tables, and the examples here are {examples}", where=option)
