"""The job: all that a run needs as one typed object, the same from Python, YAML and the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from zoo.errors import UsageError, nearest_name, unknown
from zoo.text import without_password


class Job(BaseModel):
    """What all jobs share: unknown keys are errors, and values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), frozen=True)


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


def names_among(value: Any, what: str, names: Sequence[str], *, where: str) -> tuple[str, ...]:
    """Return names as a list, or a text with commas, says them.

    Args:
        value: The list or text.
        what: What such a name is the name of.
        names: Those that there are.
        where: The job's key, for the error.

    Raises:
        UsageError: When there is no such name; with the nearest.
    """
    chosen = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else tuple(value)
    for name in chosen:
        if name not in names:
            raise unknown(what, str(name), names, where=where)
    return chosen
