"""The models that a comparison trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import UsageError
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.compare_options import CompareJob
from zoo.registry import is_pattern, match_entries
from zoo.running.run_facts import name_model
from zoo.spec import Spec
from zoo.stored_runs.lookup import load_job
from zoo.tracking.store import Store
from zoo.tracking.tags import BEST_TAG


@dataclass(frozen=True)
class Contestant:
    """A model of a comparison.

    Args:
        name: Its name on the board.
        model: The model of its jobs.
        hyperparameters: Those that are fixed.
        epochs: Number of epochs, or None for the model's own.
        pattern: The pattern that stands for it and others; None if the model is named itself.
    """

    name: str
    model: Any
    hyperparameters: dict[str, Any]
    epochs: int | None
    pattern: str | None = None


def list_contestants(store: Store, job: CompareJob) -> list[Contestant]:
    """Return the models to train; for runs that are trained again, with their hyperparameters.

    Raises:
        UsageError: If there is no such model or run, or a model is given twice.
    """
    contestants = []
    for run_id in job.runs:
        run = store.run(run_id)
        stored = load_job(store, run.data.tags.get(BEST_TAG, run.info.run_id))
        name = f"{get_title(run)} {run.info.run_id[:8]}"
        contestants.append(Contestant(name, stored.model, dict(stored.hyperparameters), job.epochs or stored.epochs))
    for model in job.models:
        models = [entry.name for entry in match_entries(model)] if isinstance(model, str) else [model]
        pattern = model if isinstance(model, str) and is_pattern(model) else None
        contestants += [
            Contestant(name_model(one), one, dict(job.hyperparameters), job.epochs, pattern) for one in models
        ]
    if len({contestant.name for contestant in contestants}) < len(contestants):
        raise UsageError("the same model is given twice", where="models")
    return contestants


def keep_suited(contestants: Sequence[Contestant], specs: Sequence[Spec]) -> tuple[list[Contestant], dict[str, str]]:
    """Return the models that take the data, and why the others do not, by name; a model that is named itself is kept.

    Args:
        contestants: The models.
        specs: Specs of all sources.

    Raises:
        UsageError: If no model of a pattern takes all sources.
    """
    refused: dict[str, str] = {}
    for pattern in dict.fromkeys(contestant.pattern for contestant in contestants if contestant.pattern is not None):
        builder = create_model_builder(pattern, several=True)
        hyperparameters = next(item.hyperparameters for item in contestants if item.pattern == pattern)
        for spec in specs:
            refused |= builder.keep_suited(spec, hyperparameters)[1]
        if refused.keys() >= set(builder.models):
            raise UsageError(f"no model of {pattern!r} takes all sources", where="models")
    return [contestant for contestant in contestants if contestant.name not in refused], refused


def get_title(run: Any) -> str:
    """Return the model of a run, or the run's name."""
    return run.data.tags.get("zoo.model") or run.info.run_name or "run"
