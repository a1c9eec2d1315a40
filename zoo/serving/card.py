"""Model card of a run: its data, intended use, scores also by subgroup, and limits.

The sections follow Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.calibration.fit_calibration import select_rows
from zoo.data.dataset import SPLIT_PREFIX
from zoo.data.reading_options import apply_reading_options
from zoo.data.sources.read import read_table
from zoo.errors import describe_unknown, join_first
from zoo.fitting.fit import choose_evaluated_split
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import CardJob
from zoo.metrics.direction import Direction
from zoo.reporting.report import DataReport
from zoo.running.data_report import REPORT_FILE
from zoo.saving.files import check_folder, write_atomically
from zoo.saving.model import Model
from zoo.spec import DateInput, Input, NumberInput
from zoo.stored_runs.lookup import load, load_job, load_run, resolve_run
from zoo.stored_runs.results import Run, format_unranked
from zoo.task import load_task
from zoo.text import convert_to_plain, format_interval, format_number
from zoo.tracking.store import Store

CARD_FILE = "model_card.md"
MOST_GROUPS, BINS, FEW_ROWS = 12, 4, 30
MOST_COLUMNS = 40


@dataclass(frozen=True)
class Subgroup:
    """The model's score on a subgroup of the rows that evaluate it.

    Args:
        column: The column that defines the groups.
        name: The group: a category, or a range of numbers.
        rows: Number of rows.
        score: The objective.
        interval: Its 95 % interval.
        worse: Whether the whole interval is worse than the score on all rows.
    """

    column: str
    name: str
    rows: int
    score: float
    interval: tuple[float, float]
    worse: bool


@dataclass
class Card:
    """A model card.

    Args:
        run_id: MLflow's id of the run.
        text: The card as Markdown.
        subgroups: Scores by subgroup.
        output: File that it was written to; None for none.
    """

    run_id: str
    text: str
    subgroups: list[Subgroup]
    output: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo card --json`` prints."""
        groups = [convert_to_plain(vars(subgroup)) for subgroup in self.subgroups]
        return {**vars(self), "subgroups": groups}

    def __repr__(self) -> str:
        return f"card written to {self.output}" if self.output else self.text


@accept_keywords(CardJob, "run")
def card(job: CardJob) -> Card:
    """Write the card of a run's model, and log it to the run.

    Args:
        job: The job; or its keys as keywords. The columns ``by`` need not be inputs of the model.

    Raises:
        UsageError: When there is no such run or column, or the run has no model.

    Example:
        >>> card(run.run_id, by=["sex"]).subgroups  # doctest: +SKIP
    """
    output = job.output
    if output is not None:
        check_folder(Path(output))
    store = Store()
    chosen = resolve_run(store, job.run)
    run, model = load_run(store, chosen), load(chosen)
    groups = _subgroups(store, run, model, job.by) if job.by else []
    report = store.read_text(chosen, f"{REPORT_FILE}.json")
    data_report = DataReport.from_dict(json.loads(report)) if report is not None else None
    model_card = Card(chosen, _markdown(run, model, groups, data_report, job.use), groups, output)
    store.client.log_text(chosen, model_card.text, CARD_FILE)
    if output is not None:
        with write_atomically(Path(output)) as writing:
            writing.write_text(model_card.text, encoding="utf-8")
    return model_card


# --- scores by subgroup ---


def _subgroups(store: Store, run: Run, model: Model, by: Sequence[str]) -> list[Subgroup]:
    job = load_job(store, run.run_id)
    task = load_task(model.spec.task)
    dataset = dataclasses.replace(task.read(job), spec=model.spec)
    name = choose_evaluated_split(dataset)
    split = dataset.splits[name]
    source = job.test if dataset.has_test_source and name == "test" else job.source
    with apply_reading_options(job):
        frame = read_table(source).frame
    sign = Direction(run.direction).sign
    subgroups = []
    for column in by:
        if column not in frame.columns:
            raise describe_unknown("column", column, [str(other) for other in frame.columns], where="by")
        values = frame[column].loc[split.rows].reset_index(drop=True)
        for group, rows in _groups(values):
            group_dataset = dataclasses.replace(dataset, splits={name: select_rows(split, rows)})
            evaluation = task.evaluate(model.keras_model, group_dataset, name, intervals=True)
            low, high = evaluation.intervals.get(run.objective, (math.nan, math.nan))
            overall = run.metrics[SPLIT_PREFIX[name] + run.objective]
            worse = min(sign * low, sign * high) > sign * overall
            subgroups.append(Subgroup(column, group, len(rows), evaluation.scores[run.objective], (low, high), worse))
    return subgroups


def _groups(values: pd.Series) -> list[tuple[str, np.ndarray]]:
    """Return the rows of each group: quartiles of a number, or the most frequent categories."""
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MOST_GROUPS:
        bins = pd.qcut(values, BINS, duplicates="drop")
        edges = {bin_: f"{bin_.left:.4g} to {bin_.right:.4g}" for bin_ in bins.cat.categories}
        labels, names = bins.map(edges), list(edges.values())
    else:
        labels = values.astype(str)
        names = list(labels[values.notna()].value_counts().index[:MOST_GROUPS])
    groups = [(name, np.flatnonzero((labels == name) & values.notna())) for name in names]
    missing = np.flatnonzero(values.isna())
    return [*groups, ("missing", missing)] if len(missing) else groups


# --- the text ---


def _markdown(run: Run, model: Model, groups: Sequence[Subgroup], report: DataReport | None, use: str) -> str:
    sections = [
        f"# Model card: {run.model_name} on {run.source}",
        _model(run),
        _use(model, run, use),
        _data(model, run, report),
        _scores(run),
        *([_by_group(run, groups)] if groups else []),
        _limits(model, run, groups, report),
        _how(run),
    ]
    return "\n\n".join(sections) + "\n"


def _model(run: Run) -> str:
    values = ", ".join(f"{name} {format_number(value)}" for name, value in run.hyperparameters.items())
    return (
        f"## The model\n\nA Keras network of {run.n_parameters:,} parameters, `{run.model_name}`, that includes "
        f"the preprocessing of raw columns. MLflow run `{run.run_id}` in the experiment *{run.experiment}*; "
        f"the weights are those of epoch {run.best_epoch} of {run.epochs_run}.\n\nHyperparameters: {values}."
    )


def _use(model: Model, run: Run, use: str) -> str:
    names = ", ".join(f"`{target.name}`" for target in model.spec.targets)
    prediction = f"predicts {names}" if names else f"is of the task {run.task}"
    if model.spec.has_classes:
        prediction += f", one of {join_first([f'`{name}`' for name in model.spec.target.classes], 12)}"
    purpose = use or "_Not stated; describe it with `zoo card RUN --use TEXT`._"
    return (
        f"## Intended use\n\n{purpose}\n\nThe model {prediction}. It was trained only on rows like those of "
        f"{run.source}. The scores do not apply to rows from elsewhere, from another time, or outside the ranges below."
    )


def _data(model: Model, run: Run, report: DataReport | None) -> str:
    lines = ["## The data", "", f"Source: {run.source}."]
    if report is not None:
        splits = ", ".join(f"{name} {rows:,}" for name, rows in report.splits.items())
        lines += [f"Rows: {splits}. The test split was evaluated once and not used for any choice."]
    if model.spec.has_classes and model.spec.target.counts:
        target = model.spec.target
        counts = ", ".join(f"`{n}` {c:,}" for n, c in zip(target.classes, target.counts, strict=True))
        lines += [f"Classes in the training rows: {counts}."]
    describe = load_task(model.spec.task).describe_source
    if describe is not None:
        sentence, uses = describe(model.spec)
        rows = [f"| {_cell(name)} | {use} |" for name, use in uses.items()]
        return "\n".join([*lines, sentence, "", "| column | use |", "|---|---|", *_first_rows(rows, 2)])
    rows = [
        f"| {_cell(input_.name)} | {input_.kind} | {input_.missing:,} | {_cell(_extent(input_))} |"
        for input_ in model.spec.inputs
    ]
    header = ["| column | kind | missing | range or categories in training |", "|---|---|---|---|"]
    return "\n".join([*lines, "", *header, *_first_rows(rows, 4)])


def _first_rows(rows: Sequence[str], width: int) -> list[str]:
    """Return the first rows of a table of columns, and how many more there are."""
    more = [f"| … | {len(rows) - MOST_COLUMNS} more |" + " |" * (width - 2)] if len(rows) > MOST_COLUMNS else []
    return [*rows[:MOST_COLUMNS], *more]


def _scores(run: Run) -> str:
    prefix = run.headline.split("_")[0] + "_"
    best = run.best_baseline
    lines = ["## Scores", "", f"| metric | model | 95 % interval |{f' {best} |' if best else ''}"]
    lines.append("|---|---|---|" + ("---|" if best else ""))
    for name in (metric for metric in run.metrics if metric.startswith(prefix)):
        baseline = f" {format_number(run.baselines[best].get(name, math.nan))} |" if best else ""
        lines.append(
            f"| {name} | {format_number(run.metrics[name])} | {format_interval(run.intervals.get(name))} |{baseline}"
        )
    if best or not run.baselines:
        verdict = f"Compared with the best baseline on validation: {run.verdict}." if best else "No baseline was run."
        return "\n".join([*lines, "", verdict])
    unranked = format_unranked(run.baselines, [name for name in run.metrics if name.startswith(prefix)])
    return "\n".join([*lines, "", *(f"- {line}" for line in unranked)])


def _by_group(run: Run, groups: Sequence[Subgroup]) -> str:
    lines = ["## Scores by subgroup", "", f"On the same rows, {run.headline}:", ""]
    lines += ["| column | group | rows | score | 95 % interval | |", "|---|---|---|---|---|---|"]
    for subgroup in groups:
        remark = "**worse than on all rows**" if subgroup.worse else "few rows" if subgroup.rows < FEW_ROWS else ""
        bounds = format_interval(subgroup.interval)
        name = f"{_cell(subgroup.column)} | {_cell(subgroup.name)}"
        lines.append(f"| {name} | {subgroup.rows:,} | {format_number(subgroup.score)} | {bounds} | {remark} |")
    return "\n".join(lines)


def _limits(model: Model, run: Run, groups: Sequence[Subgroup], report: DataReport | None) -> str:
    lines = [f"- {finding.topic}: {finding.text}" for finding in run.diagnosis]
    lines += [f"- data, {finding.topic}: {finding.text}" for finding in report.warnings] if report is not None else []
    lines += [
        f"- {subgroup.column} {subgroup.name}: {run.objective} is worse than on all rows"
        for subgroup in groups
        if subgroup.worse
    ]
    if not groups:
        lines.append("- No scores by subgroup; compute them with `zoo card RUN --by COLUMN`.")
    if model.classes and "test_ece" in run.metrics:
        lines.append(f"- Expected calibration error of the probabilities: {format_number(run.metrics['test_ece'])}.")
    if not model.conformal_quantiles and "calibration_size" not in load_task(model.spec.task).refuses:
        lines.append("- No prediction sets or intervals; they need training with `--calibration-size`.")
    return "\n".join(["## Limits", "", *lines])


def _how(run: Run) -> str:
    short = run.run_id[:8]
    return (
        "## How to use it\n\n```\n"
        f"zoo predict {short} rows.csv            # raw rows in, predictions out\n"
        f"zoo serve {short}                       # the same over HTTP\n```\n\n```python\nimport zoo\n\n"
        f'zoo.load("{short}").predict("rows.csv")\n```'
    )


def _extent(input_: Input) -> str:
    names = getattr(input_, "categories", ()) or getattr(input_, "vocabulary", ())
    if names:
        return ", ".join(names[:5]) + (f", … {len(names)} in all" if len(names) > 5 else "")
    return f"{input_.min:g} to {input_.max:g}" if isinstance(input_, NumberInput | DateInput) else ""


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
