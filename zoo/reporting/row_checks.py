"""Checks of rows: sample size, class balance, duplicates, order in time, and groups across splits."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from zoo.data.splitting.splitters import suggest_sizes
from zoo.reporting.check_inputs import NOTE, OK, WARNING, Facts, Finding, format_fraction

ROWS_A_PARAMETER, ROWS_A_PREDICTOR, IMAGES_A_CLASS = 10, 10, 1000
RARE, VERY_RARE = 0.1, 0.02
_GROUPS = re.compile(
    r"(^|_)(id|patient|user|customer|client|subject|group|household|house|session|device|person|family|machine|sensor)"
    r"(_?(id|no|nr|number))?$",
    re.IGNORECASE,
)
ALIKE = 0.5  # correlation of successive targets in time
GRID = 0.02  # maximum difference of near-duplicates in each number, in standard deviations


def check_row_count(rows: int, predictors: int, parameters: int | None, model: str | None) -> Iterator[Finding]:
    """Compare the number of training rows with rules of thumb."""
    if predictors:
        needed = ROWS_A_PREDICTOR * predictors
        text = f"{rows:,} training rows; {ROWS_A_PREDICTOR} for each of {predictors} predictors would be {needed:,}"
        yield Finding("enough rows", OK if rows >= needed else WARNING, text)
    if parameters is not None:
        needed = ROWS_A_PARAMETER * parameters
        level = OK if rows >= needed else NOTE
        text = f"{model} has {parameters:,} parameters; {ROWS_A_PARAMETER} rows for each would be {needed:,}"
        advice = "" if level == OK else "a smaller model, --set dropout=0.3, or more rows"
        yield Finding("enough rows", level, text, advice)


def check_sizes(rows: int) -> Finding:
    """Suggest sizes of the splits."""
    test, validation, reason = suggest_sizes(rows, 0)
    advice = f"--test-size {test:g} --validation-size {validation:g}"
    return Finding("split", OK, f"for {rows:,} rows: {reason}", advice)


def check_class_balance(names: pd.Series, *, images: bool = False) -> Iterator[Finding]:
    """Report the frequency of the rarest class."""
    counts = names.astype(str).value_counts()
    rare, most = counts.index[-1], counts.index[0]
    split = counts.iloc[-1] / counts.sum()
    evidence = tuple(
        f"{name}: {count:,} ({format_fraction(count / counts.sum())})" for name, count in counts.head(12).items()
    )
    even = 1 / len(counts)
    if split >= min(RARE, even / 2):
        yield Finding(
            "class balance",
            OK,
            f"{len(counts)} classes, the rarest has {format_fraction(split)} of the rows",
            "",
            evidence,
        )
    else:
        factor = max(2, round(counts.iloc[0] / counts.iloc[-1] / 4))
        level = WARNING if split < VERY_RARE or counts.iloc[-1] < 10 else NOTE
        text = (
            f"class {rare} has {counts.iloc[-1]:,} rows ({format_fraction(split)}), class {most} has {counts.iloc[0]:,}"
        )
        ways = f"--sample down={factor}, or --class-weight balanced --calibrate temperature"
        advice = f"use pr_auc, not accuracy; {ways}"
        yield Finding("class balance", level, text, advice, evidence)
    if images:
        short = [f"{name} {count}" for name, count in counts.items() if count < IMAGES_A_CLASS]
        text = f"{len(short)} of {len(counts)} classes have fewer than {IMAGES_A_CLASS} images"
        yield Finding("enough rows", NOTE if short else OK, text, "", tuple(short[:12]))


def check_duplicates(facts: Facts) -> Iterator[Finding]:
    """Report duplicate rows, within and across splits, and whether their targets agree."""
    if not facts.frame.shape[1]:
        return
    mixed = [name for name in facts.frame.columns if facts.frame[name].dtype == object]  # with values of any type
    hashed = pd.util.hash_pandas_object(facts.frame.astype(dict.fromkeys(mixed, str)), index=False)
    codes = pd.factorize(hashed)[0]
    counts = np.bincount(codes)
    twice = np.flatnonzero(counts[codes] > 1)
    if not len(twice):
        yield Finding("duplicates", OK, "no two rows are equal in all features")
    else:
        extra = int((counts - 1).sum())
        level = NOTE if extra > 0.01 * len(hashed) else OK
        text = f"{extra:,} rows duplicate another in all features ({format_fraction(extra / len(hashed))})"
        again = np.flatnonzero(pd.Series(codes).duplicated().to_numpy())
        yield Finding("duplicates", level, text, "", (f"rows {facts.rows(again)}",))
    if facts.target is not None and facts.classes and len(twice):
        kinds = pd.Series(facts.target_codes[twice]).groupby(codes[twice]).nunique()
        disputed = twice[np.isin(codes[twice], kinds.index[kinds > 1])]
        if len(disputed):
            text = f"{len(disputed):,} rows equal a row of another class in all features: no model can distinguish them"
            level = WARNING if len(disputed) > 0.02 * len(hashed) else NOTE
            yield Finding("duplicates", level, text, "", (f"rows {facts.rows(disputed)}",))
    yield from _across(facts, codes, "duplicates", "equal a training row in all features")
    near = _cells(facts)
    if near is not None:
        yield from _across(facts, near, "near-duplicates", "nearly equal a training row", but=codes)


def _across(facts: Facts, codes: np.ndarray, topic: str, what: str, but: np.ndarray | None = None) -> Iterator[Finding]:
    train = codes[facts.split == "train"]
    for split in ("validation", "test"):
        heldout = np.flatnonzero(facts.split == split)
        repeated = heldout[np.isin(codes[heldout], train)]
        if but is not None:  # duplicates are already reported
            repeated = repeated[~np.isin(but[repeated], but[facts.split == "train"])]
        if not len(repeated) or len(repeated) < 0.005 * len(heldout):
            continue
        portion = len(repeated) / len(heldout)
        level = WARNING if portion > 0.05 else NOTE
        text = f"{len(repeated):,} {split} rows ({format_fraction(portion)}) {what}"
        advice = "they inflate the score; remove duplicates, or, if a column defines groups, use --split group=COLUMN"
        yield Finding(topic, level, text, advice, (f"rows {facts.rows(repeated)}",))


def _cells(facts: Facts) -> np.ndarray | None:
    """Return a hash of each row's cell in a fine grid (N,); None if there are too few numeric columns."""
    names = [name for name in map(str, facts.frame.columns) if facts.numeric(name)]
    measured = [n for n in names if len(np.unique(facts.coded(n)[facts.sample])) > 50]
    if len(measured) < 4:
        return None
    hashes = np.zeros(len(facts.frame), np.uint64)
    for name in map(str, facts.frame.columns):  # one column at a time, to avoid a copy of the table
        values = facts.coded(name)
        spread = np.nanstd(values)
        width = GRID * spread if name in measured and spread > 0 else 1.0
        cells = np.where(np.isnan(values), -1e9, np.round(values / width))
        hashes = hashes * np.uint64(1_000_003) + pd.util.hash_array(cells)
    return hashes


def check_time_order(facts: Facts) -> Iterator[Finding]:
    """Report if rows have a time but the split does not follow it."""
    held, train = facts.split == "test", facts.split == "train"
    if not held.any() or not train.any():
        return
    for name in map(str, facts.frame.columns):
        if facts.kind(name) != "date":
            continue
        seconds = facts.coded(name)
        if len(np.unique(seconds[~np.isnan(seconds)])) < 0.5 * len(seconds):
            continue
        among = float((seconds[held] < np.nanmax(seconds[train])).mean())
        if among < 0.05:
            continue
        alike = _alike_in_time(facts, seconds)
        text = f"{format_fraction(among)} of the test rows are before the last training row in {name}"
        text += f", and successive targets are correlated ({alike:.2f})" if alike > ALIKE else ""
        level = WARNING if alike > ALIKE else NOTE
        advice = f"to predict the future, use --split time={name} and --gap"
        yield Finding("time", level, text, advice)


def _alike_in_time(facts: Facts, seconds: np.ndarray) -> float:
    """Return the correlation of successive targets in time; 0 without a target."""
    if facts.target is None:
        return 0.0
    target = facts.target_codes[np.argsort(seconds, kind="stable")].astype(float)
    target = target[~np.isnan(target)]
    return float(np.corrcoef(target[1:], target[:-1])[0, 1]) if target.std() > 0 else 0.0


def check_groups(facts: Facts) -> Iterator[Finding]:
    """Report group columns with values in both training and test rows."""
    train, held = facts.split == "train", facts.split == "test"
    for name in map(str, facts.frame.columns):
        if not _GROUPS.search(name) or not held.any():
            continue
        values = facts.frame[name].astype(str)
        distinct = values.nunique()
        if not len(values) / 100 <= distinct <= 0.8 * len(values):
            continue
        overlap = values[held].isin(set(values[train])).mean()
        if overlap > 0.05:
            shared = format_fraction(float(overlap))
            text = f"{shared} of the test rows have a {name} of the training rows, of {distinct:,} in total"
            yield Finding("groups", WARNING, text, f"--split group={name}")
