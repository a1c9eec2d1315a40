"""Create MLflow's database in one step, so that a process killed meanwhile leaves none or a whole one."""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import closing, suppress
from pathlib import Path

_BEGUN = ".begun-"
# Rows that MLflow itself writes in the tables that users fill; one experiment is "Default".
_OF_MLFLOW = {"experiments": 1, "runs": 0, "registered_models": 0}


def create_database(path: Path) -> None:
    """Create MLflow's tables in a SQLite file if it does not exist, or holds unfinished tables.

    MLflow makes some hundred changes one after another, and cannot continue if it is interrupted. They are made in
    another file, which is moved into place at the end. Only one process may do this at a time.

    Args:
        path: The file; its folder exists.
    """
    if path.exists() and not _is_unfinished(path):
        return
    import mlflow

    for leftover in path.parent.glob(f"{_BEGUN}*"):
        leftover.unlink(missing_ok=True)
    # MLflow caches a connection for each name, so a name is used once.
    begun, whole = (path.with_name(f"{_BEGUN}{uuid.uuid4().hex}.db") for _ in range(2))
    try:
        mlflow.MlflowClient(f"sqlite:///{begun}").search_experiments(max_results=1)
        # MLflow keeps its connection to the file, so a copy is moved into place.
        with closing(sqlite3.connect(begun)) as source, closing(sqlite3.connect(whole)) as target:
            source.backup(target)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        os.replace(whole, path)
    finally:
        with suppress(FileNotFoundError):
            os.truncate(begun, 0)  # the connection would keep its space on the disk
        for leftover in path.parent.glob(f"{_BEGUN}*"):
            leftover.unlink(missing_ok=True)


def close_connections(uri: str) -> None:
    """Close MLflow's open connections to a database, whose file was removed; it would go on using that file.

    Args:
        uri: The database's address.
    """
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

    for store in (Registry, Tracking):  # MLflow has no public method for this
        engine = getattr(store, "_engine_map", {}).get(uri)
        if engine is not None:
            engine.dispose()


def _is_unfinished(path: Path) -> bool:
    """Return whether a file has MLflow's tables in part only, and nothing of a user in them."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for name, number_of_mlflow in _OF_MLFLOW.items():
            counted = database.execute(f"SELECT count(*) FROM {name}") if name in tables else None  # noqa: S608  constants
            if counted is not None and counted.fetchone()[0] > number_of_mlflow:
                return False
        versions = database.execute("SELECT version_num FROM alembic_version") if "alembic_version" in tables else ()
        return (_newest_version(),) not in list(versions)
    return False


def _newest_version() -> str | None:
    import mlflow.store
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(mlflow.store.__path__[0]) / "db_migrations")).get_current_head()
