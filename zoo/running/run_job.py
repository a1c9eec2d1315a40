"""`zoo.run_job`: run a job of any command, also of one that a task declares."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.jobs.commands import find_command
from zoo.jobs.job import Job, gather_options, make_job
from zoo.jobs.job_file import read_job


def run_job(job: Job | str | Path, *, verbose: bool = False, quiet: bool = False, **keys: Any) -> Any:
    """Run a job of any command and return its result.

    Args:
        job: A job, the path of a YAML file, or the name of a command, whose keys follow as keywords.
        verbose: Print a line for each epoch or trial.
        quiet: Print nothing.
        **keys: The job's keys, if ``job`` is the name of a command.

    Raises:
        ZooError: As the command's own function does.

    Example:
        >>> len(run_job("list", pattern="classification/*").models) > 1
        True
    """
    if not isinstance(job, Job):
        job = _job_of(job, keys)
    elif keys:
        raise UsageError(f"a job has its own keys; leave out {', '.join(keys)}", where="keys")
    command = find_command(job.command)  # type: ignore[attr-defined]
    function = command.function
    accepted = inspect.signature(function).parameters
    shown = {"verbose": verbose, "quiet": quiet}
    return function(job, **{name: value for name, value in shown.items() if name in accepted})


def _job_of(job: str | Path, keys: dict[str, Any]) -> Job:
    if isinstance(job, Path) or job.endswith((".yaml", ".yml")):
        if keys:
            raise UsageError(f"a file has its own keys; leave out {', '.join(keys)}", where=str(job))
        return read_job(job)
    kind = find_command(job).job_class
    return make_job(kind, gather_options(kind, keys))
