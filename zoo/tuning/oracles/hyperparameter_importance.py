"""Hyperparameter importance: how much of the variance of the scores each hyperparameter explains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LEAST_TRIALS = 8
TREES, MOST_VALUES = 64, 16


def compute_importance(trials: Sequence[Mapping[str, Any]], scores: Sequence[float]) -> dict[str, tuple[float, float]]:
    """Return for each hyperparameter that varied the fraction of the scores' variance that it explains.

    A random forest is fitted to the ranks of the scores (ranks, so that one failed training does not outweigh all
    others). The importance of a hyperparameter is its main effect in the functional ANOVA of Hutter, Hoos and
    Leyton-Brown 2014, "An Efficient Approach for Assessing Hyperparameter Importance": the variance of the
    prediction when this hyperparameter varies and the others are averaged over, divided by the total variance. The
    fractions sum to less than 1; interactions and noise explain the rest.

    Args:
        trials: Hyperparameters of each trial with a score.
        scores: Score of each trial.

    Returns:
        Mean and standard deviation over the trees, the largest first; empty with too few trials, or when none varied.

    Example:
        >>> units = [{"units": 2**(n % 6), "seed": n % 2} for n in range(60)]
        >>> next(iter(compute_importance(units, [trial["units"] for trial in units])))
        'units'
    """
    from sklearn.ensemble import RandomForestRegressor

    names = dict.fromkeys(name for trial in trials for name in trial)
    columns = {name: _as_numbers([trial.get(name) for trial in trials]) for name in names}
    columns = {name: values for name, values in columns.items() if len(np.unique(values)) > 1}
    if len(trials) < LEAST_TRIALS or not columns:
        return {}
    x = np.stack(list(columns.values()), axis=1)
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable") / len(scores)
    forest = RandomForestRegressor(TREES, min_samples_leaf=2, max_features=0.7, random_state=0).fit(x, ranks)
    fractions = np.stack([_variance_fractions(tree, x) for tree in forest.estimators_])  # (trees, columns)
    order = np.argsort(-fractions.mean(axis=0), kind="stable")
    return {list(columns)[j]: (float(fractions[:, j].mean()), float(fractions[:, j].std())) for j in order}


def _variance_fractions(tree: Any, x: np.ndarray) -> np.ndarray:
    """Return the fraction of a tree's variance that each column explains by itself: (D,)."""
    total_variance = tree.predict(x).var()
    fractions = np.zeros(x.shape[1])
    if total_variance == 0:
        return fractions
    for column in range(x.shape[1]):
        values = np.unique(x[:, column])
        values = values[np.linspace(0, len(values) - 1, min(len(values), MOST_VALUES)).round().astype(int)]
        moved = np.repeat(x[None], len(values), axis=0)
        moved[:, :, column] = values[:, None]
        means = tree.predict(moved.reshape(-1, x.shape[1])).reshape(len(values), len(x)).mean(axis=1)
        fractions[column] = min(1.0, means.var() / total_variance)
    return fractions


def _as_numbers(values: Sequence[Any]) -> np.ndarray:
    """Return values as numbers that a tree can split; others by order of appearance, a missing number below all."""
    if all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values):
        return np.array([-math.inf if value is None else float(value) for value in values]).clip(-1e30, 1e30)
    codes = {value: code for code, value in enumerate(dict.fromkeys(map(str, values)))}
    return np.array([float(codes[str(value)]) for value in values])
