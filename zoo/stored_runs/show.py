"""One run in text: what it is, how it ended, its scores and its diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo.fitting.describe_model import ModelDescription, describe, describe_options, format_options
from zoo.jobs.describe_jobs import ShowJob
from zoo.jobs.keywords import accept_keywords
from zoo.registry import list_tasks
from zoo.stored_runs.lookup import find_run, load_run
from zoo.stored_runs.results import Run
from zoo.stored_runs.run_table import describe_row
from zoo.task import load_task
from zoo.text import convert_to_plain
from zoo.tracking.store import Store
from zoo.tracking.tags import RESULT_FILE

NOTE_TAG, REASON_TAG = "mlflow.note.content", "zoo.reason"


@dataclass
class ShownRun:
    """The output of ``zoo show RUN``.

    Args:
        facts: Id, experiment, kind, name, model, source, status, start.
        reason: Why it failed or was stopped; empty if it did not.
        note: Its description in MLflow, as Markdown.
        result: Scores, baselines and diagnosis; None for a run without, such as one that failed.
        predict_options: The task's own options of ``zoo predict``, with ``default`` and ``meaning``.
    """

    facts: dict[str, Any]
    reason: str
    note: str
    result: Run | None
    predict_options: dict[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo show RUN --json`` prints."""
        result = self.result.as_dict() if self.result is not None else None
        texts = {"reason": self.reason, "note": self.note}
        return {
            **convert_to_plain(self.facts),
            **texts,
            "result": result,
            "predict_options": convert_to_plain(self.predict_options),
        }

    def __repr__(self) -> str:
        facts = self.facts
        lines = [f"{facts['kind']} {facts['run_id']}: {facts['status']}, started {facts['started']}"]
        lines.append(f"in the experiment {facts['experiment']}, {facts['name']}")
        lines += [f"reason: {self.reason}"] if self.reason else []
        if self.result is None:
            lines += [self.note.replace("**", "").replace("```\n", "").replace("\n```", "")] if self.note else []
            return "\n".join(lines)
        lines.append(self.result.in_words(evidence=True))
        if not self.result.diagnosis:
            lines.append("diagnosis: no problems found in this training")
        return "\n".join([*lines, *format_options(self.predict_options, "option of predict")])


@accept_keywords(ShowJob, "model", "source")
def show(job: ShowJob) -> ShownRun | ModelDescription:
    """Return the facts and results of a run, or describe a model.

    Args:
        job: The job; or its keys as keywords.

    Raises:
        UsageError: When there is no such run or model, or an option is wrong.
    """
    if job.names_a_run:
        return show_run(job.model)
    return describe(job.model, job.source, **job.model_dump(exclude_unset=True, exclude={"command", "model", "source"}))


def show_run(run_id: str) -> ShownRun:
    """Return the facts and results of a run of any kind and status.

    Args:
        run_id: MLflow's id, or its first characters, or a registered model's ``NAME@ALIAS``.

    Raises:
        UsageError: When there is no such run, or there are several.
    """
    store = Store()
    store.close_orphans()
    run = find_run(store, run_id)
    experiment = store.client.get_experiment(run.info.experiment_id)
    tags = run.data.tags
    task = tags.get("zoo.task")
    scored = store.read_text(run.info.run_id, RESULT_FILE) is not None
    return ShownRun(
        describe_row(run, {experiment.experiment_id: experiment.name}),
        tags.get(REASON_TAG, ""),
        tags.get(NOTE_TAG, ""),
        load_run(store, run.info.run_id) if scored else None,
        describe_options(load_task(task).predict_options) if scored and task in list_tasks() else {},
    )
