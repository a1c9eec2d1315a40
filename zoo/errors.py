"""Errors with a message for the user: what is wrong, where, what is expected, and the nearest valid name."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable, Sequence

MOST_LISTED = 8  # names or lines of evidence
MOST_NAMES = 30  # of columns or other names that could have been meant


class ZooError(Exception):
    """Base class of errors with a message for the user.

    Args:
        message: What is wrong and what is expected, in one or two sentences.
        where: File, column, key or row of the error.
        nearest: The valid name nearest to the received one.

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
        """Support pickling, which recreates exceptions from positional arguments only."""
        return _rebuild, (type(self), self.message, self.where, self.nearest)

    def as_dict(self) -> dict[str, str | None]:
        """Return the error as a dict, as printed by the command line with ``--json``."""
        return {"kind": self.kind, "message": self.message, "where": self.where, "nearest": self.nearest}


def _rebuild(cls: type[ZooError], message: str, where: str | None, nearest: str | None) -> ZooError:
    return cls(message, where=where, nearest=nearest)


class UsageError(ZooError):
    """The request is invalid: wrong name, value, option or combination."""

    kind = "usage"
    exit_status = 2


class DataError(UsageError):
    """The data cannot be used: a missing file, an empty table, a constant target."""

    kind = "data"


class UnreadableFileError(DataError):
    """A file is missing or damaged."""


class WrongSourceError(DataError):
    """The task does not read this kind of source, but another task may."""


class JobError(ZooError):
    """A valid request failed: a full disk, an unavailable store."""

    kind = "failed"
    exit_status = 1


class StorageError(JobError):
    """The disk is full, or the tracking store was removed while a command used it."""


def shorten_error(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if the message is empty.

    Example:
        >>> shorten_error(ValueError("no such key\\nin all of it")), shorten_error(KeyError())
        ('no such key', 'KeyError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def shorten_value(value: object, most: int = 200) -> str:
    """Return the representation of a received value, cut after some characters.

    Example:
        >>> shorten_value("batch"), shorten_value("x" * 1000, most=9)
        ("'batch'", "'xxxxxxxx…")
    """
    try:
        text = repr(value)
    except Exception as error:  # an integer of more than 4,300 digits, or an object's own mistake
        return f"a value of type {type(value).__name__} that cannot be shown: {shorten_error(error)}"
    return text if len(text) <= most else f"{text[:most]}…"


def join_first(texts: Sequence[str], most: int = MOST_LISTED, separator: str = ", ") -> str:
    """Join the first of several texts, with the number of further ones.

    Example:
        >>> join_first(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    return separator.join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def describe_missing_packages(packages: Iterable[str], extra: str) -> str | None:
    """Return how to install the packages that are missing, by an extra of zoo; None if none is.

    Example:
        >>> describe_missing_packages(["numpy"], "onnx") is None
        True
        >>> describe_missing_packages(["no_such_package"], "onnx")
        'no_such_package is not installed; run pip install "keras-task-zoo[onnx]"'
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    return f'{", ".join(missing)} is not installed; run pip install "keras-task-zoo[{extra}]"' if missing else None


def find_nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the valid name closest to ``name``, or None if none is close.

    Example:
        >>> find_nearest_name("clasification/mlp", ["classification/mlp", "regression/mlp"])
        'classification/mlp'
    """
    names = list(names)
    by_lower = {candidate.lower(): candidate for candidate in names}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def describe_unknown(what: str, name: str, names: Iterable[str], *, where: str | None = None) -> UsageError:
    """Return the error for a name that is not among ``names``, with the first of them.

    Example:
        >>> str(describe_unknown("split", "strat", ["random", "stratified"]))
        "unknown split 'strat'; known: random, stratified (did you mean 'stratified'?)"
    """
    names = list(names)
    message = f"unknown {what} {name!r}" + (f"; known: {join_first(names, MOST_NAMES)}" if names else "")
    return UsageError(message, where=where, nearest=find_nearest_name(name, names))
