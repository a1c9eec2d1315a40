"""Predictions of a run's model for a file of raw rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.jobs.run_jobs import PredictJob
from zoo.saving.files import check_folder, write_atomically
from zoo.stored_runs.lookup import load
from zoo.task import load_task
from zoo.text import convert_to_plain


@dataclass
class Predictions:
    """Predictions for raw rows, and the file that they were written to."""

    run_id: str
    frame: pd.DataFrame
    output: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo predict --json`` prints."""
        rows = [] if self.output else [convert_to_plain(row) for row in self.frame.to_dict("records")]
        return {"run_id": self.run_id, "rows": len(self.frame), "output": self.output, "predictions": rows}

    def __str__(self) -> str:
        if self.output:
            return f"{len(self.frame)} rows in {self.output}"
        shown = self.frame.apply(lambda column: column.map(_format_cell) if column.dtype.kind in "fO" else column)
        return shown.to_csv(index=False).rstrip()


def _format_cell(value: Any) -> Any:
    """Return a number with six significant digits, or all before the decimal point, and the shape of an array.

    A file has all digits, and the array.
    """
    if isinstance(value, np.ndarray):
        return f"array of {' x '.join(map(str, value.shape))}"
    if not isinstance(value, float):
        return value
    if np.isnan(value):
        return ""
    return f"{value:.6g}" if abs(value) < 1e5 else f"{value:.1f}"


def predict(job: PredictJob) -> Predictions:
    """Predict the rows of a source; from Python, ``zoo.load(run).predict(rows)`` does the same.

    Args:
        job: The job.
    """
    model = load(job.run)
    frame = model.predict(job.input, keep=job.keep, intervals=job.intervals, skip_broken=job.skip_broken, **job.options)
    if job.output is not None:
        path = Path(job.output)
        check_folder(path)
        write = load_task(model.spec.task).write_predictions or _write_csv
        write(frame, path)
    return Predictions(job.run, frame, job.output)


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    with write_atomically(path) as writing:
        frame.to_csv(writing, index=False)
