"""What all commands share: running a job and printing its result."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from zoo.jobs.commands import find_command
from zoo.quiet_import import import_tensorflow

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on standard output.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print a line for each epoch or trial.")]


def carry_out(job: Any, as_json: bool, verbose: bool) -> int:
    """Run a job, print its result, and return the exit status."""
    _check_names(job)
    if not find_command(job.command).light:
        import_tensorflow()
    from zoo.running.run_job import run_job

    result = run_job(job, verbose=verbose, quiet=as_json)
    if result is not None:
        print_result(result, as_json)
    return 1 if getattr(result, "failed", False) else 0


def _check_names(job: Any) -> None:
    """Raise an error for an unknown model or file before TensorFlow is loaded, which takes seconds."""
    from zoo.registry import match_entries

    if isinstance(getattr(job, "model", None), str) and not getattr(job, "names_a_run", False):
        match_entries(job.model)
    sources = [source for name in ("source", "test") if (source := getattr(job, name, None)) is not None]
    if sources:
        from zoo.data.sources.read import check_there

        for source in sources:
            check_there(source, getattr(job, "data_dir", None))


def print_result(result: Any, as_json: bool) -> None:
    """Print a result for people, or as JSON: one with ``as_dict`` and a text, or a dictionary."""
    values = result if isinstance(result, dict) else None
    if as_json:
        print_json(result.as_dict() if values is None else values)
    elif text := str(result) if values is None else "\n".join(f"{name}: {value}" for name, value in values.items()):
        print(text)


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(values, ensure_ascii=False, allow_nan=False))
