"""Which search suits a space and a budget, where nobody said."""

from __future__ import annotations

import math
from typing import Any

from zoo.tuning.pruning import rungs_of

# Below so many trials a rung has too few to tell the best third of, and a Gaussian process too few to fit.
LEAST_FOR_RUNGS, LEAST_FOR_BAYESIAN = 9, 15


def choose_search(space: Any, *, trials: int, epochs: int, whole: bool, started: bool = False) -> tuple[str, str]:
    """Return the search that suits a job, and why, in words.

    Args:
        space: KerasTuner's hyperparameters, declared.
        trials: Most trials.
        epochs: Most epochs of each.
        whole: Whether a trial has to be run whole before it has a score, as over folds or seeds.
        started: Whether there are starting points, which a grid does not take.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Choice("units", [16, 32, 64])
        >>> choose_search(hp, trials=20, epochs=100, whole=False)
        ('grid', 'all 3 points of the grid are tried')
    """
    points = grid_size(space)
    if is_finite(space) and points <= trials and not started:
        return "grid", f"all {points} points of the grid are tried"
    if not whole and trials >= LEAST_FOR_RUNGS and (rungs := rungs_of(epochs)):
        listed = ", ".join(map(str, rungs))
        return "asha", f"of {trials} trials the hopeless ones are stopped after epochs {listed}"
    if trials >= LEAST_FOR_BAYESIAN:
        return "bayesian", f"{trials} trials are enough to learn where the good ones lie"
    return "random", f"{trials} trials are too few to learn from each other"


def is_finite(space: Any) -> bool:
    """Tell whether a grid holds all of a space: no number in it is any of a range.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Float("dropout", 0, 0.5)
        >>> is_finite(hp)
        False
    """
    return not any(type(known).__name__ == "Float" and known.step is None for known in space.space)


def grid_size(space: Any) -> int:
    """Return the number of points of a space's grid; of a range KerasTuner takes ten."""
    return math.prod(max(1, len(list(known.values))) for known in space.space)
