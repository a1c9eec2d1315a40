"""MLflow's own servers: for its pages, and for predictions of a model."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from zoo.errors import JobError, UsageError
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import UiJob
from zoo.serving.scoring_app import MODEL_VARIABLE
from zoo.tracking.store import Store
from zoo.tracking.ui_views import format_page_url
from zoo.version import __version__

HOST = "127.0.0.1"
MOST_SECONDS_TO_START, MOST_SECONDS_TO_BUILD = 120, 1800


@accept_keywords(UiJob, "experiment", "port")
def serve_pages(job: UiJob) -> None:
    """Serve MLflow's pages on this machine until interrupted; print the address of the runs once the server answers.

    Args:
        job: The job; or its keys as keywords.

    Raises:
        UsageError: When the port is in use, or there is no such experiment.
        JobError: When the server does not answer.
    """
    port = job.port
    store = Store()
    store.close_orphans()
    store.count_rows()
    _check_port(port)
    server = f"http://{HOST}:{port}"
    where = find_address(store, job.experiment, server)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri, "--host", HOST]
    command += ["--port", str(port), "--workers", "1"]
    if store.local is not None:
        command += ["--default-artifact-root", (store.local / "artifacts").as_uri()]
    with _running(command, {"MLFLOW_TRACKING_URI": store.uri}) as pages:
        _wait_until_ready(pages, port, "/health")
        print(f"runs: {where}", flush=True)
        pages.wait()


def serve_model(folder: Path, port: int, ready: Callable[[str], None]) -> None:
    """Serve predictions of a model on this machine until interrupted, by MLflow's scoring server.

    Args:
        folder: Folder of MLflow's model.
        port: Port on 127.0.0.1.
        ready: Called with the address for predictions once the server answers.

    Raises:
        UsageError: When the port is in use.
        JobError: When the server does not answer.
    """
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "zoo.serving.scoring_app:create_app",
        "--log-level",
        "warning",
    ]
    command += ["--host", HOST, "--port", str(port)]
    _serve(command, {MODEL_VARIABLE: str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}, port, ready, MOST_SECONDS_TO_START)


def serve_isolated(folder: Path, port: int, ready: Callable[[str], None], wheel: Path | None = None) -> None:
    """Serve predictions from an environment with only the model's requirements, which MLflow builds with uv.

    Args:
        folder: Folder of MLflow's model.
        port: Port on 127.0.0.1.
        ready: Called with the address for predictions once the server answers.
        wheel: Zoo's own wheel, if its version is not on a package index.

    Raises:
        UsageError: When the port is in use, or uv is not installed.
        JobError: When the environment cannot be built, or the server does not answer.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if shutil.which("uv", path=path) is None:
        raise UsageError("an isolated environment needs uv; install it with python -m pip install uv", where="isolated")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder), "--env-manager", "uv"]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    uv_variables = {"UV_FIND_LINKS": str(wheel.resolve().parent)} if wheel is not None else {}
    try:
        _serve(command, {"PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **uv_variables}, port, ready, MOST_SECONDS_TO_BUILD)
    except JobError as error:
        if wheel is not None:
            raise
        raise JobError(
            f"{error.message}; if zoo {__version__} is not on a package index, pass its wheel with --wheel FILE"
        ) from None


def _serve(
    command: Sequence[str], variables: dict[str, str], port: int, ready: Callable[[str], None], patience: float
) -> None:
    _check_port(port)
    with _running(command, variables) as server:
        _wait_until_ready(server, port, "/ping", patience)
        ready(f"http://{HOST}:{port}/invocations")
        server.wait()


@contextlib.contextmanager
def _running(command: Sequence[str], variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server that ends with this process, on Ctrl-C, SIGTERM or when the terminal closes.

    It has its own session, so that Ctrl-C reaches only this process; otherwise each of the server's processes would
    print a traceback.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    server = subprocess.Popen(command, env={**os.environ, **variables}, start_new_session=True)
    try:
        yield server
    except KeyboardInterrupt:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _wait_until_ready(
    server: subprocess.Popen[bytes], port: int, path: str, patience: float = MOST_SECONDS_TO_START
) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), contextlib.closing(HTTPConnection(HOST, port, timeout=1)) as connection:
            connection.request("GET", path)
            if connection.getresponse().status == HTTPStatus.OK:
                return
        time.sleep(0.2)
    raise JobError("MLflow's server does not answer; its messages are above")


def _check_port(port: int) -> None:
    """Raise UsageError if a port is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise UsageError(f"port {port} is in use on {HOST}; choose another --port") from None


def find_address(store: Store, experiment: str | None, server: str) -> str:
    """Return the address of the page of an experiment's runs; default the experiment of the latest run."""
    if experiment is not None:
        return format_page_url(server, store.known_experiment(experiment).experiment_id)
    latest = store.search(limit=1, order="attributes.start_time DESC")
    return format_page_url(server, latest[0].info.experiment_id) if latest else server
