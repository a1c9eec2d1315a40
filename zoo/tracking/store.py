"""Where runs are kept: MLflow's tracking store, and beside it the state that resuming needs."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, unknown
from zoo.text import without_password
from zoo.tracking.offline_client import offline_client
from zoo.tracking.offline_store import PARENT_TAG as PARENT_TAG
from zoo.tracking.process_tags import HOST_TAG, is_orphan

# MLflow reports its use to its makers unless told not to; that is the user's to switch on, not ours.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# Standard output is for results; the addresses that it would print there open at the wrong page.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# A server that does not answer is named within seconds; MLflow's own default tries for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)

FOLDER = Path("mlruns")
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
_ours: str | None = None


class Store:
    """The tracking store in use.

    ``MLFLOW_TRACKING_URI`` and ``mlflow.set_tracking_uri`` win; else it is ``mlruns/mlflow.db`` in the
    working folder, with artifacts in ``mlruns/artifacts``.

    Raises:
        UsageError: When it cannot be opened or written.
    """

    def __init__(self) -> None:
        global _ours
        import mlflow

        if mlflow.tracking.is_tracking_uri_set() and mlflow.get_tracking_uri() != _ours:
            self.uri, self.local = mlflow.get_tracking_uri(), None
        else:
            self.local = FOLDER.resolve()
            self.uri = f"sqlite:///{self.local / 'mlflow.db'}"
            # Set for the process, so that mlflow.pyfunc.load_model("runs:/…") finds what zoo tracked.
            mlflow.set_tracking_uri(self.uri)
            _ours = self.uri
        self.state = FOLDER.resolve() / "state"
        with _explained(self.shown_uri), self._opening():
            if self.is_database:
                self.client: Any = mlflow.MlflowClient(self.uri)
                self.client.search_experiments(max_results=1)
            else:
                self.client = offline_client(self.uri, self.state / "unsent")

    def experiment(self, name: str | None) -> Any:
        """Return MLflow's experiment of that name, made when it is not there.

        Args:
            name: Its name; ``MLFLOW_EXPERIMENT_NAME`` stands for None.
        """
        name = name or os.environ.get(EXPERIMENT_VARIABLE) or "Default"
        with _explained(self.shown_uri), self._opening():
            found = self.client.get_experiment_by_name(name)
            if found is None:
                place = (self.local / "artifacts").as_uri() if self.local is not None else None
                found = self.client.get_experiment(self.client.create_experiment(name, artifact_location=place))
            elif found.lifecycle_stage == "deleted":
                raise UsageError(f"the experiment {name!r} was deleted; restore it, or give --experiment another name")
            return found

    def known_experiment(self, name: str) -> Any:
        """Return an experiment that must be there.

        Raises:
            UsageError: When it is not, with the nearest name.
        """
        found = self.client.get_experiment_by_name(name)
        if found is None:
            raise unknown("experiment", name, [known.name for known in self.client.search_experiments()])
        return found

    def run(self, run_id: str) -> Any:
        """Return MLflow's run with this id, or with an id that begins so.

        Raises:
            UsageError: When there is none, or several begin so.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id)
        except MlflowException:
            pass
        likely = run_id.isalnum()  # else it is no beginning of an id, and might say something to a filter
        found = self.search(f"attributes.run_id LIKE '{run_id}%'", limit=100) if likely else []
        matches = [run.info.run_id for run in found]
        if not self.is_database and likely:  # also by the id that it had before its server knew it
            matches = list(dict.fromkeys([*matches, *self.client.spare.begun_with(run_id)]))
        if len(matches) == 1:
            return self.client.get_run(matches[0])
        if matches:
            raise UsageError(f"{len(matches)} runs begin with {run_id!r}; give more of the id", where="run")
        raise UsageError(f"there is no run {run_id!r} in {self.shown_uri}; zoo runs lists them", where="run")

    def has(self, run_id: str) -> bool:
        """Tell whether a run is there; a store that does not answer is no reason to say that it is not."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return not self.is_database and bool(self.client.spare.holds(run_id))
        return True

    @property
    def folder(self) -> Path:
        """The folder of runs, with artifacts and state."""
        return self.state.parent

    @property
    def shown_uri(self) -> str:
        """The store's address as it may be shown: without a password."""
        return without_password(self.uri)

    @property
    def is_database(self) -> bool:
        """Whether runs are in a database that this process writes itself, and not behind a server."""
        return not self.uri.startswith("http")

    def model_runs(self) -> dict[str, str]:
        """Return the run of each logged model, by the model's id."""
        made: dict[str, str] = {}
        token = None
        while True:
            page = self.client.search_logged_models(self._experiment_ids(), page_token=token)
            made.update({known.model_id: known.source_run_id for known in page})
            token = page.token
            if not token:
                return made

    def search(
        self,
        where: str = "",
        *,
        experiment: Any = None,
        limit: int = 10_000,
        order: str = "",
        deleted: bool = False,
    ) -> list[Any]:
        """Return MLflow's runs that a filter finds, in all experiments or one; those that were deleted on demand."""
        from mlflow.entities import ViewType

        if order.startswith("metrics."):
            self.count_rows()
        ids = [experiment.experiment_id] if experiment is not None else self._experiment_ids()
        found: list[Any] = []
        token = None
        while len(found) < limit:
            page = self.client.search_runs(
                ids, where, max_results=min(1000, limit - len(found)), order_by=[order] if order else None,
                page_token=token, run_view_type=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
            )  # fmt: skip
            found += page
            token = page.token
            if not token:
                break
        return found

    def count_rows(self) -> None:
        """Tell a SQLite file how many rows its tables have; nothing where the store is no such file.

        Without it SQLite joins runs and metrics row by row: ordering 10,000 runs by a metric takes 5 s, and 0.1 s with
        it, in MLflow's pages too. Looking at some thousand rows takes milliseconds.
        """
        if not self.uri.startswith("sqlite:///"):
            return
        path = Path(self.uri.removeprefix("sqlite:///"))
        if not path.is_file():
            return
        # Somebody who writes just now goes first, and the next call counts.
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0.2)) as database:
            database.execute("PRAGMA analysis_limit = 1000")
            database.execute("ANALYZE")
            database.commit()

    def download_model(self, run_id: str, folder: Path) -> Path | None:
        """Return where a run's model lies, fetched into a folder where it is not on this machine; None without one."""
        import mlflow

        try:
            address = f"runs:/{self._at_server(run_id)}/model"
            return Path(mlflow.artifacts.download_artifacts(address, dst_path=str(folder), tracking_uri=self.uri))
        except (OSError, mlflow.exceptions.MlflowException):
            return None

    def read_csv(self, run_id: str, path: str) -> Any:
        """Return a run's artifact as a frame; None where it has no such artifact."""
        import io

        import pandas as pd

        text = self.read_text(run_id, path)
        return pd.read_csv(io.StringIO(text)) if text is not None else None

    def read_text(self, run_id: str, path: str) -> str | None:
        """Return a run's artifact as text; None where it has no such artifact."""
        import tempfile

        import mlflow

        with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
            try:
                return Path(self.client.download_artifacts(run_id, path, folder)).read_text(encoding="utf-8")
            except (OSError, mlflow.exceptions.MlflowException):
                return None

    def state_of(self, run_id: str) -> Path:
        """Return the folder where a run keeps what resuming needs."""
        return self.state / self.begun_as(run_id)

    def begun_as(self, run_id: str) -> str:
        """Return the id that a run had when it was begun: another one where its server was away then."""
        return run_id if self.is_database else str(self.client.spare.begun_as(run_id))

    def _at_server(self, run_id: str) -> str:
        return run_id if self.is_database else str(self.client.spare.at_server(run_id))

    def close_orphans(self) -> None:
        """End runs that are still RUNNING although their process on this host is gone."""
        where = f"attributes.status = 'RUNNING' and tags.`{HOST_TAG}` = '{socket.gethostname()}'"
        for run in self.search(where):
            if is_orphan(run):
                self.client.set_tag(run.info.run_id, "zoo.reason", "its process was killed")
                self.client.set_terminated(run.info.run_id, "KILLED")

    def experiment_names(self) -> dict[str, str]:
        """Return the names of experiments by MLflow's id."""
        return {known.experiment_id: known.name for known in self.client.search_experiments()}

    def _experiment_ids(self) -> list[str]:
        return [known.experiment_id for known in self.client.search_experiments()]

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """One process at a time makes tables and experiments: two at once would do it twice."""
        if not self.is_database:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn what a store says of itself into a message for a person."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except OSError as error:
        raise UsageError(f"the tracking store cannot be written: {error.strerror or error}", where=uri) from None
    except MlflowException as error:
        told = without_password(error.message.splitlines()[0])
        raise UsageError(f"the tracking store does not answer: {told}", where=uri) from None
    except UsageError:
        raise
    except Exception as error:
        if type(error).__module__.startswith("sqlalchemy"):
            reason = str(error).splitlines()[0]
            raise UsageError(f"the tracking store cannot be opened: {reason}", where=uri) from None
        raise
