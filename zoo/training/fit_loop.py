"""The fit loop that every supervised task uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from zoo.errors import UsageError
from zoo.hardware import find_inner_optimizer
from zoo.models.activations import check_trainable
from zoo.models.built_model import Trainer
from zoo.models.phases import Phase, PhasedTraining
from zoo.training.averaged_weights import apply_averaged_weights, keep_raw_weights
from zoo.training.distributed_epochs import create_epochs
from zoo.training.epochs import (
    CompiledEpochs,
    CompiledScores,
    benefits_from_xla,
    can_compile,
    disable_graph_optimization,
)
from zoo.training.interrupts import translate_interrupts
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.streamed_arrays import StreamedArrays
from zoo.training.training_state import FitPlan, FitResult, TrainingState, read_learning_rate

_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def fit(
    network: keras.Model,
    train: Arrays | StreamedArrays,
    validation: Arrays | None,
    plan: FitPlan,
    *,
    inference: keras.Model | None = None,
    trainer: Trainer | None = None,
    phases: Sequence[Phase] = (),
) -> FitResult:
    """Train a compiled network and restore the weights of its best epoch on the validation split.

    Without a validation split, all epochs are trained and the last weights are kept. If ``plan.checkpoint`` exists,
    training resumes from it. On a CPU, the final weights are the same as without the interruption, except when
    ``keras.Model.fit`` runs the epochs, which restarts the order of rows.

    Args:
        network: Compiled Keras model.
        train: Training rows, preprocessed in memory or streamed.
        validation: Preprocessed validation rows, or None.
        plan: Settings, seed, recorder, checkpoint and callbacks.
        inference: The network that predicts, if it is another one; validation is scored by its output.
        trainer: What trains the network in place of epochs of gradient steps; it calls ``state.after_epoch``.
        phases: Parts of training in which some layers are frozen.

    Raises:
        UsageError: If the network cannot be trained by gradients because of the step activation.
        JobError: If the loss is not a number from the first epoch on.
    """
    check_trainable(network)
    state = SupervisedState(network, train, validation, plan, inference=inference, trainer=trainer, phases=phases)
    reason = can_compile(network) or _needs_batches(plan.callbacks)
    try:
        with disable_graph_optimization(), translate_interrupts():
            if trainer is not None:
                if plan.callbacks:
                    plan.recorder.say("callbacks are not called: the network is not trained in batches and epochs")
                if not state.over:
                    trainer.train(state)
            elif isinstance(train, StreamedArrays):
                if reason:
                    raise UsageError(f"streamed data need the compiled training loop, which is not possible: {reason}")
                _fit_streamed(state, train)
            elif reason:
                plan.recorder.say(f"training through keras.Model.fit: {reason}")
                _fit_by_keras(state, train)
            else:
                _fit_compiled(state, train)
    except KeyboardInterrupt:
        state.result.stopped = "interrupted"
    finally:
        state.phased.unfreeze()
    return state.finish()


class SupervisedState(TrainingState):
    """Training state of a supervised network, which scores the validation split after each epoch."""

    def __init__(
        self,
        network: keras.Model,
        train: Arrays | StreamedArrays,
        validation: Arrays | None,
        plan: FitPlan,
        *,
        inference: keras.Model | None = None,
        trainer: Trainer | None = None,
        phases: Sequence[Phase] = (),
    ) -> None:
        self.train = train
        self.phased = PhasedTraining(network, phases, plan.settings.epochs)
        self.validation = CompiledScores(network, validation) if validation is not None else None
        self.inference = CompiledScores(inference, validation) if inference is not None and validation else None
        super().__init__(network, plan, monitored=validation is not None, trainer=trainer)
        self.patient_from = self.phased.last_start
        rows_in_memory = validation if isinstance(train, StreamedArrays) else train
        self.watch: Callable[[], Mapping[str, float]] = dict
        if plan.watch is not None and rows_in_memory is not None:
            self.watch = plan.watch(network, rows_in_memory)
        elif plan.watch is not None:
            plan.recorder.say(
                "layers are not tracked: rows are streamed, and there is no validation split to measure on"
            )
        batch, rows = self.settings.batch(len(train)), len(train)
        batches = f"in batches of {batch:,} are {self.settings.steps(rows):,} iterations an epoch"
        plan.recorder.start(
            self.settings.epochs if trainer is None else 1,
            f"{rows:,} examples {batches}" if trainer is None else f"{rows:,} examples, all at once",
        )

    def _decide(self, scores: Mapping[str, float]) -> None:
        super()._decide(scores)
        if self.trainer is not None and self.result.stopped == "epochs":
            self.result.stopped = "solved"

    def keep_weights(self) -> None:
        """Keep the current weights, or their moving average, as the ones to restore at the end of training."""
        with apply_averaged_weights(self.network):
            super().keep_weights()

    def finish(self) -> FitResult:
        """Restore the best weights, or without a validation split the last ones, and return the result."""
        averages = find_inner_optimizer(self.network.optimizer).use_ema and self.result.epochs_run > 0
        if averages and not self.monitored and self.result.stopped != "diverged":
            self.keep_weights()
        return super().finish()

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of the rows in an epoch, which depends only on the seed and the epoch."""
        return np.random.default_rng([self.plan.seed, epoch]).permutation(len(self.train))

    def enter_epoch(self, epoch: int) -> bool:
        """Freeze the layers of an epoch's phase; return whether other layers are trained than before."""
        phase = self.phased.enter(epoch)
        if phase is not None:
            self.plan.recorder.say(f"from epoch {epoch + 1}: {phase.message}")
        return phase is not None

    def rates(self, epoch: int, steps: int) -> np.ndarray | None:
        """Return the learning rate of each step of an epoch, or None if it is constant; each phase has a schedule."""
        phase = self.phased.find_phase(epoch)
        if phase is None:
            return self.settings.rates(self.base_rate, epoch, steps)
        settings = dataclasses.replace(self.settings, epochs=self.phased.find_end(epoch) - phase.start)
        return settings.rates(self.base_rate * phase.rate, epoch - phase.start, steps)

    def after_epoch(self, logs: dict[str, float]) -> bool:
        """Score the validation split after an epoch; return whether to stop training."""
        scores = dict(logs)
        if self.validation is not None and self.validation.y is not None:
            with apply_averaged_weights(self.network):
                scores["val_loss"], output = self.validation.loss_and_prediction()
                if self.plan.monitor.function is not None:
                    output = output if self.inference is None else self.inference.predict()
                    scores[self.plan.monitor.name] = self.plan.monitor.function(output)
        scores["learning_rate"] = read_learning_rate(self.network)
        scores |= self.watch()
        return self.record_epoch(scores)


def _fit_compiled(state: SupervisedState, train: Arrays) -> None:
    settings, rows = state.settings, len(train)
    if state.over:
        return
    steps = settings.steps(rows)
    xla = benefits_from_xla(state.network, steps * settings.epochs)
    compiled: list[CompiledEpochs] = []  # at most one item, of the layers that are trained now

    def run(epoch: int) -> dict[str, float]:
        if state.enter_epoch(epoch) or not compiled:
            batch = settings.batch(rows)
            compiled[:] = [create_epochs(state.network, train, batch, epochs=settings.epochs, xla=xla)]
        return compiled[0].run(state.order(epoch), state.rates(epoch, steps))

    _run_epochs(state, run)


def _fit_streamed(state: SupervisedState, train: StreamedArrays) -> None:
    """Run epochs over streamed rows, with one compiled call per buffer."""
    settings, plan = state.settings, state.plan
    if state.over:
        return
    batch, steps = settings.batch(len(train)), settings.steps(len(train))
    xla = benefits_from_xla(state.network, steps * settings.epochs)
    compiled: list[CompiledEpochs] = []  # at most one item, created from the first buffer

    def run(epoch: int) -> dict[str, float]:
        if state.enter_epoch(epoch):
            compiled.clear()
        rates = state.rates(epoch, steps)
        sums: dict[str, float] = {}
        seen = step = 0
        for number, arrays in enumerate(train.buffers(epoch, batch)):
            if not compiled:
                compiled.append(create_epochs(state.network, arrays, batch, xla=xla))
            compiled[0].feed(arrays)
            order = np.random.default_rng([plan.seed, epoch, number]).permutation(len(arrays))
            many = settings.steps(len(arrays))
            logs = compiled[0].run(order, None if rates is None else rates[step : step + many])
            step, seen = step + many, seen + len(arrays)
            sums = {name: sums.get(name, 0.0) + value * len(arrays) for name, value in logs.items()}
            plan.recorder.within(epoch + 1, seen / len(train))
        return {name: value / seen for name, value in sums.items()}

    _run_epochs(state, run)


def _run_epochs(state: SupervisedState, run: Callable[[int], dict[str, float]]) -> None:
    """Run epochs until the state or a callback stops training; ``run`` trains an epoch (from 0), returning its logs."""
    full_model = state.plan.full_model or state.network
    callbacks = keras.callbacks.CallbackList(list(state.plan.callbacks), model=full_model)
    full_model.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(state.result.epochs_run, state.settings.epochs):
        callbacks.on_epoch_begin(epoch)
        stop = state.after_epoch(run(epoch))
        callbacks.on_epoch_end(epoch, {name: values[-1] for name, values in state.result.history.items()})
        if full_model.stop_training and not stop:
            state.result.stopped = "requested"
        if state.result.stopped != "epochs":
            break
    callbacks.on_train_end()


class _StateCallback(keras.callbacks.Callback):
    """Updates the training state when ``keras.Model.fit`` runs the epochs."""

    def __init__(self, state: SupervisedState) -> None:
        super().__init__()
        self.state = state
        self.rates: np.ndarray | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        state = self.state
        steps = state.settings.steps(len(state.train))
        self.rates = state.rates(epoch, steps)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.rates is not None:
            self.state.network.optimizer.learning_rate = float(self.rates[batch])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        stop = self.state.after_epoch({name: float(value) for name, value in (logs or {}).items()})
        if logs is not None:
            logs.update({name: values[-1] for name, values in self.state.result.history.items()})
        if stop:
            self.state.network.stop_training = True


class _StopWithFullModel(keras.callbacks.Callback):
    """Stops the network's training when another callback stops that of the full model, which callbacks see."""

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


def _fit_by_keras(state: SupervisedState, train: Arrays) -> None:
    """Run epochs with ``keras.Model.fit``, for networks that the compiled loop does not support."""
    if state.over:
        return
    network, settings, plan = state.network, state.settings, state.plan
    full_model = plan.full_model or network
    state_callback = _StateCallback(state)
    state_callback.set_model(network)
    # The state comes first, so that other callbacks see the validation scores that it computed.
    callbacks = keras.callbacks.CallbackList(
        [state_callback, *plan.callbacks, _StopWithFullModel(network)], model=full_model
    )
    full_model.stop_training = False
    network.history = keras.callbacks.History()  # fit returns it, but a custom CallbackList does not set it
    network.stop_training = False
    while not state.over and not network.stop_training:
        if state.enter_epoch(state.result.epochs_run):
            network.make_train_function(force=True)
        with keep_raw_weights(network):
            network.fit(
                train.padded(),
                train.y,
                sample_weight=train.weight,
                batch_size=settings.batch(len(train)),
                epochs=state.phased.find_end(state.result.epochs_run),
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
                return f"the callback {type(callback).__name__} has methods for batches"
    return None
