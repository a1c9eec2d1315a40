"""Distributions of columns and of the target: histograms and counts of categories, for each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.date_parsing import format_date
from zoo.data.dataset import Dataset
from zoo.reporting.check_inputs import MOST_COLUMNS, Facts

BINS, MOST_BARS = 20, 12
LOW, HIGH = 0.5, 99.5  # percentiles; values beyond are counted in the outer bins, so that outliers do not hide the rest


@dataclass(frozen=True)
class Distribution:
    """How often each range or category of a column occurs.

    Args:
        name: The column.
        labels: The B ranges or categories.
        counts: Number of rows of each, by split (B,).
    """

    name: str
    labels: Sequence[str]
    counts: Mapping[str, Sequence[int]]

    def as_dict(self) -> dict[str, Any]:
        """Return the distribution as a JSON-compatible dict."""
        counts = {split: list(values) for split, values in self.counts.items()}
        return {"name": self.name, "labels": list(self.labels), "counts": counts}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Distribution:
        """Create a distribution from the result of :meth:`as_dict`."""
        return cls(values["name"], tuple(values["labels"]), values["counts"])


def describe_distributions(facts: Facts | None) -> list[Distribution]:
    """Return the distributions of the features; empty without a table.

    Args:
        facts: The table.
    """
    if facts is None:
        return []
    described = []
    for name in facts.used[:MOST_COLUMNS]:
        if facts.numeric(name):
            described.append(count_numbers(name, facts.coded(name), facts.split, date=facts.kind(name) == "date"))
        elif facts.kind(name) != "text":
            described.append(count_categories(name, facts.frame[name], facts.split))
    return [distribution for distribution in described if distribution.labels]


def describe_target(dataset: Dataset | None) -> Distribution | None:
    """Return the distribution of a single target of classes or numbers; None for others.

    Args:
        dataset: The dataset.
    """
    if dataset is None or len(dataset.spec.targets) != 1:
        return None
    target = dataset.spec.target
    splits = {name: split for name, split in dataset.splits.items() if split.target is not None}
    if not splits or target.kind not in ("class", "number") or target.shape:
        return None
    values = np.concatenate([np.asarray(split.target) for split in splits.values()])
    of_split = np.repeat(list(splits), [len(split) for split in splits.values()])
    if values.ndim != 1:
        return None
    if target.kind == "class":
        return count_categories(target.name, pd.Series(np.array(target.classes, object)[values]), of_split)
    return count_numbers(target.name, values.astype(float) * target.std + target.mean, of_split)


def count_numbers(name: str, values: np.ndarray, split: np.ndarray, *, date: bool = False) -> Distribution:
    """Return the histogram of numbers (N,) by their split (N,), or of dates in seconds.

    Example:
        >>> shown = count_numbers("age", np.arange(100.0), np.array(["train"] * 100))
        >>> len(shown.labels), sum(shown.counts["train"])
        (20, 100)
    """
    present = np.isfinite(values)
    values, split = values[present], split[present]
    if not len(values):
        return Distribution(name, (), {})
    low, high = np.percentile(values, [LOW, HIGH])
    edges = np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    say = format_date if date else "{:.4g}".format
    labels = tuple(f"{say(start)} to {say(end)}" for start, end in pairwise(edges.tolist()))
    clipped = np.clip(values, edges[0], edges[-1])
    counts = {part: np.histogram(clipped[split == part], edges)[0].tolist() for part in _list_splits(split)}
    return Distribution(name, labels, counts)


def count_categories(name: str, values: pd.Series, split: np.ndarray) -> Distribution:
    """Return the number of rows of the most frequent categories by their split (N,), and of all others together.

    Example:
        >>> count_categories("job", pd.Series(["cook", "nurse", "cook"]), np.array(["train"] * 3)).counts
        {'train': [2, 1]}
    """
    texts = values[values.notna()].astype(str)
    split = split[values.notna().to_numpy()]
    names = list(texts.value_counts().index)
    kept = names[:MOST_BARS]
    more = len(names) - len(kept)
    codes = pd.Index(kept).get_indexer(texts)
    codes = np.where(codes < 0, len(kept), codes)
    labels = (*kept, *([f"{more:,} others"] if more else []))
    counts = {part: np.bincount(codes[split == part], minlength=len(labels)).tolist() for part in _list_splits(split)}
    return Distribution(name, labels, counts)


def _list_splits(split: np.ndarray) -> list[str]:
    """Return the splits in order; rows of no split, in a table without a target, are all rows."""
    return [part for part in ("train", "validation", "test", "") if (split == part).any()]
