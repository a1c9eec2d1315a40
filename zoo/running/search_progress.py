"""Progress of a search: a live table on a terminal, otherwise a line for each trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.jobs.search_options import UNLIMITED_TRIALS
from zoo.running.progress import Progress
from zoo.stored_runs.results import format_values, list_varied
from zoo.text import format_number

MOST_ROWS, MOST_COLUMNS, LOOKED_AT = 12, 6, 200


@dataclass(frozen=True)
class Ended:
    """A finished trial, and the state of the search.

    Args:
        trial_id: Id of the trial.
        status: ``COMPLETED``, ``PRUNED`` or ``FAILED``.
        score: Score of the trial, or None.
        reason: Why it was pruned or failed.
        hyperparameters: All hyperparameters of the trial.
        seconds: Duration of the trial in seconds.
        best_id: Id of the best trial so far.
        best_score: Score of the best trial so far.
        done: Number of finished trials.
        left_s: Estimated remaining time in seconds.
    """

    trial_id: str
    status: str
    score: float | None
    reason: str
    hyperparameters: Mapping[str, Any]
    seconds: float
    best_id: str
    best_score: float | None
    done: int
    left_s: float


class SearchProgress(Progress):
    """Shows trials on standard error.

    Args:
        verbose: Whether to print lines on a terminal too.
        quiet: Whether to show nothing.
    """

    def __init__(self, *, verbose: bool = False, quiet: bool = False) -> None:
        super().__init__(verbose=verbose, quiet=quiet, unit="trial")
        self.lines = not quiet and not self.bar_wanted
        self._live: Any = None
        self._ended: list[Ended] = []
        self._title = ""

    def start(self, epochs: int, message: str) -> None:
        """Open the table."""
        self._epochs, self._title = epochs, message
        if self.bar_wanted:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(self._table(), console=Console(stderr=True), refresh_per_second=4, transient=True)
            self._live.start()
        else:
            self.say(message)

    def trial(self, ended: Ended) -> None:
        """Add a finished trial."""
        self._ended.append(ended)
        if self._live is not None:
            self._live.update(self._table())
        elif self.lines:
            self.say(self._line(ended))

    def say(self, message: str) -> None:
        """Print a line to standard error, above the table."""
        if self._live is not None:
            self._live.console.print(message, markup=False, highlight=False)
        else:
            super().say(message)

    def close(self) -> None:
        """Remove the table."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _varied(self) -> list[str]:
        return list_varied([ended.hyperparameters for ended in self._ended[-LOOKED_AT:]])

    def _line(self, ended: Ended) -> str:
        score = "" if ended.score is None else format_number(ended.score)
        outcome = ", ".join(text for text in (score, ended.reason) if text) or ended.status
        best = f"best of those that ended {format_number(ended.best_score)} (trial {ended.best_id}); "
        best = best if ended.best_id else ""
        values = format_values(ended.hyperparameters, self._varied())
        left = f"; {self._count(ended.done)}, about {format_duration(ended.left_s)} left"
        return f"trial {ended.trial_id}: {outcome}; {best}{ended.seconds:.1f} s{'; ' + values if values else ''}{left}"

    def _count(self, done: int) -> str:
        return str(done) if self._epochs == UNLIMITED_TRIALS else f"{done} of {self._epochs}"

    def _table(self) -> Any:
        from rich.table import Table

        last = self._ended[-1] if self._ended else None
        caption = "the first trials are running"
        if last is not None:
            caption = f"{self._count(last.done)} trials, about {format_duration(last.left_s)} left"
        table = Table(title=self._title, caption=caption, title_justify="left", caption_justify="left")
        names = self._varied()[:MOST_COLUMNS]
        for heading in ("trial", "status", "score", "best so far", *names, "seconds"):
            table.add_column(heading, overflow="fold")
        for ended in self._ended[-MOST_ROWS:]:
            values = [ended.hyperparameters.get(name) for name in names]
            score, best_score, *texts = map(format_number, (ended.score, ended.best_score, *values))
            mark = "bold" if ended.trial_id == last.best_id else ""  # type: ignore[union-attr]
            table.add_row(
                ended.trial_id, ended.status.lower(), score, best_score, *texts, f"{ended.seconds:.1f}", style=mark,
            )  # fmt: skip
        return table


def format_duration(seconds: float) -> str:
    """Return a human-readable duration.

    Example:
        >>> format_duration(7.2), format_duration(90), format_duration(7500)
        ('7 s', '2 min', '2.1 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
