"""Dataclasses from JSON of a file that may have been changed: each value is checked by its annotation."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from zoo.errors import UsageError

T = TypeVar("T")


def create_checked(kind: type[T], values: Any) -> T:
    """Return an instance of a dataclass; lists become tuples.

    Args:
        kind: The dataclass.
        values: Its values by name, as from JSON.

    Raises:
        UsageError: If a name is unknown or missing, or a value has another type.

    Example:
        >>> from zoo.spec import Target
        >>> create_checked(Target, {"name": "rich", "kind": "class", "classes": ["no", "yes"]}).classes
        ('no', 'yes')
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([kind.__name__, *map(str, first["loc"])])
        raise UsageError(f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
