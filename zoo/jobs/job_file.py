"""Jobs in YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.jobs.commands import COMMANDS, find_command
from zoo.jobs.job import make_job
from zoo.small_files import read_small_text
from zoo.yaml_text import parse_yaml


def read_job(path: str | Path) -> Any:
    """Read a job from a YAML file; its key ``command`` says which kind it is.

    Raises:
        UsageError: A file that is missing, not a regular file, too large or not valid YAML (with line and column), or a
            job that is not valid.
    """
    values = parse_yaml(read_small_text(Path(path), "the job"), where=str(path))
    if not isinstance(values, dict):
        raise UsageError("a job must consist of keys and values, such as 'command: train'", where=str(path))
    command = values.get("command")
    if command is None:
        names = ", ".join(command.name for command in COMMANDS)
        raise UsageError(f"the key 'command' is missing; known: {names}", where=str(path))
    return make_job(find_command(str(command), where=str(path)).job_class, values, where=str(path))
