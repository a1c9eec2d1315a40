"""Tables in databases: any SQLAlchemy URL, with a table or a query.

Connections are read-only in SQLite and PostgreSQL, and nothing is ever committed.
"""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pandas as pd

from zoo.data.limits import check_columns, check_memory
from zoo.data.raw_table import Table
from zoo.errors import MOST_NAMES, DataError, find_nearest_name, join_first

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+_.-]*://")
_SECRET = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)
_MASK = "***"
# Approximate memory of a fetched cell as a Python object; number of rows per fetch.
_CELL_BYTES, _AT_A_TIME = 60, 10_000
_REFUSED = ("not authorized", "authorization denied", "attempt to write a readonly database")  # by SQLite
_JOURNAL_BYTE, _WRITE_AHEAD = 18, b"\x02"  # in the header of an SQLite file
_DRIVERS = {"postgresql": "psycopg[binary]", "mysql": "pymysql", "mariadb": "pymysql", "oracle": "oracledb"}


def is_database(source: str) -> bool:
    """Return whether a source has the form of a database URL.

    Example:
        >>> is_database("sqlite:///shop.db?table=orders")
        True
    """
    return _URL.match(source) is not None


def read_sql(source: str) -> Table:
    """Read a table of a database, or the result of a query.

    ``query=`` and ``table=`` are removed before the driver sees the URL. As in any URL, a space is ``+`` or ``%20``,
    and the characters ``+ % & ?`` are ``%2B %25 %26 %3F``. The rows of a table come in the database's order; a query
    can set it with ``ORDER BY``.

    Args:
        source: Such as ``sqlite:///shop.db?query=SELECT * FROM orders`` or ``postgresql://me@host/shop?table=orders``.

    Raises:
        DataError: If there is neither table nor query, no such file or no driver, or with the server's error;
            passwords are never shown.

    Example:
        >>> read_sql("sqlite:///shop.db?table=orders").name  # doctest: +SKIP
        'orders'
    """
    url, selection = _parts(source)
    shown = _shown(url, selection)
    with _answers(url, shown), _connected(url, shown) as connection:
        if "table" in selection:
            query, name = _table_query(connection, selection["table"], shown), selection["table"]
        elif "query" in selection:
            query, name = selection["query"], Path(url.database or url.get_backend_name()).stem
        else:
            raise DataError(f"which table? Use ?table=NAME or ?query=SELECT…{_there(connection)}", where=shown)
        frame = _rows(connection, query, shown)
    return Table(frame, name, shown)


def _parts(source: str) -> tuple[Any, dict[str, str]]:
    """Return the URL for the driver, and the table or query."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    address, _, parameters = source.partition("?")
    pairs = parse_qsl(parameters, keep_blank_values=True)
    selection = {key: value for key, value in pairs if key in ("table", "query") and value.strip()}
    if address.count("@") > 1:  # part of the password could be shown as the host
        message = "in a user name or password, write @ as %40 and / as %2F"
        raise DataError(message, where=f"{address.partition('://')[0]}://…")
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # the message may contain the password
        place = f"{address.partition('://')[0]}://…"
        raise DataError("not a database URL; expected KIND://USER:PASSWORD@HOST:PORT/DATABASE", where=place) from None
    if len(selection) > 1:
        raise DataError("use either a table or a query, not both", where=_shown(url, selection))
    others: dict[str, list[str]] = {}
    for key, value in pairs:
        if key not in ("table", "query"):
            others.setdefault(key, []).append(value)
    # Drivers expect a single value as a string, not as a list.
    return url.update_query_dict(
        {key: values[0] if len(values) == 1 else values for key, values in others.items()}
    ), selection


def _shown(url: Any, selection: dict[str, str]) -> str:
    """Return the source without passwords."""
    masked = {key: _MASK if _SECRET.search(key) else value for key, value in url.query.items()}
    words = url.set(query=masked).render_as_string(hide_password=True)
    parameters = "&".join(f"{key}={value}" for key, value in selection.items())
    return words + ("&" if "?" in words else "?") * bool(parameters) + parameters


def _open_read_only(url: Any, shown: str) -> Any:
    """Return the URL that opens an SQLite file read-only, so that it is not created; other URLs as they are.

    Raises:
        DataError: If there is no such file.
    """
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return url
    name = url.database
    if "uri" in url.query and name.startswith("file:"):  # a URL of its own, which may hold options too
        name = unquote(name.removeprefix("file:").partition("?")[0])
        name = name.removeprefix("//localhost") if name.startswith("//localhost/") else name.removeprefix("//")
    path = Path(name)
    if not path.is_file():
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        near = find_nearest_name(path.name, [child.name for child in beside if child.is_file()])
        raise DataError(f"there is no file {path}", where=shown, nearest=str(path.parent / near) if near else None)
    with path.open("rb") as file:
        header = file.read(_JOURNAL_BYTE + 1)
    # With a write-ahead log, a read-only connection would leave its log and index behind.
    mode = "rw" if header[_JOURNAL_BYTE:] == _WRITE_AHEAD else "ro"
    return url.set(database=path.resolve().as_uri()).update_query_dict({"mode": mode, "uri": "true"})


@contextmanager
def _connected(url: Any, shown: str) -> Iterator[Any]:
    import sqlalchemy
    from sqlalchemy.exc import NoSuchModuleError, SAWarning

    kind = url.get_backend_name()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)  # unknown parameter
            engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        if (read_only := _open_read_only(url, shown)) is not url:
            engine = sqlalchemy.create_engine(read_only, poolclass=sqlalchemy.NullPool)
    except NoSuchModuleError:
        message = f"unknown kind of database {url.drivername!r}; expected sqlite, postgresql, mysql, …"
        raise DataError(message, where=shown, nearest=find_nearest_name(kind, ["sqlite", *_DRIVERS])) from None
    except ImportError as error:
        package = _DRIVERS.get(kind, error.name)
        message = f"its driver {error.name} is not installed; python -m pip install '{package}'"
        if package == "pymysql":
            message += f", and use {kind}+pymysql://…"
        raise DataError(message, where=shown) from None
    options = {"no_parameters": True, "stream_results": True}  # do not interpret % in a query
    if kind == "postgresql":
        options["postgresql_readonly"] = True
    with engine.connect() as connection:
        connection = connection.execution_options(**options)
        yield connection


def _refuse_all_but_reading(connection: Any) -> None:
    """Let an SQLite connection read only; ``ATTACH`` and ``VACUUM INTO`` would create files."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.connection.driver_connection.set_authorizer(_authorize)


def _authorize(action: int, name: str | None, *_: str | None) -> int:
    """Return whether SQLite may take a step of a statement; writing is refused by ``query_only``."""
    if action == sqlite3.SQLITE_PRAGMA:
        is_allowed = (name or "").endswith(("info", "list", "data_version"))
    else:
        is_allowed = action not in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


@contextmanager
def _answers(url: Any, shown: str) -> Iterator[None]:
    """Convert errors of the server to DataError, without the password."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        words = str(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)
    except (ValueError, TypeError, OSError, Warning) as error:  # raised by drivers
        words = str(error)
    else:
        return
    if words in _REFUSED:
        raise DataError("the query may only read; expected a SELECT", where=shown) from None
    secrets = [url.password, *(value for key, value in url.query.items() if _SECRET.search(key))]
    for secret in secrets:
        words = words.replace(str(secret), _MASK) if secret else words
    raise DataError(f"error of the database: {' '.join(words.split())}", where=shown) from None


def _tables(connection: Any, schema: str | None = None) -> list[str]:
    import sqlalchemy

    inspected = sqlalchemy.inspect(connection)
    return [*inspected.get_table_names(schema), *inspected.get_view_names(schema)]


def _there(connection: Any) -> str:
    tables = _tables(connection)
    return f"; tables: {join_first(tables, MOST_NAMES)}" if tables else "; the database has no tables"


def _table_query(connection: Any, name: str, shown: str) -> str:
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema, _, table_name = name.rpartition(".")
    if name in (tables := _tables(connection)):
        return f"SELECT * FROM {quote(name)}"  # noqa: S608 (a quoted name of the database)
    if schema and table_name in _tables(connection, schema):
        return f"SELECT * FROM {quote(schema)}.{quote(table_name)}"  # noqa: S608
    message = f"there is no table {name!r}{_there(connection)}"
    raise DataError(message, where=shown, nearest=find_nearest_name(name, tables))


def _rows(connection: Any, query: str, shown: str) -> pd.DataFrame:
    _refuse_all_but_reading(connection)
    result = connection.exec_driver_sql(query)
    if not result.returns_rows:
        raise DataError("the query returns no rows; expected a SELECT", where=shown)
    columns = list(result.keys())
    check_columns(len(columns), shown)
    rows: list[tuple] = []
    for block in result.partitions(_AT_A_TIME):
        rows += map(tuple, block)
        check_memory(_AT_A_TIME * len(columns) * _CELL_BYTES, f"reading more than {len(rows):,} rows", shown)
    return pd.DataFrame.from_records(rows, columns=columns, coerce_float=True)
