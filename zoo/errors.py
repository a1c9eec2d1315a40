"""The errors that zoo raises for people: what was wrong, where, what would be right, the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

MOST_LISTED = 8  # names or lines of evidence


class ZooError(Exception):
    """Base of the errors that zoo raises on purpose; each is one message for a person.

    Args:
        message: What was wrong and what would be right, in a sentence or two.
        where: File, column, key or row that the message is about.
        nearest: The valid name nearest to what was received.

    Example:
        >>> raise UsageError("unknown column 'agee'", where="titanic.csv", nearest="age")
        Traceback (most recent call last):
        ...
        zoo.errors.UsageError: titanic.csv: unknown column 'agee' (did you mean 'age'?)
    """

    kind = "error"
    exit_status = 1

    def __init__(self, message: str, *, where: str | None = None, nearest: str | None = None) -> None:
        self.message = message
        self.where = where
        self.nearest = nearest
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} (did you mean {self.nearest!r}?)" if self.nearest else text

    def __reduce__(self) -> tuple:
        """Survive the way through a pipe: exceptions are rebuilt from positional arguments only."""
        return _rebuild, (type(self), self.message, self.where, self.nearest)

    def as_dict(self) -> dict[str, str | None]:
        """Return the error as the command line prints it with ``--json``."""
        return {"kind": self.kind, "message": self.message, "where": self.where, "nearest": self.nearest}


def _rebuild(cls: type[ZooError], message: str, where: str | None, nearest: str | None) -> ZooError:
    return cls(message, where=where, nearest=nearest)


class UsageError(ZooError):
    """The request cannot be carried out as it stands: wrong name, value, option or combination."""

    kind = "usage"
    exit_status = 2


class DataError(UsageError):
    """The data cannot be used as they are: a missing file, an empty table, a constant target."""

    kind = "data"


class WrongSourceError(DataError):
    """The source is of a kind that this task does not read, and another may."""


class JobError(ZooError):
    """The request was right, and carrying it out failed: a full disk, a store that went away."""

    kind = "failed"
    exit_status = 1


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its type where it says nothing.

    Example:
        >>> first_line(ValueError("no such key\\nin all of it")), first_line(KeyError())
        ('no such key', 'KeyError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def listed(texts: Sequence[str], most: int = MOST_LISTED, separator: str = ", ") -> str:
    """Return the first of several texts, and how many more there are.

    Example:
        >>> listed(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    return separator.join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the valid name closest to ``name``, or None when none is close.

    Example:
        >>> nearest_name("clasification/mlp", ["classification/mlp", "regression/mlp"])
        'classification/mlp'
    """
    names = list(names)
    by_lower = {known.lower(): known for known in names}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def unknown(what: str, name: str, names: Iterable[str], *, where: str | None = None) -> UsageError:
    """Return the error for a name that is not among ``names``, listing them when they are few.

    Example:
        >>> str(unknown("split", "strat", ["random", "stratified"]))
        "unknown split 'strat'; known: random, stratified (did you mean 'stratified'?)"
    """
    names = list(names)
    known = ", ".join(names[:30]) + (f", … ({len(names)} in all)" if len(names) > 30 else "")
    message = f"unknown {what} {name!r}" + (f"; known: {known}" if names else "")
    return UsageError(message, where=where, nearest=nearest_name(name, names))
