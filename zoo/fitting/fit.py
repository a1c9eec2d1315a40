"""Fit and evaluate a model without tracking, without writing files, and without using the test split unless requested.

>>> from zoo.fitting.model_builder import create_model_builder
>>> from zoo.jobs.job import make_job
>>> from zoo.jobs.fit_options import TrainJob
>>> builder = create_model_builder("classification/mlp")
>>> dataset = builder.task.read(make_job(TrainJob, {"model": builder.name, "source": "wine"}))
>>> fitted = fit(builder, dataset, {"units": 16}, Plan(epochs=2))
>>> sorted(evaluate(fitted, ["validation"]))
['validation']
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from zoo.data.dataset import Dataset
from zoo.fitting.model_builder import ModelBuilder
from zoo.inspection.layer_statistics import LayerWatch
from zoo.jobs.data_options import DataJob
from zoo.models.built_model import BuiltModel
from zoo.spec import Spec
from zoo.task import Calibration, Evaluation, Task
from zoo.training.custom_gradients import release_custom_gradients
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.recorder import Recorder
from zoo.training.training_state import FitPlan, FitResult


@dataclass(frozen=True)
class Plan:
    """Options for fitting a model.

    Args:
        seed: Seed of the initial weights and of shuffling.
        epochs: Number of epochs; None for the model's default.
        recorder: The recorder that training reports to.
        checkpoint: File that stores the training state after each epoch, and from which training resumes; None for
            no checkpoint.
        callbacks: Keras callbacks; they see the full model.
        cache: Folder of preprocessed data that processes share; None for no cache.
        track_layers: Whether gradient norms and dead units of each layer are measured after each epoch.
    """

    seed: int = 0
    epochs: int | None = None
    recorder: Recorder = field(default_factory=Recorder)
    checkpoint: Path | None = None
    callbacks: Sequence[Any] = ()
    cache: Path | None = None
    track_layers: bool = False


@dataclass(frozen=True)
class Fitted:
    """A fitted model.

    Args:
        builder: The builder of the model.
        built_model: The network with the weights of its best epoch, preprocessing and calibration.
        dataset: The dataset that it was fitted on.
        hyperparameters: Values of all hyperparameters.
        result: Result of training.
        calibration: Calibration fitted after training; None before :func:`post_process`.
    """

    builder: ModelBuilder
    built_model: BuiltModel
    dataset: Dataset
    hyperparameters: Mapping[str, Any]
    result: FitResult
    calibration: Calibration | None = None

    @property
    def task(self) -> Task:
        """The model's task."""
        return self.builder.task

    @property
    def spec(self) -> Spec:
        """The spec, with the decision threshold if one was chosen after training."""
        return self.calibration.spec if self.calibration is not None else self.dataset.spec


def fit(
    builder: ModelBuilder,
    dataset: Dataset,
    hyperparameters: Mapping[str, Any] | None = None,
    plan: Plan | None = None,
) -> Fitted:
    """Build a model for a dataset and train it.

    Args:
        builder: Builder returned by :func:`zoo.fitting.model_builder.create_model_builder`.
        dataset: Dataset returned by the task's ``read``.
        hyperparameters: Values that differ from the defaults.
        plan: Seed, epochs, recorder, checkpoint and callbacks.

    Raises:
        UsageError: If a hyperparameter is unknown or invalid.
        JobError: If training diverges in its first epoch.
    """
    plan = plan or Plan()
    built_model, hp = builder.build_checked(hyperparameters or {}, dataset.spec, seed=plan.seed)
    return fit_built(builder, built_model, dataset, hp.values, plan)


@release_custom_gradients()
def fit_built(
    builder: ModelBuilder, built_model: BuiltModel, dataset: Dataset, hyperparameters: Mapping[str, Any], plan: Plan
) -> Fitted:
    """Train a model that is already built.

    Args:
        builder: The builder of the model.
        built_model: The network with its preprocessing.
        dataset: The training data.
        hyperparameters: Hyperparameters of the model and of training.
        plan: Seed, epochs, recorder, checkpoint and callbacks.
    """
    settings = FitSettings.from_hyperparameters(hyperparameters, epochs=plan.epochs)

    def watch(network: keras.Model, arrays: Arrays) -> Callable[[], Mapping[str, float]]:
        return LayerWatch(network, arrays, settings.batch(len(arrays))).measure

    fit_plan = FitPlan(
        settings,
        seed=plan.seed,
        recorder=plan.recorder,
        checkpoint=plan.checkpoint,
        callbacks=plan.callbacks,
        full_model=built_model.full_model() if plan.callbacks else None,
        watch=watch if plan.track_layers else None,
    )
    result: FitResult = builder.task.fit(built_model, dataset, fit_plan, cache=plan.cache)
    built_model.run_after_fit(dataset)
    return Fitted(builder, built_model, dataset, hyperparameters, result)


@release_custom_gradients()
def post_process(fitted: Fitted, job: DataJob) -> Fitted:
    """Fit calibration, decision threshold and conformal quantiles on held-out rows, as the job requests."""
    calibration = fitted.task.calibrate(fitted.built_model, fitted.dataset, job)
    dataset = dataclasses.replace(fitted.dataset, spec=calibration.spec)
    return dataclasses.replace(fitted, dataset=dataset, calibration=calibration)


@release_custom_gradients()
def evaluate(
    fitted: Fitted, splits: Sequence[str], *, intervals: Sequence[str] = (), model: Any = None
) -> dict[str, Evaluation]:
    """Evaluate a fitted model on raw rows.

    Args:
        fitted: The model.
        splits: Names of the splits; splits that the dataset lacks are skipped.
        intervals: Splits whose scores get a 95 % confidence interval.
        model: The full Keras model, if the caller already has it.

    Returns:
        Scores, intervals and a function that draws figures, by split.
    """
    model = model if model is not None else fitted.built_model.full_model()
    return {
        name: fitted.task.evaluate(model, fitted.dataset, name, intervals=name in intervals)
        for name in splits
        if name in fitted.dataset.splits
    }


def choose_evaluated_split(dataset: Dataset) -> str:
    """Return the split for the reported scores: test if present, else validation, else train."""
    return next((name for name in ("test", "validation") if name in dataset.splits), "train")
