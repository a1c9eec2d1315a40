"""The command-line command of a job: its arguments and options are the fields of the job's class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from zoo.cli.printing import Json, Verbose, carry_out
from zoo.errors import UsageError
from zoo.jobs.commands import Command
from zoo.jobs.job import make_job
from zoo.jobs.option import Option, list_options

TASK_OPTIONS = "zoo.options"
ARGUMENTS, OTHERS = "Arguments", "Options"  # the first and the last heading
MOST_SHOWN = 3  # options in the message of a wrong argument


class ThemedCommand(TyperCommand):
    """A command whose help lists its options under headings.

    Attributes:
        themes: Heading of each option, by the name of its parameter.
    """

    themes: Mapping[str, str] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words; refuse those that no argument is left for.

        Raises:
            UsageError: With the arguments of the command, and its options if they are few.
        """
        ctx.allow_extra_args = True
        rest: list[str] = super().parse_args(ctx, args)
        if not rest:
            return rest
        parameters = self.get_params(ctx)
        arguments = [parameter.name.upper() for parameter in parameters if parameter.param_type_name == "argument"]
        options = [p for p in parameters if p.param_type_name == "option" and not getattr(p, "is_flag", False)]
        forms = [f"[{option.opts[0]} {option.metavar or 'N'}]" for option in options]
        if len(forms) > MOST_SHOWN:
            forms = [f"[OPTIONS]; zoo {self.name} --help lists the options"]
        raise UsageError(
            f"unexpected argument {rest[0]!r}; usage: {' '.join([f'zoo {self.name}', *arguments, *forms])}"
        )

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then the options of each heading, in the order of the job's fields."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            is_argument = parameter.param_type_name == "argument"
            theme = ARGUMENTS if is_argument else self.themes.get(parameter.name, OTHERS)
            if (record := parameter.get_help_record(ctx)) is not None:
                sections.setdefault(theme, []).append(record)
        for heading in sorted(sections, key=lambda name: (name != ARGUMENTS, name == OTHERS)):
            with formatter.section(heading):
                formatter.write_dl(sections[heading])


class TaskCommand(ThemedCommand):
    """A command that passes on unknown options, which may be options of the model's task.

    Each takes a value, ``--name VALUE`` or ``--name=VALUE``; without a value it is ``true``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Collect the task's options, then parse the others."""
        names = {name for parameter in self.get_params(ctx) for name in parameter.opts + parameter.secondary_opts}
        task_options: dict[str, list[str]] = {}
        arguments: list[str] = []
        remaining = list(args)
        while remaining:
            word = remaining.pop(0)
            name, sign, value = word.partition("=")
            if not word.startswith("--") or word == "--" or name in names:
                arguments.append(word)
                if word in names and remaining and self._takes_value(ctx, word):
                    arguments.append(remaining.pop(0))
                continue
            if not sign:
                value = remaining.pop(0) if remaining and not remaining[0].startswith("--") else "true"
            task_options.setdefault(name.removeprefix("--").replace("-", "_"), []).append(value)
        ctx.meta[TASK_OPTIONS] = {
            name: values[0] if len(values) == 1 else values for name, values in task_options.items()
        }
        return super().parse_args(ctx, arguments)

    def _takes_value(self, ctx: Any, word: str) -> bool:
        return any(word in p.opts and not getattr(p, "is_flag", False) for p in self.get_params(ctx))


def create_command(command: Command) -> Any:
    """Return typer's command for a job."""
    kind = command.job_class
    has_task_options = "options" in kind.model_fields

    def run(context: typer.Context, **given: Any) -> int:
        as_json, verbose = given.pop("as_json", False), given.pop("verbose", False)
        values = {name: value for name, value in given.items() if value not in (None, [])}
        if context.meta.get(TASK_OPTIONS):
            values["options"] = context.meta[TASK_OPTIONS]
        if "resume" not in values:
            _check_arguments(command, values)
        return carry_out(make_job(kind, values), as_json, verbose)

    parameters = [_parameter("context", typer.Context, ...)]
    parameters += [_parameter_of(name, field, form) for name, (field, form) in list_options(kind).items()]
    flags = {"verbose": ("verbose", Verbose), "json": ("as_json", Json)}
    parameters += [_parameter(*flags[flag], False) for flag in command.flags]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    shown_by = "RUN" if "run" in kind.model_fields else "MODEL"
    epilog = f"Options of the model's task, such as --clusters 10, are listed by: zoo show {shown_by}"
    themes = {name: form.theme for name, (_, form) in list_options(kind).items()}
    base = TaskCommand if has_task_options else ThemedCommand
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(
        command.name,
        cls=type(base.__name__, (base,), {"themes": themes}),
        help=command.help,
        epilog=epilog if has_task_options else None,
    )(run)
    return typer.main.get_command(app)


def _check_arguments(command: Command, values: dict[str, Any]) -> None:
    """Raise an error for an argument that only a job that resumes does not need."""
    needed = [name for name, (field, _) in list_options(command.job_class).items() if field.is_required()]
    missing = next((name for name in needed if values.get(name) is None), None)
    if missing is not None:
        usage = f"zoo {command.name} {' '.join(map(str.upper, needed))}"
        raise UsageError(f"{missing.upper()} is missing: {usage}; zoo list shows the models")


def _parameter_of(name: str, field: FieldInfo, form: Option) -> inspect.Parameter:
    annotation, choices = _typed(field)
    metavar = form.metavar or choices
    if form.positional:
        argument = typer.Argument(metavar=metavar, help=field.description)
        annotated: Any = Annotated[annotation if form.needed else annotation | None, argument]
        return _parameter(name, annotated, ... if form.needed else None)
    spelling = form.name or "--" + name.replace("_", "-")
    if annotation is bool and field.default is not False:
        spelling = f"{spelling}/--no-{spelling.removeprefix('--')}"
    if annotation in (int, float):
        metavar, parser = metavar or f"<{annotation.__name__}>", _create_parser(annotation, name)
        typed = typer.Option(spelling, metavar=metavar, help=_describe(field), parser=parser)
    else:
        typed = typer.Option(spelling, metavar=metavar, help=_describe(field))
    return _parameter(name, Annotated[annotation | None, typed])


def _create_parser(kind: Any, name: str) -> Callable[[Any], Any]:
    """Return the function that reads a number, whose error says what was received."""

    def parse(value: Any) -> Any:
        try:
            return kind(value)
        except ValueError:
            number = "integer" if kind is int else "number"
            raise UsageError(f"received {value!r}; input should be a valid {number}", where=name) from None

    return parse


def _describe(field: FieldInfo) -> str:
    """Return the help of an option, with its default where the text does not say it."""
    description = field.description or ""
    plain = isinstance(field.default, (str, int, float)) and not isinstance(field.default, bool)
    if not plain or not field.default or "default" in description:
        return description
    return f"{description.rstrip('.')}; default {field.default}."


def _typed(field: FieldInfo) -> tuple[Any, str | None]:
    """Return the type of a field's text on the command line, and its choices if they are given by a ``Literal``."""
    union = get_origin(field.annotation) in (Union, UnionType)
    kinds = [kind for kind in (get_args(field.annotation) if union else (field.annotation,)) if kind is not type(None)]
    if len(kinds) != 1:
        return str, None
    (kind,) = kinds
    if get_origin(kind) is Literal:
        return str, "|".join(map(str, get_args(kind)))
    if get_origin(kind) in (tuple, list, dict):
        return list[str], None
    return kind if kind in (bool, int, float) else str, None


def _parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is ... else default,
        annotation=annotation,
    )
