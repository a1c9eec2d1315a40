"""The application: commands made from the table, errors and exit statuses."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from zoo.cli.printing import print_json
from zoo.errors import JobError, UsageError, ZooError
from zoo.jobs.commands import find_command, list_commands
from zoo.text import is_utf_8
from zoo.tracking.store_failures import explain_failure, remember_store
from zoo.version import __version__

INTERRUPTED = 130


class TableOfCommands(TyperGroup):
    """The commands of the table, each made from its job's class only when it is called."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        command = find_command(cmd_name)
        from zoo.cli.job_command import create_command

        return create_command(command)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the name and help of each command, without making it."""
        by_hand = {name: command.help for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(list(({command.name: command.help for command in list_commands()} | by_hand).items()))


app = typer.Typer(
    name="zoo",
    cls=TableOfCommands,
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


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong use or bad input, 130 interrupted."""
    sys.exit(_guarded(lambda: app(standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    """Call a command; turn its errors into a message and an exit status."""
    remember_store(None)
    try:
        if os.getcwd() not in sys.path:  # modules of the user's own are found, as by `python -m zoo`
            sys.path.append(os.getcwd())
        status = command()
        sys.stdout.flush()
        if status == INTERRUPTED:  # Typer catches Ctrl-C and returns this status
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except ZooError as error:
        return _complain(explain_failure(error) or error)
    except TyperException as error:
        return _complain(UsageError(getattr(error, "format_message", error.__str__)()))
    except (KeyboardInterrupt, typer.Abort):
        return _complain(JobError("interrupted"), status=INTERRUPTED)
    except BrokenPipeError:  # the reader has closed the pipe, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if (failure := explain_failure(error)) is not None:
            return _complain(failure)
        where = str(error.filename) if error.filename else None
        return _complain(JobError(error.strerror or str(error), where=where))
    except Exception as error:
        if os.environ.get("ZOO_DEBUG"):
            raise
        if isinstance(error, UnicodeEncodeError) and not is_utf_8(error.object):  # the name of a folder
            return _complain(UsageError(f"{error.object!r} is not valid UTF-8; rename the file or folder"))
        if (failure := explain_failure(error)) is not None:
            return _complain(failure)
        text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return _complain(JobError(f"{text} (set ZOO_DEBUG=1 for the traceback)", where=_place_of(error)))


def _place_of(error: BaseException) -> str | None:
    """Return the last line of a user's file in an error's traceback; None if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    libraries = (str(Path(__file__).parents[1]), sys.prefix, sys.base_prefix, "<")
    places = [frame for frame in frames if not frame.filename.startswith(libraries)]
    return f"{places[-1].filename}, line {places[-1].lineno}" if places else None


def _complain(error: ZooError, status: int | None = None) -> int:
    if "--json" in sys.argv:
        print_json({"error": error.as_dict()})
    else:
        print(f"zoo: {error}", file=sys.stderr)
    return error.exit_status if status is None else status
