"""Tables in databases: any URL of SQLAlchemy, with a table or a query.

Connections are for reading: SQLite and PostgreSQL are told so, and nothing is ever committed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pandas as pd

from zoo.data.limits import check_columns, check_memory
from zoo.data.raw_table import Table
from zoo.errors import DataError, nearest_name

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+_.-]*://")
_SECRET = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)
_MASK = "***"
# What a fetched cell costs as a Python object, about; rows come so many at a time.
_CELL_BYTES, _AT_A_TIME = 60, 10_000
_DRIVERS = {"postgresql": "psycopg[binary]", "mysql": "pymysql", "mariadb": "pymysql", "oracle": "oracledb"}


def is_database(source: str) -> bool:
    """Tell whether a source is spelled as a database's URL.

    Example:
        >>> is_database("sqlite:///shop.db?table=orders")
        True
    """
    return _URL.match(source) is not None


def read_sql(source: str) -> Table:
    """Return what a table of a database holds, or what a query finds.

    ``query=`` and ``table=`` are taken off before the driver sees the URL; as in any URL a space is ``+`` or ``%20``,
    and the signs ``+ % & ?`` are ``%2B %25 %26 %3F``. A table's rows come in the database's order: a query that says
    ``ORDER BY`` has its own.

    Args:
        source: Such as ``sqlite:///shop.db?query=SELECT * FROM orders`` or ``postgresql://me@host/shop?table=orders``.

    Raises:
        DataError: Neither table nor query, no such file, no driver, or an error of the server, in its own words;
            a password is never shown.

    Example:
        >>> read_sql("sqlite:///shop.db?table=orders").name  # doctest: +SKIP
        'orders'
    """
    url, wanted = _parts(source)
    shown = _shown(url, wanted)
    _check_file(url, shown)
    with _answers(url, shown), _connected(url, shown) as connection:
        if "table" in wanted:
            query, name = _table_query(connection, wanted["table"], shown), wanted["table"]
        elif "query" in wanted:
            query, name = wanted["query"], Path(url.database or url.get_backend_name()).stem
        else:
            raise DataError(f"which table? Say ?table=NAME or ?query=SELECT…{_there(connection)}", where=shown)
        frame = _rows(connection, query, shown)
    return Table(frame, name, shown)


def _parts(source: str) -> tuple[Any, dict[str, str]]:
    """The URL for the driver, and what is wanted of it."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    address, _, asked = source.partition("?")
    pairs = parse_qsl(asked, keep_blank_values=True)
    wanted = {key: value for key, value in pairs if key in ("table", "query") and value.strip()}
    if address.count("@") > 1:  # what is taken for the host may be of the password
        message = "an @ that is part of a user's name or a password is written %40, and a / is written %2F"
        raise DataError(message, where=f"{address.partition('://')[0]}://…")
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # its words may hold the password
        known = f"{address.partition('://')[0]}://…"
        raise DataError(
            "not a database's URL; KIND://USER:PASSWORD@HOST:PORT/DATABASE is expected", where=known
        ) from None
    if len(wanted) > 1:
        raise DataError("a table and a query exclude each other", where=_shown(url, wanted))
    others: dict[str, list[str]] = {}
    for key, value in pairs:
        if key not in ("table", "query"):
            others.setdefault(key, []).append(value)
    # Drivers expect one value as a text, not as a list of one.
    return url.update_query_dict({key: own[0] if len(own) == 1 else own for key, own in others.items()}), wanted


def _shown(url: Any, wanted: dict[str, str]) -> str:
    """The source for people: without passwords."""
    masked = {key: _MASK if _SECRET.search(key) else value for key, value in url.query.items()}
    words = url.set(query=masked).render_as_string(hide_password=True)
    asked = "&".join(f"{key}={value}" for key, value in wanted.items())
    return words + ("&" if "?" in words else "?") * bool(asked) + asked


def _check_file(url: Any, shown: str) -> None:
    """SQLite would make the file that is not there."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:") or url.database.startswith("file:"):
        return
    path = Path(url.database)
    if not path.is_file():
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        near = nearest_name(path.name, [child.name for child in beside if child.is_file()])
        raise DataError(f"there is no file {path}", where=shown, nearest=str(path.parent / near) if near else None)


@contextmanager
def _connected(url: Any, shown: str) -> Iterator[Any]:
    import sqlalchemy
    from sqlalchemy.exc import NoSuchModuleError, SAWarning

    kind = url.get_backend_name()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)  # a parameter that the driver does not know
            engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    except NoSuchModuleError:
        message = f"no kind of database is called {url.drivername!r}; sqlite, postgresql, mysql, … are"
        raise DataError(message, where=shown, nearest=nearest_name(kind, ["sqlite", *_DRIVERS])) from None
    except ImportError as error:
        package = _DRIVERS.get(kind, error.name)
        message = f"its driver {error.name} is not installed; python -m pip install '{package}'"
        if package == "pymysql":
            message += f", and say {kind}+pymysql://…"
        raise DataError(message, where=shown) from None
    options = {"no_parameters": True, "stream_results": True}  # a % in a query is a %
    if kind == "postgresql":
        options["postgresql_readonly"] = True
    with engine.connect() as connection:
        connection = connection.execution_options(**options)
        if kind == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        yield connection


@contextmanager
def _answers(url: Any, shown: str) -> Iterator[None]:
    """Errors of the server in its own words, without the password."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        words = str(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)
    except (ValueError, TypeError, OSError, Warning) as error:  # of drivers, of odd parameters and values
        words = str(error)
    else:
        return
    secrets = [url.password, *(value for key, value in url.query.items() if _SECRET.search(key))]
    for secret in secrets:
        words = words.replace(str(secret), _MASK) if secret else words
    raise DataError(f"the database says: {' '.join(words.split())}", where=shown) from None


def _tables(connection: Any, schema: str | None = None) -> list[str]:
    import sqlalchemy

    inspected = sqlalchemy.inspect(connection)
    return [*inspected.get_table_names(schema), *inspected.get_view_names(schema)]


def _there(connection: Any) -> str:
    tables = _tables(connection)
    return f"; tables: {', '.join(tables[:30])}" if tables else "; the database has no tables"


def _table_query(connection: Any, name: str, shown: str) -> str:
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema, _, own = name.rpartition(".")
    if name in (tables := _tables(connection)):
        return f"SELECT * FROM {quote(name)}"  # noqa: S608 (a name of the database's own, quoted)
    if schema and own in _tables(connection, schema):
        return f"SELECT * FROM {quote(schema)}.{quote(own)}"  # noqa: S608
    message = f"there is no table {name!r}{_there(connection)}"
    raise DataError(message, where=shown, nearest=nearest_name(name, tables))


def _rows(connection: Any, query: str, shown: str) -> pd.DataFrame:
    result = connection.exec_driver_sql(query)
    if not result.returns_rows:
        raise DataError("the query finds no rows but does something; a SELECT is expected", where=shown)
    columns = list(result.keys())
    check_columns(len(columns), shown)
    rows: list[tuple] = []
    for block in result.partitions(_AT_A_TIME):
        rows += map(tuple, block)
        check_memory(_AT_A_TIME * len(columns) * _CELL_BYTES, f"the rows from {len(rows):,} on", shown)
    return pd.DataFrame.from_records(rows, columns=columns, coerce_float=True)
