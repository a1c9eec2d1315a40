"""Draws the README's images of MLflow's pages: a run, and the charts of a search.

python docs/screenshots.py     needs chromium; writes docs/run.png and docs/search.png
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent.resolve()
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"run": (1700, 1000), "search": (2300, 1150)}


def main() -> None:
    """Make a run and a search in a temporary folder, and take an image of each one's page."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        sys.exit("chromium is not installed")
    import zoo

    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        os.chdir(folder)
        run = zoo.train("classification/mlp", "breast_cancer", quiet=True)
        zoo.tune("classification/mlp", "breast_cancer", trials=12, workers=2, experiment="search", quiet=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        for experiment, name in ((run.experiment, "run"), ("search", "search")):
            command = [sys.executable, "-m", "zoo", "ui", experiment, "--port", str(port)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
                assert server.stdout is not None
                line = next(line for line in server.stdout if line.startswith("runs: "))
                runs = line.split()[-1]
                base, _, view = runs.partition("/runs?")
                address = f"{runs}&compareRunsMode=CHART" if name == "search" else f"{base}/runs/{run.run_id}?{view}"
                _image(browser, address, FOLDER / f"{name}.png")
                server.terminate()


def _image(browser: str, address: str, file: Path) -> None:
    width, height = SIZES[file.stem]
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},{height}"]
    command += ["--virtual-time-budget=40000", "--hide-scrollbars", f"--screenshot={file}", address]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    with Image.open(file) as whole:  # a page of few colours
        whole.convert("RGB").quantize(128).save(file, optimize=True)


if __name__ == "__main__":
    main()
