"""From a fitted network to a run's page: scores, figures, model, description, and the object for the caller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.data.dataset import Dataset
from zoo.figures.curves import learning_curve
from zoo.layers.assembly import Pieces
from zoo.running.candidate import Candidate
from zoo.running.lookup import RESULT_FILE, SCORED_TAG
from zoo.running.results import Run, interval, number
from zoo.saving.model import Model
from zoo.task import PART_PREFIX, Evaluation, Task
from zoo.tracking.run import TrackedRun
from zoo.training.loop import FitResult


@dataclass(frozen=True)
class Fitted:
    """A network that was trained, with all that its run's page is made from."""

    candidate: Candidate
    pieces: Pieces
    dataset: Dataset
    hyperparameters: Mapping[str, Any]
    result: FitResult


def finish_run(
    tracked: TrackedRun, fitted: Fitted, baselines: Mapping[str, Mapping[str, float]], notes: tuple[str, ...]
) -> Run:
    """Score the kept weights once on each part, and log scores, figures, model and description.

    Args:
        tracked: The run in MLflow, still open.
        fitted: What was trained.
        baselines: Metrics of each baseline on the same parts.
        notes: What a person should know.

    Returns:
        The run as the caller gets it; the same can be had later by its id.
    """
    dataset, result = fitted.dataset, fitted.result
    task = fitted.candidate.task
    whole = fitted.pieces.whole()
    model = Model(whole, dataset.spec, fitted.candidate.name)
    judged = "test" if "test" in dataset.parts else "validation" if "validation" in dataset.parts else "train"
    evaluations = {
        part: task.evaluate(whole, dataset, part, intervals=part == judged)
        for part in PART_PREFIX
        if part in dataset.parts
    }
    objective = task.scores(dataset.spec)[0]
    experiment = tracked.store.client.get_experiment(tracked.experiment_id)
    run = Run(
        run_id=tracked.run_id,
        experiment=experiment.name,
        task=task.name,
        model_name=fitted.candidate.name,
        source=dataset.source,
        objective=objective.name,
        direction=objective.direction,
        metrics={**result.scores, **_prefixed({part: known.scores for part, known in evaluations.items()})},
        intervals=_prefixed({judged: evaluations[judged].intervals}),
        baselines=baselines,
        hyperparameters=fitted.hyperparameters,
        n_parameters=sum(int(weight.size) for weight in map(_array, fitted.pieces.network.trainable_weights)),
        epochs_run=result.epochs_run,
        best_epoch=result.best_epoch,
        seconds=result.seconds,
        artifact_uri=tracked.artifact_uri,
        notes=notes,
        load=lambda: model,
    )
    run.draw = lambda: _figures(task, result, objective.name, evaluations[judged])
    _log(tracked, run, model, fitted)
    return run


def keep_model(tracked: TrackedRun, fitted: Fitted) -> None:
    """Keep the model of a training that was cut short: its best weights so far, unscored."""
    model = Model(fitted.pieces.whole(), fitted.dataset.spec, fitted.candidate.name)
    facts = {"hyperparameters": dict(fitted.hyperparameters), "task": fitted.candidate.task.name}
    tracked.model(model, {**facts, "run_id": tracked.run_id}, fitted.candidate.task.example_rows(fitted.dataset))


def _log(tracked: TrackedRun, run: Run, model: Model, fitted: Fitted) -> None:
    facts = {"hyperparameters": dict(run.hyperparameters), "task": run.task, "run_id": run.run_id}
    tracked.model(model, facts, fitted.candidate.task.example_rows(fitted.dataset))
    tracked.figures(run.figures)
    tracked.text(json.dumps(_stored(run), indent=1), RESULT_FILE)
    tracked.tags({"mlflow.note.content": description(run), "zoo.stopped": fitted.result.stopped, SCORED_TAG: "yes"})
    facts_as_metrics = {
        "n_parameters": run.n_parameters,
        "epochs_run": run.epochs_run,
        "best_epoch": run.best_epoch,
        "seconds": run.seconds,
    }
    tracked.metrics({**run.metrics, **facts_as_metrics})


def description(run: Run) -> str:
    """Return a run's description in words, as Markdown."""
    name = run.headline
    lines = [
        f"**{run.model_name}** on **{run.source}**: {name} **{number(run.metrics[name])}** "
        f"{interval(run.intervals.get(name))}"
    ]
    best = run.best_baseline
    if best:
        rival = number(run.baselines[best].get(name))
        lines.append(f"Best baseline by validation: {best}, {name} {rival}. Verdict: {run.verdict}.")
    lines.append(
        f"{run.n_parameters:,} parameters; weights of epoch {run.best_epoch} of {run.epochs_run}; "
        f"{run.seconds:.1f} s of training."
    )
    lines += [f"- {note}" for note in run.notes]
    return "\n\n".join(lines)


def _stored(run: Run) -> dict[str, Any]:
    return {**run.as_dict(), "objective": run.objective, "direction": run.direction, "notes": list(run.notes)}


def _figures(task: Task, result: FitResult, objective: str, evaluation: Evaluation) -> dict[str, Any]:
    monitor = f"val_{objective}" if f"val_{objective}" in result.history else "val_loss"
    curve = learning_curve(result.history, best_epoch=result.best_epoch or None, monitor=monitor)
    course = task.draw_history(result.history, result.best_epoch) if result.history else {}
    return {"learning_curve": curve, **course, **evaluation.figures()}


def _prefixed(by_part: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {PART_PREFIX[part] + name: value for part, values in by_part.items() for name, value in values.items()}


def _array(weight: Any) -> Any:
    return weight.numpy()
