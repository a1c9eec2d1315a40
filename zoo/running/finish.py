"""Finish a run after training: scores, figures, model, description, and the returned run object."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import tensorflow as tf

from zoo.data.dataset import SPLIT_PREFIX, Dataset
from zoo.figures.curves import learning_curve
from zoo.figures.layers import layer_curves
from zoo.fitting.fit import Fitted, choose_evaluated_split, evaluate, post_process
from zoo.inspection.layer_statistics import DEAD_UNITS, GRADIENT_NORM, select_layer_curves
from zoo.jobs.data_options import DataJob
from zoo.metrics.direction import Direction
from zoo.metrics.intervals import LEAST_GROUPS, LEAST_ROWS
from zoo.metrics.tables import scores_by_class, worst_errors
from zoo.reporting.check_inputs import Finding
from zoo.reporting.diagnosis import Training, diagnose
from zoo.reporting.gradient_checks import check_gradients
from zoo.reporting.report import DataReport
from zoo.reporting.run_checks import CHECK_ERRORS
from zoo.running.baselines import BASELINE_ERRORS
from zoo.running.data_report import keep_report
from zoo.running.draw_figures import DrawnFigures, draw_in_background
from zoo.running.run_facts import add_prefixes
from zoo.saving.model import Model
from zoo.stored_runs.results import Run
from zoo.task import Evaluation
from zoo.text import convert_to_plain, format_interval, format_number
from zoo.tracking.tags import RESULT_FILE, SCORED_TAG
from zoo.tracking.tracked_run import TrackedRun
from zoo.training.fit_settings import FitSettings

PREDICTIONS_FILE = "predictions.csv"
MOST_ROWS, MOST_COLUMNS = 10_000, 50  # of a logged table
READABLE = ("number", "category", "text")  # kinds of inputs shown in tables


def finish_run(
    tracked: TrackedRun,
    job: DataJob,
    fitted: Fitted,
    baselines: Mapping[str, Mapping[str, float]],
    notes: tuple[str, ...],
) -> Run:
    """Calibrate, evaluate the restored weights once on each split, and log metrics, figures, model and description.

    Args:
        tracked: The MLflow run, which is still active.
        job: The run's job.
        fitted: The trained model.
        baselines: Metrics of each baseline on the same splits.
        notes: Notes for the user.

    Returns:
        The run as returned to the caller; it can be loaded again by its id.
    """
    task, split = fitted.task, choose_evaluated_split(fitted.dataset)
    uncalibrated = evaluate(fitted, [split])[split] if job.calibrate is not None else None
    fitted = post_process(fitted, job)
    assert fitted.calibration is not None
    calibration, dataset = fitted.calibration, fitted.dataset
    model = Model(fitted.built_model.full_model(), dataset.spec, fitted.builder.name, calibration.conformal_quantiles)
    rows = dataset.splits[split]
    evaluations = evaluate(fitted, [split], intervals=[split], model=model.keras_model)
    output, quantiles, rules = evaluations[split].output, calibration.conformal_quantiles, task.rules(dataset.spec)

    findings, drawings = task.check_run(model.keras_model, dataset, fitted.hyperparameters, fitted.result.history)

    def draw() -> dict[str, Any]:
        of_task = {name: draw_one() for name, draw_one in drawings.items()}
        figures = _figures(fitted, rules.metrics()[0].name, evaluations[split], uncalibrated)
        return {**figures, **of_task, **(rules.draw_intervals(rows, output, quantiles) if quantiles else {})}

    with draw_in_background(draw if getattr(job, "figures", True) else dict) as drawn:
        others = [name for name in SPLIT_PREFIX if name != split]
        evaluations |= evaluate(fitted, others, intervals=["validation"], model=model.keras_model)
        of_scores = (*evaluations[split].notes, *_note_unknown_intervals(evaluations[split], split))
        run = _run_of(
            tracked, fitted, model, evaluations, (*notes, *fitted.result.notes, *calibration.notes, *of_scores)
        )
        conformal = rules.interval_scores(rows, output, quantiles) if quantiles else {}
        run.metrics = {
            **run.metrics,
            **calibration.facts,
            **add_prefixes({split: conformal}),
            **({} if uncalibrated is None else add_prefixes({split: _named_uncalibrated(uncalibrated.scores)})),
        }
        run.baselines = baselines
        predicted = rules.held_out(rows, output)
        if predicted is not None and job.fold is not None:
            tracked.text(predicted.to_csv(index=False), PREDICTIONS_FILE)
        tables = {} if predicted is None or job.fold is not None else _tables(predicted, dataset, split)
        tables |= {} if job.fold is not None else evaluations[split].tables()
        run.diagnosis = tuple(findings)
        _log(tracked, job, run, model, fitted, tables, drawn)
    return run


def _run_of(
    tracked: TrackedRun, fitted: Fitted, model: Model, evaluations: Mapping[str, Evaluation], notes: tuple[str, ...]
) -> Run:
    """Return the run with its scores."""
    result, task = fitted.result, fitted.task
    rules = task.rules(model.spec)
    objective = rules.metrics()[0]
    return Run(
        run_id=tracked.run_id,
        experiment=tracked.store.client.get_experiment(tracked.experiment_id).name,
        task=task.name,
        model_name=fitted.builder.name,
        source=fitted.dataset.source,
        objective=objective.name,
        direction=objective.direction,
        metrics={
            **result.scores,
            **add_prefixes({name: evaluation.scores for name, evaluation in evaluations.items()}),
        },
        intervals=add_prefixes({name: evaluation.intervals for name, evaluation in evaluations.items()}),
        baselines={},
        hyperparameters=fitted.hyperparameters,
        n_parameters=fitted.built_model.n_parameters,
        epochs_run=result.epochs_run,
        best_epoch=result.best_epoch,
        seconds=result.seconds,
        artifact_uri=tracked.artifact_uri,
        notes=notes,
        limits=rules.limits(),
        load=lambda: model,
    )


def _note_unknown_intervals(evaluation: Evaluation, split: str) -> tuple[str, ...]:
    """Return a note that names the metrics whose interval is unknown because the split has too few rows."""
    unknown = [
        name
        for name, bounds in evaluation.intervals.items()
        if math.isnan(sum(bounds)) and math.isfinite(evaluation.scores[name])
    ]
    if not unknown:
        return ()
    needed = f"at least {LEAST_ROWS} rows of each class, or {LEAST_GROUPS} groups after a split by group"
    return (f"the interval of {', '.join(unknown)} is unknown: the {split} split needs {needed}, and unequal losses",)


def _tables(predicted: pd.DataFrame, dataset: Dataset, split: str) -> dict[str, pd.DataFrame]:
    """Return the predictions of the evaluated split, the worst errors and, for classification, the scores by class."""
    tables = {"predictions": predicted.head(MOST_ROWS)}
    if "truth" in predicted:
        columns = [input_.name for input_ in dataset.spec.inputs[:MOST_COLUMNS] if input_.kind in READABLE]
        inputs = dataset.splits[split].frame(dataset.spec, columns=columns)
        tables["worst_errors"] = worst_errors(predicted, inputs)
    return {**tables, "scores_by_class": scores_by_class(predicted)} if dataset.spec.has_classes else tables


def _named_uncalibrated(scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}_uncalibrated": scores[name] for name in ("ece", "log_loss", "brier") if name in scores}


def keep_model(tracked: TrackedRun, fitted: Fitted) -> None:
    """Log the model of an interrupted training: its best weights so far, without scores."""
    model = Model(fitted.built_model.full_model(), fitted.dataset.spec, fitted.builder.name)
    facts = {"hyperparameters": dict(fitted.hyperparameters), "task": fitted.task.name}
    tracked.model(model, {**facts, "run_id": tracked.run_id}, fitted.task.example_rows(fitted.dataset))


def _log(
    tracked: TrackedRun,
    job: DataJob,
    run: Run,
    model: Model,
    fitted: Fitted,
    tables: Mapping[str, pd.DataFrame],
    drawn: Callable[[], DrawnFigures],
) -> None:
    facts = {"hyperparameters": dict(run.hyperparameters), "task": run.task, "run_id": run.run_id}
    tracked.model(model, facts, fitted.task.example_rows(fitted.dataset))
    tracked.tables(tables)
    report = None
    if job.fold is None:  # the parent run logs the report for all folds
        size: dict[str, Any] = {"parameters": run.n_parameters, "model": run.model_name}
        report = keep_report(tracked, fitted.task, fitted.dataset, _report_level(job), **size)
    training = _training(run, fitted, report)
    run.diagnosis = (*diagnose(training, _check_gradients(training, fitted)), *run.diagnosis)
    tracked.text(json.dumps(_stored(run), indent=1), RESULT_FILE)
    images_ = drawn()
    run.draw = lambda: images_.figures
    for name, content in fitted.result.files.items():
        (images_.folder / name).write_bytes(content)
    tracked.files(images_.folder, "figures")
    shown = [*(f"figures/{figure}.png" for figure in run.figures), *(f"figures/{name}" for name in fitted.result.files)]
    shown += [f"tables/{name}.json" for name in tables]
    note = describe_run(run, report, shown)
    topics = ", ".join(finding.topic for finding in run.diagnosis) or "none"
    tracked.tags(
        {"mlflow.note.content": note, "zoo.stopped": fitted.result.stopped, "zoo.diagnosis": topics, SCORED_TAG: "yes"}
    )
    facts_as_metrics = {
        "n_parameters": run.n_parameters,
        "epochs_run": run.epochs_run,
        "best_epoch": run.best_epoch,
        "stopped_epoch": run.epochs_run,
        "seconds": run.seconds,
    }
    tracked.metrics({**run.metrics, **facts_as_metrics})


def _report_level(job: DataJob) -> str:
    return str(getattr(job, "report_level", None) or getattr(job, "baselines", "none"))


def _training(run: Run, fitted: Fitted, report: DataReport | None) -> Training:
    """Return the facts about training that the diagnosis is based on."""
    task, spec, split = fitted.task, fitted.dataset.spec, fitted.dataset.splits.get("train")
    dummies = [baseline for baseline in task.baselines("quick", spec) if baseline.is_dummy]
    baselines = dict(run.baselines)
    if dummies and spec.targets and split is not None and dummies[0].name not in baselines:
        with suppress(*BASELINE_ERRORS):
            baselines[dummies[0].name] = add_prefixes(dummies[0].run(fitted.dataset, 0))  # what chance attains
    settings = FitSettings.from_hyperparameters(fitted.hyperparameters)
    interval = run.intervals.get(f"test_{run.objective}")
    strong = task.strong_model(spec) if task.strong_model is not None else None
    return Training(
        history=fitted.result.history,
        best_epoch=run.best_epoch,
        stopped=fitted.result.stopped,
        steps=settings.steps(split.total) if split is not None else 0,
        objective=run.objective,
        metrics=run.metrics,
        interval=None if interval is None or math.isnan(sum(interval)) else interval,
        baselines=baselines,
        dummy=dummies[0].name if dummies else None,
        verdict=run.verdict,
        best_baseline=run.best_baseline,
        report=report.findings if report is not None else (),
        strong_model=None if strong == run.model_name else strong,
        hyperparameters=fitted.hyperparameters,
        perfect=task.rules(spec).metrics()[0].perfect,
    )


def _check_gradients(training: Training, fitted: Fitted) -> list[Finding]:
    """Return findings on the gradients of a network that learnt nothing."""
    if not training.learnt_nothing:
        return []
    # A user's own network may have layers that cannot be looked into, which must not fail a run that has finished.
    with suppress(*CHECK_ERRORS, tf.errors.OpError, RuntimeError, AttributeError):
        arrays = fitted.task.probe(fitted.built_model, fitted.dataset)
        if arrays is not None:
            return check_gradients(fitted.built_model.network, arrays, tuple(fitted.hyperparameters))
    return []


def describe_run(run: Run, report: DataReport | None = None, artifacts: Sequence[str] = ()) -> str:
    """Return a Markdown description of a run.

    Args:
        run: The run, with scores and diagnosis.
        report: The report of its data.
        artifacts: Paths of the artifacts to point out.
    """
    name = run.headline
    rows = report.splits.get("train", 0) if report is not None else 0
    columns = len(report.columns) if report is not None else 0
    size = f"{rows:,} rows" + (f" of {columns} columns" if columns else "")
    bounds = run.intervals.get(name, (math.nan, math.nan))
    interval = "" if math.isnan(sum(bounds)) else f" {format_interval(bounds)}, 95 % interval"
    better = "less" if Direction(run.direction).less_is_better else "more"
    lines = [
        f"**{run.model_name}** on **{run.source}**{f', trained on {size}' if rows else ''}: {name} "
        f"**{format_number(run.metrics[name])}**{interval} ({better} is better)."
    ]
    best = run.best_baseline
    if best:
        baseline = format_number(run.baselines[best].get(name))
        lines.append(f"Best baseline by validation: {best}, {name} {baseline}. Verdict: **{run.verdict}**.")
    lines += [_format_baselines(run)] if run.baselines else []
    lines.append(
        f"{run.n_parameters:,} parameters; weights of epoch {run.best_epoch} of {run.epochs_run}; "
        f"{run.seconds:.1f} s of training."
    )
    lines += [_format_diagnosis(run.diagnosis)] if run.diagnosis else []
    lines += [report.short()] if report is not None and report.warnings else []
    lines += [f"Artifacts to look at: {', '.join(artifacts)}."] if artifacts else []
    lines += ["\n".join(f"- {note}" for note in run.notes)] if run.notes else []
    return "\n\n".join(lines)


def _format_diagnosis(findings: Sequence[Finding]) -> str:
    """Return a diagnosis as a Markdown list."""
    lines = []
    for finding in findings:
        shown = f" ({'; '.join(finding.evidence)})" if finding.evidence else ""
        lines.append(f"- **{finding.topic}**: {finding.text}{shown}. Next: {finding.advice}")
    return "\n".join(["**Diagnosis**", "", *lines])


def _format_baselines(run: Run) -> str:
    """Return a Markdown table of the model's scores and those of each baseline, on the evaluated split."""
    prefix = run.headline.partition("_")[0] + "_"
    names = [name for name in run.metrics if name.startswith(prefix)]
    rows = [(f"**{run.model_name}**", run.metrics), *run.baselines.items()]
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for name, scores in rows:
        cells = [format_number(scores[each]) if each in scores else "" for each in names]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _stored(run: Run) -> dict[str, Any]:
    named = {"objective": run.objective, "direction": run.direction, "limits": convert_to_plain(run.limits)}
    return {**run.as_dict(), **named}


def _figures(fitted: Fitted, objective: str, evaluation: Evaluation, before: Evaluation | None) -> dict[str, Any]:
    task, result = fitted.task, fitted.result
    monitor = f"val_{objective}" if f"val_{objective}" in result.history else "val_loss"
    norms, dead = (select_layer_curves(result.history, prefix) for prefix in (GRADIENT_NORM, DEAD_UNITS))
    history = {name: v for name, v in result.history.items() if not name.startswith((GRADIENT_NORM, DEAD_UNITS))}
    is_best = fitted.hyperparameters.get("keep", "best") == "best"
    curve = learning_curve(history, best_epoch=(result.best_epoch or None) if is_best else None, monitor=monitor)
    of_layers = {"layers": layer_curves(norms, dead)} if norms else {}
    of_task = task.draw_history(result.history, result.best_epoch) if result.history else {}
    earlier = {} if before is None else {"reliability_uncalibrated": before.figures()["reliability"]}
    return {"learning_curve": curve, **of_layers, **of_task, **evaluation.figures(), **earlier}
