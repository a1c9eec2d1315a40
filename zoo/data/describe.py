"""Describing the training part of a table: which columns are what, and their statistics."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from zoo.data.inputs import MISSING, dtype_name, level_names
from zoo.errors import DataError, nearest_name
from zoo.spec import Input, Spec, Target

QUANTILES = 65
MOST_LEVELS = 1000
# Layers that stand beside the inputs, in the whole model and in its preparation.
_NAMES_OF_LAYERS = frozenset(
    {"preparation", "network", "numbers", "levels", "few_levels", "many_levels", "one_hot", "features"}
)
_SUSPICIOUS = {
    "split": re.compile(r"^(split|fold|part|subset|is_?(train|test|valid))$", re.IGNORECASE),
    "id": re.compile(r"^(id|index|uuid|guid|row_?(id|number)|.*_id|unnamed: 0)$", re.IGNORECASE),
    "weight": re.compile(r"^(weights?|sample_?weights?|fnlwgt|.*_weight)$", re.IGNORECASE),
}


def describe_table(frame: pd.DataFrame, target: Target | None, task: str) -> tuple[Spec, list[str]]:
    """Return the spec of a training part and what was noticed about its columns.

    Args:
        frame: Feature columns of the training rows.
        target: The target, already described.
        task: Name of the task.

    Raises:
        DataError: When no usable column is left.
    """
    notes: list[str] = []
    inputs: list[Input] = []
    keys: set[str] = set()
    for name in frame.columns:
        values = frame[name]
        notes += _half_numbers(str(name), values)
        described = _describe_column(str(name), values, _key(str(name), keys))
        if described is None:
            why = "it has one value only" if len(np.unique(level_names(values))) < 2 else "none of its values repeats"
            notes.append(f"column {name} is left out: {why}")
            continue
        keys.add(described.key)
        inputs.append(described)
        notes += _warnings(described, values)
    if not inputs:
        raise DataError("no column is left to learn from: each has one value only")
    return Spec(task, tuple(inputs), target, len(frame)), notes


def describe_classes(values: pd.Series, *, positive: str | None, where: str) -> Target:
    """Return the target for a column of classes, given all rows of it; the counts are left empty.

    Raises:
        DataError: A single class, a class with one row, or a positive class that is not there.
    """
    names = level_names(values)
    kind = dtype_name(values)
    classes, counts = np.unique(names, return_counts=True)
    if kind in ("int", "float"):
        order = np.argsort([float(name) for name in classes])
        classes, counts = classes[order], counts[order]
    if len(classes) < 2:
        raise DataError(f"the target {values.name!r} is constant: every row is {classes[0]!r}", where=where)
    if kind == "float" or len(classes) > max(100, len(values) // 5):
        raise DataError(
            f"the target {values.name!r} has {len(classes)} different values in {len(values)} rows: "
            "numbers to predict are a regression's",
            where=where,
        )
    if counts.min() < 2:
        rare = classes[counts.argmin()]
        raise DataError(
            f"class {rare!r} of the target {values.name!r} has one row only; two are needed at least, "
            "so that it can be learnt and tested",
            where=where,
        )
    known = tuple(str(name) for name in classes)
    if positive is not None and positive not in known:
        message = f"the positive class {positive!r} is not among {', '.join(known[:20])}"
        raise DataError(message, where=where, nearest=nearest_name(positive, known))
    if positive is None and len(known) == 2:
        positive = known[int(counts[1] <= counts[0])]
    return Target(str(values.name), "class", known, kind, positive)


def describe_numbers(values: np.ndarray, *, name: str, where: str) -> Target:
    """Return the target for a column of numbers, given those of the training part.

    Raises:
        DataError: When they are all the same.
    """
    if np.ptp(values) == 0:
        raise DataError(f"the target {name!r} is constant: every row is {values[0]:g}", where=where)
    return Target(name, "number", mean=float(values.mean()), std=float(values.std()))


def _describe_column(name: str, values: pd.Series, key: str) -> Input | None:
    numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    return _describe_number(name, values, key) if numeric else _describe_category(name, values, key)


def _describe_number(name: str, values: pd.Series, key: str) -> Input | None:
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    present = numbers[np.isfinite(numbers)]
    missing = len(numbers) - len(present)
    if len(present) == 0 or (np.ptp(present) == 0 and missing == 0):
        return None
    statistics = {
        "mean": float(present.mean()),
        "std": float(present.std()),
        "min": float(present.min()),
        "max": float(present.max()),
        "quantiles": np.quantile(present, np.linspace(0, 1, QUANTILES)).tolist(),
    }
    return Input(name, key, "number", missing=missing, statistics=statistics)


def _describe_category(name: str, values: pd.Series, key: str) -> Input | None:
    names = level_names(values)
    levels, counts = np.unique(names[names != MISSING], return_counts=True)
    missing = int((names == MISSING).sum())
    if len(levels) + bool(missing) < 2:
        return None
    order = np.lexsort((levels, -counts))[:MOST_LEVELS]
    # Beyond a few dozen levels, one that was seen once says nothing that holds for other rows.
    kept = [index for index in order if len(levels) <= 64 or counts[index] > 1]
    if not kept:
        return None
    return Input(name, key, "category", levels=tuple(str(levels[i]) for i in kept), missing=missing)


def _key(name: str, taken: set[str]) -> str:
    """A name that Keras accepts for an input: no slash, no control character, no other layer's name."""
    key = re.sub(r"[/\x00-\x1f]", "_", name) or "_"
    while key in taken or key in _NAMES_OF_LAYERS:
        key += "_"
    return key


def _warnings(described: Input, values: pd.Series) -> list[str]:
    notes = []
    for kind, pattern in _SUSPICIOUS.items():
        if pattern.match(described.name):
            advice = f"--split column={described.name}" if kind == "split" else f"--drop {described.name}"
            notes.append(f"column {described.name} looks like {_article(kind)} and is used as a feature; {advice}?")
    infinite = 0
    if described.kind == "number":
        infinite = int(np.isinf(values.to_numpy(dtype=np.float64, na_value=np.nan)).sum())
    if infinite:
        notes.append(f"column {described.name} has {infinite} infinite values, taken as missing")
    distinct = len(np.unique(level_names(values))) if described.kind == "category" else 0
    if distinct > MOST_LEVELS // 2 and distinct > 0.5 * len(values):
        notes.append(
            f"column {described.name} has {distinct} different values in {len(values)} rows, like an id or text"
        )
    return notes


def _half_numbers(name: str, values: pd.Series) -> list[str]:
    """A note on a column that is a category only because some of its cells are no numbers."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return []
    present = values[values.notna()]
    numbers = pd.to_numeric(present, errors="coerce").notna()
    if numbers.all() or numbers.mean() < 0.5 or present[numbers].nunique() < 10:
        return []
    odd = present[~numbers].iloc[0]
    return [
        f"column {name} is taken as a category, though {int(numbers.sum())} of its {len(present)} values "
        f"are numbers: {odd!r} is none"
    ]


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
