"""Which trials go on, and which are stopped: at a rung of epochs, and between folds or seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

FACTOR = 3
LEAST_EPOCHS = 3  # after fewer a score says more of the first weights than of the hyperparameters
MOST_RUNGS = 3
LEAST_FITS, SURE = 2, 0.9


def rungs_of(epochs: int) -> tuple[int, ...]:
    """Return the epochs at which trials are compared: at most three, each a third of the next.

    Example:
        >>> rungs_of(100), rungs_of(30), rungs_of(3)
        ((4, 12, 36), (3, 9, 27), ())
    """
    least = max(LEAST_EPOCHS, -(-epochs // FACTOR**MOST_RUNGS))
    made = []
    while least < epochs:
        made.append(least)
        least *= FACTOR
    return tuple(made)


class SuccessiveHalving:
    """Stops a trial at a rung unless it is among the best third of those that reached it before.

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (ASHA, algorithm 2), by stopping: a trial
    that may go on does so at once, in the process that it is in, and nobody waits for a rung to fill.

    Args:
        epochs: The rungs; see :func:`rungs_of`.
        direction: Of the score, ``min`` or ``max``.
        known: What an earlier driver had taken down.

    Example:
        >>> rungs = SuccessiveHalving((3, 9), "min")
        >>> [rungs.goes_on(trial, 3, score) for trial, score in (("0", 0.5), ("1", 0.6), ("2", 0.4), ("3", 0.45))]
        [True, False, True, False]
    """

    def __init__(
        self, epochs: tuple[int, ...], direction: str, known: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        self.epochs = epochs
        self.direction = direction
        self.scores: dict[str, dict[str, float]] = {epoch: dict(scores) for epoch, scores in (known or {}).items()}

    def goes_on(self, trial_id: str, epoch: int, score: float) -> bool:
        """Take down a trial's best score up to a rung, and say whether it goes on."""
        reached = self.scores.setdefault(str(epoch), {})
        reached[trial_id] = score
        sign = 1 if self.direction == "min" else -1
        # Not a number is worse than any.
        ranked = sorted(reached, key=lambda trial: (reached[trial] != reached[trial], sign * reached[trial]))
        return ranked.index(trial_id) < -(-len(ranked) // FACTOR)


class Racing:
    """Stops a trial between its folds, or seeds, once it is clearly worse than the best on the same ones.

    The paired t-test of a race (Maron and Moore 1994, "Hoeffding Races"; Birattari et al. 2002, "A Racing Algorithm
    for Configuring Metaheuristics"), one-sided at 0.9: what all trials find hard in a fold is in both.

    Args:
        direction: Of the score, ``min`` or ``max``.
        known: What an earlier driver had taken down.

    Example:
        >>> race = Racing("min")
        >>> race.take("0", 1, 0.50), race.take("0", 2, 0.60), race.take("0", 3, 0.55)
        (None, None, None)
        >>> race.ended("0", complete=True)
        >>> race.take("1", 1, 0.90), race.take("1", 2, 1.05)
        (None, '0')
        >>> round(race.estimate("1", "0"), 3)
        0.975
    """

    def __init__(self, direction: str, known: Mapping[str, list[float]] | None = None) -> None:
        self.sign = 1 if direction == "min" else -1
        self.scores: dict[str, list[float]] = {trial: list(scores) for trial, scores in (known or {}).items()}
        self._best: str | None = None

    def take(self, trial_id: str, number: int, score: float) -> str | None:
        """Take down the score of a fit, counted from 1; return the trial that this one cannot beat, or None."""
        from scipy.stats import t

        own = self.scores.setdefault(trial_id, [])
        own[number - 1 :] = [score]
        if self._best is None or number < LEAST_FITS:
            return None
        worse = self.sign * (np.array(own) - np.array(self.scores[self._best][:number]))
        if np.isnan(worse).any():
            return self._best
        error = worse.std(ddof=1) / np.sqrt(number)
        return self._best if worse.mean() > t.ppf(SURE, number - 1) * error else None

    def ended(self, trial_id: str, *, complete: bool) -> None:
        """Say that a trial has ended; one that ran all its fits may be the best from now on."""
        mean = self.sign * float(np.mean(self.scores.get(trial_id, [np.nan])))
        if complete and (self._best is None or mean < self.sign * float(np.mean(self.scores[self._best]))):
            self._best = trial_id

    def estimate(self, trial_id: str, best: str) -> float:
        """Return the score that a stopped trial would have had: the best's, and by how much it was worse so far."""
        own, others = self.scores[trial_id], self.scores[best]
        return float(np.mean(others) + np.mean(np.array(own) - np.array(others[: len(own)])))
