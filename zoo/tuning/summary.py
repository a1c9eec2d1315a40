"""A search in words and images, for its parent run."""

from __future__ import annotations

from typing import Any

from zoo.figures.searches import best_so_far, importances, parallel_coordinates, slices
from zoo.running.finish import description
from zoo.stored_runs.results import Run, importance_in_words, varied_names
from zoo.tuning.oracles.hyperparameter_importance import importance
from zoo.tuning.search import SearchState


def varied(state: SearchState) -> list[str]:
    """Return the hyperparameters of which a search tried several values.

    The learning rate matters most in most networks: it comes first, and is what MLflow's scatter chart shows.
    """
    names = varied_names([record.hyperparameters for record in state.trials.values()])
    return sorted(names, key=lambda name: name != "learning_rate")


def importance_of(state: SearchState) -> dict[str, tuple[float, float]]:
    """Return what mattered among the trials that have a score."""
    values, scores = _scored(state)
    return importance(values, scores)


def figures_of(state: SearchState, name: str, direction: str) -> dict[str, Any]:
    """Return a search as images: the best score by time, what mattered, and where the good trials lie.

    Args:
        state: With the importance that was found.
        name: Name of the score.
        direction: ``min`` or ``max``.
    """
    values, scores = _scored(state)
    ends = [record.ended_s or 0.0 for record in state.scored]
    made = {"best_so_far": best_so_far(ends, scores, name=name, direction=direction)}
    names = list(state.importance) or varied(state)
    if names and len(scores) > 1:
        made["slices"] = slices(values, scores, names, name=name)
        made["parallel_coordinates"] = parallel_coordinates(values, scores, names, name=name, direction=direction)
    if state.importance:
        made["importance"] = importances(state.importance)
    return made


def summary(state: SearchState, run: Run) -> str:
    """Return the description of a search's parent run: how many trials there were, what mattered, and the best."""
    ends = {"FAILED": "failed", "PRUNED": "pruned", "RUNNING": "stopped when the time was over"}
    counts = {word: sum(r.status == status for r in state.trials.values()) for status, word in ends.items()}
    head = f"{len(state.trials)} trials"
    head += "".join(f", {count} of them {word}" for word, count in counts.items() if count)
    told = importance_in_words(state.importance)
    mattered = f"\n\nWhat mattered alone, of 1: {told}" if told else ""
    return f"{head}; the best, by validation, is run {run.run_id}:\n\n{description(run)}{mattered}"


def _scored(state: SearchState) -> tuple[list[dict[str, Any]], list[float]]:
    return [r.hyperparameters for r in state.scored], [r.score for r in state.scored if r.score is not None]
