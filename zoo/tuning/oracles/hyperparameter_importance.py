"""What mattered in a search: how much of the scores each hyperparameter explains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LEAST_TRIALS = 8
TREES, MOST_VALUES = 64, 16


def importance(trials: Sequence[Mapping[str, Any]], scores: Sequence[float]) -> dict[str, tuple[float, float]]:
    """Return for each hyperparameter that varied its share of the variance of the scores, and the trees' spread.

    A random forest learns from the trials which of them are the better ones (their ranks, so that one that went
    wrong does not outweigh all others); the share is the variance of its prediction when one hyperparameter moves
    and the others are averaged over, in times of that when all move: the main effect of the functional ANOVA of
    Hutter, Hoos and Leyton-Brown 2014, "An Efficient Approach for Assessing Hyperparameter Importance". What is
    left to one are effects of several together, and noise.

    Args:
        trials: Hyperparameters of each trial with a score.
        scores: Its score.

    Returns:
        Mean and standard deviation over the trees, the largest first; empty with too few trials, or when none varied.

    Example:
        >>> units = [{"units": 2**(n % 6), "seed": n % 2} for n in range(60)]
        >>> next(iter(importance(units, [trial["units"] for trial in units])))
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
    shares = np.stack([_shares(tree, x) for tree in forest.estimators_])  # (trees, columns)
    order = np.argsort(-shares.mean(axis=0), kind="stable")
    return {list(columns)[j]: (float(shares[:, j].mean()), float(shares[:, j].std())) for j in order}


def _shares(tree: Any, x: np.ndarray) -> np.ndarray:
    """The share of a tree's variance that each column (D,) has by itself."""
    whole = tree.predict(x).var()
    made = np.zeros(x.shape[1])
    if whole == 0:
        return made
    for column in range(x.shape[1]):
        values = np.unique(x[:, column])
        values = values[np.linspace(0, len(values) - 1, min(len(values), MOST_VALUES)).round().astype(int)]
        moved = np.repeat(x[None], len(values), axis=0)
        moved[:, :, column] = values[:, None]
        means = tree.predict(moved.reshape(-1, x.shape[1])).reshape(len(values), len(x)).mean(axis=1)
        made[column] = min(1.0, means.var() / whole)
    return made


def _as_numbers(values: Sequence[Any]) -> np.ndarray:
    """Values as numbers that a tree can cut: others by their order of appearance, a missing number below all."""
    if all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values):
        return np.array([-math.inf if value is None else float(value) for value in values]).clip(-1e30, 1e30)
    codes = {value: code for code, value in enumerate(dict.fromkeys(map(str, values)))}
    return np.array([float(codes[str(value)]) for value in values])
