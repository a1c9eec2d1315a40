"""Progress on a terminal: a progress bar, or a line for each epoch on request."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from zoo.training.recorder import Recorder


class Progress(Recorder):
    """Shows epochs on standard error.

    Args:
        verbose: Whether to print a line for each epoch.
        quiet: Whether to show nothing.
        unit: The unit that is counted.
    """

    def __init__(self, *, verbose: bool = False, quiet: bool = False, unit: str = "epoch") -> None:
        self.unit = unit
        self.verbose = verbose and not quiet
        self.bar_wanted = not verbose and not quiet and sys.stderr.isatty()
        self.quiet = quiet
        self._bar: Any = None
        self._epochs = 0

    def start(self, epochs: int, message: str) -> None:
        """Open the progress bar."""
        self._epochs = epochs
        if self.verbose:
            self.say(message)
        if self.bar_wanted:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn(self.unit + " {task.completed:.4g}/{task.total}"),
                BarColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=epochs)

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Advance the progress bar, or print a line."""
        shown = {name: value for name, value in scores.items() if name != "learning_rate" and "/" not in name}
        text = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())  # without those of single layers
        if self._bar is not None:
            self._bar.update(self._task, completed=epoch, description=text)
        elif self.verbose and self.unit == "epoch":
            self.say(f"epoch {epoch}/{self._epochs}  {text}")

    def within(self, epoch: int, fraction: float) -> None:
        """Advance the progress bar by a fraction of an epoch."""
        if self._bar is not None:
            self._bar.update(self._task, completed=epoch - 1 + fraction)

    def say(self, message: str) -> None:
        """Print a line to standard error."""
        if not self.quiet:
            print(message, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the progress bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
