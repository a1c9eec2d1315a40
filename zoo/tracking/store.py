"""MLflow's tracking store, and next to it the state that resuming needs."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, describe_unknown
from zoo.saving.abandoned_files import open_temporary_folder, remove_autograph_files
from zoo.text import remove_passwords
from zoo.tracking.create_database import close_connections, create_database
from zoo.tracking.offline_client import get_client
from zoo.tracking.offline_store import PARENT_TAG as PARENT_TAG
from zoo.tracking.process_tags import is_orphan
from zoo.tracking.retry_duplicates import RetryingClient
from zoo.tracking.store_failures import OpenedStore, explain_failure, remember_store, translate_failures
from zoo.tracking.tags import HOST_TAG

# MLflow sends usage statistics by default; only the user should switch that on.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# Standard output is for results, and the printed addresses open the wrong page.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# Report within seconds that a server does not answer; MLflow's default retries for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
# Errors of the database are raised as well; here they would be logged with a traceback.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)

FOLDER = Path("mlruns")
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
_default_uri: str | None = None
_opened: dict[str, OpenedStore] = {}


class Store:
    """The tracking store in use.

    It is the one of ``MLFLOW_TRACKING_URI`` or ``mlflow.set_tracking_uri`` if set, else ``mlruns/mlflow.db`` in the
    working folder, with artifacts in ``mlruns/artifacts``.

    Raises:
        UsageError: When it cannot be opened or written.
    """

    def __init__(self) -> None:
        import mlflow

        remember_store(None)
        self.uri, self.local = _set_tracking_uri()
        self.state = FOLDER.resolve() / "state"
        with _translate_errors(self.shown_uri), self._creation_lock():
            if self.is_database:
                if self.local is not None:
                    create_database(self.local / "mlflow.db")
                if self.uri in _opened and _opened[self.uri].is_gone:
                    close_connections(self.uri)
                self.client: Any = RetryingClient(mlflow.MlflowClient(self.uri))
                self.client.search_experiments(max_results=1)
            else:
                self.client = get_client(self.uri, self.state / "unsent")
        self.opened = _opened[self.uri] = OpenedStore.of(self.folder, self.database)
        remember_store(self.opened)

    def experiment(self, name: str | None) -> Any:
        """Return MLflow's experiment of a name; create it if it does not exist.

        Args:
            name: Its name; None for that of ``MLFLOW_EXPERIMENT_NAME``.
        """
        name = name or os.environ.get(EXPERIMENT_VARIABLE) or "Default"
        with _translate_errors(self.shown_uri), self._creation_lock():
            experiment = self.client.get_experiment_by_name(name)
            if experiment is None:
                location = (self.local / "artifacts").as_uri() if self.local is not None else None
                experiment = self.client.get_experiment(self.client.create_experiment(name, artifact_location=location))
            elif experiment.lifecycle_stage == "deleted":
                raise UsageError(f"the experiment {name!r} was deleted; restore it, or choose another --experiment")
            return experiment

    def known_experiment(self, name: str) -> Any:
        """Return an existing experiment.

        Raises:
            UsageError: When it does not exist, with the nearest name.
        """
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            raise describe_unknown("experiment", name, [other.name for other in self.client.search_experiments()])
        return experiment

    def run(self, run_id: str) -> Any:
        """Return MLflow's run with this id, or with an id that begins with it.

        Raises:
            UsageError: When there is none, or there are several.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id)
        except MlflowException:
            pass
        is_id = run_id.isalnum()  # anything else is not an id, and could change the filter
        runs = self.search(f"attributes.run_id LIKE '{run_id}%'", limit=100) if is_id else []
        matches = [run.info.run_id for run in runs]
        if not self.is_database and is_id:  # also by its offline id
            matches = list(dict.fromkeys([*matches, *self.client.offline.begun_with(run_id)]))
        if len(matches) == 1:
            return self.client.get_run(matches[0])
        if matches:
            raise UsageError(f"{len(matches)} run ids begin with {run_id!r}; give more characters", where="run")
        raise UsageError(f"there is no run {run_id!r} in {self.shown_uri}; zoo runs lists them", where="run")

    def has(self, run_id: str) -> bool:
        """Return whether a run exists; raise an error if the store does not answer."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return not self.is_database and bool(self.client.offline.holds(run_id))
        return True

    @property
    def folder(self) -> Path:
        """The folder of runs, with artifacts and state."""
        return self.state.parent

    @property
    def shown_uri(self) -> str:
        """The store's address without a password, for messages."""
        return remove_passwords(self.uri)

    @property
    def is_database(self) -> bool:
        """Whether this process writes the runs to a database itself, not through a server."""
        return not self.uri.startswith("http")

    @property
    def database(self) -> Path | None:
        """The SQLite file of the runs; None for a server."""
        return Path(self.uri.removeprefix("sqlite:///")) if self.uri.startswith("sqlite:///") else None

    def model_runs(self) -> dict[str, str]:
        """Return the run id of each logged model, by the model's id."""
        run_ids: dict[str, str] = {}
        token = None
        while True:
            page = self.client.search_logged_models(self._experiment_ids(), page_token=token)
            run_ids.update({model.model_id: model.source_run_id for model in page})
            token = page.token
            if not token:
                return run_ids

    def search(
        self,
        where: str = "",
        *,
        experiment: Any = None,
        limit: int = 10_000,
        order: str = "",
        deleted: bool = False,
    ) -> list[Any]:
        """Return MLflow's runs that match a filter, in all experiments or one; with ``deleted`` only deleted runs."""
        from mlflow.entities import ViewType

        if order.startswith("metrics."):
            self.count_rows()
        ids = [experiment.experiment_id] if experiment is not None else self._experiment_ids()
        runs: list[Any] = []
        token = None
        while len(runs) < limit:
            page = self.client.search_runs(
                ids, where, max_results=min(1000, limit - len(runs)), order_by=[order] if order else None,
                page_token=token, run_view_type=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
            )  # fmt: skip
            runs += page
            token = page.token
            if not token:
                break
        return runs

    def count_rows(self) -> None:
        """Update the row statistics of a SQLite file; do nothing for other stores.

        Without them SQLite joins runs and metrics row by row: ordering 10,000 runs by a metric takes 5 s instead of
        0.1 s, in MLflow's pages too. Analysing some thousand rows takes milliseconds.
        """
        path = self.database
        if path is None or not path.is_file():
            return
        # If another process is writing, skip it; the next call tries again.
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0.2)) as database:
            database.execute("PRAGMA analysis_limit = 1000")
            database.execute("ANALYZE")
            database.commit()

    def download_model(self, run_id: str, folder: Path) -> Path | None:
        """Return the folder of a run's model, downloaded if it is not on this machine; None without a model."""
        import mlflow

        try:
            address = f"runs:/{self._at_server(run_id)}/model"
            with translate_failures(self.opened):
                return Path(mlflow.artifacts.download_artifacts(address, dst_path=str(folder), tracking_uri=self.uri))
        except (OSError, mlflow.exceptions.MlflowException):
            return None

    def read_csv(self, run_id: str, path: str) -> Any:
        """Return a run's artifact as a frame, or None if there is no such artifact."""
        import io

        import pandas as pd

        text = self.read_text(run_id, path)
        return pd.read_csv(io.StringIO(text)) if text is not None else None

    def log_text(self, run_id: str, text: str, path: str) -> None:
        """Log a text as an artifact.

        MLflow's own ``log_text`` and ``log_figure`` leave a folder without a recognisable name if they are killed.
        """
        with open_temporary_folder() as folder:
            file = folder / Path(path).name
            file.write_text(text, encoding="utf-8")
            self._log_file(run_id, file, path)

    def log_figure(self, run_id: str, figure: Any, path: str) -> None:
        """Log a matplotlib figure as an artifact, a PNG file."""
        from zoo.figures.style import save_figure

        with open_temporary_folder() as folder:
            file = folder / Path(path).name
            save_figure(figure, file)
            self._log_file(run_id, file, path)

    def _log_file(self, run_id: str, file: Path, path: str) -> None:
        parent = Path(path).parent.as_posix()
        self.client.log_artifact(run_id, str(file), None if parent == "." else parent)

    def read_text(self, run_id: str, path: str) -> str | None:
        """Return a run's artifact as text, or None if there is no such artifact."""

        import mlflow

        with open_temporary_folder() as folder:
            try:
                with translate_failures(self.opened):
                    return Path(self.client.download_artifacts(run_id, path, folder)).read_text(encoding="utf-8")
            except (OSError, mlflow.exceptions.MlflowException):
                return None

    def state_of(self, run_id: str) -> Path:
        """Return the folder with the state that resuming a run needs."""
        return self.state / self.begun_as(run_id)

    def drop_state(self, folder: Path) -> None:
        """Remove a folder of state that was written after the store was removed, and the empty folders above it."""
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # not empty
            for above in folder.relative_to(self.folder).parents:
                (self.folder / above).rmdir()

    def begun_as(self, run_id: str) -> str:
        """Return the id under which a run was created; it differs if its server was away then."""
        return run_id if self.is_database else str(self.client.offline.begun_as(run_id))

    def _at_server(self, run_id: str) -> str:
        return run_id if self.is_database else str(self.client.offline.at_server(run_id))

    def close_orphans(self) -> None:
        """End runs that are still RUNNING although their process on this host is gone, and remove its files."""
        remove_autograph_files()
        where = f"attributes.status = 'RUNNING' and tags.`{HOST_TAG}` = '{socket.gethostname()}'"
        orphans = [run for run in self.search(where) if is_orphan(run)]
        try:
            for run in orphans:
                self.client.set_tag(run.info.run_id, "zoo.reason", "its process was killed")
                self.client.set_terminated(run.info.run_id, "KILLED")
        except Exception as error:  # on a full disk, reading works, and so does removing files
            if explain_failure(error, self.opened) is None or self.opened.is_gone:
                raise

    def experiment_names(self) -> dict[str, str]:
        """Return the names of experiments by MLflow's id."""
        return {experiment.experiment_id: experiment.name for experiment in self.client.search_experiments()}

    def _experiment_ids(self) -> list[str]:
        return [experiment.experiment_id for experiment in self.client.search_experiments()]

    @contextmanager
    def _creation_lock(self) -> Iterator[None]:
        """Lock the store, so that only one process at a time creates tables and experiments."""
        if not self.is_database:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _set_tracking_uri() -> tuple[str, Path | None]:
    """Return the address of the store and, for the default one, its folder.

    The default is set for the process, so that ``mlflow.pyfunc.load_model("runs:/…")`` finds what zoo tracked. No other
    code changes MLflow's global address.
    """
    global _default_uri
    import mlflow

    if mlflow.tracking.is_tracking_uri_set() and mlflow.get_tracking_uri() != _default_uri:
        return mlflow.get_tracking_uri(), None
    folder = FOLDER.resolve()
    _default_uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(_default_uri)
    return _default_uri, folder


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    """Turn errors of a store into messages for users."""
    from mlflow.exceptions import MlflowException

    try:
        with translate_failures():
            yield
    except OSError as error:
        raise UsageError(f"the tracking store cannot be written: {error.strerror or error}", where=uri) from None
    except MlflowException as error:
        reason = remove_passwords(error.message.splitlines()[0])
        raise UsageError(f"the tracking store does not answer: {reason}", where=uri) from None
    except UsageError:
        raise
    except Exception as error:
        if type(error).__module__.startswith("sqlalchemy"):
            reason = str(error).splitlines()[0]
            raise UsageError(f"the tracking store cannot be opened: {reason}", where=uri) from None
        raise
