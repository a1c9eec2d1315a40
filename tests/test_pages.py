"""MLflow's pages as a browser shows them: the runs' table, a run, its figures and tables, a search, a comparison."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo
from zoo.tracking.store import Store

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not BROWSER, reason="needs chromium")]


def shown(address: str) -> str:
    """The page's text once its scripts have run; what they complain about fails the test."""
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1600,1200"]
    command += ["--virtual-time-budget=40000", "--enable-logging=stderr", "--dump-dom", address]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    complaints = [line for line in ended.stderr.splitlines() if "CONSOLE" in line and "127.0.0.1" in line]
    assert not [line for line in complaints if re.search(r"status of [45]\d\d|Uncaught", line)], complaints
    return ended.stdout


@pytest.fixture
def pages(workspace: Path) -> Iterator[str]:
    """Runs of each kind, and the address of MLflow's pages on them."""
    zoo.train("classification/linear", "iris", epochs=2, quiet=True)
    zoo.tune("classification/linear", "iris", trials=3, epochs=2, quiet=True, search="random", baselines="none")
    zoo.compare("iris", models=["classification/linear"], seeds=2, epochs=2, quiet=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "zoo", "ui", "iris", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        while line and not line.startswith("runs: "):  # MLflow has something to say first
            line = server.stdout.readline()
        assert "/runs?viewStateShareKey=zoo" in line
        yield line.split()[-1]
        server.terminate()


def test_pages_show_what_they_promise(pages: str) -> None:
    base, _, rest = pages.partition("/runs?")
    table = shown(pages)
    for text in ("classification/linear on iris", "val_log_loss", "test_log_loss", "zoo.kind"):
        assert text in table, f"{text} is not in the runs' table"
    runs = {run.data.tags["zoo.kind"]: run.info.run_id for run in Store().search()}
    view = "?" + rest.split("&", 1)[1]
    run = shown(f"{base}/runs/{runs['train']}{view}")
    for text in ("Best baseline by validation", "zoo.diagnosis", "confusion_matrix", "test_accuracy"):
        assert text in run, f"{text} is not on the run's page"
    figure = shown(f"{base}/runs/{runs['train']}/artifacts/figures/confusion_matrix.png{view}")
    assert re.search(r"<img[^>]+src=\"(blob:|data:|[^\"]*confusion_matrix)", figure), "the figure is not shown"
    worst = shown(f"{base}/runs/{runs['train']}/artifacts/tables/worst_errors.json{view}")
    assert "View as table" in worst
    search = shown(f"{base}/runs/{runs['search']}{view}")
    assert "3 trials" in search
    comparison = shown(f"{base}/runs/{runs['comparison']}{view}")
    assert "classification/linear" in comparison
    charts = shown(f"{pages}&compareRunsMode=CHART")
    assert "Scores" in charts
