"""How long and in which steps a network is trained: read from hyperparameters by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FitSettings:
    """What the fit loop needs to know.

    Args:
        batch_size: Examples a step; 0 for all at once.
        epochs: Most epochs.
        patience: Epochs without improvement after which training stops.
        min_delta: Least change that counts as improvement.
        schedule: ``constant``, ``cosine`` (to zero; Loshchilov and Hutter 2017) or ``exponential`` (to a hundredth).
        warmup: Epochs over which the learning rate rises from zero.
    """

    batch_size: int = 32
    epochs: int = 200
    patience: int = 20
    min_delta: float = 0.0
    schedule: str = "constant"
    warmup: float = 0.0

    @classmethod
    def from_hyperparameters(cls, values: Mapping[str, Any], *, epochs: int | None = None) -> FitSettings:
        """Return the settings among a model's hyperparameters.

        Args:
            values: Hyperparameters by name; those that are no settings are ignored.
            epochs: Most epochs, whatever the hyperparameters say.

        Example:
            >>> FitSettings.from_hyperparameters({"units": 3, "batch_size": 8}).batch_size
            8
        """
        settings = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{**settings, **({"epochs": epochs} if epochs is not None else {})})

    def steps(self, rows: int) -> int:
        """Return the number of steps (iterations) in an epoch over so many rows, a short last one included.

        Example:
            >>> FitSettings(batch_size=500).steps(34_000)
            68
        """
        return math.ceil(rows / self.batch(rows))

    def batch(self, rows: int) -> int:
        """Return the size of a batch, which is never above the number of rows."""
        return min(self.batch_size or rows, rows)

    def rates(self, base: float, epoch: int, steps: int) -> np.ndarray | None:
        """Return the learning rate of each step of an epoch; None where it is constant.

        Args:
            base: The optimizer's learning rate.
            epoch: The epoch, counted from 0.
            steps: Steps in an epoch.
        """
        if self.schedule == "constant" and epoch >= self.warmup:
            # After a warm-up the optimizer's own rate is set once more, then left to callbacks.
            return np.full(steps, base, np.float32) if self.warmup and epoch < self.warmup + 1 else None
        done = (np.arange(steps) + epoch * steps) / max(1, self.epochs * steps)
        factor = {"constant": np.ones(steps), "cosine": (1 + np.cos(np.pi * done)) / 2, "exponential": 0.01**done}
        warm = np.minimum(1, (epoch + (np.arange(steps) + 1) / steps) / self.warmup) if self.warmup else 1
        return (base * factor[self.schedule] * warm).astype(np.float32)
