"""MLflow's client of a server that may die: work goes on without it, and what it misses is sent once it is back."""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zoo.errors import JobError, first_line
from zoo.text import without_password
from zoo.tracking.offline_store import OfflineStore, is_away

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
    """The server died between the steps of logging a model: all of them are to be taken again."""


def offline_client(uri: str, folder: Path) -> OfflineClient:
    """Return this process's client of a server.

    A command begins only with a server that answers; one that is under way, and begins a fold or another run below
    its own, goes on without.

    Args:
        uri: The server's address.
        folder: Where the spare stores of all servers lie.

    Raises:
        mlflow.exceptions.MlflowException: When the server does not answer, and nothing is under way.
    """
    import mlflow

    client = _clients.get((uri, folder)) or OfflineClient(mlflow.MlflowClient(uri), uri, folder)
    if not client.under_way:
        client.connect()
    _clients[uri, folder] = client
    return client


class OfflineClient:
    """MLflow's client of a server that may die: what it would not take goes into a spare store.

    It is asked again every two seconds; once it answers, the spare runs are sent, and all goes on there. A run keeps
    its id. One that was begun while the server was away has another one there, and is found by both.

    Args:
        client: MLflow's client of the server.
        uri: The server's address.
        folder: Where the spare stores of all servers lie; this one's is made when it is needed.
    """

    def __init__(self, client: Any, uri: str, folder: Path) -> None:
        self._client, self._uri, self._shown = client, uri, without_password(uri)
        self.spare = OfflineStore(folder / hashlib.sha256(uri.encode()).hexdigest()[:8])
        self._away, self._asked = False, 0.0
        self._experiments: dict[str, Any] = {}
        self._seen: dict[str, Any] = {}
        self._own: set[str] = set()
        self._open: set[str] = set()

    @property
    def under_way(self) -> bool:
        """Whether a run of this process has begun and not ended."""
        return bool(self._open)

    def connect(self) -> None:
        """Ask the server whether it answers, and send what earlier commands left."""
        self._client.search_experiments(max_results=1)
        self._away = False
        if not self.spare.exists:
            return
        try:
            self.spare.send(self._client)
        except Exception as error:  # whatever it is, it must not keep anybody from working
            self._say_unsent(error)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return partial(self._call, name, method) if callable(method) else method

    def _call(self, name: str, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if name in _WRITES_OF_A_RUN:
            self._own |= self.spare.names_of(args[0])
        try:
            made = self._answer(name, method, args, kwargs)
        finally:
            if name == "set_terminated":
                self._open -= self.spare.names_of(args[0])
        if name == "create_run":
            self._own.add(made.info.run_id)
            self._open.add(made.info.run_id)
        elif name == "update_run" and kwargs.get("status") == "RUNNING":
            self._open.add(args[0])
        return made

    def _answer(self, name: str, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._away and not self._is_back():
            return self._spared(name, args, kwargs)
        if {*map(str, args[:1]), str(kwargs.get("source_run_id"))} & self.spare.kept:
            return self._spared(name, args, kwargs)  # the server is back, and would not take this run
        if name in _OF_A_MODEL and args[0] in self.spare.models:
            if self.spare.models[args[0]] in self.spare.kept:
                return self._spared(name, args, kwargs)
            raise ModelLeftBehindError  # begun without the server, which is back
        at_server = self.spare.at_server
        try:
            made = method(*map(at_server, args), **{key: at_server(value) for key, value in kwargs.items()})
        except Exception as error:
            if not is_away(error):
                raise
            if not self._away:
                _log.warning("%s does not answer: what it misses is kept, and sent once it does", self._shown)
            self._away, self._asked = True, time.monotonic()
            return self._spared(name, args, kwargs)
        if name in ("get_experiment", "get_experiment_by_name") and made is not None:
            self._experiments |= {made.experiment_id: made, made.name: made}
        if name in ("create_run", "get_run"):
            self._seen[made.info.run_id] = made
        elif name == "search_runs":
            self._seen |= {run.info.run_id: run for run in made}
        return made

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
        except Exception:  # whatever it is, a training goes on
            return False
        try:
            self.spare.send(self._client)
        except Exception as error:
            if is_away(error):
                return False
            self._say_unsent(error)
        else:
            _log.warning("%s answers again, and has what it missed", self._shown)
        self._away = False
        return True

    def _say_unsent(self, error: Exception) -> None:
        told = without_password(first_line(error))
        _log.warning(
            "what %s missed before could not be sent, and stays in %s: %s", self._shown, self.spare.folder, told
        )

    def _spared(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        spare = self.spare
        if name == "create_run":
            return spare.begin(*args, **kwargs)
        if name in _WRITES_OF_A_RUN:
            return getattr(spare.client, name)(spare.run_for(args[0]), *args[1:], **kwargs)
        if name == "get_run":
            return self._spared_run(args[0])
        if name in _READS_OF_A_RUN and args[0] in self._own:
            return getattr(spare.client, name)(spare.run_for(args[0]), *args[1:], **kwargs)
        if name == "create_logged_model":
            return spare.model_for(spare.run_for(kwargs.pop("source_run_id")), **kwargs)
        if name in _OF_A_MODEL:
            if args[0] not in spare.models:
                raise ModelLeftBehindError
            return getattr(spare.client, name)(*args, **kwargs)
        if name in ("get_experiment", "get_experiment_by_name") and args[0] in self._experiments:
            return self._experiments[args[0]]
        if name == "set_experiment_tag":
            return spare.keep_experiment_tag(*args, **kwargs)
        if name == "search_experiments":
            return list({known.experiment_id: known for known in self._experiments.values()}.values())
        if name == "search_runs":
            return spare.search(*args, **kwargs)
        raise self._no_answer()

    def _spared_run(self, run_id: str) -> Any:
        """A run of this process with what the server misses of it, or one as the server knew it last."""
        known = next((self._seen[name] for name in self.spare.names_of(run_id) if name in self._seen), None)
        if run_id in self._own:
            return self.spare.run(run_id, known.info.experiment_id if known is not None else None)
        if known is None:
            raise self._no_answer()
        return known

    def _no_answer(self) -> JobError:
        return JobError("the tracking server does not answer", where=self._shown)
