"""The time that a search may take, and each of its trials."""

from __future__ import annotations

import math
import time
from collections.abc import Collection

from zoo.jobs.search_options import TuneJob, seconds_in

_LEAST_GRACE_S, _GRACE_SHARE = 30.0, 0.1


class TimeBudgetClock:
    """Tells when a search's time is over, and which of its trials takes too long.

    Args:
        job: The job, with its ``time_budget`` and ``trial_timeout``.
        spent_s: Seconds that earlier commands gave the same search.
    """

    def __init__(self, job: TuneJob, spent_s: float) -> None:
        self._budget_s = seconds_in(job.time_budget) if job.time_budget is not None else math.inf
        self._timeout_s = seconds_in(job.trial_timeout) if job.trial_timeout is not None else math.inf
        self._job = job
        self._deadline = time.perf_counter() + self._budget_s - spent_s
        self._began: dict[str, float] = {}
        self.told_to_stop = False

    @property
    def left_s(self) -> float:
        """Seconds of the search's time that are left; negative once it is over."""
        return self._deadline - time.perf_counter()

    def begin(self, key: str) -> None:
        """A trial begins."""
        self._began[key] = time.perf_counter()

    def forget(self, key: str) -> None:
        """A trial is asked to begin again, and its time counts from its own word: a process may have to wait."""
        self._began.pop(key, None)

    def seconds_of(self, key: str) -> float:
        """Seconds since a trial began; 0 for one that did not."""
        now = time.perf_counter()
        return now - self._began.get(key, now)

    def patience(self, keys: Collection[str]) -> float | None:
        """Seconds until something has to be ended, whatever is heard until then; None where nothing has."""
        ends = [self._timeout_s - self.seconds_of(key) for key in keys if key in self._began]
        ends.append(self.left_s + (self._grace_s if self.told_to_stop else 0.0))
        first = min(ends)
        return None if math.isinf(first) else max(0.05, first)

    def overdue(self, key: str, *, scored: bool) -> str | None:
        """Return why a trial is to be killed; None where it is not.

        Args:
            key: The trial.
            scored: Whether another one has a score: the last hope of a search is let to end its epoch.
        """
        if self.seconds_of(key) >= self._timeout_s:
            return f"it took longer than {self._job.trial_timeout}"
        if scored and self.left_s <= -self._grace_s:
            return "its epoch outlasted the time budget"
        return None

    @property
    def _grace_s(self) -> float:
        """Seconds that a trial has for the epoch that it is in, once the time is over."""
        return max(_LEAST_GRACE_S, _GRACE_SHARE * self._budget_s)
