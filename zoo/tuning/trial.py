"""One trial, in a process of its own: build the network, train it on prepared data, report each epoch."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import load_dataset
from zoo.errors import JobError
from zoo.layers.assembly import Pieces
from zoo.running.candidate import candidate_of
from zoo.training.loop import FitPlan, FitResult
from zoo.training.recorder import Recorder
from zoo.training.settings import FitSettings
from zoo.tuning.channel import Channel

CHECKPOINT_FILE, WEIGHTS_FILE = "checkpoint.bin", "weights.npz"
_ANSWER_WAIT_S = 60.0
FOLDS_PREFIX = "cv_"  # of the score that is the mean over folds


class ChannelRecorder(Recorder):
    """Sends each epoch's scores to the driver, which may ask to stop.

    Args:
        channel: To the driver.
        rungs: Epochs after which training waits for the driver's word, so that a stop comes at the same epoch
            whatever else the machine does.
    """

    def __init__(self, channel: Channel, rungs: Collection[int] = ()) -> None:
        self.channel = channel
        self.rungs = rungs

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Send the scores, and at a rung wait for the answer."""
        self.channel.send({"epoch": epoch, "scores": dict(scores)})
        if epoch in self.rungs:
            while not self.channel.stop_requested and self.channel.receive(_ANSWER_WAIT_S) is None:
                pass

    @property
    def stop_requested(self) -> bool:
        """Whether the driver asked to stop."""
        return self.channel.stop_requested


def run_trial(channel: Channel, payload: dict[str, Any]) -> dict[str, Any]:
    """Train one set of hyperparameters; keep the best weights in the trial's folder.

    Args:
        channel: To the driver.
        payload: ``model``, ``task``, ``data`` (folder), ``folder`` (the trial's), ``hyperparameters``, ``seed``,
            ``epochs``, ``threads``, ``rungs`` (epochs after which the driver is asked) and ``folds`` (folders of the
            folds' data, when they judge the trial).

    Returns:
        The fit's result as a dict, and under ``space`` and ``hyperparameters`` all that the model declared.
    """
    _limit_threads(payload["threads"])
    if payload.get("folds"):
        return _run_folds(channel, payload)
    folder = Path(payload["folder"])
    result, hp, pieces, _ = _fitted(channel, payload, Path(payload["data"]), folder)
    save_weights(folder / WEIGHTS_FILE, pieces)
    return {"result": asdict(result), "space": hp.get_config(), "hyperparameters": hp.values}


def _run_folds(channel: Channel, payload: dict[str, Any]) -> dict[str, Any]:
    """Train once for each fold and judge each network by the fold that it did not see; the mean is the trial's score.

    No weights are kept: a search trains its best hyperparameters once more when all trials are done.
    """
    scores, epochs = [], 0
    for number, data in enumerate(payload["folds"], start=1):
        folder = Path(payload["folder"]) / f"fold-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        result, hp, pieces, dataset = _fitted(channel, payload, Path(data), folder)
        task = candidate_of(payload["model"], payload["task"]).task
        first = task.scores(dataset.spec)[0]
        scores.append(task.evaluate(pieces.whole(), dataset, "test", intervals=False).scores[first.name])
        epochs += result.epochs_run
    made = {f"{FOLDS_PREFIX}{first.name}": float(np.mean(scores))}
    made[f"{FOLDS_PREFIX}{first.name}_std"] = float(np.std(scores, ddof=1))
    together = FitResult(epochs_run=epochs, stopped=result.stopped, scores=made)
    return {"result": asdict(together), "space": hp.get_config(), "hyperparameters": hp.values}


def _fitted(channel: Channel, payload: dict[str, Any], data: Path, folder: Path) -> tuple[FitResult, Any, Pieces, Any]:
    dataset = load_dataset(data)
    candidate = candidate_of(payload["model"], payload["task"])
    hp = trial_hyperparameters(payload["hyperparameters"])
    pieces = candidate.pieces(hp, dataset.spec, seed=payload["seed"])
    plan = FitPlan(
        FitSettings.from_hyperparameters(hp.values, epochs=payload["epochs"]),
        seed=payload["seed"],
        recorder=ChannelRecorder(channel, payload.get("rungs", ())),
        checkpoint=folder / CHECKPOINT_FILE,
    )
    result = candidate.task.fit(pieces, dataset, plan, cache=data / "prepared")
    if result.stopped == "diverged":
        raise JobError("training diverged: the loss is not a number")
    return result, hp, pieces, dataset


def trial_hyperparameters(values: Mapping[str, Any]) -> Any:
    """Return KerasTuner's hyperparameters with a trial's values."""
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return hp


def save_weights(path: Path, pieces: Pieces) -> None:
    """Keep a network's weights, in one file that is whole or not there."""
    writing = path.with_name(f".{path.name}.{os.getpid()}")
    with writing.open("wb") as file:
        np.savez(file, *[weight.numpy() for weight in pieces.network.weights])
    writing.replace(path)


def restore_weights(path: Path, pieces: Pieces) -> None:
    """Put kept weights into a network that was built the same way."""
    with np.load(path, allow_pickle=False) as file:
        for index, weight in enumerate(pieces.network.weights):
            weight.assign(file[f"arr_{index}"])


def fit_result(values: Mapping[str, Any]) -> FitResult:
    """Return the result that :func:`run_trial` returned."""
    return FitResult(**values)


def _limit_threads(threads: int | None) -> None:
    """Workers share the cores: each with all of them would be slower together than one after another."""
    if threads is None:
        return
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
