"""Checks for target leakage: single columns, or the order of the rows, that predict the target almost perfectly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.reporting.check_inputs import MOST_COLUMNS, NOTE, OK, WARNING, Facts, Finding, format_option

FOLDS = 3
# Score of a column alone: mean one-vs-rest AUC, or explained variance of the ranks of a number. From the first limit on
# it is a leak; from the second on only if it is at least so many times closer to 1 than all other columns together.
SURE, LIKELY = {True: 0.99, False: 0.97}, {True: 0.98, False: 0.95}
BETTER = 2.0
ALPHA = 0.001  # family-wise, over columns and classes
SORTED = 0.95
LEAST_PRESENT = 0.2  # fraction of rows with a value, from which on these are also scored alone
MOST_COMPARED, MOST_COMPARED_ROWS = 5, 5_000


@dataclass(frozen=True)
class Score:
    """How well a column alone predicts the target.

    Args:
        value: Mean one-vs-rest AUC, or explained variance of the ranks, of rows outside the fold; 1 is perfect.
        p: Probability of a score as extreme for a column without information.
    """

    value: float
    p: float


def check_leaks(facts: Facts) -> Iterator[Finding]:
    """Report columns that alone predict the target almost perfectly.

    A column is scored by its own order and by a cross-validated decision tree. A leak is also a column with a slightly
    lower score that is much better than all other columns together, since a strong feature is usually not alone. See
    Kaufman et al. 2012, "Leakage in Data Mining: Formulation, Detection, and Avoidance", section 4.
    """
    if facts.target is None:
        return
    target = facts.target_codes[facts.sample]
    names = [name for name in facts.used if name in facts.frame.columns][:MOST_COLUMNS]
    scores = {name: _score_column(facts, name, target) for name in names}
    tests = 2 * max(1, len(names)) * (len(np.unique(target)) if facts.classes else 1)
    suspects = [n for n, s in scores.items() if s.value >= LIKELY[facts.classes] and s.p * tests < ALPHA]
    has_finding = False
    for number, name in enumerate(sorted(suspects, key=lambda name: -scores[name].value)):
        others = _score_others(facts, name, names, target) if number < MOST_COMPARED else None
        finding = _judge(name, scores[name].value, others, facts.classes)
        if finding is not None:
            has_finding = has_finding or finding.level == WARNING
            yield finding
    yield from _check_order(facts, target)
    if not has_finding:
        yield Finding("leakage", OK, "no column alone predicts the target")


def _judge(name: str, score: float, others: float | None, classes: bool) -> Finding | None:
    """Return the finding on a column with a high score, given that of all other columns together."""
    measure = "AUC" if classes else "explained variance"
    sure = score >= SURE[classes]
    if not sure and (others is None or 1 - others < BETTER * (1 - score)):
        return None
    text = f"column {name} alone predicts the target ({measure} {score:.3f}): is it known at prediction time?"
    evidence = () if others is None else (f"all other columns together: {measure} {others:.3f}",)
    return Finding("leakage", WARNING, text, f"if not, use {format_option('drop', name)}", evidence)


def _score_column(facts: Facts, name: str, target: np.ndarray) -> Score:
    """Return the score of a column among all rows, where a missing value may tell the target, or among the others."""
    values = facts.coded(name)[facts.sample]
    score = score_classes if facts.classes else score_numbers
    scores = [score(values, target, ordered=facts.numeric(name))]
    present = ~np.isnan(values)
    if LEAST_PRESENT * len(values) < present.sum() < len(values):
        scores.append(score(values[present], target[present], ordered=facts.numeric(name)))
    return max(scores, key=lambda score: score.value)


def _check_order(facts: Facts, target: np.ndarray) -> Iterator[Finding]:
    """Report rows that are sorted by the target."""
    place = np.arange(len(facts.frame), dtype=float)[facts.sample]
    score = score_classes(place, target) if facts.classes else score_numbers(place, target)
    if score.value >= SORTED and score.p < ALPHA:
        measure = "AUC" if facts.classes else "explained variance"
        text = f"rows are sorted by the target: the row number predicts it ({measure} {score.value:.2f})"
        yield Finding("leakage", NOTE, text, "use a random split, not --split order")


def score_classes(values: np.ndarray, target: np.ndarray, *, ordered: bool = True) -> Score:
    """Return the score of one column for a target of classes.

    Args:
        values: The column (N,), numbers or codes, NaN where missing.
        target: Class indices (N,).
        ordered: Whether the numbers have an order, other than codes of categories.

    Example:
        >>> score = score_classes(np.arange(60.0), np.repeat([0, 1, 2], 20))
        >>> round(score.value, 2), score.p < 1e-6
        (1.0, True)
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    keep = np.bincount(target)[target] >= FOLDS
    values, (classes, target) = values[keep], np.unique(target[keep], return_inverse=True)
    if len(classes) < 2:
        return Score(0.5, 1.0)
    tree: Any = DecisionTreeClassifier(random_state=0, **_limits(len(values), ordered))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    probability = cross_val_predict(tree, values[:, None], target, cv=folds, method="predict_proba")
    members = np.eye(len(classes), dtype=bool)[target]  # (N, K)
    options = [_compute_aucs(probability, members)]
    if ordered and not np.isnan(values).any():  # its own order needs no fit; either direction counts
        options += [_compute_aucs(sign * values[:, None], members) for sign in (1, -1)]
    aucs, ps = np.stack(options, axis=1)  # (options, K) each
    best = aucs.argmax(axis=0)[None]
    best_ps = np.take_along_axis(ps, best, axis=0)
    return Score(float(aucs.max(axis=0).mean()), float(best_ps.min()))


def score_numbers(values: np.ndarray, target: np.ndarray, *, ordered: bool = True) -> Score:
    """Return the score of one column for a numeric target, by ranks so that outliers and curves do not matter.

    Args:
        values: The column (N,), numbers or codes, NaN where missing.
        target: Numbers (N,), NaN where missing.
        ordered: Whether the numbers have an order, other than codes of categories.

    Example:
        >>> round(score_numbers(np.arange(60.0), np.exp(np.arange(60.0))).value, 2)
        1.0
    """
    from scipy import stats
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.tree import DecisionTreeRegressor

    present = ~np.isnan(target)
    values, ranks = values[present], stats.rankdata(target[present])
    if len(ranks) < 2 * FOLDS or ranks.std() == 0:
        return Score(0.0, 1.0)
    tree = DecisionTreeRegressor(random_state=0, **_limits(len(values), ordered))
    predicted = cross_val_predict(tree, values[:, None], ranks, cv=KFold(FOLDS, shuffle=True, random_state=0))
    explained = 1 - float(((predicted - ranks) ** 2).mean() / ranks.var())
    results = [(explained, float(stats.spearmanr(predicted, ranks).pvalue))] if predicted.std() > 0 else [(0.0, 1.0)]
    if ordered and not np.isnan(values).any() and values.std() > 0:
        correlation = stats.spearmanr(values, ranks)
        results.append((float(correlation.statistic) ** 2, float(correlation.pvalue)))
    return Score(*max(results))


def _limits(rows: int, ordered: bool) -> dict[str, Any]:
    """Return the size of a tree: smooth along numbers, and a leaf for each category."""
    return {"max_depth": 8, "min_samples_leaf": max(3, rows // 200)} if ordered else {"min_samples_leaf": 2}


def _compute_aucs(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the AUC of each class and its one-sided p-value (2, K), of Mann and Whitney 1947 with ties.

    Args:
        scores: Scores of the rows for each class (N, K), or the same for all classes (N, 1), which are ranked once.
        positive: Mask of the rows of each class (N, K).
    """
    from scipy import stats

    n, n_positive = len(scores), positive.sum(axis=0)
    pairs = n_positive * (n - n_positive)
    u = (stats.rankdata(scores, axis=0) * positive).sum(axis=0) - n_positive * (n_positive + 1) / 2
    counts = (np.unique(column, return_counts=True)[1].astype(float) for column in scores.T)
    ties = np.array([(count**3 - count).sum() for count in counts])
    deviation = np.sqrt(pairs / 12 * (n + 1 - ties / (n * (n - 1))))
    z = np.divide(u - pairs / 2 - 0.5, deviation, out=np.full(len(pairs), -np.inf), where=deviation > 0)
    return np.stack([u / pairs, stats.norm.sf(z)])


def _score_others(facts: Facts, name: str, names: Sequence[str], target: np.ndarray) -> float | None:
    """Return the cross-validated score of all columns but one together; None without others."""
    from scipy import stats
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict

    rows = np.flatnonzero(~np.isnan(target.astype(float)))
    if facts.classes:
        rows = rows[np.bincount(target)[target] >= FOLDS]
    rows = rows[:: -(-len(rows) // MOST_COMPARED_ROWS)]
    columns = [facts.coded(other)[facts.sample][rows] for other in names if other != name]
    columns = [column for column in columns if np.isfinite(column).sum() >= len(rows) // 2]
    if not columns:
        return None
    x, y = np.stack(columns, axis=1), target[rows]
    if not facts.classes:
        y = stats.rankdata(y)
        model = HistGradientBoostingRegressor(max_iter=60, random_state=0)
        predicted = cross_val_predict(model, x, y, cv=KFold(FOLDS, shuffle=True, random_state=0))
        return 1 - float(((predicted - y) ** 2).mean() / y.var())
    classes, y = np.unique(y, return_inverse=True)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    boosting = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    probability = cross_val_predict(boosting, x, y, cv=folds, method="predict_proba")
    return float(_compute_aucs(probability, np.eye(len(classes), dtype=bool)[y])[0].mean())
