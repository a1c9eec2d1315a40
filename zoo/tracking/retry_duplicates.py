"""Calls of MLflow that are repeated when another process inserted the same row at the same moment."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

# Of SQLite, PostgreSQL and MySQL. The transaction was rolled back, and the next attempt sees the other's row.
_DUPLICATE = re.compile(
    r"UNIQUE constraint failed|duplicate key value violates unique constraint|Duplicate entry", re.IGNORECASE
)
ATTEMPTS, WAIT_S = 5, 0.02


class RetryingClient:
    """MLflow's client of a database, whose calls are repeated by :func:`repeat_on_duplicate`.

    MLflow looks for a row, such as that of a data set, and inserts it if there is none; of two processes that do this
    at the same moment one fails.

    Args:
        client: MLflow's client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return partial(repeat_on_duplicate, method) if callable(method) else method


def repeat_on_duplicate(method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a method, and again if it fails because another process has just inserted the same row.

    Example:
        >>> answers = iter([ValueError("UNIQUE constraint failed: datasets.name"), None])
        >>> def insert():
        ...     if (error := next(answers)) is not None:
        ...         raise error
        ...     return "inserted"
        >>> repeat_on_duplicate(insert)
        'inserted'
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return method(*args, **kwargs)
        except Exception as error:
            if attempt == ATTEMPTS or not _DUPLICATE.search(str(error)):
                raise
            time.sleep(attempt * WAIT_S)
    raise AssertionError("unreachable")
