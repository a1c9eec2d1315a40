"""Fit settings: training length, batch size and learning rate schedule, read from hyperparameters by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

CYCLE_RISE = 0.25  # fraction of all steps in which the learning rate of one_cycle rises


@dataclass(frozen=True)
class FitSettings:
    """Settings of the fit loop.

    Args:
        batch_size: Number of examples per step; 0 for all at once.
        epochs: Maximum number of epochs.
        patience: Number of epochs without improvement after which training stops.
        min_delta: Minimum change that counts as an improvement.
        keep: Epoch whose weights are kept: ``best`` by the monitored score, or ``last``, with which training never
            stops early.
        schedule: ``constant``, ``linear`` (to zero), ``cosine`` (to zero; Loshchilov and Hutter 2017), ``exponential``
            (to a hundredth), or ``one_cycle`` (from zero in a quarter of the steps, then to zero, both linearly; Smith
            and Topin 2018).
        warmup: Number of epochs over which the learning rate rises from zero.
    """

    batch_size: int = 32
    epochs: int = 200
    patience: int = 20
    min_delta: float = 0.0
    keep: str = "best"
    schedule: str = "constant"
    warmup: float = 0.0

    @classmethod
    def from_hyperparameters(cls, values: Mapping[str, Any], *, epochs: int | None = None) -> FitSettings:
        """Return the fit settings among a model's hyperparameters.

        Args:
            values: Hyperparameters by name; those that are not fit settings are ignored.
            epochs: Maximum number of epochs; overrides the hyperparameter.

        Example:
            >>> FitSettings.from_hyperparameters({"units": 3, "batch_size": 8}).batch_size
            8
        """
        settings = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{**settings, **({"epochs": epochs} if epochs is not None else {})})

    def steps(self, rows: int) -> int:
        """Return the number of steps in an epoch over a number of rows, including a smaller last batch.

        Example:
            >>> FitSettings(batch_size=500).steps(34_000)
            68
        """
        return math.ceil(rows / self.batch(rows))

    def batch(self, rows: int) -> int:
        """Return the batch size, which is at most the number of rows."""
        return min(self.batch_size or rows, rows)

    def rates(self, base: float, epoch: int, steps: int) -> np.ndarray | None:
        """Return the learning rate of each step of an epoch, or None if it is constant.

        Args:
            base: The optimizer's learning rate.
            epoch: The epoch, counted from 0.
            steps: Number of steps in an epoch.
        """
        if self.schedule == "constant" and epoch >= self.warmup:
            # After the warmup, the optimizer's own rate is restored once and then left to callbacks.
            return np.full(steps, base, np.float32) if self.warmup and epoch < self.warmup + 1 else None
        done = (np.arange(steps) + epoch * steps) / max(1, self.epochs * steps)
        middle = done + 0.5 / max(1, self.epochs * steps)  # of each step, so that neither the first nor the last is 0
        factor = {
            "constant": np.ones(steps),
            "linear": 1 - done,
            "cosine": (1 + np.cos(np.pi * done)) / 2,
            "exponential": 0.01**done,
            "one_cycle": np.minimum(middle / CYCLE_RISE, (1 - middle) / (1 - CYCLE_RISE)),
        }
        warm = np.minimum(1, (epoch + (np.arange(steps) + 1) / steps) / self.warmup) if self.warmup else 1
        return (base * factor[self.schedule] * warm).astype(np.float32)
