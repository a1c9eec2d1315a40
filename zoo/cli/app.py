"""The application, and what all commands share: printing, running a job, errors and exit statuses."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from zoo.errors import JobError, UsageError, ZooError
from zoo.quiet_import import import_tensorflow
from zoo.version import __version__

INTERRUPTED = 130
app = typer.Typer(
    name="zoo",
    help="Train, tune, compare and serve Keras models; every run is tracked in MLflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"zoo {__version__}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None: ...


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on standard output.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print a line for each epoch or trial.")]


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong use or bad input, 130 interrupted."""
    sys.exit(_guarded(lambda: app(standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    """Call a command; turn its errors into a message and an exit status."""
    try:
        status = command()
        sys.stdout.flush()
        if status == INTERRUPTED:  # Typer catches Ctrl-C and returns this status
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except ZooError as error:
        return _complain(error)
    except TyperException as error:
        return _complain(UsageError(getattr(error, "format_message", error.__str__)()))
    except (KeyboardInterrupt, typer.Abort):
        return _complain(JobError("interrupted"), status=INTERRUPTED)
    except BrokenPipeError:  # the reader has closed the pipe, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = str(error.filename) if error.filename else None
        return _complain(JobError(error.strerror or str(error), where=where))
    except Exception as error:
        if os.environ.get("ZOO_DEBUG"):
            raise
        text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return _complain(JobError(f"{text} (set ZOO_DEBUG=1 for the traceback)"))


def _complain(error: ZooError, status: int | None = None) -> int:
    if "--json" in sys.argv:
        print_json({"error": error.as_dict()})
    else:
        print(f"zoo: {error}", file=sys.stderr)
    return error.exit_status if status is None else status


def run_job(values: dict[str, Any], as_json: bool, verbose: bool = False) -> int:
    """Validate the keys of a job, run it, print its result, and return the exit status."""
    from zoo.jobs.commands import JOBS
    from zoo.jobs.job import make_job

    return carry_out(make_job(JOBS[values["command"]], values), as_json, verbose)


def carry_out(job: Any, as_json: bool, verbose: bool) -> int:
    """Run a job, print its result, and return the exit status."""
    _check_names(job)
    import_tensorflow()
    from zoo.cli.execute import execute

    result = execute(job, verbose=verbose, quiet=as_json)
    print_result(result, as_json)
    return 1 if getattr(result, "failed", False) else 0


def _check_names(job: Any) -> None:
    """Raise an error for an unknown model or file before TensorFlow is loaded, which takes seconds."""
    from zoo.data.sources.read import check_there
    from zoo.registry import matching_entries

    if isinstance(getattr(job, "model", None), str) and not getattr(job, "names_a_run", False):
        matching_entries(job.model)
    for source in ("source", "test"):
        check_there(getattr(job, source, None), getattr(job, "data_dir", None))


def print_result(result: Any, as_json: bool) -> None:
    """Print a result for people, or as JSON."""
    if as_json:
        print_json(result.as_dict())
    elif str(result):
        print(result)


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(values, ensure_ascii=False, allow_nan=False))


def given_values(**options: Any) -> dict[str, Any]:
    """Return the options that are set."""
    return {name: value for name, value in options.items() if value not in (None, [], {})}
