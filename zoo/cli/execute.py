"""Execution of any job, for the command line and for job files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from zoo.comparing.compare import run_compare
from zoo.comparing.study import run_study
from zoo.errors import UsageError
from zoo.fitting.describe_model import describe
from zoo.jobs.commands import (
    BestJob,
    CardJob,
    CompareJob,
    ExportJob,
    ListJob,
    PredictJob,
    RegisterJob,
    ReportJob,
    ReproduceJob,
    RunsJob,
    ShowJob,
    StudyJob,
)
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.search_options import TuneJob
from zoo.registry import list_models
from zoo.running.data_report import run_report
from zoo.running.dispatch import run_job
from zoo.running.progress import Progress
from zoo.running.reproduce import run_reproduce
from zoo.running.search_progress import SearchProgress
from zoo.saving.files import check_folder, replacing
from zoo.serving.card import card
from zoo.serving.export import run_export
from zoo.serving.register import register
from zoo.stored_runs.lookup import load
from zoo.stored_runs.run_table import ranking, runs
from zoo.stored_runs.show import show_run
from zoo.text import plain
from zoo.tuning.tune import run_tune


@dataclass
class Predictions:
    """Predictions for raw rows, and the file that they were written to."""

    run_id: str
    frame: pd.DataFrame
    output: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo predict --json`` prints."""
        rows = [] if self.output else [plain(row) for row in self.frame.to_dict("records")]
        return {"run_id": self.run_id, "rows": len(self.frame), "output": self.output, "predictions": rows}

    def __str__(self) -> str:
        return f"{len(self.frame)} rows in {self.output}" if self.output else self.frame.to_csv(index=False).rstrip()


@dataclass
class ModelList:
    """Models with a one-line summary each."""

    models: list[dict[str, str]]

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo list --json`` prints."""
        return {"models": self.models}

    def __str__(self) -> str:
        return "\n".join(f"{model['model']:<26}{model['summary']}" for model in self.models)


def execute(job: Any, *, verbose: bool = False, quiet: bool = False) -> Any:
    """Run a job and return its result, which has ``as_dict`` and prints as text.

    Args:
        job: Any of the jobs.
        verbose: Print a line for each epoch or trial.
        quiet: Show no progress.

    Raises:
        ZooError: As the job's own function does.
    """
    if isinstance(job, TuneJob):
        return run_tune(job, progress=SearchProgress(verbose=verbose, quiet=quiet))
    if type(job) not in _RUNNERS:
        raise UsageError(f"no such job: {type(job).__name__}")
    return _RUNNERS[type(job)](job, Progress(verbose=verbose, quiet=quiet))


def _list(job: ListJob, progress: Progress) -> ModelList:
    return ModelList([{"model": m.name, "summary": m.summary} for m in list_models(job.pattern)])


def _show(job: ShowJob, progress: Progress) -> Any:
    if job.names_a_run:
        return show_run(job.model)
    options = job.model_dump(exclude_unset=True, exclude={"command", "model", "source"})
    return describe(job.model, job.source, **options)


def _export(job: ExportJob, progress: Progress) -> Any:
    return run_export(job.run, job.format, job.output, quantize=job.quantize, on=job.on, progress=progress)


def _predict(job: PredictJob, progress: Progress) -> Predictions:
    frame = load(job.run).predict(job.input, keep=job.keep, intervals=job.intervals)
    if job.output is not None:
        path = Path(job.output)
        check_folder(path)
        with replacing(path) as writing:
            frame.to_csv(writing, index=False)
    return Predictions(job.run, frame, job.output)


_RUNNERS: dict[type, Callable[[Any, Progress], Any]] = {
    BestJob: lambda job, progress: ranking(job.experiment, metric=job.metric),
    CardJob: lambda job, progress: card(job.run, by=job.by, use=job.use, output=job.output),
    CompareJob: lambda job, progress: run_compare(job, progress=progress),
    ExportJob: _export,
    ListJob: _list,
    PredictJob: _predict,
    RegisterJob: lambda job, progress: register(job.run, job.name, alias=job.alias, on=job.on),
    ReportJob: run_report,
    ReproduceJob: lambda job, progress: run_reproduce(job.run, progress=progress),
    RunsJob: lambda job, progress: runs(**job.model_dump(exclude={"command"})),
    ShowJob: _show,
    StudyJob: lambda job, progress: run_study(job.run, job.kinds, progress),
    TrainJob: lambda job, progress: run_job(job, progress=progress),
}
