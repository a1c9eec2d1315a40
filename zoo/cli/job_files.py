"""The command ``run``, which takes files of jobs and is no job itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.app import app
from zoo.cli.printing import Json, Verbose, carry_out, print_result


@app.command("run")
def run_command(
    job: Annotated[list[Path], typer.Argument(help="Jobs as YAML files.")],
    jobs: Annotated[int, typer.Option(min=1, help="Number of jobs at the same time.")] = 1,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Run one or more jobs from YAML files; with several, a job that fails does not stop the others."""
    from zoo.jobs.job_file import read_job

    parsed = [read_job(path) for path in job]  # raises errors of all jobs before the first begins
    if len(parsed) == 1:
        return carry_out(parsed[0], as_json, verbose)
    from zoo.cli.queue import run_jobs

    outcomes = run_jobs(job, jobs, quiet=as_json)
    print_result(outcomes, as_json)
    return 1 if outcomes.failed else 0
