"""Jobs that describe models and data."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import model_validator

from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import Job
from zoo.jobs.option import create_pair_validator, declare_option


class ReportJob(DataJob):
    """A data report, before a model is trained."""

    command: Literal["data"] = "data"
    source: Any = declare_option(..., "A file, a folder, a database or a name.")
    task: str | None = declare_option(None, "The task; default by the target.")
    model: str | None = declare_option(None, "Model whose parameters and hyperparameters are compared with the rows.")
    hyperparameters: Annotated[dict[str, Any], create_pair_validator("--set", "units=64")] = declare_option(
        {}, "Fix a hyperparameter of the model.", name="--set", metavar="NAME=VALUE"
    )
    output: str | None = declare_option(None, "Write the report as a page, .html.", theme="Output", metavar="FILE")

    @model_validator(mode="after")
    def _of_a_model(self) -> ReportJob:
        if self.hyperparameters and self.model is None:
            raise UsageError("--set needs --model NAME", where="hyperparameters")
        return self


class ListJob(Job):
    """The models whose name matches a pattern."""

    command: Literal["list"] = "list"
    pattern: str = declare_option("*", "Such as 'classification/*'.", positional=True)


class ShowJob(DataJob):
    """A model's hyperparameters and, given data, its layers; or the facts and results of a run."""

    command: Literal["show"] = "show"
    model: str = declare_option(..., "A model that zoo list shows, or a run.", metavar="MODEL|RUN")
    source: Any = declare_option(None, "Data that a model is shown on; default its task's example.", positional=True)
    hyperparameters: Annotated[dict[str, Any], create_pair_validator("--set", "units=64")] = declare_option(
        {}, "Fix a hyperparameter.", theme="Training", name="--set", metavar="NAME=VALUE"
    )

    @property
    def names_a_run(self) -> bool:
        """Whether a run is shown: a model of the catalogue has a slash in its name."""
        return re.fullmatch("[0-9a-f]{4,32}|[^/]+@[^/]+", self.model) is not None
