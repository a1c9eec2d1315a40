"""Pruners: successive halving at certain epochs, and racing between folds or seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.metrics.direction import Direction

FACTOR = 3
LEAST_EPOCHS = 3  # earlier scores depend more on the initial weights than on the hyperparameters
MOST_RUNGS = 3
LEAST_FITS, SURE = 2, 0.9


def choose_rungs(epochs: int) -> tuple[int, ...]:
    """Return the epochs at which trials are compared: at most three, each a third of the next.

    Example:
        >>> choose_rungs(100), choose_rungs(30), choose_rungs(3)
        ((4, 12, 36), (3, 9, 27), ())
    """
    rung = max(LEAST_EPOCHS, -(-epochs // FACTOR**MOST_RUNGS))
    rungs = []
    while rung < epochs:
        rungs.append(rung)
        rung *= FACTOR
    return tuple(rungs)


class SuccessiveHalving:
    """Stops a trial at a rung unless it is among the best third of the trials that have reached it so far.

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (ASHA, algorithm 2), in its stopping
    variant: a promoted trial continues at once in its own process, so no worker waits for a rung to fill.

    Args:
        epochs: The rungs, as numbers of epochs; see :func:`choose_rungs`.
        direction: Direction of the score, ``min`` or ``max``.
        stored: Scores that an earlier driver recorded.

    Example:
        >>> halving = SuccessiveHalving((3, 9), "min")
        >>> [halving.goes_on(trial, 3, score) for trial, score in (("0", 0.5), ("1", 0.6), ("2", 0.4), ("3", 0.45))]
        [True, False, True, True]
    """

    def __init__(
        self, epochs: tuple[int, ...], direction: str, stored: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        self.epochs = epochs
        self.direction = Direction(direction)
        self.scores: dict[str, dict[str, float]] = {epoch: dict(scores) for epoch, scores in (stored or {}).items()}

    def goes_on(self, trial_id: str, epoch: int, score: float) -> bool:
        """Record a trial's best score up to a rung, and return whether the trial continues."""
        reached = self.scores.setdefault(str(epoch), {})
        reached[trial_id] = score
        ranked = sorted(reached, key=lambda trial: self.direction.key(reached[trial]))
        return ranked.index(trial_id) < -(-len(ranked) // FACTOR)


class Racing:
    """Stops a trial between its folds, or seeds, once it is clearly worse than the best trial on the same ones.

    The paired t-test of a race (Maron and Moore 1994, "Hoeffding Races"; Birattari et al. 2002, "A Racing Algorithm
    for Configuring Metaheuristics"), one-sided at 0.9. Pairing removes the differences between folds.

    Args:
        direction: Direction of the score, ``min`` or ``max``.
        stored: Scores that an earlier driver recorded.

    Example:
        >>> racing = Racing("min")
        >>> racing.take("0", 1, 0.50), racing.take("0", 2, 0.60), racing.take("0", 3, 0.55)
        (None, None, None)
        >>> racing.ended("0", complete=True)
        >>> racing.take("1", 1, 0.90), racing.take("1", 2, 1.05)
        (None, '0')
        >>> round(racing.estimate("1", "0"), 3)
        0.975
    """

    def __init__(self, direction: str, stored: Mapping[str, list[float]] | None = None) -> None:
        self.direction = Direction(direction)
        self.scores: dict[str, list[float]] = {trial: list(scores) for trial, scores in (stored or {}).items()}
        self._best: str | None = None

    def take(self, trial_id: str, number: int, score: float) -> str | None:
        """Record the score of a fit, counted from 1; return the trial that is clearly better, or None."""
        from scipy.stats import t

        trial_scores = self.scores.setdefault(trial_id, [])
        trial_scores[number - 1 :] = [score]
        if self._best is None or number < LEAST_FITS:
            return None
        differences = self.direction.sign * (np.array(trial_scores) - np.array(self.scores[self._best][:number]))
        if np.isnan(differences).any():
            return self._best
        standard_error = differences.std(ddof=1) / np.sqrt(number)
        return self._best if differences.mean() > t.ppf(SURE, number - 1) * standard_error else None

    def ended(self, trial_id: str, *, complete: bool) -> None:
        """Record that a trial has ended; a trial with all its fits may become the best."""
        mean = float(np.mean(self.scores.get(trial_id, [np.nan])))
        if complete and (self._best is None or self.direction.better(mean, float(np.mean(self.scores[self._best])))):
            self._best = trial_id

    def estimate(self, trial_id: str, best: str) -> float:
        """Return the estimated score of a stopped trial: the best trial's mean plus the mean difference so far."""
        trial_scores, best_scores = self.scores[trial_id], self.scores[best]
        return float(
            np.mean(best_scores) + np.mean(np.array(trial_scores) - np.array(best_scores[: len(trial_scores)]))
        )
