"""Run all checks in order; a check that raises becomes a note and never stops a run."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import Column
from zoo.data.columns.describe_table import is_like_id
from zoo.data.dataset import Dataset
from zoo.portable.preprocessing import CALENDAR
from zoo.reporting import column_checks as of_columns
from zoo.reporting import image_checks as images
from zoo.reporting import row_checks as rows
from zoo.reporting import value_checks as values
from zoo.reporting.check_inputs import NOTE, Facts, Finding
from zoo.reporting.drift_checks import check_drift
from zoo.reporting.duplicate_checks import check_duplicates
from zoo.reporting.label_errors import check_labels, find_suspects
from zoo.reporting.leak_checks import check_leaks
from zoo.spec import CategoryInput, DateInput, ImageInput, Input, TextInput
from zoo.supervised.classical_estimators import ClassicalBaseline

CHECK_ERRORS = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError, np.linalg.LinAlgError)


def prepare_table(
    frame: pd.DataFrame, columns: Sequence[Column], *, target: str | None, classes: bool, split_rows: Any, seed: int
) -> Facts:
    """Return a table as input of the checks.

    Args:
        frame: The rows; the index is the row in the source.
        columns: Summaries of the feature columns.
        target: Target column; None without a target.
        classes: Whether the target has classes.
        split_rows: Source rows of each split.
        seed: Seed of samples.
    """
    split = np.full(len(frame), "", dtype="<U11")
    place = pd.Series(np.arange(len(frame)), index=frame.index)
    for name, rows_of_split in split_rows.items():
        split[place.reindex(np.asarray(rows_of_split)).dropna().to_numpy(dtype=np.int64)] = name
    names = [column.name for column in columns if column.name in frame.columns]
    values = frame[target] if target is not None else None
    return Facts(frame[names], columns, values, classes, split, seed)


def run_cheap_checks(
    facts: Facts | None,
    dataset: Dataset | None,
    *,
    texts: Facts | None = None,
    searched: int = 0,
    model: str | None = None,
) -> list[Finding]:
    """Return the findings of the cheap checks.

    Args:
        facts: The table; None for other data.
        dataset: The dataset; None without a target.
        texts: The texts, where they are all that there is.
        searched: Number of hyperparameters that a search of the model varies.
        model: Its name.
    """
    checks: list[Callable[[], Iterable[Finding]]] = []
    if dataset is not None and "train" in dataset.splits:
        total = dataset.splits["train"].total
        predictors: Counter[str] = Counter()
        for input_ in dataset.spec.inputs if facts is not None else ():
            predictors[input_.name] += _predictors(input_)
        checks.append(lambda: rows.check_row_count(total, predictors, ids=_ids(facts, total)))
        if not dataset.has_test_source:
            count, unit = sum(dataset.sizes.values()), name_rows(dataset)
            classes = any(target.kind == "class" for target in dataset.spec.targets)
            checks.append(lambda: [rows.check_sizes(count, searched, model, classes=classes, unit=unit)])
        checks.append(lambda: _balance(dataset))
    if facts is not None:
        table = facts
        checks += [
            lambda: of_columns.check_missing_values(table),
            lambda: check_duplicates(table),
            lambda: rows.check_groups(table),
            lambda: rows.check_time_order(table),
            lambda: of_columns.check_constants(table),
            lambda: of_columns.check_heterogeneity(table),
            lambda: values.check_mixed_formats(table),
            lambda: values.check_missing_codes(table),
            lambda: values.check_capped_values(table),
            lambda: values.check_redundant_columns(table),
            lambda: of_columns.check_outliers(table),
        ]
    if texts is not None:
        checks.append(lambda: check_duplicates(texts))
    if dataset is not None and dataset.spec.of_kind(ImageInput):
        image_data = dataset
        checks.append(lambda: images.check_near_duplicates(image_data))
    return [finding for check in checks for finding in _guarded(check)]


def run_costly_checks(
    facts: Facts | None, dataset: Dataset | None, baselines: Sequence[ClassicalBaseline]
) -> list[Finding]:
    """Return the findings of checks that fit models: leakage, drift, label errors."""
    checks: list[Callable[[], Iterable[Finding]]] = []
    if facts is not None:
        table = facts
        checks += [lambda: check_leaks(table), lambda: check_drift(table)]
    if dataset is not None and len(dataset.spec.targets) == 1 and baselines:
        data = dataset
        checks.append(lambda: check_labels(find_suspects(data, baselines)))
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # for small models on a busy machine, several threads are much slower
        return [finding for check in checks for finding in _guarded(check)]


def name_rows(dataset: Dataset) -> str:
    """Return what the rows of a dataset are: ``images``, or ``rows``."""
    return "images" if dataset.spec.of_kind(ImageInput) else "rows"


def _ids(facts: Facts | None, rows_of_train: int) -> list[str]:
    """Return the columns that are like ids, repeated or not."""
    if facts is None:
        return []
    groups = rows.find_groups(facts)
    return [c.name for c in facts.columns if c.name in groups or is_like_id(c, rows_of_train)]


def _predictors(input_: Input) -> int:
    """Return the number of features of an input: one, or one per category, word, bucket or calendar feature."""
    if isinstance(input_, DateInput):
        return len(CALENDAR)
    if isinstance(input_, CategoryInput):
        return max(1, len(input_.categories), input_.buckets)
    return max(1, len(input_.vocabulary)) if isinstance(input_, TextInput) else 1


def _balance(dataset: Dataset) -> Iterable[Finding]:
    if not dataset.spec.has_classes:
        return []
    codes = np.concatenate([np.asarray(split.target) for split in dataset.splits.values()])
    images = bool(dataset.spec.of_kind(ImageInput))
    return rows.check_class_balance(pd.Series(np.array(dataset.spec.target.classes)[codes]), images=images)


@cache
def compute_version() -> str:
    """Return a digest of the code of the checks, which invalidates cached reports of other versions."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def _guarded(check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(check())
        except CHECK_ERRORS as error:
            return [Finding("report", NOTE, f"a check failed: {type(error).__name__}: {error}")]
