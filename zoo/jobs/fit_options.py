"""Options of training: model, hyperparameters, repeats and evaluation."""

from __future__ import annotations

import re
from numbers import Integral
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from zoo.errors import UsageError, unknown
from zoo.jobs.data_options import LEAVE_ONE_GROUP_OUT, DataJob
from zoo.jobs.job import Job

THRESHOLDS = ("accuracy", "f1", "balanced_accuracy", "cost=FALSE_POSITIVE:FALSE_NEGATIVE")
Baselines = Literal["quick", "all", "none"]


class TaskOptions(Job):
    """Base for the options of one task.

    Each field has a default and a ``description``, which ``zoo show`` prints.
    """


class TrainJob(DataJob):
    """One tracked run of one model.

    Args:
        model: A name of the catalogue, or in Python a compiled ``keras.Model`` or a ``keras_tuner.HyperModel``.
        task: Task of a user's own model; by default inferred from its loss.
        hyperparameters: Values that are fixed; the others have the model's defaults.
        epochs: Maximum number of epochs; default the model's.
        baselines: ``quick``, ``all`` or ``none``.
        experiment: MLflow experiment; default the data's name.
        name: Name of the run; default the model's name.
        seeds: Number of seeds to train with, on the same split; their runs are below one parent run.
        cv: Cross-validation: number of folds, ``leave-one-group-out``, or ``file=PATH`` with given folds; their
            runs are below one parent run.
        repeats: Number of cross-validations, each on newly drawn folds.
        threshold: For two classes, the metric that the decision threshold optimises on validation: ``accuracy``,
            ``f1``, ``balanced_accuracy`` or ``cost=FALSE_POSITIVE:FALSE_NEGATIVE``.
        deterministic: Use only deterministic kernels: the same job gives bit-identical weights on the same kind of
            machine.
        figures: Draw figures after training.
    """

    command: Literal["train"] = "train"
    model: Any
    task: str | None = None
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    epochs: int | None = Field(None, ge=1)
    baselines: Baselines = "quick"
    experiment: str | None = None
    name: str | None = None
    seeds: int | None = Field(None, ge=2)
    cv: int | str | None = None
    repeats: int | None = Field(None, ge=2)
    threshold: str | None = None
    deterministic: bool = False
    figures: bool = True

    @field_validator("cv", mode="before")
    @classmethod
    def _known_cv(cls, value: Any) -> Any:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value):
            value = int(value)
        if value is None or value == LEAVE_ONE_GROUP_OUT or (isinstance(value, str) and re.fullmatch("file=.+", value)):
            return value
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 2:
            allowed = f"a number of folds of at least 2, {LEAVE_ONE_GROUP_OUT} or file=PATH"
            raise UsageError(f"received {value!r}; it must be {allowed}", where="cv")
        return int(value)

    @field_validator("threshold")
    @classmethod
    def _known_threshold(cls, value: str | None) -> str | None:
        number = r"[0-9]+(\.[0-9]+)?"
        if value is None or value in THRESHOLDS[:-1] or re.fullmatch(f"cost={number}:{number}", value):
            return value
        raise unknown("way to choose a threshold", value, THRESHOLDS, where="threshold")

    @model_validator(mode="after")
    def _one_kind_of_repeats(self) -> TrainJob:
        if self.seeds is not None and self.cv is not None:
            raise UsageError("seeds and cv exclude each other; repeat over one of them", where="cv")
        if self.cv is not None and self.fold is not None:
            raise UsageError("cv and fold exclude each other: cv runs all folds, fold only one", where="cv")
        if self.repeats is not None and not isinstance(self.cv, int):
            raise UsageError("repeats need cv, a number of folds", where="repeats")
        if self.cv == LEAVE_ONE_GROUP_OUT and self.split_by("group") is None:
            raise UsageError("leave-one-group-out needs --split group=COLUMN", where="cv")
        return self
