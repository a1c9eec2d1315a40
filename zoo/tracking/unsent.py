"""When a tracking server dies: what it does not take is kept in a store of this folder, and sent once it is back."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zoo.job import without_password
from zoo.saving.files import replacing
from zoo.tracking.processes import is_orphan, own_process_tags

_log = logging.getLogger("zoo")

PROBE_S, PROBE_TIMEOUT_S = 2.0, 0.5
# Tags of a spare run: the run of the server that it belongs to, and the experiment there.
OF_TAG, EXPERIMENT_TAG, MODEL_TAG = "zoo.unsent_of", "zoo.unsent_experiment", "zoo.unsent_model."
PARENT_TAG = "mlflow.parentRunId"
BATCH = 1000
TAGS_FILE = "experiment_tags.json"
_OF_A_RUN = {
    "get_run", "log_batch", "log_inputs", "log_outputs", "log_text", "log_figure", "log_artifact", "log_artifacts",
    "set_tag", "set_terminated", "update_run", "get_metric_history", "list_artifacts", "download_artifacts",
}  # fmt: skip
_OF_A_MODEL = {"log_model_artifacts", "finalize_logged_model"}
_DEAD = re.compile(r"failed with exception|Max retries exceeded|too many 50\d|error code 50[234]")


class ModelLeftBehindError(Exception):
    """The server died between the steps of logging a model: all of them are to be taken again."""


class SparingClient:
    """MLflow's client of a server that may die: what it would not take goes into a spare store.

    It is asked again every two seconds; once it answers, the spare runs are sent, and all goes on there. A run keeps
    its id, so that nobody who calls has to know. One that was begun while the server was away has an id of its own
    until it is sent.

    Args:
        client: MLflow's client of the server.
        uri: The server's address.
        folder: Where the spare store lies, made when it is needed.
    """

    def __init__(self, client: Any, uri: str, folder: Path) -> None:
        self._client, self._uri, self._shown = client, uri, without_password(uri)
        self.spare = SpareStore(folder / hashlib.sha256(uri.encode()).hexdigest()[:8])
        self._away, self._asked = False, 0.0
        self._experiments: dict[str, Any] = {}

    def send(self) -> int:
        """Send what earlier commands left, and return the number of runs; those that a live process writes stay."""
        try:
            return self.spare.send(self._client) if self.spare.exists else 0
        except Exception as error:  # whatever it is, it must not keep anybody from working
            told = without_password(str(error).splitlines()[0])
            _log.warning(
                "what %s missed before could not be sent, and stays in %s: %s", self._shown, self.spare.folder, told
            )
            return 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return partial(self._call, name, method) if callable(method) else method

    def _call(self, name: str, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if self._away and not self._is_back():
            return self._spared(name, args, kwargs)
        if name in _OF_A_MODEL and args[0] in self.spare.models:
            raise ModelLeftBehindError  # begun without the server, which is back
        try:
            made = method(*map(self._sent_as, args), **{key: self._sent_as(value) for key, value in kwargs.items()})
        except Exception as error:
            if not is_away(error):
                raise
            if not self._away:
                _log.warning("%s does not answer: what it misses is kept, and sent once it does", self._shown)
            self._away, self._asked = True, time.monotonic()
            return self._spared(name, args, kwargs)
        if name in ("get_experiment", "get_experiment_by_name") and made is not None:
            self._experiments[made.experiment_id] = made
        return made

    def _sent_as(self, value: Any) -> Any:
        """A run that was begun without the server has another id there."""
        return self.spare.sent.get(value, value) if isinstance(value, str) else value

    def _is_back(self) -> bool:
        if time.monotonic() - self._asked < PROBE_S:
            return False
        self._asked = time.monotonic()
        place = urlsplit(self._uri)
        port = place.port or (443 if place.scheme == "https" else 80)
        try:
            with socket.create_connection((place.hostname or "", port), PROBE_TIMEOUT_S):
                pass
            self._client.search_experiments(max_results=1)
            self.spare.send(self._client)
        except Exception as error:
            if not is_away(error):
                raise
            return False
        self._away = False
        _log.warning("%s answers again, and has what it missed", self._shown)
        return True

    def _spared(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "create_run":
            return self.spare.begin(*args, **kwargs)
        if name in _OF_A_RUN:
            return getattr(self.spare.client, name)(self.spare.run_for(args[0]), *args[1:], **kwargs)
        if name == "create_logged_model":
            return self.spare.model_for(self.spare.run_for(kwargs.pop("source_run_id")), **kwargs)
        if name in _OF_A_MODEL:
            if args[0] not in self.spare.models:
                raise ModelLeftBehindError
            return getattr(self.spare.client, name)(*args, **kwargs)
        if name == "get_experiment" and args[0] in self._experiments:
            return self._experiments[args[0]]
        if name == "set_experiment_tag":
            return self.spare.keep_experiment_tag(*args, **kwargs)
        if name in ("search_runs", "search_experiments"):
            return self._nothing()
        raise ConnectionError(f"{self._shown} does not answer")

    def _nothing(self) -> Any:
        from mlflow.store.entities import PagedList

        return PagedList([], None)


class SpareStore:
    """Runs that a server has not got yet, in a store of MLflow's own.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: dict[str, str] = {}
        self.models: set[str] = set()
        self._runs: dict[str, str] = {}
        self._client: Any = None

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return self.folder.is_dir()

    @property
    def client(self) -> Any:
        """MLflow's client of it, made when it is first asked for."""
        if self._client is None:
            import mlflow

            self.folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._client = mlflow.MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")
                self._client.search_experiments(max_results=1)
                if self._client.get_experiment_by_name("unsent") is None:
                    self._client.create_experiment("unsent", artifact_location=(self.folder / "artifacts").as_uri())
        return self._client

    @property
    def experiment_id(self) -> str:
        """The id of the one experiment that it has."""
        return str(self.client.get_experiment_by_name("unsent").experiment_id)

    def begin(self, experiment_id: str, run_name: str | None = None, tags: dict[str, str] | None = None) -> Any:
        """Begin a run that the server does not know."""
        run = self.client.create_run(
            self.experiment_id, run_name=run_name, tags={**(tags or {}), EXPERIMENT_TAG: experiment_id}
        )
        self._runs[run.info.run_id] = run.info.run_id
        return run

    def run_for(self, run_id: str) -> str:
        """Return the id of the spare run for a run of the server's, or for one that was begun here."""
        run_id = self.sent.get(run_id, run_id)
        if run_id not in self._runs:
            tags = {**own_process_tags(), OF_TAG: run_id}
            self._runs[run_id] = self.client.create_run(self.experiment_id, tags=tags).info.run_id
        return self._runs[run_id]

    def model_for(self, run_id: str, **kwargs: Any) -> Any:
        """Begin a logged model of a spare run."""
        made = self.client.create_logged_model(self.experiment_id, source_run_id=run_id, **kwargs)
        self.models.add(made.model_id)
        return made

    def keep_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        """Keep a tag of an experiment of the server's."""
        kept = self._experiment_tags()
        kept.setdefault(experiment_id, {})[key] = value
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / TAGS_FILE) as writing:
            writing.write_text(json.dumps(kept), encoding="utf-8")

    def _experiment_tags(self) -> dict[str, dict[str, str]]:
        file = self.folder / TAGS_FILE
        made: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return made

    def send(self, server: Any) -> int:
        """Send runs, each once, and forget them; return how many. What another live process writes is left to it.

        Args:
            server: MLflow's client of the server.
        """
        client, place = self.client, self.experiment_id  # made before, for that takes the lock too
        with self._alone():
            own = set(self._runs.values())
            runs = client.search_runs([place], order_by=["attributes.start_time ASC"])
            runs = [run for run in runs if run.info.run_id in own or run.info.status != "RUNNING" or is_orphan(run)]
            runs = [run for run in runs if self._is_sent(server, run)]
            for experiment_id, tags in self._experiment_tags().items():
                for key, value in tags.items():
                    self._set_experiment_tag(server, experiment_id, key, value)
            (self.folder / TAGS_FILE).unlink(missing_ok=True)
            return len(runs)

    def _is_sent(self, server: Any, run: Any) -> bool:
        """Send a run, and tell whether the server took it: one that it refuses stays, and keeps nobody from working."""
        from mlflow.exceptions import MlflowException

        try:
            self._send_run(server, run)
        except MlflowException as error:
            if is_away(error):
                raise
            told = str(error).splitlines()[0]
            _log.warning(
                "the server refuses what it missed of run %s, kept in %s: %s", run.info.run_id, self.folder, told
            )
            return False
        return True

    def _send_run(self, server: Any, run: Any) -> None:
        spare_id, tags = run.info.run_id, dict(run.data.tags)
        own_id, experiment_id = tags.pop(OF_TAG, None), tags.pop(EXPERIMENT_TAG, None)
        sent = {name for name in tags if name.startswith(MODEL_TAG)}
        tags = {name: value for name, value in tags.items() if name not in sent}
        if PARENT_TAG in tags:
            tags[PARENT_TAG] = self._id_at_server(tags[PARENT_TAG])
        if own_id is None:
            began = run.info.start_time
            begun = server.create_run(experiment_id, start_time=began, run_name=run.info.run_name, tags=tags)
            own_id = begun.info.run_id
            self.client.set_tag(spare_id, OF_TAG, own_id)  # a kill from here on begins no second one
        if experiment_id is not None:
            self.sent[spare_id] = own_id
        self._send_values(server, run, own_id, tags)
        with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
            for file in self.client.list_artifacts(spare_id):
                self.client.download_artifacts(spare_id, file.path, folder)
            if any(Path(folder).iterdir()):
                server.log_artifacts(own_id, folder)
        for output in run.outputs.model_outputs if run.outputs else []:
            if f"{MODEL_TAG}{output.model_id}" not in sent:
                self._send_model(server, output.model_id, own_id)
                self.client.set_tag(spare_id, f"{MODEL_TAG}{output.model_id}", "sent")
            shutil.rmtree(self.folder / "artifacts" / "models" / output.model_id, ignore_errors=True)
        if run.info.status != "RUNNING":
            server.set_terminated(own_id, run.info.status, run.info.end_time)
        self.client.delete_run(spare_id)
        shutil.rmtree(self.folder / "artifacts" / spare_id, ignore_errors=True)
        self._runs = {known: spare for known, spare in self._runs.items() if spare != spare_id}

    def _set_experiment_tag(self, server: Any, experiment_id: str, key: str, value: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            server.set_experiment_tag(experiment_id, key, value)
        except MlflowException as error:  # how an experiment is shown is remade by its next run
            if is_away(error):
                raise

    def _id_at_server(self, run_id: str) -> str:
        """The id that a run has there, whether it was begun here or there."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client.get_run(run_id).data.tags.get(OF_TAG, run_id))
        except MlflowException:
            return run_id

    def _send_values(self, server: Any, run: Any, own_id: str, tags: dict[str, str]) -> None:
        """Metrics with their history, parameters, tags and inputs: what is there already is not there twice."""
        from mlflow.entities import Param, RunTag

        metrics = [m for name in run.data.metrics for m in self.client.get_metric_history(run.info.run_id, name)]
        for start in range(0, len(metrics), BATCH):
            server.log_batch(own_id, metrics=metrics[start : start + BATCH])
        known = server.get_run(own_id).data.params
        params = [Param(name, value) for name, value in run.data.params.items() if name not in known]
        for start in range(0, len(params), 100):
            server.log_batch(own_id, params=params[start : start + 100])
        told = [RunTag(name, value) for name, value in tags.items() if name != "mlflow.runName"]
        for start in range(0, len(told), 100):
            server.log_batch(own_id, tags=told[start : start + 100])
        if run.inputs and run.inputs.dataset_inputs:
            server.log_inputs(own_id, run.inputs.dataset_inputs)

    def _send_model(self, server: Any, model_id: str, run_id: str) -> None:
        import yaml
        from mlflow.artifacts import download_artifacts
        from mlflow.entities import LoggedModelOutput

        kept = self.client.get_logged_model(model_id)
        experiment_id = server.get_run(run_id).info.experiment_id
        made = server.create_logged_model(
            experiment_id, name=kept.name, source_run_id=run_id, model_type=kept.model_type
        )
        with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
            path = Path(download_artifacts(kept.artifact_location, dst_path=folder))
            file = path / "MLmodel"
            told = yaml.safe_load(file.read_text(encoding="utf-8"))
            told |= {"run_id": run_id, "model_id": made.model_id}
            file.chmod(0o644)
            file.write_text(yaml.safe_dump(told), encoding="utf-8")
            server.log_model_artifacts(made.model_id, str(path))
        server.finalize_logged_model(made.model_id, "READY")
        server.log_outputs(run_id, [LoggedModelOutput(made.model_id, 0)])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time makes the store, or sends what is in it."""
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def is_away(error: BaseException) -> bool:
    """Tell whether an error says that a server does not answer, and not that it refuses."""
    with suppress(ImportError):
        import requests

        if isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)):
            return True
    return isinstance(error, ConnectionError) or bool(_DEAD.search(str(error)))
