"""Runs that a tracking server has not received yet, in a local MLflow store, until they are sent."""

from __future__ import annotations

import fcntl
import json
import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo.errors import shorten_error
from zoo.saving.abandoned_files import open_temporary_folder
from zoo.saving.files import write_atomically
from zoo.tracking.create_database import create_database
from zoo.tracking.process_tags import create_process_tags, is_of_another
from zoo.tracking.tags import DETAILS_TAG, PROCESS_TAG, pack_details, unpack_tags

_log = logging.getLogger("zoo")

# Tags of an offline run: the run of the server that it belongs to, its experiment there, and its models.
OF_TAG, EXPERIMENT_TAG, MODEL_TAG = "zoo.unsent_of", "zoo.unsent_experiment", "zoo.unsent_model."
PARENT_TAG = "mlflow.parentRunId"
BATCH = 1000
SENT_FILE, TAGS_FILE = "sent.json", "experiment_tags.json"
_RUN_ID = re.compile(r"\b[0-9a-f]{32}\b")
_DEAD = re.compile(r"failed with exception|Max retries exceeded|too many 50\d|error code 50[234]")


class OfflineStore:
    """Runs that a server has not received yet, in a local MLflow store.

    Args:
        folder: Folder of the store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: dict[str, str] = {}
        self.unsent: set[str] = set()
        self._runs: dict[str, str] = {}
        self._sent: dict[str, str] = {}
        self._client: Any = None
        self._read_sent()

    @property
    def exists(self) -> bool:
        """Whether the store has been created."""
        return self.folder.is_dir()

    @property
    def client(self) -> Any:
        """MLflow's client of the store, which is created on first use."""
        if self._client is None:
            import mlflow

            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                create_database(self.folder / "mlflow.db")
                self._client = mlflow.MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")
                self._client.search_experiments(max_results=1)
                if self._client.get_experiment_by_name("unsent") is None:
                    self._client.create_experiment("unsent", artifact_location=(self.folder / "artifacts").as_uri())
        return self._client

    @property
    def experiment_id(self) -> str:
        """Id of the store's only experiment."""
        return str(self.client.get_experiment_by_name("unsent").experiment_id)

    def at_server(self, value: Any) -> Any:
        """Replace ids of runs created offline by their ids at the server."""
        from mlflow.entities import RunTag

        if not self._sent or not value:
            return value
        if isinstance(value, str):
            return _RUN_ID.sub(lambda match: self._sent.get(match[0], match[0]), value)
        if isinstance(value, dict):
            return {name: self.at_server(item) for name, item in value.items()}
        if isinstance(value, list):
            return [RunTag(tag.key, self.at_server(tag.value)) if isinstance(tag, RunTag) else tag for tag in value]
        return value

    def begun_as(self, run_id: str) -> str:
        """Return the id that a run of the server had when it was created offline; the same id for all other runs."""
        return next((local_id for local_id, server_id in self._sent.items() if server_id == run_id), run_id)

    def begin(self, experiment_id: str, run_name: str | None = None, tags: dict[str, str] | None = None) -> Any:
        """Create a run that the server does not know."""
        run = self.client.create_run(
            self.experiment_id, run_name=run_name, tags={**(tags or {}), EXPERIMENT_TAG: experiment_id}
        )
        self._runs[run.info.run_id] = run.info.run_id
        self.unsent.add(run.info.run_id)
        return run

    def run_for(self, run_id: str) -> str:
        """Return the id of the offline run for a run of the server, or for one created offline."""
        run_id = self._sent.get(run_id, run_id)
        if run_id not in self._runs:
            tags = {**pack_details(create_process_tags()), OF_TAG: run_id}
            self._runs[run_id] = self.client.create_run(self.experiment_id, tags=tags).info.run_id
        return self._runs[run_id]

    def names_of(self, run_id: str) -> set[str]:
        """Return all ids of a run: offline, and at the server."""
        return {run_id, self._sent.get(run_id, run_id), self.begun_as(run_id)}

    def holds(self, run_id: str) -> bool:
        """Return whether a run that was created offline waits to be sent."""
        from mlflow.exceptions import MlflowException

        if not self.exists:
            return False
        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException:
            return False

    def begun_with(self, prefix: str) -> list[str]:
        """Return the server's ids of runs whose offline id begins with ``prefix``."""
        return [server_id for local_id, server_id in self._sent.items() if local_id.startswith(prefix)]

    def run(self, run_id: str, experiment_id: str | None) -> Any:
        """Return a run with the data kept offline, under the server's ids; data at the server are not included.

        Args:
            run_id: Its id.
            experiment_id: Its experiment at the server; None if the offline run has it as a tag.
        """
        run = self.client.get_run(self.run_for(run_id))
        return _as_of_the_server(run, run_id, experiment_id)

    def search(self, experiment_ids: list[str], *args: Any, **kwargs: Any) -> Any:
        """Search the runs that were created offline."""
        from mlflow.store.entities import PagedList

        page = self.client.search_runs([self.experiment_id], *args, **kwargs)
        runs = [
            run for run in page if EXPERIMENT_TAG in run.data.tags
        ]  # the others hold later data of the server's runs
        self._runs |= {run.info.run_id: run.info.run_id for run in runs}
        self.unsent |= {run.info.run_id for run in runs}
        return PagedList([_as_of_the_server(run, run.info.run_id, None) for run in runs], page.token)

    def model_for(self, run_id: str, **kwargs: Any) -> Any:
        """Create a logged model of an offline run."""
        model = self.client.create_logged_model(self.experiment_id, source_run_id=run_id, **kwargs)
        self.models[model.model_id] = run_id
        return model

    def keep_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        """Keep a tag of one of the server's experiments."""
        experiment_tags = self._experiment_tags()
        experiment_tags.setdefault(experiment_id, {})[key] = value
        self.folder.mkdir(parents=True, exist_ok=True)
        with write_atomically(self.folder / TAGS_FILE) as writing:
            writing.write_text(json.dumps(experiment_tags), encoding="utf-8")

    def _experiment_tags(self) -> dict[str, dict[str, str]]:
        file = self.folder / TAGS_FILE
        tags: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return tags

    def send(self, server: Any) -> int:
        """Send runs, each once, and delete them here; return how many. Runs of other live processes are left to them.

        Args:
            server: MLflow's client of the server.
        """
        experiment = self.experiment_id  # before the lock, because it may create the store, which takes the lock
        with self._locked():
            self._read_sent()
            runs = self._all_runs(experiment)
            others = Counter(unpack_tags(run)[PROCESS_TAG] for run in runs if is_of_another(run))
            for process, number in others.items():
                _log.warning("%d runs in %s belong to process %s, which will send them", number, self.folder, process)
            unsent = {run.info.run_id for run in runs}
            for run in runs:
                if is_of_another(run) or run.data.tags.get(PARENT_TAG) in unsent:
                    continue  # a run whose parent stays would lose its parent
                if self._is_sent(server, run):
                    unsent.discard(run.info.run_id)
            sent = len(runs) - len(unsent)
            for experiment_id, tags in self._experiment_tags().items():
                for key, value in tags.items():
                    self._set_experiment_tag(server, experiment_id, key, value)
            (self.folder / TAGS_FILE).unlink(missing_ok=True)
            return sent

    def _all_runs(self, experiment: str) -> list[Any]:
        """Return all runs by start time, so that a parent comes before its children."""
        runs: list[Any] = []
        token = None
        while True:
            page = self.client.search_runs([experiment], order_by=["attributes.start_time ASC"], page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _read_sent(self) -> None:
        """Read the ids of runs that were sent before, possibly by another process."""
        file = self.folder / SENT_FILE
        if file.is_file():
            self._sent.update(json.loads(file.read_text(encoding="utf-8")))
            self.unsent -= set(self._sent)

    def _write_sent(self, local_id: str, server_id: str) -> None:
        self._sent[local_id] = server_id
        self.unsent.discard(local_id)
        with write_atomically(self.folder / SENT_FILE) as writing:
            writing.write_text(json.dumps(self._sent), encoding="utf-8")

    def _is_sent(self, server: Any, run: Any) -> bool:
        """Send a run, and return whether the server accepted it; a run that it refuses stays here."""
        try:
            self._send_run(server, run)
        except Exception as error:
            if is_away(error):
                server.search_experiments(max_results=1)  # if this answers, the server refused this run
            reason = shorten_error(error)
            _log.warning(
                "the server refuses the results of run %s, which stay in %s: %s", run.info.run_id, self.folder, reason
            )
            return False
        return True

    def _send_run(self, server: Any, run: Any) -> None:
        local_id, tags = run.info.run_id, dict(run.data.tags)
        server_id, experiment_id = tags.pop(OF_TAG, None), tags.pop(EXPERIMENT_TAG, None)
        sent = {name for name in tags if name.startswith(MODEL_TAG)}
        tags = self.at_server({name: value for name, value in tags.items() if name not in sent})
        if server_id is not None:
            tags.pop(DETAILS_TAG, None)  # the run at the server has its own
        else:
            start_time = run.info.start_time
            created = server.create_run(experiment_id, start_time=start_time, run_name=run.info.run_name, tags=tags)
            server_id = created.info.run_id
            self.client.set_tag(local_id, OF_TAG, server_id)  # so that after a kill no second run is created
        if experiment_id is not None:
            self._write_sent(local_id, server_id)
        self._send_values(server, run, server_id, tags)
        with open_temporary_folder() as folder:
            for file in self.client.list_artifacts(local_id):
                self.client.download_artifacts(local_id, file.path, folder)
            if any(folder.iterdir()):
                server.log_artifacts(server_id, folder)
        for output in run.outputs.model_outputs if run.outputs else []:
            if f"{MODEL_TAG}{output.model_id}" not in sent:
                self._send_output(server, output, server_id)
                self.client.set_tag(local_id, f"{MODEL_TAG}{output.model_id}", "sent")
            shutil.rmtree(self.folder / "artifacts" / "models" / output.model_id, ignore_errors=True)
        if run.info.status != "RUNNING":
            server.set_terminated(server_id, run.info.status, run.info.end_time)
        self.client.delete_run(local_id)
        shutil.rmtree(self.folder / "artifacts" / local_id, ignore_errors=True)
        self._runs = {
            server_id: local_run_id for server_id, local_run_id in self._runs.items() if local_run_id != local_id
        }

    def _set_experiment_tag(self, server: Any, experiment_id: str, key: str, value: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            server.set_experiment_tag(experiment_id, key, value)
        except MlflowException as error:  # the next run sets the view of the experiment again
            if is_away(error):
                raise

    def _send_values(self, server: Any, run: Any, server_id: str, tags: dict[str, str]) -> None:
        """Send metrics with their history, parameters, tags and inputs, without duplicates."""
        from mlflow.entities import Param, RunTag

        metrics = [m for name in run.data.metrics for m in self.client.get_metric_history(run.info.run_id, name)]
        for start in range(0, len(metrics), BATCH):
            server.log_batch(server_id, metrics=metrics[start : start + BATCH])
        logged = server.get_run(server_id).data.params
        params = [Param(name, value) for name, value in run.data.params.items() if name not in logged]
        for start in range(0, len(params), 100):
            server.log_batch(server_id, params=params[start : start + 100])
        run_tags = [RunTag(name, value) for name, value in tags.items() if name != "mlflow.runName"]
        for start in range(0, len(run_tags), 100):
            server.log_batch(server_id, tags=run_tags[start : start + 100])
        if run.inputs and run.inputs.dataset_inputs:
            server.log_inputs(server_id, run.inputs.dataset_inputs)

    def _send_output(self, server: Any, output: Any, run_id: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            model = self.client.get_logged_model(output.model_id)
        except MlflowException:  # the server has the model, but not its link to the run
            server.log_outputs(run_id, [output])
        else:
            self._send_model(server, model, run_id)

    def _send_model(self, server: Any, model: Any, run_id: str) -> None:
        import yaml
        from mlflow.artifacts import download_artifacts
        from mlflow.entities import LoggedModelOutput

        experiment_id = server.get_run(run_id).info.experiment_id
        created = server.create_logged_model(
            experiment_id, name=model.name, source_run_id=run_id, model_type=model.model_type
        )
        with open_temporary_folder() as folder:
            path = Path(download_artifacts(model.artifact_location, dst_path=folder))
            file = path / "MLmodel"
            description = yaml.safe_load(file.read_text(encoding="utf-8"))
            description |= {"run_id": run_id, "model_id": created.model_id}
            file.chmod(0o644)
            file.write_text(yaml.safe_dump(description), encoding="utf-8")
            server.log_model_artifacts(created.model_id, str(path))
        server.finalize_logged_model(created.model_id, "READY")
        server.log_outputs(run_id, [LoggedModelOutput(created.model_id, 0)])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the store, so that only one process at a time creates it or sends from it."""
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _as_of_the_server(run: Any, run_id: str, experiment_id: str | None) -> Any:
    """Return an offline run under the id and experiment of the server."""
    from mlflow.entities import Run, RunInfo

    place = experiment_id or run.data.tags.get(EXPERIMENT_TAG, run.info.experiment_id)
    info = {**dict(run.info), "run_id": run_id, "experiment_id": place, "user_id": ""}
    return Run(RunInfo(**info), run.data, run.inputs, run.outputs)


def is_away(error: BaseException) -> bool:
    """Return whether an error means that a server does not answer, rather than that it refuses."""
    with suppress(ImportError):
        import requests

        if isinstance(error, requests.HTTPError) and error.response is not None:
            return error.response.status_code in (502, 503, 504)
        if isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)):
            return True
    return isinstance(error, ConnectionError) or bool(_DEAD.search(str(error)))
