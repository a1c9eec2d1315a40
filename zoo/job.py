"""The job: all that a run needs as one typed object, the same from Python, YAML and the command line."""

from __future__ import annotations

import re
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError

from zoo.compare_job import CompareJob
from zoo.data_job import DataJob, Job
from zoo.errors import UsageError, nearest_name, unknown
from zoo.export_job import ExportJob
from zoo.study_job import StudyJob
from zoo.train_job import TaskOptions, TrainJob
from zoo.tune_job import TuneJob

__all__ = [
    "CompareJob",
    "DataJob",
    "StudyJob",
    "TaskOptions",
    "TrainJob",
    "TuneJob",
    "gathered",
    "job_yaml",
    "make_job",
    "read_job",
]


class PredictJob(Job):
    """Predictions of a run's model for raw rows."""

    command: Literal["predict"] = "predict"
    run: str
    input: Any
    output: str | None = None
    keep: tuple[str, ...] = ()
    intervals: float | None = Field(None, gt=0, lt=100)


class ReportJob(DataJob):
    """What is to know of data before a model is trained on them.

    Args:
        task: Name of the task; default by the target.
        model: A model of the catalogue, whose parameters the number of rows is held against.
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
    """A model's hyperparameters and, given data, its layers; or what is known of a run.

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
        """Whether it is a run that is shown: a model of the catalogue has a stroke in its name."""
        return re.fullmatch("[0-9a-f]{4,32}|[^/]+@[^/]+", self.model) is not None


class RunsJob(Job):
    """The runs that were tracked; see :func:`zoo.running.lookup.runs`."""

    command: Literal["runs"] = "runs"
    experiment: str | None = None
    limit: int = Field(20, ge=1)
    task: str | None = None
    model: str | None = None
    sort: str | None = None
    every: bool = False


class ReproduceJob(Job):
    """A tracked run, made again by its job."""

    command: Literal["reproduce"] = "reproduce"
    run: str


class RegisterJob(Job):
    """A run's model under a name in MLflow's registry; see :func:`zoo.running.register.register`."""

    command: Literal["register"] = "register"
    run: str
    name: str
    alias: str = "champion"
    on: Any = None


class CardJob(Job):
    """The card of a run's model; see :func:`zoo.running.card.card`."""

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
_PASSWORD = re.compile(r"([a-z][\w+.-]*://[^:/@?\s]*):[^@/?\s]*@", re.IGNORECASE)
J = TypeVar("J", bound=Job)
_MAY_BE_IN_MEMORY = ("source", "test", "input", "model")


def make_job(kind: type[J], values: dict[str, Any], *, where: str | None = None) -> J:
    """Return a job from its keys and values, checked.

    Args:
        kind: The job's class.
        values: Keys and values; ``None`` stands for the default.
        where: Where the values come from, for the error.

    Raises:
        UsageError: With the key, what was received, what is allowed and the nearest name.

    Example:
        >>> make_job(TrainJob, {"model": "classification/mlp", "source": "wine"}).seed
        0
    """
    try:
        return kind(**{str(key): value for key, value in values.items() if value is not None})
    except ValidationError as error:
        raise _explained(error, kind, where) from None


def gathered(kind: type[Job], values: dict[str, Any]) -> dict[str, Any]:
    """Return keys and values with those that the job does not know moved into its ``options``, for the task to check.

    Args:
        kind: The job's class, one with ``options``.
        values: Keys and values as a caller in Python or at the command line gave them.

    Example:
        >>> gathered(TrainJob, {"source": "digits", "clusters": 10})
        {'source': 'digits', 'options': {'clusters': 10}}
    """
    own = {key: value for key, value in values.items() if key in kind.model_fields}
    others = {key: value for key, value in values.items() if key not in own and value is not None}
    return {**own, "options": {**(own.get("options") or {}), **others}} if others else own


def read_job(path: str | Path) -> Any:
    """Return the job in a YAML file; its key ``command`` says which kind it is.

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
        raise UsageError("a job is keys and values, such as 'command: train'", where=str(path))
    command = values.get("command")
    if not isinstance(command, str) or command not in JOBS:
        if command is None:
            raise UsageError(f"the key 'command' is missing; known: {', '.join(JOBS)}", where=str(path))
        raise unknown("command", str(command), JOBS, where=str(path))
    return make_job(JOBS[command], values, where=str(path))


def job_yaml(job: BaseModel) -> str:
    """Return a job as YAML that :func:`read_job` reads; data in memory stand as a description."""
    values = {}
    for key, known in type(job).model_fields.items():
        value = (_in_words if key in _MAY_BE_IN_MEMORY else _plain)(getattr(job, key))
        if known.is_required() or value != _plain(known.get_default(call_default_factory=True)):
            values[key] = value
    return yaml.safe_dump({"command": getattr(job, "command"), **values}, sort_keys=False, allow_unicode=True)  # noqa: B009


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Real):  # NumPy's numbers are told from Python's by YAML
        return int(value) if isinstance(value, Integral) else float(value)
    return _in_words(value)


def without_password(text: str) -> str:
    """Return a text without the passwords of the addresses in it.

    Example:
        >>> without_password("postgresql://me:secret@host/runs")
        'postgresql://me@host/runs'
    """
    return _PASSWORD.sub(r"\1@", text)


def _in_words(value: Any) -> str | None:
    if value is None or isinstance(value, (str, Path)):
        # A password is its owner's alone: a job that is kept has none, and runs again with one from the environment.
        return None if value is None else without_password(str(value))
    return f"({type(value).__name__} in memory)"


def _explained(error: ValidationError, kind: type[Job], where: str | None) -> UsageError:
    """One message for a person out of pydantic's list: the first thing that is wrong."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UsageError):
        return UsageError(cause.message, where=where or cause.where, nearest=cause.nearest)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        names = list(kind.model_fields)
        message = f"unknown key {key!r}; known: {', '.join(names)}"
        return UsageError(message, where=where, nearest=nearest_name(key, names))
    if first["type"] == "missing":
        return UsageError(f"the key {key!r} is missing", where=where)
    received = first["input"]
    same = [item for item in error.errors() if item["loc"][0] == first["loc"][0] and item["input"] == received]
    if len(same) > 1:  # a value that is none of several types
        key = str(first["loc"][0])
    others = [item["msg"].removeprefix("Input should ") for item in same[1:]]
    allowed = " or ".join([first["msg"][0].lower() + first["msg"][1:], *others])
    nearest = None
    if first["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        nearest = nearest_name(str(received), choices)
    return UsageError(f"{key}: received {received!r}; {allowed}", where=where, nearest=nearest)
