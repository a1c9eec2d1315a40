"""Predictions of a run's model over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

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

EXAMPLE_FILE = "serving_input_example.json"
MOST_COLUMNS_SHOWN, MOST_WHEEL_BYTES = 30, 100_000_000


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
    lines = [f"predictions: {address}", "", "request predictions with a file of raw rows:", ""]
    lines += [f"  curl -s {address} -H 'Content-Type: text/csv' --data-binary @rows.csv"]
    row = _example_row(folder)
    if row is not None:
        payload = json.dumps({"dataframe_records": [row]}).replace("'", "'\\''")
        lines += ["", "or with JSON:", "", f"  curl -s {address} -H 'Content-Type: application/json' -d '{payload}'"]
    return "\n".join([*lines, "", "Ctrl-C stops the server"])


def _example_row(folder: Path) -> dict[str, object] | None:
    """Return the first row of the model's example; None if there is none, or it is not a row of columns."""
    try:
        split = json.loads((folder / EXAMPLE_FILE).read_text(encoding="utf-8"))["dataframe_split"]
        row = dict(zip(split["columns"], split["data"][0], strict=True))
    except (OSError, ValueError, LookupError):
        return None
    return row if len(row) <= MOST_COLUMNS_SHOWN else None
