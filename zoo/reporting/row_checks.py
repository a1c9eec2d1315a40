"""Checks of rows: are they enough, are classes balanced, are there duplicates, do groups straddle the split?"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from zoo.data.splitting.splitters import suggested_sizes
from zoo.reporting.check_inputs import NOTE, OK, WARNING, Facts, Finding, share

ROWS_A_PARAMETER, ROWS_A_PREDICTOR, IMAGES_A_CLASS = 10, 10, 1000
RARE, VERY_RARE = 0.1, 0.02
_GROUPS = re.compile(
    r"(^|_)(id|patient|user|customer|client|subject|group|household|house|session|device|person|family|machine|sensor)"
    r"(_?(id|no|nr|number))?$",
    re.IGNORECASE,
)
ALIKE = 0.5  # correlation of targets that follow each other in time
GRID = 0.02  # standard deviations that two near-duplicates may differ by in each number


def enough_rows(rows: int, predictors: int, parameters: int | None, model: str | None) -> Iterator[Finding]:
    """Hold the number of rows against the course's rules."""
    if predictors:
        needed = ROWS_A_PREDICTOR * predictors
        text = f"{rows:,} training rows, and {ROWS_A_PREDICTOR} for each of {predictors} predictors are {needed:,}"
        yield Finding("enough rows", OK if rows >= needed else WARNING, text)
    if parameters is not None:
        needed = ROWS_A_PARAMETER * parameters
        level = OK if rows >= needed else NOTE
        text = f"{model} has {parameters:,} parameters, and {ROWS_A_PARAMETER} rows for each are {needed:,}"
        advice = "" if level == OK else "a smaller model, --set dropout=0.3, or more rows"
        yield Finding("enough rows", level, text, advice)


def sizes(rows: int) -> Finding:
    """Suggest sizes of the parts."""
    test, validation, reason = suggested_sizes(rows, 0)
    advice = f"--test-size {test:g} --validation-size {validation:g}"
    return Finding("split", OK, f"for {rows:,} rows: {reason}", advice)


def class_balance(names: pd.Series, *, images: bool = False) -> Iterator[Finding]:
    """Tell how rare the rarest class is."""
    counts = names.astype(str).value_counts()
    rare, most = counts.index[-1], counts.index[0]
    split = counts.iloc[-1] / counts.sum()
    evidence = tuple(f"{name}: {count:,} ({share(count / counts.sum())})" for name, count in counts.head(12).items())
    even = 1 / len(counts)
    if split >= min(RARE, even / 2):
        yield Finding(
            "class balance", OK, f"{len(counts)} classes, the rarest has {share(split)} of the rows", "", evidence
        )
    else:
        factor = max(2, round(counts.iloc[0] / counts.iloc[-1] / 4))
        level = WARNING if split < VERY_RARE or counts.iloc[-1] < 10 else NOTE
        text = f"class {rare} has {share(split)} of the rows, {counts.iloc[-1]:,}, and class {most} {counts.iloc[0]:,}"
        ways = f"--sample down={factor}, or --class-weight balanced --calibrate temperature"
        advice = f"judge by pr_auc, not by accuracy; {ways}"
        yield Finding("class balance", level, text, advice, evidence)
    if images:
        short = [f"{name} {count}" for name, count in counts.items() if count < IMAGES_A_CLASS]
        text = f"{len(short)} of {len(counts)} classes have fewer than {IMAGES_A_CLASS} images"
        yield Finding("enough rows", NOTE if short else OK, text, "", tuple(short[:12]))


def duplicates(facts: Facts) -> Iterator[Finding]:
    """Tell how many rows are the same, inside parts and across them, and whether their targets agree."""
    if not facts.frame.shape[1]:
        return
    mixed = [name for name in facts.frame.columns if facts.frame[name].dtype == object]  # and may hold anything
    hashed = pd.util.hash_pandas_object(facts.frame.astype(dict.fromkeys(mixed, str)), index=False)
    codes = pd.factorize(hashed)[0]
    counts = np.bincount(codes)
    twice = np.flatnonzero(counts[codes] > 1)
    if not len(twice):
        yield Finding("duplicates", OK, "no two rows are the same in all features")
    else:
        extra = int((counts - 1).sum())
        level = NOTE if extra > 0.01 * len(hashed) else OK
        text = f"{extra:,} rows repeat another in all features ({share(extra / len(hashed))})"
        again = np.flatnonzero(pd.Series(codes).duplicated().to_numpy())
        yield Finding("duplicates", level, text, "", (f"rows {facts.rows(again)}",))
    if facts.target is not None and facts.classes and len(twice):
        kinds = pd.Series(facts.target_codes[twice]).groupby(codes[twice]).nunique()
        disputed = twice[np.isin(codes[twice], kinds.index[kinds > 1])]
        if len(disputed):
            text = f"{len(disputed):,} rows equal one of another class in all features: no model can tell them apart"
            level = WARNING if len(disputed) > 0.02 * len(hashed) else NOTE
            yield Finding("duplicates", level, text, "", (f"rows {facts.rows(disputed)}",))
    yield from _across(facts, codes, "duplicates", "equal a training row in all features")
    near = _cells(facts)
    if near is not None:
        yield from _across(facts, near, "near-duplicates", "differ hardly from a training row", but=codes)


def _across(facts: Facts, codes: np.ndarray, topic: str, what: str, but: np.ndarray | None = None) -> Iterator[Finding]:
    train = codes[facts.split == "train"]
    for split in ("validation", "test"):
        held = np.flatnonzero(facts.split == split)
        found = held[np.isin(codes[held], train)]
        if but is not None:  # what is the same is told already
            found = found[~np.isin(but[found], but[facts.split == "train"])]
        if not len(found) or len(found) < 0.005 * len(held):
            continue
        portion = len(found) / len(held)
        level = WARNING if portion > 0.05 else NOTE
        text = f"{len(found):,} {split} rows ({share(portion)}) {what}"
        advice = (
            "the score tells of what was learnt by heart; leave repeats out, or, where a column says what belongs "
            "together, --split group=COLUMN"
        )
        yield Finding(topic, level, text, advice, (f"rows {facts.rows(found)}",))


def _cells(facts: Facts) -> np.ndarray | None:
    """The cell of a fine grid that each row lies in (N,); None where there are too few numbers to tell rows apart."""
    names = [name for name in map(str, facts.frame.columns) if facts.numeric(name)]
    measured = [n for n in names if len(np.unique(facts.coded(n)[facts.sample])) > 50]
    if len(measured) < 4:
        return None
    made = np.zeros(len(facts.frame), np.uint64)
    for name in map(str, facts.frame.columns):  # one at a time: together they would be the table once more
        values = facts.coded(name)
        spread = np.nanstd(values)
        width = GRID * spread if name in measured and spread > 0 else 1.0
        cells = np.where(np.isnan(values), -1e9, np.round(values / width))
        made = made * np.uint64(1_000_003) + pd.util.hash_array(cells)
    return made


def time_order(facts: Facts) -> Iterator[Finding]:
    """Tell whether rows have a time, and training ones lie among the test ones all the same."""
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
        text = f"{share(among)} of the test rows lie before the last training row in {name}"
        text += f", and neighbours in time have much the same target (correlation {alike:.2f})" if alike > ALIKE else ""
        level = WARNING if alike > ALIKE else NOTE
        advice = f"--split time={name}, and --gap, if the model shall predict what is to come"
        yield Finding("time", level, text, advice)


def _alike_in_time(facts: Facts, seconds: np.ndarray) -> float:
    """The correlation of targets that follow each other in time; 0 without a target."""
    if facts.target is None:
        return 0.0
    target = facts.target_codes[np.argsort(seconds, kind="stable")].astype(float)
    target = target[~np.isnan(target)]
    return float(np.corrcoef(target[1:], target[:-1])[0, 1]) if target.std() > 0 else 0.0


def groups(facts: Facts) -> Iterator[Finding]:
    """Tell which columns name groups that lie on both sides of the split."""
    train, held = facts.split == "train", facts.split == "test"
    for name in map(str, facts.frame.columns):
        if not _GROUPS.search(name) or not held.any():
            continue
        values = facts.frame[name].astype(str)
        distinct = values.nunique()
        if not len(values) / 100 <= distinct <= 0.8 * len(values):
            continue
        both = values[held].isin(set(values[train])).mean()
        if both > 0.05:
            text = f"{share(float(both))} of the test rows are of a {name} that training knows, of {distinct:,} in all"
            yield Finding("groups", WARNING, text, f"--split group={name}")
