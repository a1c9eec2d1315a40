"""MLflow's own server, for looking at the runs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys

from zoo.errors import UsageError
from zoo.tracking.pages import page_url
from zoo.tracking.store import Store

HOST = "127.0.0.1"


def serve_pages(experiment: str | None = None, port: int = 5000) -> None:
    """Serve MLflow's pages on this machine until interrupted, and print the address of the runs.

    Args:
        experiment: Experiment to open; default the one with the latest run.
        port: Port on 127.0.0.1.

    Raises:
        UsageError: When the port is taken, or there is no such experiment.
    """
    store = Store()
    store.close_orphans()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise UsageError(f"port {port} is taken on {HOST}; give --port another number") from None
    server = f"http://{HOST}:{port}"
    print(f"runs: {address(store, experiment, server)}", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri, "--host", HOST]
    command += ["--port", str(port), "--workers", "1"]
    if store.local is not None:
        command += ["--default-artifact-root", (store.local / "artifacts").as_uri()]
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(command, check=False, env={**os.environ, "MLFLOW_TRACKING_URI": store.uri})


def address(store: Store, experiment: str | None, server: str) -> str:
    """Return the page of an experiment's runs, or of the one with the latest run."""
    if experiment is not None:
        return page_url(server, store.known_experiment(experiment).experiment_id)
    latest = store.search(limit=1, order="attributes.start_time DESC")
    return page_url(server, latest[0].info.experiment_id) if latest else server
