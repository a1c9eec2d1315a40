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
        shown = self.frame.apply(lambda column: column.map(_format_cell) if column.dtype.kind == "f" else column)
        return shown.to_csv(index=False).rstrip()


def _format_cell(value: float) -> str:
    """Return a number with six significant digits, or all before the decimal point; a file has all digits."""
    if np.isnan(value):
        return ""
    return f"{value:.6g}" if abs(value) < 1e5 else f"{value:.1f}"


def predict(job: PredictJob) -> Predictions:
    """Predict the rows of a source; from Python, ``zoo.load(run).predict(rows)`` does the same.

    Args:
        job: The job.
    """
    frame = load(job.run).predict(
        job.input, keep=job.keep, intervals=job.intervals, skip_broken=job.skip_broken, **job.options
    )
    if job.output is not None:
        path = Path(job.output)
        check_folder(path)
        with write_atomically(path) as writing:
            frame.to_csv(writing, index=False)
    return Predictions(job.run, frame, job.output)
