"""Text and figures that summarise a search, for its parent run."""

from __future__ import annotations

from typing import Any

from zoo.figures.searches import best_so_far, importances, parallel_coordinates, slices
from zoo.running.finish import describe_run
from zoo.stored_runs.results import Run, format_importance, list_varied
from zoo.tuning.oracles.hyperparameter_importance import compute_importance
from zoo.tuning.storage.records import SearchState, apply_epochs


def select_varied(state: SearchState, epochs: int | None) -> list[str]:
    """Return the hyperparameters that have several values among the trials.

    The learning rate matters most in most networks, so it comes first; MLflow's scatter chart shows it then.

    Args:
        state: The search.
        epochs: The job's number of epochs, which all trials have in place of their model's own.
    """
    names = list_varied([apply_epochs(record.hyperparameters, epochs) for record in state.trials.values()])
    return sorted(names, key=lambda name: name != "learning_rate")


def rank_hyperparameters(state: SearchState, epochs: int | None) -> dict[str, tuple[float, float]]:
    """Return the hyperparameter importance, computed from the trials that have a score."""
    values, scores = _scored(state, epochs)
    return compute_importance(values, scores)


def draw_figures(state: SearchState, name: str, direction: str, epochs: int | None) -> dict[str, Any]:
    """Return figures of a search: the best score over time, slices, parallel coordinates and importance.

    Args:
        state: The search, with its hyperparameter importance.
        name: Name of the objective.
        direction: ``min`` or ``max``.
        epochs: The job's number of epochs.
    """
    values, scores = _scored(state, epochs)
    ends = [record.ended_s or 0.0 for record in state.scored]
    figures = {"best_so_far": best_so_far(ends, scores, name=name, direction=direction)}
    names = list(state.importance) or select_varied(state, epochs)
    if names and len(scores) > 1:
        figures["slices"] = slices(values, scores, names, name=name)
        figures["parallel_coordinates"] = parallel_coordinates(values, scores, names, name=name, direction=direction)
    if state.importance:
        figures["importance"] = importances(state.importance)
    return figures


def describe_search(state: SearchState, run: Run) -> str:
    """Return the description of a search's parent run: number of trials, hyperparameter importance, best trial."""
    ends = {"FAILED": "failed", "PRUNED": "pruned", "RUNNING": "stopped at the end of the time budget"}
    counts = {word: sum(r.status == status for r in state.trials.values()) for status, word in ends.items()}
    head = f"{len(state.trials)} trials"
    head += "".join(f", {count} of them {word}" for word, count in counts.items() if count)
    importance_text = format_importance(state.importance)
    mattered = f"\n\nHyperparameter importance (fraction of variance): {importance_text}" if importance_text else ""
    return f"{head}; the best on validation is run {run.run_id}:\n\n{describe_run(run)}{mattered}"


def _scored(state: SearchState, epochs: int | None) -> tuple[list[dict[str, Any]], list[float]]:
    values = [apply_epochs(record.hyperparameters, epochs) for record in state.scored]
    return values, [r.score for r in state.scored if r.score is not None]
