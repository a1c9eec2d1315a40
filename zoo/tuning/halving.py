"""Asynchronous successive halving: which trials go on at a rung, and which are stopped there."""

from __future__ import annotations

from collections.abc import Mapping

FACTOR = 3
LEAST_EPOCHS = 3  # after fewer a score says more of the first weights than of the hyperparameters
MOST_RUNGS = 3


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


class Rungs:
    """Stops a trial at a rung unless it is among the best third of those that reached it before.

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (ASHA, algorithm 2), by stopping: a trial
    that may go on does so at once, in the process that it is in, and nobody waits for a rung to fill.

    Args:
        epochs: The rungs; see :func:`rungs_of`.
        direction: Of the score, ``min`` or ``max``.
        known: What an earlier driver had taken down.

    Example:
        >>> rungs = Rungs((3, 9), "min")
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
