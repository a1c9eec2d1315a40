"""Dataclasses from JSON of a file that may have been changed: each value is checked by its annotation."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

from pydantic import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeAdapter, ValidationError

from zoo.errors import UsageError

T = TypeVar("T")


@cache
def _create_adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the adapter of a dataclass, which takes a millisecond to make."""
    return TypeAdapter(kind)


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
        adapter = _create_adapter(cast("Any", kind))
    except (
        PydanticSchemaGenerationError,
        PydanticUndefinedAnnotation,
    ):  # a kind of a user's own task, with annotations that are no plain types
        return kind(**values)
    try:
        validated: T = adapter.validate_python(values)
        return validated
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([kind.__name__, *map(str, first["loc"])])
        raise UsageError(f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
