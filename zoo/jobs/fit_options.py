"""Options of training: model, hyperparameters, repeats and evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Integral
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from zoo.errors import UsageError, describe_unknown
from zoo.hardware import Hardware, Precision
from zoo.jobs.data_options import LEAVE_ONE_GROUP_OUT, DataJob
from zoo.jobs.job import Job
from zoo.jobs.option import create_pair_validator, declare_option

THRESHOLDS = ("accuracy", "f1", "balanced_accuracy", "cost=FALSE_POSITIVE:FALSE_NEGATIVE")
Baselines = Literal["quick", "all", "none"]
# A search's folder has its name, and names of files have at most 255 bytes; MLflow's databases, 250 characters.
MOST_NAME = 200
MOST_REPEATS = 1000  # trainings of one job; their jobs are listed before the first one
IN_MEMORY = ("model", "source")  # given again when a run is resumed that had them in memory
RESUMED_WITH = (*IN_MEMORY, "options")  # of the options, those that the task lets change


class TaskOptions(Job):
    """Base for the options of one task.

    Each field has a default and a ``description``, which ``zoo show`` prints.

    Attributes:
        unused_by_baselines: Names of the options that change nothing in the scores of baselines.
        may_change: Names of the options that change no result: jobs that differ in them only are the same, and they may
            have other values when a job is resumed.
    """

    unused_by_baselines: ClassVar[tuple[str, ...]] = ()
    may_change: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def drop_changeable(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options without those that change no result."""
        return {name: value for name, value in options.items() if name not in cls.may_change}


class TrainJob(DataJob):
    """One tracked run of one model, or one for each of several seeds or folds below a parent run."""

    command: Literal["train"] = "train"
    model: Any = declare_option(..., "Such as classification/mlp.")
    task: str | None = declare_option(
        None, "Task of a user's own model; by default inferred from its loss.", shown=False
    )
    hyperparameters: Annotated[dict[str, Any], create_pair_validator("--set", "units=64")] = declare_option(
        {}, "Fix a hyperparameter.", theme="Training", name="--set", metavar="NAME=VALUE"
    )
    epochs: int | None = declare_option(None, "Maximum number of epochs; default the model's.", theme="Training", ge=1)
    seeds: int | None = declare_option(
        None, "Number of seeds to train with, on the same split.", theme="Evaluation", ge=2, le=MOST_REPEATS
    )
    cv: int | str | None = declare_option(
        None,
        "Cross-validate: number of folds, groups, or a file of folds.",
        theme="Evaluation",
        metavar="N|leave-one-group-out|file=PATH",
    )
    repeats: int | None = declare_option(
        None,
        "With --cv: number of cross-validations, each on new folds.",
        theme="Evaluation",
        ge=2,
        le=MOST_REPEATS,
    )
    threshold: str | None = declare_option(
        None,
        "Choose the decision threshold on validation by accuracy, f1, balanced_accuracy or cost=1:5.",
        theme="Calibration",
        metavar="METRIC",
    )
    baselines: Baselines = declare_option("quick", "Classical models on the same split.", theme="Evaluation")
    experiment: str | None = declare_option(
        None, "MLflow experiment; default the data's name.", theme="Run", max_length=MOST_NAME
    )
    name: str | None = declare_option(None, "Name of the run or search.", theme="Run", max_length=MOST_NAME)
    resume: str | None = declare_option(None, "Resume an interrupted run.", theme="Run", metavar="RUN")
    deterministic: bool = declare_option(
        False, "Bit-identical weights each time on the same kind of machine; slower.", theme="Training"
    )
    precision: Precision = declare_option(
        "float32", "Precision of training: mixed computes in 16 bits, which is faster on GPUs.", theme="Training"
    )
    devices: Annotated[int, Field(ge=1)] | Literal["all"] = declare_option(
        1,
        "Number of GPUs (or CPUs, without any) to train on, each with a part of each batch, or all.",
        theme="Training",
        metavar="N|all",
    )
    track_layers: bool = declare_option(
        False, "Log the gradient norm and dead units of each layer after each epoch.", theme="Training"
    )
    figures: bool = declare_option(True, "Draw figures after training, or none.", theme="Run")

    @model_validator(mode="before")
    @classmethod
    def _of_the_stored_job(cls, values: Any) -> Any:
        resumes = isinstance(values, dict) and values.get("resume") is not None
        return {"model": None, "source": None, **values} if resumes else values

    @property
    def hardware(self) -> Hardware:
        """Precision and devices that networks are built for."""
        return Hardware(self.precision, self.devices)

    @property
    def given(self) -> dict[str, Any]:
        """The keys that were given, without ``command`` and ``resume``."""
        names = [name for name in type(self).model_fields if name not in ("command", "resume")]
        values = {name: getattr(self, name) for name in names if name in self.model_fields_set}
        return {name: value for name, value in values.items() if value is not None}

    @model_validator(mode="after")
    def _resumes_alone(self) -> TrainJob:
        if self.resume is not None:
            self.check_resume()
        return self

    def check_resume(self) -> None:
        """Refuse other keys with ``resume``, but for a model or data in memory, and options, which are checked then."""
        others = sorted(k for k, value in self.given.items() if k not in RESUMED_WITH or isinstance(value, str))
        if others:
            raise UsageError(f"it uses the job of the run; leave out {', '.join(others)}", where="resume")

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
        raise describe_unknown("way to choose a threshold", value, THRESHOLDS, where="threshold")

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
