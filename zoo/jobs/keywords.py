"""One function for each command: called with a job, or from Python with the job's keys as keywords."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from zoo.errors import UsageError
from zoo.jobs.job import Job, gather_options, make_job
from zoo.jobs.option import list_options

R = TypeVar("R")
_OTHERS = "task_options"


def accept_keywords(kind: type[Job], *positional: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Let a function that runs a job be called with the job's keys too, and append them to its docstring.

    The function's own keyword parameters, such as ``quiet``, stay its own. Other keywords are keys of the job, and if
    it has ``options``, those that it does not know are options of the task.

    Args:
        kind: The job's class.
        *positional: Keys that may be given without a name, in order.

    Example:
        >>> from zoo.jobs.run_jobs import BestJob
        >>> @accept_keywords(BestJob, "experiment")
        ... def experiment_of(job, *, quiet=False):
        ...     return job.experiment
        >>> experiment_of("wine", quiet=True), experiment_of(BestJob(experiment="iris"))
        ('wine', 'iris')
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        signature = _signature(kind, positional, parameters)

        @functools.wraps(function)
        def call(*values: Any, **keywords: Any) -> R:
            if values and isinstance(values[0], kind):
                return function(*values, **keywords)
            if "source" in positional:
                values, keywords = _pair_with_target(values, keywords, positional)
            try:
                keys = signature.bind(*values, **keywords).arguments
            except TypeError as error:
                if "source" not in positional:
                    raise
                taken = ", ".join(positional) + (", y" if positional[-1] == "source" else "")
                message = f"{error}; without a name: {taken}; the other keys by name, such as seed=1"
                raise UsageError(message, where=f"zoo.{function.__name__}") from None
            keys |= keys.pop(_OTHERS, {})
            of_function = {p.name: keys.pop(p.name) for p in parameters if p.name in keys}
            return function(make_job(kind, gather_options(kind, keys)), **of_function)

        call.__signature__ = signature  # type: ignore[attr-defined]
        call.__doc__ = f"{inspect.getdoc(function)}\n\n{_documented(kind)}"
        return call

    return decorate


def _pair_with_target(
    values: tuple[Any, ...], keywords: dict[str, Any], positional: tuple[str, ...]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments in which examples and their targets, such as ``X, y``, are one source ``(X, y)``.

    The targets are ``y``, the value after the source, or ``target`` if it is an array. A text after the source is the
    name of the target column.
    """
    place, keywords = positional.index("source"), dict(keywords)
    for name in ("X", "x"):
        if name in keywords and "source" not in keywords and len(values) <= place:
            keywords["source"] = keywords.pop(name)
    after, y = values[place + 1 : place + 2], keywords.pop("y", None)
    is_last = place == len(positional) - 1
    if y is None and after and _is_array(after[0], lists=is_last):
        y, values = after[0], values[: place + 1] + values[place + 2 :]
    elif is_last and after and isinstance(after[0], str) and "target" not in keywords:
        keywords["target"], values = after[0], values[: place + 1] + values[place + 2 :]
    if y is None and hasattr(keywords.get("target"), "shape"):
        y = keywords.pop("target")
    if y is None:
        return values, keywords
    x = values[place] if len(values) > place else keywords.get("source")
    if isinstance(y, str):
        raise UsageError(f"received {y!r}; name the target column by target={y!r}", where="y")
    if x is None or isinstance(x, str) or hasattr(x, "__fspath__"):
        raise UsageError("it needs examples in memory: X, y; of a file, name the column by target=", where="y")
    if len(values) > place:
        return (*values[:place], (x, y), *values[place + 1 :]), keywords
    return values, {**keywords, "source": (x, y)}


def _is_array(value: Any, *, lists: bool) -> bool:
    """Return whether a value is an array, a series or a frame, or a list that may be one."""
    if isinstance(value, (list, tuple)):
        return lists or (len(value) > 0 and not isinstance(value[0], str) and hasattr(value[0], "__float__"))
    return hasattr(value, "shape") and hasattr(value, "__len__") and not isinstance(value, Mapping)


def _signature(kind: type[Job], positional: tuple[str, ...], parameters: list[inspect.Parameter]) -> inspect.Signature:
    """Return the signature with keywords: positional keys, the function's own parameters, the other keys."""
    options = list_options(kind, hidden=True)

    def parameter(name: str, kind: Any) -> inspect.Parameter:
        field, form = options[name]
        default = inspect.Parameter.empty if form.needed else None if field.is_required() else field.default
        return inspect.Parameter(name, kind, default=default, annotation=field.annotation)

    taken = {*positional, *(p.name for p in parameters)}
    return inspect.Signature(
        [
            *(parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in positional),
            *parameters,
            *(parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in options if name not in taken),
            *([inspect.Parameter(_OTHERS, inspect.Parameter.VAR_KEYWORD)] if "options" in kind.model_fields else []),
        ]
    )


def _documented(kind: type[Job]) -> str:
    lines = [f"    {name}: {field.description}" for name, (field, _) in list_options(kind, hidden=True).items()]
    return "\n".join(["Keys of the job:", *lines])
