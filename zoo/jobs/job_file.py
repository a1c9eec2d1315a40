"""Jobs in YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from zoo.errors import UsageError
from zoo.jobs.commands import COMMANDS, find_command
from zoo.jobs.job import make_job


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
    if command is None:
        names = ", ".join(command.name for command in COMMANDS)
        raise UsageError(f"the key 'command' is missing; known: {names}", where=str(path))
    return make_job(find_command(str(command), where=str(path)).job_class, values, where=str(path))
