"""What a job says of a training: the model, its hyperparameters, repeats, and how it is judged."""

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
    """Options that one task understands and no other: a task's class names a subclass of this.

    Each field has a default and a ``description``, which ``zoo show`` prints.
    """


class TrainJob(DataJob):
    """One tracked run of one model.

    Args:
        model: A name of the catalogue, or in Python a compiled ``keras.Model`` or a ``keras_tuner.HyperModel``.
        task: Task of a user's own model; the default is told by its loss.
        hyperparameters: Values that are fixed; the others have the model's defaults.
        epochs: Most epochs; default the model's.
        baselines: ``quick``, ``all`` or ``none``.
        experiment: MLflow experiment; default the data's name.
        name: Name of the run; default the model's name.
        seeds: Repeat it with so many seeds on the same split; the runs stand below one parent run.
        cv: Cross-validate: in so many folds, ``leave-one-group-out``, or ``file=PATH`` with given folds; the runs
            stand below one parent run.
        repeats: Cross-validate so many times, each on folds drawn anew.
        threshold: Of two classes, from which probability on a row is called positive: chosen on validation for
            ``accuracy``, ``f1``, ``balanced_accuracy`` or the least ``cost=FALSE_POSITIVE:FALSE_NEGATIVE``.
        deterministic: Use only kernels that give the same sum each time: the same job ends with equal weights, bit for
            bit, on the same kind of machine.
        figures: Draw figures once the training is over.
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
            known = f"a number of folds from 2 upwards, {LEAVE_ONE_GROUP_OUT} or file=PATH"
            raise UsageError(f"received {value!r}; it must be {known}", where="cv")
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
            raise UsageError("seeds and cv exclude each other: a repeat is over one of them", where="cv")
        if self.cv is not None and self.fold is not None:
            raise UsageError("cv makes all folds, and fold is one of them", where="cv")
        if self.repeats is not None and not isinstance(self.cv, int):
            raise UsageError("repeats draw folds anew: they need cv, a number of folds", where="repeats")
        if self.cv == LEAVE_ONE_GROUP_OUT and self.split_by("group") is None:
            raise UsageError("leaving one group out needs to know the groups: --split group=COLUMN", where="cv")
        return self
