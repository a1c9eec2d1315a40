"""The course of an agent's training: evaluation, the best policy so far, stopping, checkpoints."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.data.dataset import Dataset
from zoo.errors import JobError
from zoo.models.built_model import BuiltModel
from zoo.training.checkpoint import restore_checkpoint, save_checkpoint
from zoo.training.fit_loop import FitPlan, FitResult

from ._environments import threshold_of
from ._evaluation import episode_returns

CONFIRMATION_SEEDS = range(2_000_000, 2_000_100)


@dataclass
class TrainingEnvironment:
    """Where an agent learns.

    Args:
        name: The environment's id.
        options: What it is made with.
        seeds: Seeds of the evaluation episodes that choose the policy.
        threshold: Mean return from which it is solved; None where there is none.
        stop: Whether training ends when it is solved.
    """

    name: str
    options: dict[str, Any]
    seeds: np.ndarray
    threshold: float | None
    stop: bool

    @classmethod
    def of(cls, dataset: Dataset) -> TrainingEnvironment:
        """Return the world of a dataset."""
        options = dataset.spec.options
        solved = options.get("solved")
        threshold = threshold_of(dataset.source, solved if isinstance(solved, float) else None)
        return cls(dataset.source, options["env"], dataset.splits["validation"].rows, threshold, solved is not None)


@dataclass
class TrainingState:
    """Takes in each period of training and says when it is over; the best weights by validation are kept.

    Args:
        pieces: Network and preparation.
        world: Where the agent learns.
        plan: Settings, recorder and checkpoint.
        extra: Arrays beside the weights that a checkpoint shall hold, by :meth:`saved`.
    """

    built_model: BuiltModel
    environment: TrainingEnvironment
    plan: FitPlan
    result: FitResult = field(default_factory=FitResult)
    steps: int = 0
    updates: int = 0

    def __post_init__(self) -> None:
        self.network: keras.Model = self.built_model.network
        self.best: list[np.ndarray] = []
        self.best_score = -math.inf
        self.started, self.earlier_s = time.perf_counter(), 0.0
        self.values = value_function(self.built_model)
        self.base_rate = float(self.network.optimizer.learning_rate)
        path = self.plan.checkpoint
        if path is not None and path.exists():
            self._resume()
        self._updates_before = self.updates
        threshold = "" if self.environment.threshold is None else f"; solved from {self.environment.threshold:g} on"
        message = f"{self.environment.name}: {len(self.environment.seeds)} evaluation episodes{threshold}"
        self.plan.recorder.start(self.plan.settings.epochs, message)

    @property
    def over(self) -> bool:
        """Whether training has ended."""
        return self.result.epochs_run >= self.plan.settings.epochs or self.result.stopped != "epochs"

    def policy(self, observations: np.ndarray) -> np.ndarray:
        """Return the greedy action of each observation (B,)."""
        chosen: np.ndarray = self.values(tf.constant(observations, tf.float32)).numpy().argmax(axis=1)
        return chosen

    def after_evaluation(self, loss: float, **facts: float) -> None:
        """Judge the policy after a period of training, and decide how to go on."""
        returns = episode_returns(
            self.environment.name, self.environment.options, self.policy, self.environment.seeds.tolist()
        )
        scores = {
            "loss": loss,
            "val_return_mean": float(returns.mean()),
            "val_return_std": float(returns.std()),
            "steps": float(self.steps),
            **facts,
        }
        result = self.result
        result.epochs_run += 1
        for name, value in scores.items():
            result.history.setdefault(name, []).append(value)
        self.plan.recorder.epoch(result.epochs_run, scores)
        self._decide(scores)
        self._updates_before = self.updates
        if self.plan.checkpoint is not None:
            self._save()

    def finish(self) -> FitResult:
        """Put the best weights back and return the result."""
        self.result.seconds = self.earlier_s + time.perf_counter() - self.started
        if not self.best:
            if self.result.stopped == "diverged":
                raise JobError("training diverged: the loss is not a number; try a lower learning rate")
            raise KeyboardInterrupt
        for variable, value in zip(self.network.weights, self.best, strict=True):
            variable.assign(value)
        self.result.scores.setdefault("val_steps_to_solve", math.nan)
        return self.result

    def _decide(self, scores: dict[str, float]) -> None:
        result, settings = self.result, self.plan.settings
        if self.updates > self._updates_before and not math.isfinite(scores["loss"]):
            result.stopped = "diverged"
            return
        mean = scores["val_return_mean"]
        if mean > self.best_score + settings.min_delta or not self.best:
            self.best_score, result.best_epoch = mean, result.epochs_run
            self.best = [variable.numpy() for variable in self.network.weights]
        elif result.epochs_run - result.best_epoch >= settings.patience:
            result.stopped = "patience"
        reached = self.environment.threshold is not None and mean >= self.environment.threshold
        if reached and "val_steps_to_solve" not in result.scores and self._confirmed():
            result.scores["val_steps_to_solve"] = float(self.steps)
            if self.environment.stop:
                result.stopped, result.best_epoch = "solved", result.epochs_run
                self.best = [variable.numpy() for variable in self.network.weights]
        if self.plan.recorder.stop_requested and result.stopped == "epochs":
            result.stopped = "requested"

    def _confirmed(self) -> bool:
        """Whether the policy also holds in a hundred other episodes: few that went well may be luck."""
        assert self.environment.threshold is not None
        seeds = list(CONFIRMATION_SEEDS)
        returns = episode_returns(self.environment.name, self.environment.options, self.policy, seeds)
        return bool(returns.mean() >= self.environment.threshold)

    def _save(self) -> None:
        assert self.plan.checkpoint is not None
        values = asdict(self.result)
        if values["stopped"] == "requested":
            values["stopped"] = "epochs"
        values["seconds"] = self.earlier_s + time.perf_counter() - self.started
        progress = {"result": values, "best_score": self.best_score, "steps": self.steps, "updates": self.updates}
        save_checkpoint(self.plan.checkpoint, self.network, progress, self.best)

    def _resume(self) -> None:
        assert self.plan.checkpoint is not None
        progress, self.best = restore_checkpoint(self.plan.checkpoint, self.network)
        self.result = FitResult(**progress["result"])
        self.earlier_s, self.best_score = self.result.seconds, progress["best_score"]
        self.steps, self.updates = progress["steps"], progress["updates"]


def value_function(built_model: BuiltModel) -> Any:
    """Return the compiled function from raw observations (B, …) to the value of each action (B, A)."""
    assert built_model.preprocessing is not None
    preprocess, network = built_model.preprocessing.model(), built_model.network
    key = next(iter(built_model.preprocessing.raw_tensors()))
    return tf.function(
        lambda raw: network(preprocess({key: raw}), training=False), reduce_retracing=True, autograph=False
    )
