"""Training state for every kind of loop: metrics by epoch, best weights, early stopping and checkpoints."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.errors import JobError
from zoo.metrics.direction import Direction
from zoo.training.checkpoint import list_network_variables, list_trainer_variables, restore_checkpoint, save_checkpoint
from zoo.training.fit_settings import FitSettings
from zoo.training.recorder import Recorder

CHECKPOINT_SPACING = 50


@dataclass(frozen=True)
class Monitor:
    """Validation score that early stopping and pruning monitor.

    Args:
        name: Name of the score, such as ``val_log_loss``.
        direction: ``min`` or ``max``.
        function: Function from the validation output to a number; None monitors ``val_loss``.
    """

    name: str = "val_loss"
    direction: str = "min"
    function: Callable[[np.ndarray], float] | None = None

    def improves(self, value: float, best: float | None, min_delta: float) -> bool:
        """Return whether a value is better than the best so far by more than ``min_delta``."""
        return Direction(self.direction).better(value, math.nan if best is None else best, min_delta)


@dataclass
class FitResult:
    """Result of training.

    Args:
        history: Scores of each epoch, by name.
        epochs_run: Total number of trained epochs.
        best_epoch: Epoch whose weights the network has now, counted from 1.
        stopped: Why training ended: ``epochs``, ``patience``, ``requested``, ``interrupted``, ``diverged``, or
            ``solved`` where the weights are computed at once.
        seconds: Wall time of training, including the time before it was resumed.
        scores: Validation scores that are available only after training, by name with prefix.
        notes: Notes for the user.
        files: Files that training has written, by name; a run logs them beside its figures.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    epochs_run: int = 0
    best_epoch: int = 0
    stopped: str = "epochs"
    seconds: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return all but the files, in plain values."""
        return dataclasses.asdict(dataclasses.replace(self, files={}))


@dataclass
class FitPlan:
    """Everything that a fit needs besides network and data.

    Args:
        settings: Batch size, epochs and early stopping.
        seed: Seed of the order of rows in each epoch.
        recorder: Receives the scores of each epoch.
        monitor: Monitored score.
        checkpoint: File that stores the state after each epoch; None for no checkpoints.
        callbacks: Keras callbacks.
        full_model: The model that callbacks see; by default the network.
        watch: Returns, for the network and rows that it is trained on, what measures it after each epoch; None for
            nothing. The fit loop adds its result to the scores of the epoch.
    """

    settings: FitSettings
    seed: int = 0
    recorder: Recorder = field(default_factory=Recorder)
    monitor: Monitor = field(default_factory=Monitor)
    checkpoint: Path | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()
    full_model: keras.Model | None = None
    watch: Callable[[keras.Model, Any], Callable[[], Mapping[str, float]]] | None = None


class TrainingState:
    """State of a training run: records each epoch, keeps the best weights by validation and decides when to stop.

    A loop trains an epoch, passes its metrics to :meth:`record_epoch` and stops when that returns True. If the plan's
    checkpoint exists, the state is restored from it.

    Args:
        network: Network whose best weights are kept; each checkpoint includes it and its optimizer.
        plan: Settings, recorder, monitor and checkpoint.
        monitored: Whether each epoch has the monitored metric; without it, the last epoch counts as the best.
        trainer: Trainer whose additional networks and optimizers are part of each checkpoint, or None.
    """

    def __init__(self, network: keras.Model, plan: FitPlan, *, monitored: bool, trainer: Any = None) -> None:
        self.network, self.plan, self.settings, self.monitored = network, plan, plan.settings, monitored
        self.trainer = trainer
        self.result = FitResult()
        self.best: list[np.ndarray] = []
        self.best_score: float | None = None
        self.base_rate = read_learning_rate(network)
        self.patient_from = 0  # epoch from which early stopping counts
        self.started = time.perf_counter()
        self.earlier_s = 0.0
        self.saved_at, self.saving_s = -math.inf, 0.0
        if plan.checkpoint is not None and plan.checkpoint.exists():
            self._resume(plan.checkpoint)

    @property
    def over(self) -> bool:
        """Whether training has ended, in this run or before the checkpoint was written."""
        return self.result.epochs_run >= self.settings.epochs or self.result.stopped != "epochs"

    def record_epoch(self, scores: Mapping[str, float]) -> bool:
        """Record the metrics of a finished epoch; return whether to stop training."""
        result = self.result
        result.epochs_run += 1
        for name, value in scores.items():
            result.history.setdefault(name, []).append(value)
        self.plan.recorder.epoch(result.epochs_run, dict(scores))
        self._decide(scores)
        if self.plan.checkpoint is not None:
            self._save_in_time(self.plan.checkpoint)
        return result.stopped != "epochs"

    def finish(self) -> FitResult:
        """Restore the best weights and return the result.

        Raises:
            JobError: If the loss or the monitored metric was not a number from the first epoch on.
            KeyboardInterrupt: If training was interrupted in its first epoch.
        """
        self.result.seconds = self.earlier_s + time.perf_counter() - self.started
        if self.best:
            for variable, value in zip(self.network.weights, self.best, strict=True):
                variable.assign(value)
            return self.result
        if self.result.stopped == "diverged":
            raise JobError("training diverged: the loss is not a number; try a lower learning rate")
        if self.result.epochs_run == 0:
            raise KeyboardInterrupt
        if self.monitored:
            raise JobError(f"{self.plan.monitor.name} is not a number in any epoch; try a lower learning rate")
        return self.result

    def keep_weights(self) -> None:
        """Keep the current weights as the ones to restore at the end of training."""
        self.result.best_epoch = self.result.epochs_run
        self.best = [variable.numpy() for variable in self.network.weights]

    def has_diverged(self, scores: Mapping[str, float]) -> bool:
        """Return whether an epoch's metrics show that training diverged."""
        return not math.isfinite(scores.get("loss", 0.0))

    def progress(self) -> dict[str, Any]:
        """Return the additional state that a subclass saves in a checkpoint, as JSON."""
        return {}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that a subclass saves in a checkpoint, by name."""
        return {}

    def restore(self, progress: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the state that :meth:`progress` and :meth:`arrays` returned."""

    def _decide(self, scores: Mapping[str, float]) -> None:
        result, monitor = self.result, self.plan.monitor
        if self.has_diverged(scores):
            result.stopped = "diverged"
            return
        if not self.monitored:
            result.best_epoch = result.epochs_run
            self.best = []
        elif self.settings.keep == "last" or monitor.improves(
            scores[monitor.name], self.best_score, self.settings.min_delta
        ):
            self.best_score = scores[monitor.name]
            self.keep_weights()
        elif result.epochs_run - max(result.best_epoch, self.patient_from) >= self.settings.patience:
            result.stopped = "patience"
        if self.plan.recorder.stop_requested and result.stopped == "epochs":
            result.stopped = "requested"

    def _variables(self) -> dict[str, list[Any]]:
        trainer = {} if self.trainer is None else list_trainer_variables(self.trainer)
        return {"network": list_network_variables(self.network), **trainer}

    def _save_in_time(self, path: Path) -> None:
        """Write a checkpoint, unless that would take more than 2 % of the training time.

        Long epochs each get a checkpoint. With epochs of milliseconds, a killed process loses as many epochs as take
        fifty times as long as one write; they are trained again to the same weights.
        """
        now = time.perf_counter()
        if self.result.stopped == "epochs" and now - self.saved_at < CHECKPOINT_SPACING * self.saving_s:
            return
        self._save(path)
        self.saved_at = time.perf_counter()
        self.saving_s = self.saved_at - now

    def _save(self, path: Path) -> None:
        result = self.result.facts()
        result["stopped"] = "epochs" if self.result.stopped == "requested" else self.result.stopped
        result["seconds"] = self.earlier_s + time.perf_counter() - self.started
        progress = {"result": result, "best_score": self.best_score, **self.progress()}
        save_checkpoint(path, self._variables(), progress, self.best, self.arrays())

    def _resume(self, path: Path) -> None:
        progress, self.best, arrays = restore_checkpoint(path, self._variables())
        self.best_score = progress.pop("best_score")
        self.result = FitResult(**progress.get("result", progress))  # zoo 0.1.0 stored its fields at the top level
        self.earlier_s = self.result.seconds
        self.restore(progress, arrays)
        self.plan.recorder.recall(self.result.history)


def read_learning_rate(network: keras.Model) -> float:
    """Return the current learning rate of a compiled network."""
    return float(keras.ops.convert_to_numpy(network.optimizer.learning_rate))
