"""Time limits of a search and of each of its trials."""

from __future__ import annotations

import math
import time
from collections.abc import Collection

from zoo.jobs.search_options import TuneJob, parse_duration

_LEAST_GRACE_S, _GRACE_SHARE = 30.0, 0.1


class TimeBudgetClock:
    """Measures the time of a search and of its trials against their limits.

    Args:
        job: The job, with its ``time_budget`` and ``trial_timeout``.
        spent_s: Seconds that earlier commands spent on the same search.
        began: Time of ``time.perf_counter`` when this command began.
    """

    def __init__(self, job: TuneJob, spent_s: float, began: float) -> None:
        self._budget_s = job.trial_seconds
        self._timeout_s = parse_duration(job.trial_timeout) if job.trial_timeout is not None else math.inf
        self._job = job
        self._deadline = began + self._budget_s - spent_s
        self._began: dict[str, float] = {}
        self.stop_sent = False

    @property
    def left_s(self) -> float:
        """Seconds left of the time budget; negative once it is over."""
        return self._deadline - time.perf_counter()

    def begin(self, key: str) -> None:
        """Start the clock of a trial."""
        self._began[key] = time.perf_counter()

    def forget(self, key: str) -> None:
        """Reset a trial that is started again: its time counts from when its process reports that it began."""
        self._began.pop(key, None)

    def seconds_of(self, key: str) -> float:
        """Return the seconds since a trial began; 0 if it has not begun."""
        now = time.perf_counter()
        return now - self._began.get(key, now)

    def patience(self, keys: Collection[str]) -> float | None:
        """Return the seconds until the next limit is reached; None without a limit."""
        ends = [self._timeout_s - self.seconds_of(key) for key in keys if key in self._began]
        ends.append(self.left_s + (self._grace_s if self.stop_sent else 0.0))
        first = min(ends)
        return None if math.isinf(first) else max(0.05, first)

    def overdue(self, key: str, *, scored: bool) -> str | None:
        """Return why a trial must be killed, or None.

        Args:
            key: The trial.
            scored: Whether another trial has a score. If none has, a trial may still finish its epoch.
        """
        if self.seconds_of(key) >= self._timeout_s:
            return f"trial timeout of {self._job.trial_timeout} exceeded"
        if scored and self.left_s <= -self._grace_s:
            return "the time budget was over before its epoch ended"
        return None

    @property
    def _grace_s(self) -> float:
        """Seconds that a trial may take to finish its current epoch after the time budget is over."""
        return max(_LEAST_GRACE_S, _GRACE_SHARE * self._budget_s)
