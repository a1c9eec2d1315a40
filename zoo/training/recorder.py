"""Recorders of training progress: for MLflow, a worker's pipe or memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Recorder:
    """Base class: receives the scores of each epoch and may request a stop; this class ignores everything.

    A task's ``fit`` calls ``start`` once and ``epoch`` after each epoch (counted from 1), and reads ``stop_requested``
    between epochs.
    """

    def start(self, epochs: int, message: str) -> None:
        """Called when training starts, with the maximum number of epochs."""

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Called after each epoch with scores such as ``loss``, ``val_loss`` and ``val_log_loss``."""

    def recall(self, history: Mapping[str, Sequence[float]]) -> None:
        """Called when training resumes from a checkpoint, with the scores of the previous epochs."""

    def within(self, epoch: int, fraction: float) -> None:
        """Called during a long epoch with the completed fraction; the epoch ends only with :meth:`epoch`."""

    def say(self, message: str) -> None:
        """Called with a message for the user."""

    @property
    def stop_requested(self) -> bool:
        """Whether to stop training after this epoch."""
        return False


class MemoryRecorder(Recorder):
    """Recorder that keeps scores and messages in memory.

    Example:
        >>> recorder = MemoryRecorder()
        >>> recorder.epoch(1, {"loss": 0.5})
        >>> recorder.history
        {'loss': [0.5]}
    """

    def __init__(self, stop_after: int | None = None) -> None:
        self.history: dict[str, list[float]] = {}
        self.messages: list[str] = []
        self.stop_after = stop_after
        self.epochs = 0

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Append the scores of an epoch to the history."""
        self.epochs = epoch
        for name, value in scores.items():
            self.history.setdefault(name, []).append(value)

    def say(self, message: str) -> None:
        """Append the message."""
        self.messages.append(message)

    @property
    def stop_requested(self) -> bool:
        """Whether ``stop_after`` epochs have been trained."""
        return self.stop_after is not None and self.epochs >= self.stop_after


class Recorders(Recorder):
    """Combines several recorders into one."""

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self.recorders = tuple(recorders)

    def start(self, epochs: int, message: str) -> None:
        """Call ``start`` of each recorder."""
        for recorder in self.recorders:
            recorder.start(epochs, message)

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Call ``epoch`` of each recorder."""
        for recorder in self.recorders:
            recorder.epoch(epoch, scores)

    def recall(self, history: Mapping[str, Sequence[float]]) -> None:
        """Call ``recall`` of each recorder."""
        for recorder in self.recorders:
            recorder.recall(history)

    def within(self, epoch: int, fraction: float) -> None:
        """Call ``within`` of each recorder."""
        for recorder in self.recorders:
            recorder.within(epoch, fraction)

    def say(self, message: str) -> None:
        """Call ``say`` of each recorder."""
        for recorder in self.recorders:
            recorder.say(message)

    @property
    def stop_requested(self) -> bool:
        """Whether any recorder requests a stop."""
        return any(recorder.stop_requested for recorder in self.recorders)
