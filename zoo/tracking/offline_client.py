"""MLflow's client of a server that may be away: calls are kept offline and sent when the server answers again."""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zoo.errors import JobError, shorten_error
from zoo.text import remove_passwords
from zoo.tracking.offline_store import OfflineStore, is_away
from zoo.tracking.retry_duplicates import repeat_on_duplicate

_log = logging.getLogger("zoo")

PROBE_S, PROBE_TIMEOUT_S = 2.0, 0.5
_WRITES_OF_A_RUN = {
    "log_batch", "log_inputs", "log_outputs", "log_text", "log_figure", "log_artifact", "log_artifacts", "set_tag",
    "set_terminated", "update_run",
}  # fmt: skip
_READS_OF_A_RUN = {"get_run", "get_metric_history", "list_artifacts", "download_artifacts"}
_OF_A_MODEL = {"log_model_artifacts", "finalize_logged_model"}
_clients: dict[tuple[str, Path], OfflineClient] = {}


class ModelLeftBehindError(Exception):
    """The server was lost or came back between the steps of logging a model: all steps must be repeated."""


def get_client(uri: str, folder: Path) -> OfflineClient:
    """Return this process's client of a server.

    A command starts only if the server answers. A command that already has an open run continues without the server,
    also when it starts a fold or another run below its own.

    Args:
        uri: The server's address.
        folder: Folder of the offline stores of all servers.

    Raises:
        mlflow.exceptions.MlflowException: When the server does not answer, and no run is open.
    """
    import mlflow

    client = _clients.get((uri, folder)) or OfflineClient(mlflow.MlflowClient(uri), uri, folder)
    if not client.under_way:
        client.connect()
    _clients[uri, folder] = client
    return client


class OfflineClient:
    """MLflow's client of a server that may be away: calls that fail go to an offline store.

    The server is probed every two seconds; once it answers, the offline runs are sent, and later calls go to the
    server. A run keeps its id. A run created while the server was away gets another id there, and is found by both.

    Args:
        client: MLflow's client of the server.
        uri: The server's address.
        folder: Folder of the offline stores of all servers; this server's is created when it is needed.
    """

    def __init__(self, client: Any, uri: str, folder: Path) -> None:
        self._client, self._uri, self._shown = client, uri, remove_passwords(uri)
        self.offline = OfflineStore(folder / hashlib.sha256(uri.encode()).hexdigest()[:8])
        self._away, self._asked = False, 0.0
        self._experiments: dict[str, Any] = {}
        self._last_runs: dict[str, Any] = {}
        self._own: set[str] = set()
        self._open: set[str] = set()

    @property
    def under_way(self) -> bool:
        """Whether this process has an open run."""
        return bool(self._open)

    def connect(self) -> None:
        """Check that the server answers, and send what earlier commands left offline."""
        self._client.search_experiments(max_results=1)
        self._away = False
        if not self.offline.exists:
            return
        try:
            self.offline.send(self._client)
        except Exception as error:  # no error here may stop the command
            self._say_unsent(error)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return partial(self._call, name, method) if callable(method) else method

    def _call(self, name: str, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if name in _WRITES_OF_A_RUN:
            self._own |= self.offline.names_of(args[0])
        try:
            answer = self._answer(name, method, args, kwargs)
        finally:
            if name == "set_terminated":
                self._open -= self.offline.names_of(args[0])
        if name == "create_run":
            self._own.add(answer.info.run_id)
            self._open.add(answer.info.run_id)
        elif name == "update_run" and kwargs.get("status") == "RUNNING":
            self._open.add(args[0])
        return answer

    def _answer(self, name: str, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._away and not self._is_back():
            return self._answer_offline(name, args, kwargs)
        if {*map(str, args[:1]), str(kwargs.get("source_run_id"))} & self.offline.unsent:
            return self._answer_offline(name, args, kwargs)  # the server is back, but does not have this run
        if name in _OF_A_MODEL and args[0] in self.offline.models:
            if self.offline.models[args[0]] in self.offline.unsent:
                return self._answer_offline(name, args, kwargs)
            raise ModelLeftBehindError  # created without the server, which is back
        at_server = self.offline.at_server
        kwargs = _unlinked(kwargs, self.offline.models)
        try:
            at_server_kwargs = {key: at_server(value) for key, value in kwargs.items()}
            answer = repeat_on_duplicate(method, *map(at_server, args), **at_server_kwargs)
        except Exception as error:
            if not is_away(error):
                raise
            if not self._away:
                _log.warning("%s does not answer: results are kept here, and sent when it answers again", self._shown)
            self._away, self._asked = True, time.monotonic()
            return self._answer_offline(name, args, kwargs)
        if name in ("get_experiment", "get_experiment_by_name") and answer is not None:
            self._experiments |= {answer.experiment_id: answer, answer.name: answer}
        if name in ("create_run", "get_run"):
            self._last_runs[answer.info.run_id] = answer
        elif name == "search_runs":
            self._last_runs |= {run.info.run_id: run for run in answer}
        return answer

    def _is_back(self) -> bool:
        if time.monotonic() - self._asked < PROBE_S:
            return False
        self._asked = time.monotonic()
        address = urlsplit(self._uri)
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            with socket.create_connection((address.hostname or "", port), PROBE_TIMEOUT_S):
                pass
            self._client.search_experiments(max_results=1)
        except Exception:  # no error here may stop a training
            return False
        try:
            self.offline.send(self._client)
        except Exception as error:
            if is_away(error):
                return False
            self._say_unsent(error)
        else:
            _log.warning("%s answers again; the results kept here were sent", self._shown)
        self._away = False
        return True

    def _say_unsent(self, error: Exception) -> None:
        reason = remove_passwords(shorten_error(error))
        _log.warning("results for %s could not be sent and stay in %s: %s", self._shown, self.offline.folder, reason)

    def _answer_offline(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        offline = self.offline
        if name == "create_run":
            return offline.begin(*args, **kwargs)
        if name in _WRITES_OF_A_RUN:
            return getattr(offline.client, name)(offline.run_for(args[0]), *args[1:], **_unlinked(kwargs))
        if name == "get_run":
            return self._offline_run(args[0])
        if name in _READS_OF_A_RUN and args[0] in self._own:
            return getattr(offline.client, name)(offline.run_for(args[0]), *args[1:], **kwargs)
        if name == "create_logged_model":
            return offline.model_for(offline.run_for(kwargs.pop("source_run_id")), **kwargs)
        if name in _OF_A_MODEL:
            if args[0] not in offline.models:
                raise ModelLeftBehindError
            return getattr(offline.client, name)(*args, **kwargs)
        if name in ("get_experiment", "get_experiment_by_name") and args[0] in self._experiments:
            return self._experiments[args[0]]
        if name == "set_experiment_tag":
            return offline.keep_experiment_tag(*args, **kwargs)
        if name == "search_experiments":
            return list({experiment.experiment_id: experiment for experiment in self._experiments.values()}.values())
        if name == "search_runs":
            return offline.search(*args, **kwargs)
        raise self._no_answer()

    def _offline_run(self, run_id: str) -> Any:
        """Return a run of this process with its offline data, or another run as the server last returned it."""
        run = next((self._last_runs[name] for name in self.offline.names_of(run_id) if name in self._last_runs), None)
        if run_id in self._own:
            return self.offline.run(run_id, run.info.experiment_id if run is not None else None)
        if run is None:
            raise self._no_answer()
        return run

    def _no_answer(self) -> JobError:
        return JobError("the tracking server does not answer", where=self._shown)


def _unlinked(kwargs: dict[str, Any], models: Collection[str] | None = None) -> dict[str, Any]:
    """Return arguments whose metrics are not linked to a model that the receiver does not have; None for any model."""
    linked = [metric for metric in kwargs.get("metrics") or () if metric.model_id is not None]
    if not any(models is None or metric.model_id in models for metric in linked):
        return kwargs
    from mlflow.entities import Metric

    return {**kwargs, "metrics": [Metric(m.key, m.value, m.timestamp, m.step) for m in kwargs["metrics"]]}
