"""MLflow's own servers: for its pages, and for predictions of a model."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from zoo.errors import JobError, UsageError
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import UiJob
from zoo.serving.scoring_app import MAX_BODY_VARIABLE, MODEL_VARIABLE
from zoo.tracking.store import Store
from zoo.tracking.ui_views import format_page_url
from zoo.version import __version__

SLOW_START_S = 30.0  # after this time, a message says that the server is still starting
SHUTDOWN_S = 2  # after this time, a server that still answers requests is killed
LOG_LINES = 30


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Args:
        host: Name or number of one of this machine's addresses, such as ``127.0.0.1``, or ``0.0.0.0`` for all.
        port: The port.

    Example:
        >>> Address("0.0.0.0", 5001).url
        'http://127.0.0.1:5001'
    """

    host: str
    port: int

    @property
    def reachable(self) -> str:
        """The address at which this machine itself reaches the server."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """Address for a browser on this machine."""
        return f"http://{f'[{self.reachable}]' if ':' in self.reachable else self.reachable}:{self.port}"

    def check_free(self, what: str) -> None:
        """Check that a server can listen here, and warn if other machines can reach it.

        Args:
            what: What anyone can do who reaches it, for the warning.

        Raises:
            UsageError: When the port is in use, or this is no address of this machine.
        """
        try:
            family, kind, *_, place = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
        except (OSError, UnicodeError) as error:
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                message = f"port {self.port} is in use on {self.host}; choose another --port"
                raise UsageError(message, where="port") from None
            if getattr(error, "errno", None) == errno.EACCES:
                message = f"this user may not listen on port {self.port}; choose one of at least 1024"
                raise UsageError(message, where="port") from None
            message = f"{self.host!r} is not an address of this machine; 0.0.0.0 stands for all of them"
            raise UsageError(message, where="host") from None
        if not ip_address(place[0]).is_loopback:
            print(
                f"warning: there is no password: anyone who reaches port {self.port} of this machine can {what}",
                file=sys.stderr,
            )


@accept_keywords(UiJob, "experiment", "port")
def serve_pages(job: UiJob) -> None:
    """Serve MLflow's pages until interrupted; print the address of the runs once the server answers.

    The server's messages are shown only if it fails.

    Args:
        job: The job; or its keys as keywords.

    Raises:
        UsageError: When the address is in use or not this machine's, or there is no such experiment.
        JobError: When the server ends by itself.
    """
    address = Address(job.host, job.port)
    store = Store()
    store.close_orphans()
    store.count_rows()
    address.check_free("read, change and delete runs")
    where = find_address(store, job.experiment, address.url)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri, "--host", job.host]
    command += ["--port", str(job.port), "--workers", "1"]
    if store.local is not None:
        command += ["--default-artifact-root", (store.local / "artifacts").as_uri()]
    variables = {
        "MLFLOW_TRACKING_URI": store.uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its own jobs, which zoo does not use, slow its start
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        _running(command, variables, log) as pages,
    ):
        _wait_until_ready(pages, address, "/health")
        if pages.poll() is None:
            print(f"runs: {where}", flush=True)
            pages.wait()
        _raise_ended(log)


def serve_model(folder: Path, address: Address, ready: Callable[[str], None], *, max_body_mb: int) -> None:
    """Serve predictions of a model until interrupted, by MLflow's scoring server.

    Args:
        folder: Folder of MLflow's model.
        address: Where to listen.
        ready: Called with the address for predictions once the server answers.
        max_body_mb: Largest request in megabytes.

    Raises:
        UsageError: When the address is in use or not this machine's.
        JobError: When the server ends by itself.
    """
    command = [sys.executable, "-m", "uvicorn", "--factory", "zoo.serving.scoring_app:create_app"]
    command += ["--log-level", "warning", "--host", address.host, "--port", str(address.port)]
    variables = {MODEL_VARIABLE: str(folder), MAX_BODY_VARIABLE: str(max_body_mb), "TF_CPP_MIN_LOG_LEVEL": "3"}
    _serve(command, variables, address, ready)


def serve_isolated(folder: Path, address: Address, ready: Callable[[str], None], wheel: Path | None = None) -> None:
    """Serve predictions from an environment with only the model's requirements, which MLflow builds with uv.

    Args:
        folder: Folder of MLflow's model.
        address: Where to listen.
        ready: Called with the address for predictions once the server answers.
        wheel: Zoo's own wheel, if its version is not on a package index.

    Raises:
        UsageError: When the address is in use or not this machine's, or uv is not installed.
        JobError: When the environment cannot be built, or the server ends by itself.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if shutil.which("uv", path=path) is None:
        raise UsageError("an isolated environment needs uv; install it with python -m pip install uv", where="isolated")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder), "--env-manager", "uv"]
    command += ["--host", address.host, "--port", str(address.port), "--workers", "1"]
    uv_variables = {"UV_FIND_LINKS": str(wheel.resolve().parent)} if wheel is not None else {}
    try:
        _serve(command, {"PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **uv_variables}, address, ready)
    except JobError as error:
        if wheel is not None:
            raise
        raise JobError(
            f"{error.message}; if zoo {__version__} is not on a package index, pass its wheel with --wheel FILE"
        ) from None


def _serve(command: Sequence[str], variables: dict[str, str], address: Address, ready: Callable[[str], None]) -> None:
    address.check_free("request predictions")
    with _running(command, variables) as server:
        _wait_until_ready(server, address, "/ping")
        if server.poll() is None:
            ready(f"{address.url}/invocations")
            server.wait()
        raise JobError("the server ended by itself; its messages are above")


# Ends a server when this process is gone and can no longer do so: its standard input is then at its end.
_WATCH = "import os, signal, sys; sys.stdin.read(); os.killpg(int(sys.argv[1]), signal.SIGTERM)"


@contextlib.contextmanager
def _running(command: Sequence[str], variables: dict[str, str], log: Any = None) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server that ends with this process: on Ctrl-C, SIGTERM, when the terminal closes, or by SIGKILL.

    It has its own session, so that Ctrl-C reaches only this process; otherwise each of the server's processes would
    print a traceback.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    server = subprocess.Popen(command, env={**os.environ, **variables}, start_new_session=True, stdout=log, stderr=log)
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-c", _WATCH, str(server.pid)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield server
    except KeyboardInterrupt:
        pass
    finally:
        watcher.kill()
        watcher.wait()
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server and its processes, at once if it does not end by itself soon."""
    for number, patience_s in ((signal.SIGTERM, SHUTDOWN_S), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(patience_s)
            return


def _wait_until_ready(server: subprocess.Popen[bytes], address: Address, path: str) -> None:
    """Wait until a server answers, or has ended: a slow machine may need minutes."""
    began, is_slow = time.monotonic(), False
    while server.poll() is None:
        connection = HTTPConnection(address.reachable, address.port, timeout=1)
        with contextlib.suppress(OSError, HTTPException), contextlib.closing(connection):
            connection.request("GET", path)
            if connection.getresponse().status == HTTPStatus.OK:
                return
        if not is_slow and time.monotonic() - began > SLOW_START_S:
            is_slow = True
            print("the server is still starting; Ctrl-C stops it", file=sys.stderr, flush=True)
        time.sleep(0.2)


def _raise_ended(log: Any) -> None:
    """Raise an error with the last messages of a server that has ended by itself."""
    log.seek(0)
    messages = "".join(f"\n  {line}" for line in log.read().splitlines()[-LOG_LINES:])
    raise JobError(f"MLflow's server ended by itself; its last messages:{messages}")


def find_address(store: Store, experiment: str | None, server: str) -> str:
    """Return the address of the page of an experiment's runs; default the experiment of the latest run."""
    if experiment is not None:
        return format_page_url(server, store.known_experiment(experiment).experiment_id)
    latest = store.search(limit=1, order="attributes.start_time DESC")
    return format_page_url(server, latest[0].info.experiment_id) if latest else server
