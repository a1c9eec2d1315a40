"""Predictions of a run's model over HTTP."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import ServeJob
from zoo.saving.abandoned_files import open_temporary_folder
from zoo.saving.environment_files import check_environment
from zoo.saving.pyfunc import check_flavor
from zoo.serving.servers import Address, serve_isolated, serve_model
from zoo.small_files import check_regular_file
from zoo.stored_runs.lookup import download_model
from zoo.tracking.store import Store

_READ_IMAGE = (
    'python -c \'import json, numpy, PIL.Image; print(json.dumps({"dataframe_records": '
    '[{"%s": numpy.asarray(PIL.Image.open("image.png")).tolist()}]}))\''
)
EXAMPLE_FILE = "serving_input_example.json"
MOST_COLUMNS_SHOWN, MOST_WHEEL_BYTES = 30, 100_000_000
IMAGE_AXES = 3
MOST_SHOWN = 2  # steps of a sequence, or rows and columns of an image


@accept_keywords(ServeJob, "run", "port")
def serve(job: ServeJob) -> None:
    """Serve predictions of a run's model until interrupted; of a search, its best trial's.

    Args:
        job: The job; or its keys as keywords.

    Raises:
        UsageError: When there is no such run or file, the run has no model, its files were changed, or the address
            is in use or not this machine's.
        JobError: When the server ends by itself.
    """
    wheel = job.wheel
    if wheel is not None and not job.isolated:
        raise UsageError("a wheel needs an isolated environment: --isolated", where="wheel")
    if job.isolated and "max_body_mb" in job.model_fields_set:
        raise UsageError("MLflow's server in an isolated environment has no such limit", where="max_body_mb")
    if job.unchecked and not job.isolated:
        raise UsageError("only an isolated environment is installed from files: --isolated", where="unchecked")
    if wheel is not None:
        check_regular_file(Path(wheel), "the wheel", most_bytes=MOST_WHEEL_BYTES)
    with open_temporary_folder() as fetched:
        folder = download_model(Store(), job.run, fetched)
        check_flavor(folder)
        if job.isolated and not job.unchecked:
            check_environment(folder)

        def ready(address: str) -> None:
            print(_how_to_ask(address, folder), flush=True)

        place = Address(job.host, job.port)
        if job.isolated:
            serve_isolated(folder, place, ready, Path(wheel) if wheel is not None else None)
        else:
            serve_model(folder, place, ready, max_body_mb=job.max_body_mb)


def _how_to_ask(address: str, folder: Path) -> str:
    """Return example commands for predictions: of a file, and of a row of the model's own example."""
    row = _example_row(folder)
    axes = {name: _count_axes(cell) for name, cell in (row or {}).items()}
    image = next((name for name, count in axes.items() if count == IMAGE_AXES), None)
    as_json = f"curl -s {address} -H 'Content-Type: application/json'"
    lines = [f"predictions: {address}"]
    if image is not None:  # a CSV file would have paths, which the server does not read
        lines += ["", "request predictions with an image:"]
        lines += ["", f"  {_READ_IMAGE % image} | {as_json} --data-binary @-"]
    elif not any(axes.values()):
        lines += ["", "request predictions with a file of raw rows:"]
        lines += ["", f"  curl -s {address} -H 'Content-Type: text/csv' --data-binary @rows.csv"]
    if row is not None:
        payload = json.dumps({"dataframe_records": [_shorten(row)]}).replace("'", "'\\''")
        is_cut = any(count > 1 for count in axes.values())
        lines += ["", f"with JSON{' (the beginning of an example; send the whole one)' if is_cut else ''}:"]
        lines += ["", f"  {as_json} -d '{payload}'"]
    return "\n".join([*lines, "", "Ctrl-C stops the server"])


def _count_axes(cell: Any) -> int:
    return 1 + _count_axes(cell[0]) if isinstance(cell, list) and cell else 0


def _shorten(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first steps of sequences, or pixels of images, in full width; other cells as they are."""

    def shorten(cell: Any) -> Any:
        if isinstance(cell, float) and math.isnan(cell):
            return None  # JSON has no NaN
        if not isinstance(cell, list):
            return float(f"{cell:.4g}") if isinstance(cell, float) else cell
        return [shorten(part) for part in (cell[:MOST_SHOWN] if _count_axes(cell) > 1 else cell)]

    return {name: shorten(cell) if isinstance(cell, list) else cell for name, cell in row.items()}


def _example_row(folder: Path) -> dict[str, Any] | None:
    """Return the first row of the model's example; None if there is none, or it is not a row of columns."""
    try:
        split = json.loads((folder / EXAMPLE_FILE).read_text(encoding="utf-8"))["dataframe_split"]
        row = dict(zip(split["columns"], split["data"][0], strict=True))
    except (OSError, ValueError, LookupError):
        return None
    return row if len(row) <= MOST_COLUMNS_SHOWN else None
