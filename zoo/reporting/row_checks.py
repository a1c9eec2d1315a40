"""Checks of rows: sample size, class balance, order in time, and groups across splits."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pandas as pd

from zoo.data.splitting.splitters import suggest_sizes
from zoo.reporting.check_inputs import NOTE, OK, WARNING, Facts, Finding, format_option
from zoo.text import format_fraction

ROWS_A_PARAMETER, ROWS_A_PREDICTOR, IMAGES_A_CLASS = 10, 10, 1000
RARE, VERY_RARE = 0.1, 0.02
# Words at the end of a name, after which may come "id" or "no". Some also name categories, so those need many values.
_IDS = "id|uuid|guid|patient|user|customer|client|subject|participant|respondent|person|member|student|employee|player"
_GROUPS = "group|household|house|session|device|family|machine|sensor|account|vehicle|animal|speaker|ticket"
_NUMBERED = "id|no|nr|num|number|code|name"
_GROUP_NAMES = re.compile(
    rf"(?P<id>({_IDS})|({_GROUPS})_({_NUMBERED}))(_({_NUMBERED}))?|(?P<group>{_GROUPS})", re.IGNORECASE
)
_ID_VALUES = re.compile(r"[^\W\d_]{0,5}[-_/. ]?\d{2,}|[0-9a-f-]{8,}", re.IGNORECASE)
LEAST_GROUPS, LEAST_GROUPS_BY_WORD, LEAST_ID_VALUES = 2, 10, 0.9
LEAST_SHARED = 0.05  # fraction of the test rows with a group of the training rows
ALIKE = 0.5  # correlation of successive targets in time


def check_row_count(rows: int, predictors: Mapping[str, int], *, ids: Collection[str] = ()) -> Iterator[Finding]:
    """Compare the number of training rows with a rule of thumb: 10 for each predictor.

    Args:
        rows: Number of training rows.
        predictors: Number of features of each column.
        ids: Columns that are like ids; they are not counted, since leaving them out is better than more rows.
    """
    counted = {name: count for name, count in predictors.items() if name not in ids}
    if counted:
        total = sum(counted.values())
        needed = ROWS_A_PREDICTOR * total
        text = f"{rows:,} training rows; {ROWS_A_PREDICTOR} for each of {total:,} predictors would be {needed:,}"
        widest = max(counted, key=lambda name: counted[name])
        evidence = [f"column {widest}: {counted[widest]:,} predictors"] if counted[widest] > total / 2 > 1 else []
        evidence += [f"column {name} is not counted, since it is like an id" for name in predictors if name in ids]
        drop = format_option("drop", widest) if counted[widest] > total / 2 else "--drop COLUMN"
        advice = f"{drop}, more rows, or a linear model" if rows < needed else ""
        yield Finding("enough rows", OK if rows >= needed else WARNING, text, advice, tuple(evidence))


def check_parameters(
    rows: int, parameters: int | None = None, model: str | None = None, *, unit: str = "rows"
) -> Finding:
    """Compare the number of training rows with a rule of thumb: 10 for each parameter of a model.

    Args:
        rows: Number of training rows.
        parameters: Number of parameters; None without a model.
        model: Its name.
        unit: What a row is.
    """
    if parameters is None:
        most = max(1, rows // ROWS_A_PARAMETER)
        text = f"{rows:,} training {unit} are {ROWS_A_PARAMETER} for each of {most:,} parameters"
        text += "; --model NAME compares those of a model"
        return Finding("enough rows", OK, text)
    needed = ROWS_A_PARAMETER * parameters
    counted = f"the {parameters:,} parameters of {model}"
    text = f"{rows:,} training {unit}; {ROWS_A_PARAMETER} for each of {counted} would be {needed:,}"
    if rows >= needed:
        return Finding("enough rows", OK, text)
    return Finding("enough rows", NOTE, text, f"a smaller model, --set dropout=0.3, or more {unit}")


def check_sizes(
    rows: int, searched: int = 0, model: str | None = None, *, classes: bool = True, unit: str = "rows"
) -> Finding:
    """Suggest sizes of the splits.

    Args:
        rows: Number of rows.
        searched: Number of hyperparameters that a search of the model varies; 0 without a search.
        model: Its name.
        classes: Whether each row has a class.
        unit: What a row is.
    """
    test, validation, reason = suggest_sizes(rows, searched, classes=classes, unit=unit)
    advice = f"--test-size {test:g} --validation-size {validation:g}"
    search = f" and zoo tune {model}" if searched else ""
    return Finding("split", OK, f"for {rows:,} {unit}{search}: {reason}", advice)


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
        advice = f"to predict the future, use {format_option('split', f'time={name}')} and --gap"
        yield Finding("time", level, text, advice)


def _alike_in_time(facts: Facts, seconds: np.ndarray) -> float:
    """Return the correlation of successive targets in time; 0 without a target."""
    if facts.target is None:
        return 0.0
    target = facts.target_codes[np.argsort(seconds, kind="stable")].astype(float)
    target = target[~np.isnan(target)]
    return float(np.corrcoef(target[1:], target[:-1])[0, 1]) if target.std() > 0 else 0.0


def check_groups(facts: Facts) -> Iterator[Finding]:
    """Report columns of repeated ids with values in both training and test rows."""
    train, held = facts.split == "train", facts.split == "test"
    for name, by_name in find_groups(facts).items():
        values = facts.coded(name)
        present = ~np.isnan(values)
        overlap = float(np.isin(values[held & present], values[train & present]).sum() / max(1, held.sum()))
        if overlap > LEAST_SHARED:
            text = (
                f"{format_fraction(overlap)} of the test rows have the same {name} as a training row, of "
                f"{len(np.unique(values[present])):,} in total: rows of a group may be alike"
            )
            advice = f"{format_option('split', f'group={name}')}, if new rows will have other values of {name}"
            yield Finding("groups", WARNING if by_name else NOTE, text, advice)


def find_groups(facts: Facts) -> dict[str, bool]:
    """Return the columns that look like repeated ids, and whether by their name, not by their values.

    Args:
        facts: The table.
    """
    groups = {}
    for name in facts.used:
        values = facts.coded(name)
        present = ~np.isnan(values)
        is_fraction = facts.numeric(name) and (values[present] != np.floor(values[present])).any()
        if is_fraction or facts.kind(name) in ("date", "text", "yes or no", "ordered"):
            continue
        distinct = len(np.unique(values[present]))
        by_name = _has_group_name(name, distinct)
        if distinct < present.sum() and (by_name or _has_ids(facts, name, distinct)):
            groups[name] = by_name
    return groups


def _has_group_name(name: str, distinct: int) -> bool:
    """Return whether a column's name is that of an id or a group, such as patient, PatientID or house_no."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[^\w]+", "_", name).strip("_").split("_")
    for start in range(len(words)):
        if start and words[start - 1].lower() == "per":
            break
        matched = _GROUP_NAMES.fullmatch("_".join(words[start:]))
        if matched:
            return distinct >= (LEAST_GROUPS if matched["id"] else LEAST_GROUPS_BY_WORD)
    return False


def _has_ids(facts: Facts, name: str, distinct: int) -> bool:
    """Return whether the values of a text column look like ids: P-0012, or hexadecimal."""
    if facts.numeric(name) or distinct < max(LEAST_GROUPS_BY_WORD, len(facts.frame) / 100):
        return False
    values = facts.frame[name].iloc[facts.sample].dropna().astype(str).drop_duplicates()
    return float(np.mean([bool(_ID_VALUES.fullmatch(value.strip())) for value in values])) >= LEAST_ID_VALUES
