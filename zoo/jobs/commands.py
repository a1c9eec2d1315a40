"""The jobs of the commands, and the table that names them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from zoo.errors import UsageError, unknown
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import Job, make_job, names_among
from zoo.jobs.search_options import TuneJob


class PredictJob(Job):
    """Predictions of a run's model for raw rows."""

    command: Literal["predict"] = "predict"
    run: str
    input: Any
    output: str | None = None
    keep: tuple[str, ...] = ()
    intervals: float | None = Field(None, gt=0, lt=100)


class ReportJob(DataJob):
    """A data report, before a model is trained.

    Args:
        task: Name of the task; default by the target.
        model: A model of the catalogue, whose number of parameters is compared with the number of rows.
        output: File that the report is written to as a page.
    """

    command: Literal["data"] = "data"
    task: str | None = None
    model: str | None = None
    output: str | None = None


class ListJob(Job):
    """The models whose name matches a pattern."""

    command: Literal["list"] = "list"
    pattern: str = "*"


class ShowJob(DataJob):
    """A model's hyperparameters and, given data, its layers; or the facts and results of a run.

    Args:
        model: Name of the catalogue, or MLflow's id of a run, its first characters, or ``NAME@ALIAS``.
        source: Data that a model is shown on.
        hyperparameters: Values that are fixed.
    """

    command: Literal["show"] = "show"
    model: str
    source: Any = None
    hyperparameters: dict[str, Any] = Field(default_factory=dict)

    @property
    def names_a_run(self) -> bool:
        """Whether a run is shown: a model of the catalogue has a slash in its name."""
        return re.fullmatch("[0-9a-f]{4,32}|[^/]+@[^/]+", self.model) is not None


class RunsJob(Job):
    """A table of tracked runs; see :func:`zoo.stored_runs.run_table.runs`."""

    command: Literal["runs"] = "runs"
    experiment: str | None = None
    limit: int = Field(20, ge=1)
    task: str | None = None
    model: str | None = None
    sort: str | None = None
    every: bool = False


class ReproduceJob(Job):
    """A second run of a tracked run's job."""

    command: Literal["reproduce"] = "reproduce"
    run: str


class RegisterJob(Job):
    """Registration of a run's model in MLflow's registry; see :func:`zoo.serving.register.register`."""

    command: Literal["register"] = "register"
    run: str
    name: str
    alias: str = "champion"
    on: Any = None


class CardJob(Job):
    """The card of a run's model; see :func:`zoo.serving.card.card`."""

    command: Literal["card"] = "card"
    run: str
    by: tuple[str, ...] = ()
    use: str = ""
    output: str | None = None


class BestJob(Job):
    """The best run of an experiment, ranked by validation."""

    command: Literal["best"] = "best"
    experiment: str | None = None
    metric: str | None = None


DEFAULT_SEEDS = 5


class CompareJob(TrainJob):
    """Models compared with each other and with baselines, on the same splits of the same data.

    Args:
        models: Names of the catalogue, patterns such as ``classification/*``, or in Python your own models.
        runs: Existing runs, in place of ``models``: trainings, searches (their best), or repeats.
        others: Further sources, on which the same models are compared.
        seeds: Number of seeds to train each with; each draws another split if the split is random. Default 5.
        cv: Compare over folds instead of seeds.
        refit: Train the models of ``runs`` again with their hyperparameters, on the data of the first.
        output: File that the comparison is written to as a page, .html.
    """

    command: Literal["compare"] = "compare"  # type: ignore[assignment]
    model: None = None
    source: Any = None
    models: tuple[Any, ...] = ()
    runs: tuple[str, ...] = ()
    others: tuple[Any, ...] = ()
    refit: bool = False
    output: str | None = None

    @field_validator("models", "runs", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _models_or_runs(self) -> CompareJob:
        if bool(self.models) == bool(self.runs):
            raise UsageError(
                "give either models to train (see zoo list) or existing runs, separated by commas",
                where="models",
            )
        if self.models and self.source is None:
            raise UsageError("the source is missing: give the data to compare the models on", where="source")
        if self.runs and (self.source is not None or self.others):
            raise UsageError("runs have their own data; leave the source out", where="source")
        if self.refit and not self.runs:
            raise UsageError("refit needs runs to train again", where="refit")
        if self.baselines == "none":
            raise UsageError("a comparison always includes baselines: quick or all", where="baselines")
        for name in ("seeds", "cv", "epochs", "hyperparameters"):
            if self.runs and not self.refit and getattr(self, name):
                raise UsageError("runs are compared as they are; train them again with refit", where=name)
        return self


FORMATS = ("savedmodel", "onnx", "litert")


class ExportJob(Job):
    """A run's model in formats that predict without zoo; see :func:`zoo.serving.export.export`.

    Args:
        run: MLflow's id, or its first characters, or ``NAME@ALIAS``.
        format: One or several of ``savedmodel``, ``onnx`` and ``litert``; default all that support the model.
        output: Folder with a subfolder for each format; default named by model and run.
        quantize: For LiteRT: store weights in 8 bits, and report the change of the score.
        on: Rows to compare predictions on; default those of the run's own source.
    """

    command: Literal["export"] = "export"
    run: str
    format: tuple[str, ...] = ()
    output: str | None = None
    quantize: bool = False
    on: Any = None

    @field_validator("format", mode="before")
    @classmethod
    def _known_formats(cls, value: Any) -> Any:
        return names_among(value, "format", FORMATS, where="format")

    @model_validator(mode="after")
    def _something_to_quantize(self) -> ExportJob:
        if self.quantize and self.format and "litert" not in self.format:
            raise UsageError("only litert can be quantized", where="quantize")
        return self


STUDIES = ("architecture", "importance", "rates", "sizes", "landscape", "layers")


class StudyJob(Job):
    """Studies of a run's network; see :func:`zoo.comparing.study.study`.

    Args:
        run: MLflow's id, or its first characters, or ``NAME@ALIAS``.
        kinds: The studies; default all.
    """

    command: Literal["study"] = "study"
    run: str
    kinds: tuple[str, ...] = STUDIES

    @field_validator("kinds", mode="before")
    @classmethod
    def _known_kinds(cls, value: Any) -> Any:
        return names_among(value, "study", STUDIES, where="kinds")


JOBS: dict[str, type[Job]] = {
    "train": TrainJob,
    "tune": TuneJob,
    "compare": CompareJob,
    "predict": PredictJob,
    "data": ReportJob,
    "list": ListJob,
    "show": ShowJob,
    "runs": RunsJob,
    "best": BestJob,
    "reproduce": ReproduceJob,
    "register": RegisterJob,
    "card": CardJob,
    "study": StudyJob,
    "export": ExportJob,
}


def read_job(path: str | Path) -> Any:
    """Read a job from a YAML file; its key ``command`` says which kind it is.

    Raises:
        UsageError: A file that is missing or not valid YAML (with line and column), or a job that is not valid.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read the job: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError("cannot read the job: not a text file in UTF-8", where=str(path)) from None
    try:
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        raise UsageError(f"not valid YAML: {error.problem}", where=place) from None
    except yaml.YAMLError as error:
        raise UsageError(f"not valid YAML: {error}", where=str(path)) from None
    if not isinstance(values, dict):
        raise UsageError("a job must consist of keys and values, such as 'command: train'", where=str(path))
    command = values.get("command")
    if not isinstance(command, str) or command not in JOBS:
        if command is None:
            raise UsageError(f"the key 'command' is missing; known: {', '.join(JOBS)}", where=str(path))
        raise unknown("command", str(command), JOBS, where=str(path))
    return make_job(JOBS[command], values, where=str(path))
