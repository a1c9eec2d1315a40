"""How a job's field is written on the command line; declared on the field itself."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo

from zoo.errors import UsageError

_KEY = "option"


@dataclass(frozen=True)
class Option:
    """The form of a field on the command line.

    Args:
        metavar: What stands for the value in ``--help``; default by the type.
        name: The option; default the field's name with ``--`` and hyphens.
        positional: Whether it is an argument without a name, as a required field always is.
        shown: Whether the command line has it.
        theme: Heading that it stands under in ``--help``.
        needed: Whether it must be given; no field must be if the job can resume a run, whose job has the rest.
    """

    metavar: str | None = None
    name: str | None = None
    positional: bool = False
    shown: bool = True
    theme: str = "Options"
    needed: bool = False


def declare_option(
    default: Any,
    description: str = "",
    *,
    theme: str = "Options",
    metavar: str | None = None,
    name: str | None = None,
    positional: bool = False,
    shown: bool = True,
    **limits: Any,
) -> Any:
    """Return a pydantic field with its description for ``--help`` and its form on the command line.

    Args:
        default: The default; ``...`` for a required field.
        description: What the option means.
        theme, metavar, name, positional, shown: See :class:`Option`.
        **limits: Limits of the value, as pydantic's ``Field`` takes them, such as ``ge=1``.
    """
    form = Option(metavar, name, positional or default is ..., shown, theme)
    return Field(default, description=description, json_schema_extra={_KEY: form}, **limits)  # type: ignore[dict-item]


def list_options(kind: type[Any], *, hidden: bool = False) -> dict[str, tuple[FieldInfo, Option]]:
    """Return a job's fields with their form, the class's own before those that it inherits.

    Args:
        kind: The job's class. A field of it that can only be None is one that it does not take.
        hidden: Also those that the command line does not have.
    """
    names = dict.fromkeys(name for class_ in kind.__mro__ for name in inspect.get_annotations(class_))
    fields = {name: kind.model_fields[name] for name in names if name in kind.model_fields and name != "command"}
    forms = {name: _form(field) for name, field in fields.items() if field.annotation is not type(None)}
    return {
        name: (fields[name], replace(form, needed=fields[name].is_required() and "resume" not in forms))
        for name, form in forms.items()
        if form.shown or hidden
    }


def _form(field: FieldInfo) -> Option:
    extra = field.json_schema_extra
    form = extra.get(_KEY) if isinstance(extra, dict) else None
    return form if isinstance(form, Option) else Option(positional=field.is_required())


def create_pair_validator(option_name: str, example: str) -> BeforeValidator:
    """Return a validator that reads a list of ``NAME=VALUE`` texts, as the command line gives them, as a dictionary."""
    return BeforeValidator(lambda value: parse_pairs(value, option_name, example))


def parse_pairs(texts: Any, option_name: str, example: str) -> Any:
    """Parse ``NAME=VALUE`` texts into a dictionary; anything but a list of texts is returned as it is.

    Args:
        texts: The texts.
        option_name: The option, for the error.
        example: What is expected, for the error.

    Raises:
        UsageError: A text without a sign, or a name that is set twice.

    Example:
        >>> parse_pairs(["units=64", "layers=2"], "--set", "units=64")
        {'units': '64', 'layers': '2'}
    """
    if not isinstance(texts, list):
        return texts
    values: dict[str, str] = {}
    for text in texts:
        name, sign, value = str(text).partition("=")
        if not sign or not name:
            raise UsageError(f"received {text!r}; it must be NAME=VALUE, such as {example}", where=option_name)
        if name in values and values[name] != value:
            raise UsageError(f"{name} is set twice, to {values[name]} and to {value}", where=option_name)
        values[name] = value
    return values
