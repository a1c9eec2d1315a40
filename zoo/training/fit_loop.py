"""The fit loop that every supervised task uses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.errors import JobError, UsageError
from zoo.models.activations import check_trainable
from zoo.training.checkpoint import restore_checkpoint, save_checkpoint
from zoo.training.epochs import CompiledEpochs, CompiledScores, can_compile, graphs_as_written, worth_xla
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.recorder import Recorder
from zoo.training.streamed_arrays import StreamedArrays

CHECKPOINT_SPACING = 50
_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


@dataclass(frozen=True)
class Monitor:
    """The score that early stopping and pruning watch, on the validation part.

    Args:
        name: Such as ``val_log_loss``.
        direction: ``min`` or ``max``.
        function: From target and network output to a number; None watches ``val_loss``.
    """

    name: str = "val_loss"
    direction: str = "min"
    function: Callable[[np.ndarray, np.ndarray], float] | None = None

    def improves(self, value: float, best: float | None, min_delta: float) -> bool:
        """Tell whether a value is better than the best so far by more than ``min_delta``."""
        if math.isnan(value):
            return False
        if best is None:
            return True
        return value < best - min_delta if self.direction == "min" else value > best + min_delta


@dataclass
class FitResult:
    """How a training went.

    Args:
        history: Scores of each epoch, by name.
        epochs_run: Epochs that were trained in all.
        best_epoch: Epoch whose weights the network has now, counted from 1.
        stopped: Why training ended: ``epochs``, ``patience``, ``requested``, ``interrupted`` or ``diverged``.
        seconds: Wall time of training, earlier parts of a resumed one included.
        scores: Scores on validation that are known only once training is over, by name with prefix.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    epochs_run: int = 0
    best_epoch: int = 0
    stopped: str = "epochs"
    seconds: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class FitPlan:
    """All that a fit needs beside network and data.

    Args:
        settings: Batch size, epochs and stopping.
        seed: Decides the order of rows in each epoch.
        recorder: Told of each epoch.
        monitor: Watched score.
        checkpoint: File that holds the state after each epoch; None for none.
        callbacks: Keras callbacks.
        whole: The model that callbacks see; default the network.
    """

    settings: FitSettings
    seed: int = 0
    recorder: Recorder = field(default_factory=Recorder)
    monitor: Monitor = field(default_factory=Monitor)
    checkpoint: Path | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()
    whole: keras.Model | None = None


def fit(network: keras.Model, train: Arrays | StreamedArrays, validation: Arrays | None, plan: FitPlan) -> FitResult:
    """Train a compiled network; it ends with the weights of its best epoch on the validation part.

    Without a validation part it trains all epochs and keeps the last. Where ``plan.checkpoint`` exists,
    training goes on from there, and on a CPU ends with the same weights as without the break (not where
    ``keras.Model.fit`` runs the epochs: its order of rows starts anew).

    Args:
        network: Compiled Keras model.
        train: Training rows, prepared, or passing by.
        validation: Validation rows, prepared; None for none.
        plan: Settings, seed, recorder, checkpoint, callbacks.

    Raises:
        UsageError: When the network cannot learn by gradients (the step function).
        JobError: When the loss is not a number from the first epoch on.
    """
    check_trainable(network)
    state = TrainingState(network, train, validation, plan)
    reason = can_compile(network) or _needs_batches(plan.callbacks)
    try:
        with graphs_as_written():
            if isinstance(train, StreamedArrays):
                if reason:
                    raise UsageError(f"rows that pass by train in compiled epochs only: {reason}")
                _fit_streamed(state, train)
            elif reason:
                plan.recorder.say(f"training through keras.Model.fit: {reason}")
                _fit_by_keras(state, train)
            else:
                _fit_compiled(state, train)
    except KeyboardInterrupt:
        state.result.stopped = "interrupted"
    state.finish()
    return state.result


class TrainingState:
    """The course of one training: scores, best weights, stopping and checkpoints, whoever runs the epochs."""

    def __init__(
        self, network: keras.Model, train: Arrays | StreamedArrays, validation: Arrays | None, plan: FitPlan
    ) -> None:
        self.network, self.train, self.plan = network, train, plan
        self.settings = plan.settings
        self.validation = CompiledScores(network, validation) if validation is not None else None
        self.target = validation.y if validation is not None else None
        self.result = FitResult()
        self.best: list[np.ndarray] = []
        self.best_score: float | None = None
        self.base_rate = _rate_of(network)
        self.started = time.perf_counter()
        self.earlier_s = 0.0
        self.saved_at, self.saving_s = -math.inf, 0.0
        if plan.checkpoint is not None and plan.checkpoint.exists():
            self._resume(plan.checkpoint)
        batch, rows = self.settings.batch(len(train)), len(train)
        plan.recorder.start(
            self.settings.epochs,
            f"{rows:,} examples in batches of {batch:,} are {self.settings.steps(rows):,} iterations an epoch",
        )

    @property
    def over(self) -> bool:
        """Whether training ended already when the checkpoint was written."""
        return self.result.epochs_run >= self.settings.epochs or self.result.stopped != "epochs"

    def order(self, epoch: int) -> np.ndarray:
        """Rows in the order of an epoch, which depends on seed and epoch alone."""
        return np.random.default_rng([self.plan.seed, epoch]).permutation(len(self.train))

    def after_epoch(self, logs: dict[str, float]) -> bool:
        """Take in an epoch that is over; return whether training shall stop."""
        scores = dict(logs)
        if self.validation is not None and self.target is not None:
            loss, output = self.validation.loss_and_prediction()
            scores["val_loss"] = loss
            if self.plan.monitor.function is not None:
                scores[self.plan.monitor.name] = self.plan.monitor.function(self.target, output)
        scores["learning_rate"] = _rate_of(self.network)
        result = self.result
        result.epochs_run += 1
        for name, value in scores.items():
            result.history.setdefault(name, []).append(value)
        self.plan.recorder.epoch(result.epochs_run, scores)
        self._decide(scores)
        if self.plan.checkpoint is not None:
            self._save_in_time(self.plan.checkpoint)
        return result.stopped != "epochs"

    def finish(self) -> None:
        """Put the best weights back."""
        self.result.seconds = self.earlier_s + time.perf_counter() - self.started
        if not self.best:
            if self.result.stopped == "diverged":
                raise JobError("training diverged: the loss is not a number; try a lower learning rate")
            if self.result.epochs_run == 0:
                raise KeyboardInterrupt
            if self.validation is not None:
                raise JobError(f"{self.plan.monitor.name} is not a number in any epoch; try a lower learning rate")
            return
        for variable, value in zip(self.network.weights, self.best, strict=True):
            variable.assign(value)

    def _decide(self, scores: dict[str, float]) -> None:
        result, monitor = self.result, self.plan.monitor
        if not math.isfinite(scores.get("loss", 0.0)):
            result.stopped = "diverged"
            return
        if self.validation is None:
            result.best_epoch = result.epochs_run
            self.best = []
        elif monitor.improves(scores[monitor.name], self.best_score, self.settings.min_delta):
            self.best_score, result.best_epoch = scores[monitor.name], result.epochs_run
            self.best = [variable.numpy() for variable in self.network.weights]
        elif result.epochs_run - result.best_epoch >= self.settings.patience:
            result.stopped = "patience"
        if self.plan.recorder.stop_requested and result.stopped == "epochs":
            result.stopped = "requested"

    def _save_in_time(self, path: Path) -> None:
        """Write a checkpoint, unless that would take more than a fiftieth of the time.

        Where epochs are long each has its own; of epochs of milliseconds a kill costs as many as fifty writes
        last, and they are trained again to the same weights.
        """
        now = time.perf_counter()
        if self.result.stopped == "epochs" and now - self.saved_at < CHECKPOINT_SPACING * self.saving_s:
            return
        self._save(path)
        self.saved_at = time.perf_counter()
        self.saving_s = self.saved_at - now

    def _save(self, path: Path) -> None:
        result = self.result
        stopped = "epochs" if result.stopped == "requested" else result.stopped
        progress = {
            "history": result.history,
            "epochs_run": result.epochs_run,
            "best_epoch": result.best_epoch,
            "best_score": self.best_score,
            "stopped": stopped,
            "seconds": self.earlier_s + time.perf_counter() - self.started,
        }
        save_checkpoint(path, self.network, progress, self.best)

    def _resume(self, path: Path) -> None:
        progress, self.best = restore_checkpoint(path, self.network)
        self.best_score = progress.pop("best_score")
        self.earlier_s = progress.pop("seconds")
        self.result = FitResult(**progress)
        self.plan.recorder.recall(self.result.history)


def _fit_compiled(state: TrainingState, train: Arrays) -> None:
    settings, rows = state.settings, len(train)
    if state.over:
        return
    steps = settings.steps(rows)
    xla = worth_xla(state.network, steps * settings.epochs)
    epochs = CompiledEpochs(state.network, train, settings.batch(rows), epochs=settings.epochs, xla=xla)
    _run_epochs(state, lambda epoch: epochs.run(state.order(epoch), settings.rates(state.base_rate, epoch, steps)))


def _fit_streamed(state: TrainingState, train: StreamedArrays) -> None:
    """Epochs over rows that pass by: each buffer is trained on in one compiled call, whose traces are kept."""
    settings, plan = state.settings, state.plan
    if state.over:
        return
    batch, steps = settings.batch(len(train)), settings.steps(len(train))
    xla = worth_xla(state.network, steps * settings.epochs)
    compiled: list[CompiledEpochs] = []  # one, made of the first buffer

    def run(epoch: int) -> dict[str, float]:
        rates = settings.rates(state.base_rate, epoch, steps)
        sums: dict[str, float] = {}
        seen = step = 0
        for number, arrays in enumerate(train.buffers(epoch, batch)):
            if not compiled:
                compiled.append(CompiledEpochs(state.network, arrays, batch, xla=xla))
            compiled[0].feed(arrays)
            order = np.random.default_rng([plan.seed, epoch, number]).permutation(len(arrays))
            many = settings.steps(len(arrays))
            logs = compiled[0].run(order, None if rates is None else rates[step : step + many])
            step, seen = step + many, seen + len(arrays)
            sums = {name: sums.get(name, 0.0) + value * len(arrays) for name, value in logs.items()}
            plan.recorder.within(epoch + 1, seen / len(train))
        return {name: value / seen for name, value in sums.items()}

    _run_epochs(state, run)


def _run_epochs(state: TrainingState, run: Callable[[int], dict[str, float]]) -> None:
    """Run epochs until the course or a callback ends them; ``run`` trains one, counted from 0, and returns its logs."""
    whole = state.plan.whole or state.network
    callbacks = keras.callbacks.CallbackList(list(state.plan.callbacks), model=whole)
    whole.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(state.result.epochs_run, state.settings.epochs):
        callbacks.on_epoch_begin(epoch)
        stop = state.after_epoch(run(epoch))
        callbacks.on_epoch_end(epoch, {name: values[-1] for name, values in state.result.history.items()})
        if whole.stop_training and not stop:
            state.result.stopped = "requested"
        if state.result.stopped != "epochs":
            break
    callbacks.on_train_end()


class _StateCallback(keras.callbacks.Callback):
    """Lets ``keras.Model.fit`` run the epochs of a course."""

    def __init__(self, state: TrainingState) -> None:
        super().__init__()
        self.state = state
        self.rates: np.ndarray | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        state = self.state
        steps = state.settings.steps(len(state.train))
        self.rates = state.settings.rates(state.base_rate, epoch, steps)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.rates is not None:
            self.state.network.optimizer.learning_rate = float(self.rates[batch])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        stop = self.state.after_epoch({name: float(value) for name, value in (logs or {}).items()})
        if logs is not None:
            logs.update({name: values[-1] for name, values in self.state.result.history.items()})
        if stop:
            self.state.network.stop_training = True


class _StopWithWhole(keras.callbacks.Callback):
    """Ends the network's training when another callback ends that of the whole model, which it sees."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._pass_on()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        if self.model is not None and self.model.stop_training:
            self.network.stop_training = True


def _fit_by_keras(state: TrainingState, train: Arrays) -> None:
    """Epochs by ``keras.Model.fit``, for what the compiled loop cannot run."""
    if state.over:
        return
    network, settings, plan = state.network, state.settings, state.plan
    whole = plan.whole or network
    own = _StateCallback(state)
    own.set_model(network)
    # The course comes first: others then see the validation scores that it computed.
    callbacks = keras.callbacks.CallbackList([own, *plan.callbacks, _StopWithWhole(network)], model=whole)
    whole.stop_training = False
    network.history = keras.callbacks.History()  # fit returns it, and a list of callbacks made outside lacks it
    network.fit(
        train.padded(),
        train.y,
        sample_weight=train.weight,
        batch_size=settings.batch(len(train)),
        epochs=settings.epochs,
        initial_epoch=state.result.epochs_run,
        shuffle=True,
        callbacks=callbacks,
        verbose=0,
    )
    if state.result.epochs_run < settings.epochs and state.result.stopped == "epochs":
        state.result.stopped = "requested"


def _needs_batches(callbacks: Sequence[keras.callbacks.Callback]) -> str | None:
    plain = keras.callbacks.Callback
    for callback in callbacks:
        for hook in _BATCH_HOOKS:
            if getattr(type(callback), hook) is not getattr(plain, hook):
                return f"the callback {type(callback).__name__} wants to know of each batch"
    return None


def _rate_of(network: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(network.optimizer.learning_rate))
