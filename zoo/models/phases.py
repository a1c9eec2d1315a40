"""Phases of training: epochs in which some layers are frozen, with a learning rate of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from zoo.hardware import build_optimizer, find_inner_optimizer


@dataclass(frozen=True, eq=False)
class Phase:
    """A part of training, from an epoch to the next phase or the end.

    Each phase has the whole learning-rate schedule, and begins with a new state of the optimizer, as if the network
    were compiled again.

    Args:
        start: First epoch, counted from 0.
        message: What is trained, for the user.
        frozen: Layers that are not trained.
        rate: Learning rate, as a fraction of the optimizer's.
    """

    start: int
    message: str
    frozen: tuple[keras.layers.Layer, ...] = ()
    rate: float = 1.0


class PhasedTraining:
    """Freezes the layers of the phase that an epoch belongs to, and sets its learning rate.

    Which layers an epoch trains depends only on its number, so that a training resumes in the right phase.

    Args:
        network: Compiled network, of which nothing is frozen yet.
        phases: Phases in order, the first from epoch 0; none if all epochs train all layers.
        epochs: Number of epochs of the whole training.
    """

    def __init__(self, network: keras.Model, phases: Sequence[Phase], epochs: int) -> None:
        self.network, self.epochs = network, epochs
        self.phases = [phase for phase in phases if phase.start < epochs]
        self.phase: Phase | None = None
        self.base_rate = float(keras.ops.convert_to_numpy(network.optimizer.learning_rate))
        if self.phases:  # one optimizer for all phases knows all variables
            build_optimizer(network)

    @property
    def last_start(self) -> int:
        """First epoch of the last phase; early stopping counts from it."""
        return self.phases[-1].start if self.phases else 0

    def find_end(self, epoch: int) -> int:
        """Return the epoch after the last one of the phase that an epoch belongs to."""
        return min((phase.start for phase in self.phases if phase.start > epoch), default=self.epochs)

    def find_phase(self, epoch: int) -> Phase | None:
        """Return the phase that an epoch, counted from 0, belongs to; None without phases."""
        return next((phase for phase in reversed(self.phases) if phase.start <= epoch), None)

    def enter(self, epoch: int) -> Phase | None:
        """Freeze the layers of an epoch; return its phase if another one was before, else None.

        The first epoch of a phase sets the learning rate, and that of a later phase resets the optimizer.
        """
        phase = self.find_phase(epoch)
        if phase is None or phase is self.phase:
            return None
        self.unfreeze()
        for layer in phase.frozen:
            layer.trainable = False
        self.phase = phase
        if epoch == phase.start:
            if epoch:
                _reset(find_inner_optimizer(self.network.optimizer))
            self.network.optimizer.learning_rate = self.base_rate * phase.rate
        return phase

    def unfreeze(self) -> None:
        """Make all layers of all phases trainable again."""
        for phase in self.phases:
            for layer in phase.frozen:
                layer.trainable = True


def _reset(optimizer: keras.optimizers.Optimizer) -> None:
    """Set the state of an optimizer to that before its first step."""
    new: Any = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    new.build(optimizer._trainable_variables)
    for variable, value in zip(optimizer.variables, new.variables, strict=True):
        variable.assign(value)
