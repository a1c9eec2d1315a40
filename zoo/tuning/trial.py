"""Run one trial in its own process: build the network, train it on preprocessed data, and report each epoch."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import load_dataset
from zoo.errors import JobError
from zoo.fitting.fit import Plan, fit_built
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.search_options import parse_constraint
from zoo.metrics.direction import Direction
from zoo.models.built_model import BuiltModel
from zoo.seeding import require_deterministic_kernels
from zoo.training.recorder import Recorder
from zoo.training.training_state import FitResult
from zoo.tuning.execution.channel import Channel
from zoo.tuning.objective import FACTS, SECONDS, measure_after, measure_before

CHECKPOINT_FILE, WEIGHTS_FILE = "checkpoint.bin", "weights.npz"
_ANSWER_WAIT_S = 60.0


class ChannelRecorder(Recorder):
    """Sends the scores of each epoch to the driver, which may request a stop.

    Args:
        channel: Channel to the driver.
        rungs: Epochs after which training waits for the driver's decision, so that a trial stops at the same epoch
            regardless of the machine's load.
    """

    def __init__(self, channel: Channel, rungs: Collection[int] = ()) -> None:
        self.channel = channel
        self.rungs = rungs

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Send the scores, and wait for the driver's decision at a rung."""
        message = {"epoch": epoch, "scores": dict(scores)}
        if epoch in self.rungs:
            self.ask(message)
        else:
            self.channel.send(message)

    def recall(self, history: Mapping[str, Sequence[float]]) -> None:
        """Send the scores of the epochs before a checkpoint, which the driver takes into account too."""
        self.channel.send({"recalled": {name: list(values) for name, values in history.items()}})

    def ask(self, message: dict[str, Any]) -> bool:
        """Send a message, wait for the driver's answer, and return whether to continue."""
        self.channel.send(message)
        while not self.channel.stop_requested and self.channel.receive(_ANSWER_WAIT_S) is None:
            pass
        return not self.channel.stop_requested

    @property
    def stop_requested(self) -> bool:
        """Whether the driver requested a stop."""
        return self.channel.stop_requested


def run_trial(channel: Channel, payload: dict[str, Any]) -> dict[str, Any]:
    """Train with one set of hyperparameters, and save the best weights to the trial's folder.

    Args:
        channel: Channel to the driver.
        payload: ``model``, ``task``, ``source`` (of the job, if it is an environment), ``folder`` (of the trial),
            ``hyperparameters``, ``epochs``, ``threads``, ``deterministic`` and ``hardware`` (as in the job), ``rungs``
            (epochs after which the driver decides), ``fits`` (pairs of a data folder and a seed), ``folds`` (whether
            the fits are folds), ``objective``, its ``prefix`` and ``direction``, ``measured`` (additional quantities to
            measure) and ``constraints`` (to be satisfied before training starts).

    Returns:
        The fit result as a dict under ``result``, the declared search space and its values under ``space`` and
        ``hyperparameters``, and the duration under ``seconds``.
    """
    began = time.perf_counter()
    channel.send({"began": True})
    _limit_threads(payload["threads"])
    if payload["deterministic"]:
        require_deterministic_kernels()
    result, hp = _run_one(channel, payload) if len(payload["fits"]) == 1 else _run_several(channel, payload)
    answer = {"result": result.facts(), "space": hp.get_config(), "hyperparameters": hp.values}
    return {**answer, "seconds": time.perf_counter() - began}


def _run_one(channel: Channel, payload: dict[str, Any]) -> tuple[FitResult, Any]:
    ((data, seed),) = payload["fits"]
    folder = Path(payload["folder"])
    fit = _Fit(channel, payload, Path(data), seed, folder)
    if fit.violates_constraint:
        return FitResult(scores=fit.before, stopped="limits"), fit.hp
    result = fit.run()
    save_weights(folder / WEIGHTS_FILE, fit.built_model)
    result.scores |= {**fit.before, **fit.after("validation")}
    return result, fit.hp


def _run_several(channel: Channel, payload: dict[str, Any]) -> tuple[FitResult, Any]:
    """Train once for each fold or seed, and average the scores.

    The network of a fold is evaluated on its held-out fold and its weights are discarded: the search retrains the best
    hyperparameters once all trials are finished. Over seeds, the best weights are kept. After each fit except the last,
    the driver decides whether to continue with the next.
    """
    folds, prefix, objective = payload["folds"], payload["prefix"], payload["objective"]
    scores_of_fits: list[dict[str, float]] = []
    results: list[FitResult] = []
    best: float | None = None
    for number, (data, seed) in enumerate(payload["fits"], start=1):
        folder = Path(payload["folder"]) / f"fit-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        fit = _Fit(channel, payload, Path(data), seed, folder)
        if fit.violates_constraint:
            return FitResult(scores=fit.before, stopped="limits"), fit.hp
        result = fit.run()
        scores = {**fit.before, **result.scores, **fit.after("test" if folds else "validation")}
        if objective not in scores:
            scores[objective] = fit.objective(result, objective.removeprefix(prefix), "test" if folds else "validation")
        scores_of_fits.append(scores)
        results.append(result)
        better = Direction(payload["direction"]).better(scores[objective], math.nan if best is None else best)
        if not folds and (better or best is None):
            best = scores[objective]
            save_weights(Path(payload["folder"]) / WEIGHTS_FILE, fit.built_model)
        message = {"fit": number, "score": scores[objective]}
        if number == len(payload["fits"]):
            channel.send(message)
        elif not fit.recorder.ask(message):
            break
    kept = next((number for number, scores in enumerate(scores_of_fits) if scores[objective] == best), 0)
    longest = max(result.epochs_run for result in results)
    together = FitResult(stopped=results[-1].stopped, epochs_run=longest) if folds else results[kept]
    together.seconds = sum(result.seconds for result in results)
    names = [name for name in scores_of_fits[0] if all(name in scores for scores in scores_of_fits)]
    together.scores = {name: float(np.mean([scores[name] for scores in scores_of_fits])) for name in names}
    if len(scores_of_fits) > 1:
        together.scores[f"{objective}_std"] = float(np.std([scores[objective] for scores in scores_of_fits], ddof=1))
    return together, fit.hp


class _Fit:
    """A single fit of a trial: the built network, and what is measured before and after training."""

    def __init__(self, channel: Channel, payload: dict[str, Any], data: Path, seed: int, folder: Path) -> None:
        self.dataset = load_dataset(data)
        self.builder = create_model_builder(
            payload["model"], payload["task"], several=True, hardware=payload["hardware"]
        )
        self.task, self.seed, self.data, self.folder = self.builder.task, seed, data, folder
        if payload["source"] is not None:
            self.task.open_source(payload["source"])
        self.hp = restore_hyperparameters(payload["hyperparameters"])
        self.built_model = self.builder.build_model(self.hp, self.dataset.spec, seed=seed)
        self.recorder = ChannelRecorder(channel, payload["rungs"])
        self.epochs, self.measured, self.prefix = payload["epochs"], payload["measured"], payload["prefix"]
        constraints = [parse_constraint(text) for text in payload["constraints"]]
        self.before = measure_before(
            [*self.measured, *(constraint.name for constraint in constraints)], self.built_model, self.dataset
        )
        self.violates_constraint = any(
            constraint.name in self.before and constraint.excess(self.before[constraint.name])
            for constraint in constraints
        )

    def run(self) -> FitResult:
        """Train the network, resuming from its checkpoint if there is one."""
        plan = Plan(
            seed=self.seed,
            epochs=self.epochs,
            recorder=self.recorder,
            checkpoint=self.folder / CHECKPOINT_FILE,
            cache=self.data / "preprocessed",
        )
        result = fit_built(self.builder, self.built_model, self.dataset, self.hp.values, plan).result
        if result.stopped == "diverged":
            raise JobError("training diverged: the loss is not a number")
        return result

    def after(self, split: str) -> dict[str, float]:
        """Return the quantities measured after training on a split."""
        return measure_after(self.measured, self.task, self.built_model, self.dataset, split=split, prefix=self.prefix)

    def objective(self, result: FitResult, name: str, split: str) -> float:
        """Return the objective at the best epoch if training recorded it, else measure it on the split."""
        history = result.history.get(f"{self.prefix}{name}", [])
        if history and result.best_epoch:
            return history[result.best_epoch - 1]
        if name in FACTS:
            return result.seconds if name == SECONDS else self.before[name]
        (value,) = measure_after([name], self.task, self.built_model, self.dataset, split=split, prefix="").values()
        return value


def restore_hyperparameters(values: Mapping[str, Any]) -> Any:
    """Return KerasTuner hyperparameters with a trial's values."""
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return hp


def save_weights(path: Path, built_model: BuiltModel) -> None:
    """Save a network's weights atomically to a single file."""
    writing = path.with_name(f".{path.name}.{os.getpid()}")
    with writing.open("wb") as file:
        np.savez(file, *[weight.numpy() for weight in built_model.network.weights])
    writing.replace(path)


def restore_weights(path: Path, built_model: BuiltModel) -> None:
    """Load saved weights into a network with the same architecture."""
    with np.load(path, allow_pickle=False) as file:
        for index, weight in enumerate(built_model.network.weights):
            weight.assign(file[f"arr_{index}"])


def fit_result(values: Mapping[str, Any]) -> FitResult:
    """Restore the fit result from the dict that :func:`run_trial` returned."""
    return FitResult(**values)


def _limit_threads(threads: int | None) -> None:
    """Limit TensorFlow's threads, since workers that each use all cores slow each other down."""
    if threads is None:
        return
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
