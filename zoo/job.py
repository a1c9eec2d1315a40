"""The job: all that a run needs as one typed object, the same from Python, YAML and the command line."""

from __future__ import annotations

import re
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from zoo.data_job import LEAVE_ONE_GROUP_OUT, DataJob, Job
from zoo.errors import UsageError, nearest_name, unknown

THRESHOLDS = ("accuracy", "f1", "balanced_accuracy", "cost=FALSE_POSITIVE:FALSE_NEGATIVE")
Baselines = Literal["quick", "all", "none"]
SEARCHES = ("random", "bayesian", "hyperband", "grid", "asha")


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


class TuneJob(TrainJob):
    """A search over a model's hyperparameters.

    Args:
        trials: Most sets of hyperparameters that are tried.
        workers: Trials that run at the same time, each in a process of its own.
        search: ``random``, ``bayesian``, ``hyperband``, ``grid``, ``asha``, or ``module:Class`` of an oracle of
            KerasTuner's kind.
        time_budget: Most time of the search in all, such as ``20m`` or ``1h30m``; trials end with the epoch that
            they are in.
        trial_timeout: Most time of one trial; one that takes longer fails alone.
        memory: Most memory of one trial's data, such as ``2GiB``; one that needs more fails alone.
        start: Hyperparameters to try first, after the model's own default, such as ``units=128,dropout=0.2``.
        start_from: A run, or a search, whose best hyperparameters are tried first.
        fresh: Forget an earlier search of the same name or job, and begin anew; its runs stay.
    """

    command: Literal["tune"] = "tune"  # type: ignore[assignment]
    seeds: None = None
    repeats: None = None
    trials: int = Field(20, ge=1)
    workers: int = Field(1, ge=1)
    search: str = "random"
    time_budget: str | None = None
    trial_timeout: str | None = None
    memory: str | None = None
    start: tuple[dict[str, Any], ...] = ()
    start_from: str | None = None
    fresh: bool = False

    @field_validator("search")
    @classmethod
    def _known_search(cls, value: str) -> str:
        if value not in SEARCHES and not re.fullmatch(r"[\w.]+:\w+", value):
            raise unknown("search", value, (*SEARCHES, "module:Class"), where="search")
        return value

    @field_validator("time_budget", "trial_timeout", mode="before")
    @classmethod
    def _known_duration(cls, value: Any, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if seconds_in(str(value)) <= 0:
            raise UsageError(f"received {value!r}; it must be a time such as 90s, 20m or 1h30m", where=info.field_name)
        return str(value)

    @field_validator("memory", mode="before")
    @classmethod
    def _known_memory(cls, value: Any) -> str | None:
        if value is not None and bytes_in(str(value)) <= 0:
            raise UsageError(f"received {value!r}; it must be a size such as 2GiB or 500MB", where="memory")
        return None if value is None else str(value)

    @field_validator("start", mode="before")
    @classmethod
    def _several_starts(cls, value: Any) -> Any:
        several = value if isinstance(value, (list, tuple)) else (value,)
        return tuple(values_in(one) if isinstance(one, str) else one for one in several)

    @model_validator(mode="after")
    def _starts_fit(self) -> TuneJob:
        if self.search == "grid" and (self.start or self.start_from):
            raise UsageError("a grid is tried in its own order, and takes no starting points", where="start")
        return self


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
    """A model's hyperparameters and, given data, its layers."""

    command: Literal["show"] = "show"
    model: str
    source: Any = None
    hyperparameters: dict[str, Any] = Field(default_factory=dict)


class RunsJob(Job):
    """The runs that were tracked."""

    command: Literal["runs"] = "runs"
    experiment: str | None = None
    limit: int = Field(20, ge=1)


class BestJob(Job):
    """The best run of an experiment, ranked by validation."""

    command: Literal["best"] = "best"
    experiment: str | None = None
    metric: str | None = None


AnyJob = TrainJob | TuneJob | PredictJob | ReportJob | ListJob | ShowJob | RunsJob | BestJob
JOBS: dict[str, type[Job]] = {
    "train": TrainJob,
    "tune": TuneJob,
    "predict": PredictJob,
    "data": ReportJob,
    "list": ListJob,
    "show": ShowJob,
    "runs": RunsJob,
    "best": BestJob,
}
_UNITS_OF_TIME = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS_OF_SIZE = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PASSWORD = re.compile(r"^([a-z][\w+.-]*://[^:/@?]*):[^@/?]*@", re.IGNORECASE)
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


def values_in(text: str) -> dict[str, Any]:
    """Return names and values of a text such as ``units=128,dropout=0.2``.

    Raises:
        UsageError: When a piece is no ``NAME=VALUE``.
    """
    pairs = [piece.partition("=") for piece in text.split(",")]
    for name, sign, _ in pairs:
        if not sign or not name.strip():
            raise UsageError(f"received {text!r}; it must be NAME=VALUE,NAME=VALUE", where="start")
    return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}


def seconds_in(text: str) -> float:
    """Return a time in seconds; 0 for a text that is none.

    Example:
        >>> seconds_in("1h30m"), seconds_in("90"), seconds_in("soon")
        (5400.0, 90.0, 0.0)
    """
    number = r"(\d+(?:\.\d+)?)"
    if re.fullmatch(number, text):
        return float(text)
    if not re.fullmatch(f"({number}[smhd])+", text):
        return 0.0
    return sum(float(value) * _UNITS_OF_TIME[unit] for value, unit in re.findall(number + "([smhd])", text))


def bytes_in(text: str) -> int:
    """Return a size in bytes; 0 for a text that is none.

    Example:
        >>> bytes_in("1.5GiB"), bytes_in("500MB"), bytes_in("much")
        (1610612736, 500000000, 0)
    """
    matched = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kKMG]i?B|B?)", text)
    return int(float(matched[1]) * _UNITS_OF_SIZE.get(matched[2], 0)) if matched else 0


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


def _in_words(value: Any) -> str | None:
    if value is None or isinstance(value, (str, Path)):
        # A password is its owner's alone: a job that is kept has none, and runs again with one from the environment.
        return None if value is None else _PASSWORD.sub(r"\1@", str(value))
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
