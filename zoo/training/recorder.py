"""What training reports to. MLflow is one recorder, a worker's pipe another, memory a third."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Recorder:
    """Takes the scores of each epoch and may ask training to stop; this one forgets and never asks.

    A task's fit calls ``start`` once, ``epoch`` after each epoch (counted from 1) and reads
    ``stop_requested`` between epochs.
    """

    def start(self, epochs: int, message: str) -> None:
        """Training begins and lasts at most so many epochs."""

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """An epoch is over; ``scores`` are such as ``loss``, ``val_loss`` and ``val_log_loss``."""

    def recall(self, history: Mapping[str, Sequence[float]]) -> None:
        """Training goes on from a checkpoint; ``history`` are the scores of the epochs before it."""

    def within(self, epoch: int, share: float) -> None:
        """A share of an epoch is over, where one takes long; it is not over before :meth:`epoch` says so."""

    def say(self, message: str) -> None:
        """Something that a person may want to know."""

    @property
    def stop_requested(self) -> bool:
        """Whether training shall end after this epoch."""
        return False


class MemoryRecorder(Recorder):
    """Keeps what it is told.

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
        """Append the scores."""
        self.epochs = epoch
        for name, value in scores.items():
            self.history.setdefault(name, []).append(value)

    def say(self, message: str) -> None:
        """Append the message."""
        self.messages.append(message)

    @property
    def stop_requested(self) -> bool:
        """Whether ``stop_after`` epochs are over."""
        return self.stop_after is not None and self.epochs >= self.stop_after


class Recorders(Recorder):
    """Several recorders as one."""

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self.recorders = tuple(recorders)

    def start(self, epochs: int, message: str) -> None:
        """Tell all."""
        for recorder in self.recorders:
            recorder.start(epochs, message)

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Tell all."""
        for recorder in self.recorders:
            recorder.epoch(epoch, scores)

    def recall(self, history: Mapping[str, Sequence[float]]) -> None:
        """Tell all."""
        for recorder in self.recorders:
            recorder.recall(history)

    def within(self, epoch: int, share: float) -> None:
        """Tell all."""
        for recorder in self.recorders:
            recorder.within(epoch, share)

    def say(self, message: str) -> None:
        """Tell all."""
        for recorder in self.recorders:
            recorder.say(message)

    @property
    def stop_requested(self) -> bool:
        """Whether any asks to stop."""
        return any(recorder.stop_requested for recorder in self.recorders)
