"""Checks that fit small models: target leakage by single columns, and drift between training and test rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.data.columns.describe_table import SPLIT_NAMES
from zoo.reporting.check_inputs import MOST_COLUMNS, NOTE, OK, WARNING, Facts, Finding, compute_cramers_v, format_option

NEARLY_SURE = 0.985  # balanced accuracy, or fraction of the variance, of a single column
FOLDS, LEAST_KNOWN = 3, 30
LEAST_AUC, SURE = 0.6, 0.001


def check_leaks(facts: Facts) -> Iterator[Finding]:
    """Report columns that predict the target almost perfectly, by a cross-validated decision tree on each."""
    if facts.target is None:
        return
    target = facts.target_codes[facts.sample]
    has_finding = False
    for name in list(map(str, facts.frame.columns))[:MOST_COLUMNS]:
        alone = _told_by(facts.coded(name)[facts.sample], target, facts.classes, levels=not facts.numeric(name))
        if alone >= NEARLY_SURE:
            has_finding = True
            measure = "balanced accuracy" if facts.classes else "explained variance"
            text = f"column {name} alone predicts the target ({measure} {alone:.3f}): is it known at prediction time?"
            yield Finding("leakage", WARNING, text, format_option("drop", name))
    place = _told_by(np.arange(len(facts.frame), dtype=float)[facts.sample], target, facts.classes, levels=False)
    if place >= 0.9:
        text = f"rows are sorted by the target: the row number predicts it ({place:.2f})"
        yield Finding("leakage", NOTE, text, "use a random split, not --split order")
    if not has_finding:
        yield Finding("leakage", OK, "no column alone predicts the target")


def _told_by(values: np.ndarray, target: np.ndarray, classes: bool, *, levels: bool) -> float:
    """Return the cross-validated score of a decision tree on one column."""
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    max_depth = None if levels else 5
    min_leaf = max(2, len(values) // 2000)
    x = values[:, None]
    if classes:
        if np.bincount(target).min() < FOLDS:
            keep = np.bincount(target)[target] >= FOLDS
            x, target = x[keep], target[keep]
            if len(np.unique(target)) < 2:
                return 0.0
        tree: Any = DecisionTreeClassifier(
            max_depth=max_depth, min_samples_leaf=min_leaf, class_weight="balanced", random_state=0
        )
        predicted = cross_val_predict(tree, x, target, cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0))
        return float(np.mean([(predicted[target == k] == k).mean() for k in np.unique(target)]))
    present = ~np.isnan(target)
    tree = DecisionTreeRegressor(max_depth=12, min_samples_leaf=min_leaf, random_state=0)
    predicted = cross_val_predict(tree, x[present], target[present], cv=KFold(FOLDS, shuffle=True, random_state=0))
    return 1 - float(((predicted - target[present]) ** 2).mean() / max(target[present].var(), 1e-300))


def check_drift(facts: Facts) -> Iterator[Finding]:
    """Report if a classifier can distinguish training and test rows (Lopez-Paz and Oquab 2017)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows = facts.sample[np.isin(facts.split[facts.sample], ("train", "test"))]
    side = (facts.split[rows] == "test").astype(int)
    smaller = min(int(side.sum()), int((1 - side).sum()))
    # Dates and split columns distinguish the splits by definition.
    names = [n for n in map(str, facts.frame.columns) if facts.kind(n) != "date" and not SPLIT_NAMES.match(n)]
    # Boosting needs values in each column in each fold.
    names = [name for name in names if np.isfinite(facts.coded(name)[rows]).sum() >= LEAST_KNOWN][:MOST_COLUMNS]
    if smaller < 30 or not names:
        return
    x = np.stack([facts.coded(name)[rows] for name in names], axis=1)
    model = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    probability = cross_val_predict(
        model, x, side, cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0), method="predict_proba"
    )[:, 1]
    auc = float(roc_auc_score(side, probability))
    error = np.sqrt((1 / smaller + 1 / (len(side) - smaller)) / 12)
    text = f"a classifier distinguishes test from training rows with an AUC of {auc:.2f}"
    if auc < max(LEAST_AUC, 0.5 + 3 * error):
        yield Finding("drift", OK, f"{text}: no drift")
        return
    apart = _apart(facts, rows, side, names)
    listed = ", ".join(name for _, name in apart[:5])
    advice = "does the split follow time or place? The score then holds for rows like those of the test split"
    evidence = tuple(f"{name}: {effect:.2f}" for effect, name in apart[:8])
    yield Finding(
        "drift", WARNING if auc > 0.75 else NOTE, f"{text}; by {listed or 'several columns together'}", advice, evidence
    )


def _apart(facts: Facts, rows: np.ndarray, side: np.ndarray, names: list[str]) -> list[tuple[float, str]]:
    """Return columns whose distributions differ, by Kolmogorov-Smirnov or chi-square test, largest effect first."""
    from scipy import stats

    effects = []
    for name in names:
        values = facts.coded(name)[rows]
        one, two = values[(side == 0) & ~np.isnan(values)], values[(side == 1) & ~np.isnan(values)]
        if len(one) < 10 or len(two) < 10:
            continue
        if facts.numeric(name):
            test = stats.ks_2samp(one, two)
            effect, p = float(test.statistic), float(test.pvalue)
        else:
            effect, p = compute_cramers_v(side[~np.isnan(values)], values[~np.isnan(values)])
        if p * len(names) < SURE:
            effects.append((effect, name))
    return sorted(effects, reverse=True)
