"""Checks that fit small models: columns that decide the target alone, and parts that can be told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.data.columns.describe_table import SPLIT_NAMES
from zoo.reporting.check_inputs import MOST_COLUMNS, NOTE, OK, WARNING, Facts, Finding, cramers_v, option

NEARLY_SURE = 0.985  # balanced accuracy, or share of the variance, that one column has alone
FOLDS, LEAST_KNOWN = 3, 30
LEAST_AUC, SURE = 0.6, 0.001


def leaks(facts: Facts) -> Iterator[Finding]:
    """Tell which columns nearly decide the target alone, by a small tree on each, cross-validated."""
    if facts.target is None:
        return
    target = facts.target_codes[facts.sample]
    found = False
    for name in list(map(str, facts.frame.columns))[:MOST_COLUMNS]:
        alone = _told_by(facts.coded(name)[facts.sample], target, facts.classes, levels=not facts.numeric(name))
        if alone >= NEARLY_SURE:
            found = True
            measure = "balanced accuracy" if facts.classes else "share of the variance"
            text = (
                f"column {name} nearly decides the target alone ({measure} {alone:.3f}): is it known before the fact?"
            )
            yield Finding("leakage", WARNING, text, option("drop", name))
    place = _told_by(np.arange(len(facts.frame), dtype=float)[facts.sample], target, facts.classes, levels=False)
    if place >= 0.9:
        text = f"rows lie in the order of the target: their number alone tells it ({place:.2f})"
        yield Finding("leakage", NOTE, text, "a random split shuffles them; --split order would not")
    if not found:
        yield Finding("leakage", OK, "no column decides the target alone")


def _told_by(values: np.ndarray, target: np.ndarray, classes: bool, *, levels: bool) -> float:
    """How well a tree on one column tells the target of rows that it did not see."""
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    deep = None if levels else 5
    least = max(2, len(values) // 2000)
    x = values[:, None]
    if classes:
        if np.bincount(target).min() < FOLDS:
            keep = np.bincount(target)[target] >= FOLDS
            x, target = x[keep], target[keep]
            if len(np.unique(target)) < 2:
                return 0.0
        tree: Any = DecisionTreeClassifier(
            max_depth=deep, min_samples_leaf=least, class_weight="balanced", random_state=0
        )
        said = cross_val_predict(tree, x, target, cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0))
        return float(np.mean([(said[target == k] == k).mean() for k in np.unique(target)]))
    known = ~np.isnan(target)
    tree = DecisionTreeRegressor(max_depth=12, min_samples_leaf=least, random_state=0)
    said = cross_val_predict(tree, x[known], target[known], cv=KFold(FOLDS, shuffle=True, random_state=0))
    return 1 - float(((said - target[known]) ** 2).mean() / max(target[known].var(), 1e-300))


def drift(facts: Facts) -> Iterator[Finding]:
    """Tell whether training and test rows can be told apart (Lopez-Paz and Oquab 2017), and by which columns."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows = facts.sample[np.isin(facts.split[facts.sample], ("train", "test"))]
    side = (facts.split[rows] == "test").astype(int)
    few = min(int(side.sum()), int((1 - side).sum()))
    # A moment, or a column that says the part, tells parts apart by what they are.
    names = [n for n in map(str, facts.frame.columns) if facts.kind(n) != "date" and not SPLIT_NAMES.match(n)]
    # Boosting takes no column without a value, and that in each of its folds.
    names = [name for name in names if np.isfinite(facts.coded(name)[rows]).sum() >= LEAST_KNOWN][:MOST_COLUMNS]
    if few < 30 or not names:
        return
    x = np.stack([facts.coded(name)[rows] for name in names], axis=1)
    model = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    said = cross_val_predict(
        model, x, side, cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0), method="predict_proba"
    )[:, 1]
    auc = float(roc_auc_score(side, said))
    error = np.sqrt((1 / few + 1 / (len(side) - few)) / 12)
    text = f"a classifier tells test from training rows with an AUC of {auc:.2f}"
    if auc < max(LEAST_AUC, 0.5 + 3 * error):
        yield Finding("drift", OK, f"{text}: hardly at all")
        return
    apart = _apart(facts, rows, side, names)
    listed = ", ".join(name for _, name in apart[:5])
    advice = "does the split follow time, or a place? The score then tells of rows like those of the test part"
    evidence = tuple(f"{name}: {effect:.2f}" for effect, name in apart[:8])
    yield Finding(
        "drift", WARNING if auc > 0.75 else NOTE, f"{text}; by {listed or 'several together'}", advice, evidence
    )


def _apart(facts: Facts, rows: np.ndarray, side: np.ndarray, names: list[str]) -> list[tuple[float, str]]:
    """Columns whose distributions differ between the sides, by Kolmogorov-Smirnov or chi-square, most first."""
    from scipy import stats

    found = []
    for name in names:
        values = facts.coded(name)[rows]
        one, two = values[(side == 0) & ~np.isnan(values)], values[(side == 1) & ~np.isnan(values)]
        if len(one) < 10 or len(two) < 10:
            continue
        if facts.numeric(name):
            known = stats.ks_2samp(one, two)
            effect, p = float(known.statistic), float(known.pvalue)
        else:
            effect, p = cramers_v(side[~np.isnan(values)], values[~np.isnan(values)])
        if p * len(names) < SURE:
            found.append((effect, name))
    return sorted(found, reverse=True)
