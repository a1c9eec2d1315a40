"""The runs that a tracking server has not got yet, in a store of MLflow's own, until they are sent."""

from __future__ import annotations

import fcntl
import json
import logging
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo.errors import first_line
from zoo.saving.files import replacing
from zoo.tracking.process_tags import PROCESS_TAG, is_of_another, own_process_tags

_log = logging.getLogger("zoo")

# Tags of a spare run: the run of the server that it belongs to, and the experiment there.
OF_TAG, EXPERIMENT_TAG, MODEL_TAG = "zoo.unsent_of", "zoo.unsent_experiment", "zoo.unsent_model."
PARENT_TAG = "mlflow.parentRunId"
BATCH = 1000
SENT_FILE, TAGS_FILE = "sent.json", "experiment_tags.json"
_RUN_ID = re.compile(r"\b[0-9a-f]{32}\b")
_DEAD = re.compile(r"failed with exception|Max retries exceeded|too many 50\d|error code 50[234]")


class OfflineStore:
    """Runs that a server has not got yet, in a store of MLflow's own.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: dict[str, str] = {}
        self.kept: set[str] = set()
        self._runs: dict[str, str] = {}
        self._sent: dict[str, str] = {}
        self._client: Any = None
        self._read_sent()

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

    def at_server(self, value: Any) -> Any:
        """Return what the server knows a value as: ids of runs that were begun here are others there."""
        from mlflow.entities import RunTag

        if not self._sent or not value:
            return value
        if isinstance(value, str):
            return _RUN_ID.sub(lambda found: self._sent.get(found[0], found[0]), value)
        if isinstance(value, dict):
            return {name: self.at_server(known) for name, known in value.items()}
        if isinstance(value, list):
            return [RunTag(tag.key, self.at_server(tag.value)) if isinstance(tag, RunTag) else tag for tag in value]
        return value

    def begun_as(self, run_id: str) -> str:
        """Return the id that a run of the server's had when it was begun here; its own where it was not."""
        return next((begun for begun, known in self._sent.items() if known == run_id), run_id)

    def begin(self, experiment_id: str, run_name: str | None = None, tags: dict[str, str] | None = None) -> Any:
        """Begin a run that the server does not know."""
        run = self.client.create_run(
            self.experiment_id, run_name=run_name, tags={**(tags or {}), EXPERIMENT_TAG: experiment_id}
        )
        self._runs[run.info.run_id] = run.info.run_id
        self.kept.add(run.info.run_id)
        return run

    def run_for(self, run_id: str) -> str:
        """Return the id of the spare run for a run of the server's, or for one that was begun here."""
        run_id = self._sent.get(run_id, run_id)
        if run_id not in self._runs:
            tags = {**own_process_tags(), OF_TAG: run_id}
            self._runs[run_id] = self.client.create_run(self.experiment_id, tags=tags).info.run_id
        return self._runs[run_id]

    def names_of(self, run_id: str) -> set[str]:
        """Return the ids that a run has: here, and at the server."""
        return {run_id, self._sent.get(run_id, run_id), self.begun_as(run_id)}

    def holds(self, run_id: str) -> bool:
        """Tell whether a run that was begun here waits to be sent."""
        from mlflow.exceptions import MlflowException

        if not self.exists:
            return False
        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException:
            return False

    def begun_with(self, prefix: str) -> list[str]:
        """Return the server's ids of runs that were begun here under an id that begins so."""
        return [known for begun, known in self._sent.items() if begun.startswith(prefix)]

    def run(self, run_id: str, experiment_id: str | None) -> Any:
        """Return a run with what is kept of it, as one of the server's: of what it has there nothing is known.

        Args:
            run_id: Its id.
            experiment_id: Its experiment at the server; None where the run knows it.
        """
        made = self.client.get_run(self.run_for(run_id))
        return _as_of_the_server(made, run_id, experiment_id)

    def search(self, experiment_ids: list[str], *args: Any, **kwargs: Any) -> Any:
        """Find runs among those that were begun here."""
        from mlflow.store.entities import PagedList

        found = self.client.search_runs([self.experiment_id], *args, **kwargs)
        begun = [run for run in found if EXPERIMENT_TAG in run.data.tags]  # others are what the server's runs miss
        self._runs |= {run.info.run_id: run.info.run_id for run in begun}
        self.kept |= {run.info.run_id for run in begun}
        return PagedList([_as_of_the_server(run, run.info.run_id, None) for run in begun], found.token)

    def model_for(self, run_id: str, **kwargs: Any) -> Any:
        """Begin a logged model of a spare run."""
        made = self.client.create_logged_model(self.experiment_id, source_run_id=run_id, **kwargs)
        self.models[made.model_id] = run_id
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
        """Send runs, each once, and forget them; return how many. What another process may write is left to it.

        Args:
            server: MLflow's client of the server.
        """
        place = self.experiment_id  # asked before, for that may make the store, and take the lock for it
        with self._alone():
            self._read_sent()
            runs = self._all_runs(place)
            others = Counter(run.data.tags[PROCESS_TAG] for run in runs if is_of_another(run))
            for process, number in others.items():
                _log.warning("%d runs in %s wait for process %s, which sends them", number, self.folder, process)
            left = {run.info.run_id for run in runs}
            for run in runs:
                if is_of_another(run) or run.data.tags.get(PARENT_TAG) in left:
                    continue  # a run whose parent stays would be without it for ever
                if self._is_sent(server, run):
                    left.discard(run.info.run_id)
            sent = len(runs) - len(left)
            for experiment_id, tags in self._experiment_tags().items():
                for key, value in tags.items():
                    self._set_experiment_tag(server, experiment_id, key, value)
            (self.folder / TAGS_FILE).unlink(missing_ok=True)
            return sent

    def _all_runs(self, place: str) -> list[Any]:
        """All runs, those that began first before others: a parent before its children."""
        found: list[Any] = []
        token = None
        while True:
            page = self.client.search_runs([place], order_by=["attributes.start_time ASC"], page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def _read_sent(self) -> None:
        """Another process may have sent runs, and a later one asks for them by the ids that they had here."""
        file = self.folder / SENT_FILE
        if file.is_file():
            self._sent.update(json.loads(file.read_text(encoding="utf-8")))
            self.kept -= set(self._sent)

    def _write_sent(self, spare_id: str, own_id: str) -> None:
        self._sent[spare_id] = own_id
        self.kept.discard(spare_id)
        with replacing(self.folder / SENT_FILE) as writing:
            writing.write_text(json.dumps(self._sent), encoding="utf-8")

    def _is_sent(self, server: Any, run: Any) -> bool:
        """Send a run, and tell whether the server took it: one that it refuses stays, and keeps nobody from working."""
        try:
            self._send_run(server, run)
        except Exception as error:
            if is_away(error):
                server.search_experiments(max_results=1)  # answers: then it was this run that it could not take
            told = first_line(error)
            _log.warning(
                "the server refuses what it missed of run %s, kept in %s: %s", run.info.run_id, self.folder, told
            )
            return False
        return True

    def _send_run(self, server: Any, run: Any) -> None:
        spare_id, tags = run.info.run_id, dict(run.data.tags)
        own_id, experiment_id = tags.pop(OF_TAG, None), tags.pop(EXPERIMENT_TAG, None)
        sent = {name for name in tags if name.startswith(MODEL_TAG)}
        tags = self.at_server({name: value for name, value in tags.items() if name not in sent})
        if own_id is None:
            began = run.info.start_time
            begun = server.create_run(experiment_id, start_time=began, run_name=run.info.run_name, tags=tags)
            own_id = begun.info.run_id
            self.client.set_tag(spare_id, OF_TAG, own_id)  # a kill from here on begins no second one
        if experiment_id is not None:
            self._write_sent(spare_id, own_id)
        self._send_values(server, run, own_id, tags)
        with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
            for file in self.client.list_artifacts(spare_id):
                self.client.download_artifacts(spare_id, file.path, folder)
            if any(Path(folder).iterdir()):
                server.log_artifacts(own_id, folder)
        for output in run.outputs.model_outputs if run.outputs else []:
            if f"{MODEL_TAG}{output.model_id}" not in sent:
                self._send_output(server, output, own_id)
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

    def _send_output(self, server: Any, output: Any, run_id: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            kept = self.client.get_logged_model(output.model_id)
        except MlflowException:  # the server has the model, and missed only that the run made it
            server.log_outputs(run_id, [output])
        else:
            self._send_model(server, kept, run_id)

    def _send_model(self, server: Any, kept: Any, run_id: str) -> None:
        import yaml
        from mlflow.artifacts import download_artifacts
        from mlflow.entities import LoggedModelOutput

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


def _as_of_the_server(run: Any, run_id: str, experiment_id: str | None) -> Any:
    """A spare run under the id and the experiment that whoever asks knows."""
    from mlflow.entities import Run, RunInfo

    place = experiment_id or run.data.tags.get(EXPERIMENT_TAG, run.info.experiment_id)
    info = {**dict(run.info), "run_id": run_id, "experiment_id": place, "user_id": ""}
    return Run(RunInfo(**info), run.data, run.inputs, run.outputs)


def is_away(error: BaseException) -> bool:
    """Tell whether an error says that a server does not answer, and not that it refuses."""
    with suppress(ImportError):
        import requests

        if isinstance(error, requests.HTTPError) and error.response is not None:
            return error.response.status_code in (502, 503, 504)
        if isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)):
            return True
    return isinstance(error, ConnectionError) or bool(_DEAD.search(str(error)))
