"""Choice of a search algorithm by search space and budget, when the user names none."""

from __future__ import annotations

import math
from typing import Any

from zoo.jobs.search_options import DEFAULT_TRIALS, UNLIMITED_TRIALS
from zoo.tuning.pruning import choose_rungs

# With fewer trials a rung has too few to rank, and a Gaussian process too few to fit.
LEAST_FOR_RUNGS, LEAST_FOR_BAYESIAN = 9, 15


def choose_search(space: Any, *, trials: int, epochs: int, full_trials: bool, started: bool = False) -> tuple[str, str]:
    """Return the search algorithm that suits a job, and the reason.

    Args:
        space: KerasTuner's hyperparameters, declared.
        trials: Maximum number of trials.
        epochs: Maximum number of epochs of each.
        full_trials: Whether a trial has a score only at its end, as over folds or seeds.
        started: Whether there are starting points, which a grid search does not use.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Choice("units", [16, 32, 64])
        >>> choose_search(hp, trials=20, epochs=100, full_trials=False)
        ('grid', 'all 3 points of the grid are tried')
    """
    points = count_grid_points(space)
    count = "an unlimited number of trials" if trials == UNLIMITED_TRIALS else f"{trials} trials"
    most = DEFAULT_TRIALS if trials == UNLIMITED_TRIALS else trials  # a grid that is cut off varies little
    if is_finite(space) and points <= most and not started:
        return "grid", f"all {points} points of the grid are tried"
    if not full_trials and trials >= LEAST_FOR_RUNGS and (rungs := choose_rungs(epochs)):
        epochs_text = ", ".join(map(str, rungs))
        return "asha", f"{count}, weak ones pruned after {epochs_text} epochs"
    if trials >= LEAST_FOR_BAYESIAN:
        return "bayesian", f"{count} {'is' if trials == UNLIMITED_TRIALS else 'are'} enough to fit a Gaussian process"
    return "random", f"{trials} trials are too few to learn from"


def is_finite(space: Any) -> bool:
    """Return whether a grid covers the whole space: no hyperparameter is continuous.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Float("dropout", 0, 0.5)
        >>> is_finite(hp)
        False
    """
    return not any(
        type(hyperparameter).__name__ == "Float" and hyperparameter.step is None for hyperparameter in space.space
    )


def count_grid_points(space: Any) -> int:
    """Return the number of points of a space's grid; KerasTuner takes ten values of a continuous range."""
    return math.prod(max(1, len(list(hyperparameter.values))) for hyperparameter in space.space)
