"""The base of all jobs: a typed object, the same from Python, YAML and the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from zoo.errors import UsageError, describe_unknown, find_nearest_name, shorten_value
from zoo.text import is_utf_8, remove_passwords


class Job(BaseModel):
    """Base of all jobs: unknown keys are errors, and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _in_utf_8(cls, values: Any) -> Any:
        for key, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, (str, Path)) and not is_utf_8(str(value)):
                message = "names of files and other texts must be valid UTF-8"
                raise UsageError(f"{key}: received {shorten_value(str(value))}; {message}")
        return values


J = TypeVar("J", bound=Job)
_MAY_BE_IN_MEMORY = ("source", "test", "input", "model")


def make_job(kind: type[J], values: dict[str, Any], *, where: str | None = None) -> J:
    """Create a job from its keys and values, validated.

    Args:
        kind: The job's class.
        values: Keys and values; ``None`` stands for the default.
        where: Where the values come from, for the error.

    Raises:
        UsageError: With the key, the received value, the allowed values and the nearest name.

    Example:
        >>> from zoo.jobs.fit_options import TrainJob
        >>> make_job(TrainJob, {"model": "classification/mlp", "source": "wine"}).seed
        0
    """
    try:
        return kind(**{str(key): value for key, value in values.items() if value is not None})
    except ValidationError as error:
        raise _explained(error, kind, where) from None


def gather_options(kind: type[Job], values: dict[str, Any]) -> dict[str, Any]:
    """Move keys that the job does not know into its ``options``, which the task checks.

    Args:
        kind: The job's class; without ``options`` nothing is moved.
        values: Keys and values from Python or the command line.

    Example:
        >>> from zoo.jobs.fit_options import TrainJob
        >>> gather_options(TrainJob, {"source": "digits", "clusters": 10})
        {'source': 'digits', 'options': {'clusters': 10}}
    """
    if "options" not in kind.model_fields:
        return values
    job_values = {key: value for key, value in values.items() if key in kind.model_fields}
    task_options = {key: value for key, value in values.items() if key not in job_values and value is not None}
    return (
        {**job_values, "options": {**(job_values.get("options") or {}), **task_options}} if task_options else job_values
    )


def format_job(job: BaseModel) -> str:
    """Return a job as YAML that :func:`read_job` reads; data in memory are replaced by a description."""
    values = {}
    for key, field in type(job).model_fields.items():
        value = (_in_words if key in _MAY_BE_IN_MEMORY else _plain)(getattr(job, key))
        if field.is_required() or value != _plain(field.get_default(call_default_factory=True)):
            values[key] = value
    return yaml.safe_dump({"command": getattr(job, "command"), **values}, sort_keys=False, allow_unicode=True)  # noqa: B009


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Real):  # YAML does not write NumPy's numbers as Python's
        return int(value) if isinstance(value, Integral) else float(value)
    return _in_words(value)


def _in_words(value: Any) -> str | None:
    if value is None or isinstance(value, (str, Path)):
        # A stored job has no password; to run it again, the password comes from the environment.
        return None if value is None else remove_passwords(str(value))
    return f"({type(value).__name__} in memory)"


def _explained(error: ValidationError, kind: type[Job], where: str | None) -> UsageError:
    """Turn pydantic's list of errors into one message about the first."""
    errors = error.errors()
    first = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UsageError):
        return UsageError(cause.message, where=where or cause.where, nearest=cause.nearest)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        names = list(kind.model_fields)
        message = f"unknown key {key!r}; known: {', '.join(names)}"
        return UsageError(message, where=where, nearest=find_nearest_name(key, names))
    if first["type"] == "missing":
        return UsageError(f"the key {key!r} is missing", where=where)
    received = first["input"]
    same = [item for item in error.errors() if item["loc"][0] == first["loc"][0] and item["input"] == received]
    if len(same) > 1:  # the value fits none of several types
        key = str(first["loc"][0])
    others = [item["msg"].removeprefix("Input should ") for item in same[1:]]
    allowed = " or ".join([first["msg"][0].lower() + first["msg"][1:], *others])
    nearest = None
    if first["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        nearest = find_nearest_name(str(received), choices)
    return UsageError(f"{key}: received {shorten_value(received)}; {allowed}", where=where, nearest=nearest)


def parse_names(value: Any, what: str, names: Sequence[str], *, where: str) -> tuple[str, ...]:
    """Parse a list of names, or a text with commas, and check each name.

    Args:
        value: The list or text.
        what: The kind of name, for the error.
        names: The allowed names.
        where: The job's key, for the error.

    Raises:
        UsageError: When there is no such name, with the nearest.
    """
    chosen = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else tuple(value)
    for name in chosen:
        if name not in names:
            raise describe_unknown(what, str(name), names, where=where)
    return chosen
