"""One function for each command: called with a job, or from Python with the job's keys as keywords."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

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
            keys = signature.bind(*values, **keywords).arguments
            keys |= keys.pop(_OTHERS, {})
            of_function = {p.name: keys.pop(p.name) for p in parameters if p.name in keys}
            return function(make_job(kind, gather_options(kind, keys)), **of_function)

        call.__signature__ = signature  # type: ignore[attr-defined]
        call.__doc__ = f"{inspect.getdoc(function)}\n\n{_documented(kind)}"
        return call

    return decorate


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
