"""Jobs about runs that are stored: tables of them, and what their models are used for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from zoo.errors import UsageError
from zoo.jobs.fit_options import MOST_NAME
from zoo.jobs.job import Job, parse_names
from zoo.jobs.option import declare_option

FORMATS = ("savedmodel", "onnx", "litert")
STUDIES = ("architecture", "importance", "rates", "sizes", "landscape", "layers", "steps")
LOOPBACK = "127.0.0.1"
_HOST = "Address to listen on; default 127.0.0.1, this machine only; 0.0.0.0 for all networks, without a password."
_RUN = "MLflow's id, its first characters, or NAME@ALIAS; of a search, its best trial's."


class RunsJob(Job):
    """A table of tracked runs."""

    command: Literal["runs"] = "runs"
    experiment: str | None = declare_option(None, "Name of an experiment; default all.", positional=True)
    limit: int = declare_option(20, "Maximum number of rows; default 20.", ge=1)
    task: str | None = declare_option(None, "Only runs of this task.")
    model: str | None = declare_option(None, "Only runs of this model.")
    sort: str | None = declare_option(None, "Sort by a metric, best first, such as test_accuracy.", metavar="METRIC")
    every: bool = declare_option(False, "Also baselines, trials, seeds and folds.", name="--all")
    prune: bool = declare_option(False, "Remove failed runs, and files without a run.")
    yes: bool = declare_option(False, "Remove without asking.")


class BestJob(Job):
    """The best run of an experiment, ranked by validation."""

    command: Literal["best"] = "best"
    experiment: str | None = declare_option(
        None, "Name of an experiment; default the one with the latest run.", positional=True
    )
    metric: str | None = declare_option(
        None, "Validation metric to rank by, such as val_accuracy; default the objective."
    )


class ReproduceJob(Job):
    """A second run of a tracked run's job."""

    command: Literal["reproduce"] = "reproduce"
    run: str = declare_option(..., _RUN)
    options: dict[str, Any] = declare_option({}, "Options of the task that change no result.", shown=False)


class RegisterJob(Job):
    """Registration of a run's model in MLflow's registry."""

    command: Literal["register"] = "register"
    run: str = declare_option(..., _RUN)
    name: str = declare_option(..., "Name of the registered model.", max_length=MOST_NAME)
    alias: str = declare_option("champion", "Alias to set; default champion.", max_length=MOST_NAME)
    on: Any = declare_option(None, "Rows unseen by both models, to compare with the champion.", metavar="SOURCE")


class CardJob(Job):
    """The card of a run's model."""

    command: Literal["card"] = "card"
    run: str = declare_option(..., _RUN)
    by: tuple[str, ...] = declare_option((), "Score its groups separately; repeatable.", metavar="COLUMN")
    use: str = declare_option("", "Intended use of the model.", metavar="TEXT")
    output: str | None = declare_option(None, "Write it as Markdown.", metavar="FILE")


class StudyJob(Job):
    """Studies of a run's network."""

    command: Literal["study"] = "study"
    run: str = declare_option(..., _RUN)
    kinds: tuple[str, ...] = declare_option(
        STUDIES, "Default all.", positional=True, metavar=f"[{'|'.join(STUDIES)}]..."
    )

    @field_validator("kinds", mode="before")
    @classmethod
    def _known_kinds(cls, value: Any) -> Any:
        return parse_names(value, "study", STUDIES, where="kinds")


class ExportJob(Job):
    """A run's model in formats that predict without zoo."""

    command: Literal["export"] = "export"
    run: str = declare_option(..., _RUN)
    format: tuple[str, ...] = declare_option(
        (), "Repeatable; default all that support the model.", metavar="|".join(FORMATS)
    )
    output: str | None = declare_option(
        None, "Folder with a subfolder per format; default MODEL-RUN.", metavar="FOLDER"
    )
    quantize: bool = declare_option(False, "LiteRT: weights in 8 bits; reports the change of the score.")
    on: Any = declare_option(None, "Rows to compare predictions on; default the run's own.", metavar="SOURCE")

    @field_validator("format", mode="before")
    @classmethod
    def _known_formats(cls, value: Any) -> Any:
        return parse_names(value, "format", FORMATS, where="format")

    @model_validator(mode="after")
    def _something_to_quantize(self) -> ExportJob:
        if self.quantize and self.format and "litert" not in self.format:
            raise UsageError("only litert can be quantized", where="quantize")
        return self


class PredictJob(Job):
    """Predictions of a run's model for raw rows."""

    command: Literal["predict"] = "predict"
    run: str = declare_option(..., _RUN)
    input: Any = declare_option(..., "A file with raw rows.", metavar="INPUT")
    output: str | None = declare_option(None, "CSV to write; default standard output.", metavar="FILE")
    keep: tuple[str, ...] = declare_option((), "Column to copy to the output; repeatable.", metavar="COLUMN")
    intervals: float | None = declare_option(
        None, "Coverage of prediction sets or intervals, such as 90.", metavar="PERCENT", gt=0, lt=100
    )
    skip_broken: bool = declare_option(False, "Leave out images that cannot be read, and say how many and which.")
    options: dict[str, Any] = declare_option(
        {}, "Options of the model's task, such as zoo show RUN lists.", shown=False
    )


class UiJob(Job):
    """MLflow's pages on this machine."""

    command: Literal["ui"] = "ui"
    experiment: str | None = declare_option(
        None, "Experiment to open; default the one with the latest run.", positional=True
    )
    host: str = declare_option(LOOPBACK, _HOST)
    port: int = declare_option(5000, "Port; default 5000.", ge=1, le=65535)


class ServeJob(Job):
    """Predictions of a run's model over HTTP."""

    command: Literal["serve"] = "serve"
    run: str = declare_option(..., _RUN)
    host: str = declare_option(LOOPBACK, _HOST)
    port: int = declare_option(5001, "Port; default 5001.", ge=1, le=65535)
    max_body_mb: int = declare_option(
        64, "Largest request in megabytes; default 64; not with --isolated.", metavar="MB", ge=1
    )
    isolated: bool = declare_option(False, "In a separate environment, built by uv from the model's requirements.")
    wheel: str | None = declare_option(
        None, "Zoo's wheel for it, if this version is not on a package index.", metavar="FILE"
    )
    unchecked: bool = declare_option(
        False, "Install the requirements of a model saved by an earlier zoo, whose files have no digests."
    )
