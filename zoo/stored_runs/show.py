"""A run as its page tells it: what it is, how it ended, its scores, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo.stored_runs.lookup import find_run, stored_run
from zoo.stored_runs.results import Run
from zoo.stored_runs.run_table import row_of
from zoo.text import plain
from zoo.tracking.store import Store
from zoo.tracking.tags import RESULT_FILE

NOTE_TAG, REASON_TAG = "mlflow.note.content", "zoo.reason"


@dataclass
class ShownRun:
    """What ``zoo show RUN`` tells.

    Args:
        facts: Id, experiment, kind, name, model, source, status, start.
        reason: Why it failed or was stopped; empty where it was not.
        note: Its description in MLflow, as Markdown.
        result: Scores, baselines and diagnosis; None of a run that has none, such as one that failed.
    """

    facts: dict[str, Any]
    reason: str
    note: str
    result: Run | None

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo show RUN --json`` prints."""
        result = self.result.as_dict() if self.result is not None else None
        return {**plain(self.facts), "reason": self.reason, "note": self.note, "result": result}

    def __repr__(self) -> str:
        facts = self.facts
        lines = [f"{facts['kind']} {facts['run_id']}: {facts['status']}, begun {facts['started']}"]
        lines.append(f"in the experiment {facts['experiment']}, {facts['name']}")
        lines += [f"reason: {self.reason}"] if self.reason else []
        if self.result is None:
            lines += [self.note.replace("**", "").replace("```\n", "").replace("\n```", "")] if self.note else []
            return "\n".join(lines)
        lines.append(self.result.in_words(evidence=True))
        if not self.result.diagnosis:
            lines.append("diagnosis: nothing is wrong with this training")
        return "\n".join(lines)


def show_run(run_id: str) -> ShownRun:
    """Return what is known of a run, whatever its kind and however it ended.

    Args:
        run_id: MLflow's id, or its first characters, or a registered model's ``NAME@ALIAS``.

    Raises:
        UsageError: When there is no such run, or several.
    """
    store = Store()
    store.close_orphans()
    found = find_run(store, run_id)
    experiment = store.client.get_experiment(found.info.experiment_id)
    tags = found.data.tags
    scored = store.read_text(found.info.run_id, RESULT_FILE) is not None
    return ShownRun(
        row_of(found, {experiment.experiment_id: experiment.name}),
        tags.get(REASON_TAG, ""),
        tags.get(NOTE_TAG, ""),
        stored_run(store, found.info.run_id) if scored else None,
    )
