"""Databases: a table or a query becomes a table; nothing is written, and no password is shown."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest

from zoo.data.sources.read import read_table
from zoo.errors import DataError


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    database = sqlite3.connect(tmp_path / "shop.db")
    database.execute("CREATE TABLE orders (id INTEGER, item TEXT, price REAL, paid INTEGER)")
    database.executemany(
        "INSERT INTO orders VALUES (?, ?, ?, ?)", [(1, "a+b", 1.5, 1), (2, "50 %", None, 0), (3, None, 7, 1)]
    )
    database.execute('CREATE TABLE "odd name" (x INTEGER)')
    database.execute('INSERT INTO "odd name" VALUES (5)')
    database.execute("CREATE VIEW dear AS SELECT * FROM orders WHERE price > 2")
    database.commit()
    database.close()
    return tmp_path / "shop.db"


def test_a_table(shop: Path) -> None:
    for source in ("sqlite:///shop.db?table=orders", f"sqlite:///{shop}?table=orders"):
        table = read_table(source)
        assert list(table.frame) == ["id", "item", "price", "paid"]
        assert table.frame["id"].tolist() == [1, 2, 3]
        assert table.frame["price"].isna().tolist() == [False, True, False]
        assert table.frame["item"].isna().tolist() == [False, False, True]
        assert (table.name, table.source, table.target) == ("orders", source, None)
    assert read_table("sqlite:///shop.db?table=odd%20name").frame["x"].tolist() == [5]
    assert len(read_table("sqlite:///shop.db?table=dear").frame) == 1


@pytest.mark.parametrize(
    "query, ids",
    [
        ("SELECT id FROM orders", [1, 2, 3]),
        ("SELECT+id+FROM+orders+WHERE+paid%3D1", [1, 3]),
        ("SELECT%20id%20FROM%20orders WHERE paid=1 ORDER BY id DESC", [3, 1]),
        ("SELECT id FROM orders WHERE item LIKE '50 %25'", [2]),
        ("SELECT id FROM orders WHERE item = 'a%2Bb'", [1]),
        ("SELECT id FROM orders WHERE item = ':x' OR id = 2", [2]),
    ],
)
def test_a_query(shop: Path, query: str, ids: list[int]) -> None:
    table = read_table(f"sqlite:///shop.db?query={query}")
    assert table.frame["id"].tolist() == ids
    assert table.name == "shop"


def test_other_parameters_of_the_url_are_kept(shop: Path) -> None:
    assert len(read_table("sqlite:///shop.db?timeout=3&table=orders&cached_statements=10").frame) == 3
    assert len(read_table("sqlite:///file:shop.db?mode=ro&uri=true&table=orders").frame) == 3


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM orders",
        "WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id %2B 1 FROM c WHERE id < 3) SELECT id FROM c",
        "SELECT cid AS id FROM pragma_table_info('orders') LIMIT 3",
        "SELECT id FROM orders ORDER BY random()",
        "SELECT rowid AS id FROM words WHERE words MATCH 'apple'",
    ],
)
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_query_may_read_whatever_there_is(shop: Path, query: str, journal: str) -> None:
    database = sqlite3.connect(shop)
    database.execute(f"PRAGMA journal_mode = {journal}")
    if "words" in query:
        try:
            database.execute("CREATE VIRTUAL TABLE words USING fts5(word)")
        except sqlite3.OperationalError:  # TensorFlow brings an SQLite of its own, without full-text search
            database.close()
            pytest.skip("this SQLite has no full-text search")
        database.executemany("INSERT INTO words VALUES (?)", [("apple pie",), ("red apple",), ("apple",)])
    database.commit()
    database.close()
    before = sorted(path.name for path in shop.parent.iterdir())
    content = shop.read_bytes()
    assert len(read_table(f"sqlite:///shop.db?query={query}").frame) == 3
    assert len(read_table("sqlite:///file:shop.db?uri=true&mode=rwc&table=orders").frame) == 3
    assert sorted(path.name for path in shop.parent.iterdir()) == before
    assert shop.read_bytes() == content


@pytest.mark.parametrize(
    "source, message",
    [
        ("sqlite:///shop.db", r"which table\? Use \?table=NAME .*; tables: odd name, orders, dear"),
        ("sqlite:///shop.db?table=order", r"there is no table 'order'; tables: .* \(did you mean 'orders'\?\)"),
        ("sqlite:///shpo.db?table=orders", r"there is no file shpo.db \(did you mean 'shop.db'\?\)"),
        ("sqlite:///no/where.db?table=orders", "there is no file no/where.db"),
        ("sqlite:///shop.db?table=orders&query=SELECT 1", "use either a table or a query, not both"),
        ("sqlite:///shop.db?query=SELEC 1", 'error of the database: near "SELEC": syntax error'),
        ("sqlite:///shop.db?query=SELECT absent FROM orders", "no such column: absent"),
        ("sqlite:///shop.db?query=DELETE FROM orders", "the query may only read; expected a SELECT"),
        ("sqlite:///shop.db?query=INSERT INTO orders (id) VALUES (4) RETURNING id", "the query may only read"),
        ("sqlite:///shop.db?query=ATTACH 'new.db' AS new", "the query may only read"),
        ("sqlite:///shop.db?query=VACUUM INTO 'new.db'", "the query may only read"),
        ("sqlite:///shop.db?query=PRAGMA journal_mode = wal", "the query may only read"),
        ("sqlite:///shop.db?query=PRAGMA query_only = OFF", "the query may only read"),
        ("sqlite:///shop.db?query=CREATE TEMP TABLE new AS SELECT 1", "the query may only read|no rows"),
        ("sqlite://?query=ATTACH 'new.db' AS new", "the query may only read"),
        ("sqlite:///:memory:?query=VACUUM INTO 'new.db'", "the query may only read"),
        ("sqlite:///file:new.db?uri=true&table=orders", "there is no file new.db"),
        ("sqlite:///file:new.db?uri=true&mode=rwc&query=SELECT 1", "there is no file new.db"),
        ("sqlite:///file:new.db?mode=rwc&table=orders", "'mode' are not accepted"),
        ("sqlite:///new.db?mode=rwc&uri=true&table=orders", "there is no file new.db"),
        ("sqlite:///shop.db?query=SELECT id, id FROM orders", "two columns have the name 'id'"),
        ("sqlite:///shop.db?query=SELECT id FROM orders WHERE id > 9", "no rows"),
        ("sqlite:///shop.db?nonsense=1&table=orders", "'nonsense' are not accepted by the pysqlite driver"),
        ("nosuch://host/shop?table=a", "unknown kind of database 'nosuch'"),
        ("postgres://host/shop?table=a", "did you mean 'postgresql'"),
        ("mysql+pymysql://me:secret@host/shop?table=a", "its driver pymysql is not installed; python -m pip install"),
        ("postgresql://me:secret@host:port/shop?table=a", "not a database URL"),
    ],
)
def test_what_cannot_be_read(shop: Path, source: str, message: str) -> None:
    before = sorted(path.name for path in shop.parent.iterdir())
    with pytest.raises(DataError, match=message) as caught:
        read_table(source)
    assert "secret" not in str(caught.value)
    assert sorted(path.name for path in shop.parent.iterdir()) == before
    assert len(read_table("sqlite:///shop.db?table=orders").frame) == 3


def test_a_file_that_is_no_database(shop: Path) -> None:
    shop.write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match="file is not a database"):
        read_table("sqlite:///shop.db?table=orders")


# PostgreSQL


@pytest.fixture(scope="module")
def people(postgresql: str) -> str:
    import psycopg

    with psycopg.connect(postgresql) as connection:
        connection.execute("CREATE TABLE people (id int, name text, height numeric(4, 2), born date, seen timestamptz)")
        connection.execute(
            "INSERT INTO people VALUES (1, 'Ann', 1.75, '1990-01-02', now()), (2, NULL, NULL, NULL, NULL)"
        )
        connection.execute("CREATE SCHEMA old; CREATE TABLE old.people AS SELECT id + 10 AS id FROM people")
    return postgresql


def test_postgresql(people: str) -> None:
    table = read_table(f"{people}?table=people")
    assert list(table.frame) == ["id", "name", "height", "born", "seen"]
    assert table.frame["id"].tolist() == [1, 2]
    assert table.frame["height"].iloc[0] == 1.75
    assert table.frame.isna().sum().tolist() == [0, 1, 1, 1, 1]
    assert table.name == "people"
    assert table.source.startswith("postgresql://reader:***@127.0.0.1:")
    assert read_table(f"{people}?table=old.people").frame["id"].tolist() == [11, 12]
    query = "SELECT name FROM people WHERE name LIKE 'A%25' AND id%3A%3Atext = '1'"
    assert read_table(f"{people}?application_name=zoo&query={query}").frame["name"].tolist() == ["Ann"]


@pytest.mark.parametrize(
    "change, asked, message",
    [
        (("s3cret-word", "wrong-word"), "table=people", 'password authentication failed for user "reader"'),
        (("s3cret-word@", "@"), "table=people&password=wrong-word", "password authentication failed"),
        (("/postgres", "/nowhere"), "table=people", 'database "nowhere" does not exist'),
        (("", ""), "table=poeple", r"there is no table 'poeple'; tables: people \(did you mean 'people'\?\)"),
        (("", ""), "query=SELECT height / 0 FROM people", "division by zero"),
        (("", ""), "query=SELECT nothing FROM people", 'column "nothing" does not exist'),
        (("", ""), "query=DELETE FROM people", 'syntax error at or near "DELETE"'),
        (
            ("", ""),
            "query=WITH gone AS (DELETE FROM people RETURNING id) SELECT * FROM gone",
            "DECLARE CURSOR must not contain data-modifying statements|read-only transaction",
        ),
        (("", ""), "query=SELECT set_config('a.b', version(), false) WHERE false", "no rows"),
    ],
)
def test_postgresql_says_what_is_wrong(people: str, change: tuple[str, str], asked: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(f"{people.replace(*change)}?{asked}")
    assert "s3cret-word" not in str(caught.value)
    assert "wrong-word" not in str(caught.value)


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        source = f"postgresql://me:s3cret-word@127.0.0.1:{free.getsockname()[1]}/shop?table=a"
    with pytest.raises(DataError, match=r"error of the database: .*[Cc]onnection refused") as caught:
        read_table(source)
    assert "s3cret-word" not in str(caught.value)


def test_a_sign_in_a_password_that_splits_the_address_leaks_nothing() -> None:
    with pytest.raises(DataError) as caught:
        read_table("postgresql://user:s3cr@t/x@localhost/shop?query=SELECT 1")
    assert "%40" in str(caught.value)
    assert not any(piece in str(caught.value) for piece in ("s3cr", "t/x"))
