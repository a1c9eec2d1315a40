"""The data report of a source, and of the data of each run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import Column
from zoo.data.columns.describe_table import describe_columns
from zoo.data.columns.encode import has_value, parse_numbers
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.layout import find_named_columns
from zoo.data.memory import give_back_memory, release_pages
from zoo.data.reading_options import apply_reading_options
from zoo.data.sources.read import Table, read_table
from zoo.data.splitting.sample_table import sample_table
from zoo.data.streaming.stream import must_stream
from zoo.data.written_targets import restore_classes
from zoo.errors import UsageError, WrongSourceError
from zoo.fitting.choose_task import choose_table_task, list_tasks_with_target
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.jobs.describe_jobs import ReportJob
from zoo.jobs.keywords import accept_keywords
from zoo.models.built_model import leave_out_weights
from zoo.models.search_space import count_searched
from zoo.reporting.check_inputs import Facts, Finding, format_option
from zoo.reporting.distributions import describe_distributions, describe_target
from zoo.reporting.report import DataReport
from zoo.reporting.row_checks import check_parameters
from zoo.reporting.run_checks import (
    CHECK_ERRORS,
    compute_version,
    name_rows,
    prepare_table,
    run_cheap_checks,
    run_costly_checks,
)
from zoo.running.progress import Progress
from zoo.saving.files import check_folder, write_atomically
from zoo.spec import CategoryInput, ColumnInput, NumberInput, TextInput
from zoo.task import Task, load_task, load_tasks
from zoo.tracking.tracked_run import TrackedRun

REPORT_FILE, REPORTS = "data_report", "reports"
# With fewer rows, a run's report skips the checks that train models; `zoo data` always runs them.
LEAST_ROWS_FOR_MODELS = 500


@accept_keywords(ReportJob, "source")
def data_report(job: ReportJob, *, quiet: bool = False) -> DataReport:
    """Report on the quality of data before training on them.

    Args:
        job: The job; or its keys as keywords, such as ``target`` or ``task``.
        quiet: Whether to hide progress.

    Raises:
        DataError, UsageError: Under the same conditions as training on the data.

    Example:
        >>> [finding.topic for finding in data_report("wine", quiet=True).warnings]
        ['enough rows']
    """
    output = Path(job.output) if job.output is not None else None
    if output is not None:
        check_folder(output)
    table = _table(job)
    task, dataset = _read(job, table)
    facts: Facts | None
    if table is not None:
        facts = _facts(job, table, dataset)
    else:  # a sample of the streamed rows, if they are tabular
        facts = _facts_of_dataset(dataset) if dataset is not None else None
    parameters, searched = _size_of_model(job, dataset)
    texts = _texts_of_dataset(dataset) if dataset is not None and table is None else None
    findings = run_cheap_checks(facts, dataset, texts=texts, searched=searched, model=job.model)
    if dataset is not None and "train" in dataset.splits:
        total, unit = dataset.splits["train"].total, name_rows(dataset)
        findings.insert(0, check_parameters(total, parameters, job.model, unit=unit))
    Progress(quiet=quiet).say("looking for leaks, drift and label errors …")
    findings += run_costly_checks(facts, dataset, _baselines_of(task, dataset, "all"))
    if table is not None and dataset is None:
        findings.append(_which_target(table))
    report = DataReport(
        source=table.source if table is not None else dataset.source if dataset is not None else str(job.source),
        target=(dataset.spec.target_names or None) if dataset is not None else None,
        task=task.name if task is not None else None,
        splits=_sizes(table, dataset),
        columns=facts.columns if facts is not None else (),
        findings=findings,
        notes=dataset.notes if dataset is not None else table.notes if table is not None else (),
        output=str(output) if output is not None else None,
        distributions=describe_distributions(facts),
        target_distribution=describe_target(dataset),
    )
    if output is not None:
        with write_atomically(output) as writing:
            writing.write_text(report.page(), encoding="utf-8")
    return report


def keep_report(
    tracked: TrackedRun,
    task: Task,
    dataset: Dataset,
    level: str,
    *,
    parameters: int | None = None,
    model: str | None = None,
) -> DataReport:
    """Log the report of a run's data as artifacts: an HTML page, JSON and text.

    Args:
        tracked: The run.
        task: Its task.
        dataset: Its dataset.
        level: Level of the baselines; see :func:`report_of_run`.
        parameters: Number of parameters of its model; None for several models.
        model: Its name.
    """
    try:
        report = report_of_run(task, dataset, level, tracked.store.state / REPORTS)
        give_back_memory(dataset.nbytes)
    except CHECK_ERRORS as error:  # a failing report must not fail the run
        failure = Finding("report", "note", f"the report failed: {type(error).__name__}: {error}")
        report = DataReport(dataset.source, None, task.name, dataset.sizes, findings=[failure])
    if parameters is not None and "train" in dataset.splits:
        finding = check_parameters(dataset.splits["train"].total, parameters, model, unit=name_rows(dataset))
        report = replace(report, findings=[finding, *report.findings])
    tracked.text(report.page(), f"{REPORT_FILE}.html")
    tracked.text(json.dumps(report.as_dict(), indent=1), f"{REPORT_FILE}.json")
    tracked.text(str(report), f"{REPORT_FILE}.txt")
    return report


def report_of_run(task: Task, dataset: Dataset, level: str, folder: Path) -> DataReport:
    """Return the report of a run's data, cached by the digest of the data.

    Args:
        task: The run's task.
        dataset: The run's dataset.
        level: Level of the baselines; ``none`` also skips the checks that need to train models.
        folder: Folder of the cached reports.
    """
    rows = sum(len(split) for split in dataset.splits.values())
    models = level != "none" and rows >= LEAST_ROWS_FOR_MODELS
    with_models = folder / f"{dataset.split_digest}-{task.name}-{compute_version()}.json"
    without_models = with_models.with_suffix(".cheap.json")
    for kept in [with_models] if models else [with_models, without_models]:
        with contextlib.suppress(OSError, *CHECK_ERRORS):  # missing or corrupt
            report_ = DataReport.from_dict(json.loads(kept.read_text(encoding="utf-8")))
            return replace(
                report_, source=dataset.source, notes=dataset.notes
            )  # the same data may come from another path
    facts = _facts_of_dataset(dataset)
    findings = run_cheap_checks(facts, dataset, texts=_texts_of_dataset(dataset))
    if models:
        findings += run_costly_checks(facts, dataset, _baselines_of(task, dataset, "quick"))
    report = DataReport(
        source=dataset.source,
        target=dataset.spec.target_names or None,
        task=task.name,
        splits=dataset.sizes,
        columns=facts.columns if facts is not None else (),
        findings=findings,
        notes=dataset.notes,
        distributions=describe_distributions(facts),
        target_distribution=describe_target(dataset),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with write_atomically(with_models if models else without_models) as writing:
        writing.write_text(json.dumps(report.as_dict()), encoding="utf-8")
    return report


def _table(job: ReportJob) -> Table | None:
    """Return the source as a table, or None if it is not tabular or must be streamed."""
    if job.stream or (job.stream is None and must_stream(job.source)):
        return None
    task = _task_asked_for(job)
    if task is not None and "table" not in task.reads:
        return None
    try:
        with apply_reading_options(job):
            return sample_table(read_table(job.source, text=find_named_columns(job.column)), job)
    except WrongSourceError:
        return None


def _read(job: ReportJob, table: Table | None) -> tuple[Task | None, Dataset | None]:
    """Return the requested task or the first that fits, and its dataset; None for both if there is no target.

    Raises:
        UsageError: If no task can read the source: the first error that is not about its kind.
    """
    if table is not None:
        job = job.model_copy(update={"source": table, "sample_rows": None})
    asked = _task_asked_for(job)
    if asked is not None:
        return asked, asked.read(job)
    if table is None:
        return _first_that_reads(job)
    targets = job.target or ((table.target,) if table.target is not None else ())
    if not targets:
        return None, None
    task = choose_table_task(table.frame.get(targets[0]))
    return task, task.read(job)


def _task_asked_for(job: ReportJob) -> Task | None:
    if job.task is not None:
        return load_task(job.task)
    return create_model_builder(job.model).task if job.model is not None else None


def _first_that_reads(job: ReportJob) -> tuple[Task, Dataset]:
    refused: UsageError | None = None
    passes_by = bool(job.stream) or must_stream(job.source)
    with_target = [task for task, _ in list_tasks_with_target()]
    others = [task for task in load_tasks() if task not in with_target and "table" not in task.reads]
    for task in (*with_target, *others):
        if ("table" in task.reads) != passes_by:
            continue
        try:
            return task, task.read(job)
        except UsageError as error:
            if refused is None or (isinstance(refused, WrongSourceError) and not isinstance(error, WrongSourceError)):
                refused = error
    assert refused is not None
    raise refused


def _facts(job: DataJob, table: Table, dataset: Dataset | None) -> Facts:
    """Return the facts about a table's columns, including the target and the splits if there are any."""
    targets = dataset.spec.targets if dataset is not None else ()
    table = restore_classes(table, targets)
    others = {job.split_column, job.weight, *(target.name for target in targets), *job.drop}
    others |= {job.split_by("group"), job.split_by("hash")}
    features = table.frame.drop(columns=[c for c in map(str, table.frame.columns) if c in others])
    split: Mapping[str, Any] = dataset.split_rows if dataset is not None else {}
    train = features.loc[split["train"]] if "train" in split else features
    named = {name for target in targets for name in target.columns}
    column, missing = ({k: v for k, v in way.items() if k not in named} for way in (job.column, job.missing))
    columns = describe_columns(train, column=column, missing=missing)
    classes = dataset is not None and dataset.spec.has_classes
    frame, test_from = table.frame, None
    if dataset is not None and dataset.has_test_source:
        # The rows of a separate test source are numbered from 0: append them after all others.
        test_from = len(frame)
        with apply_reading_options(job):
            tested = read_table(job.test).frame
        frame = pd.concat([frame, tested.set_axis(tested.index + test_from)])[list(frame.columns)]
        split = {**split, "test": dataset.splits["test"].rows + test_from}
    for target in targets:
        frame = frame[has_value(frame[target.name])]
        if target.kind == "number" and not target.shape:
            frame = frame.assign(**{target.name: parse_numbers(frame[target.name], target.notation)[0]})
    name = targets[0].name if len(targets) == 1 else None
    facts = prepare_table(frame, columns, target=name, classes=classes, split_rows=split, seed=job.seed)
    return replace(facts, test_from=test_from)


def _facts_of_dataset(dataset: Dataset) -> Facts | None:
    """Rebuild a table from the inputs of a run's dataset; None if the inputs are images, sequences or a single text."""
    return None if _has_only_a_text(dataset) else _rebuild_table(dataset)


def _texts_of_dataset(dataset: Dataset) -> Facts | None:
    """Rebuild a table of the texts of a dataset; None if it has other inputs."""
    return _rebuild_table(dataset) if _has_only_a_text(dataset) else None


def _has_only_a_text(dataset: Dataset) -> bool:
    return [input_.kind for input_ in dataset.spec.inputs] == [TextInput.kind]


def _rebuild_table(dataset: Dataset) -> Facts | None:
    spec = dataset.spec
    inputs = [column for column in spec.inputs if not getattr(column, "indicates_missing", False)]
    if any(not isinstance(column, ColumnInput) for column in inputs):
        return None
    splits = [(name, dataset.splits[name]) for name in SPLITS if name in dataset.splits]
    # Sampling with replacement may have repeated rows.
    firsts = [np.sort(np.unique(split.rows, return_index=True)[1]) for _, split in splits]
    rows = [split.rows[first] for (_, split), first in zip(splits, firsts, strict=True)]

    def all_rows(values: Callable[[Split], Any]) -> np.ndarray:
        pieces = []
        for (_, split), first in zip(splits, firsts, strict=True):
            cells = np.asarray(values(split))
            pieces.append(cells[first])
            release_pages(cells)
        return np.concatenate(pieces)

    # Column by column, so that memory holds at most one more copy of the table.
    columns_of = {column.name: all_rows(partial(_cells_of, key=column.key)) for column in inputs}
    if len(spec.targets) == 1 and all(split.target is not None for _, split in splits):
        codes = all_rows(lambda split: split.target)
        columns_of["\0target"] = np.array(spec.target.classes)[codes] if spec.has_classes else codes
    together = pd.DataFrame(columns_of, copy=False)
    texts = [column.name for column in inputs if column.kind in ("category", "text")]
    together[texts] = together[texts].astype(object).replace("", None)
    ends = np.cumsum([len(first) for first in firsts])
    starts = np.concatenate([[0], ends[:-1]])
    split_rows = {name: np.arange(a, b) for (name, _), a, b in zip(splits, starts, ends, strict=True)}
    columns = [_column_of(column, together[column.name]) for column in inputs]
    target = "\0target" if "\0target" in together else None
    classes = spec.has_classes
    test_from = None
    if dataset.has_test_source:
        test_from = 1 + max(int(column.max()) for (name, _), column in zip(splits, rows, strict=True) if name != "test")
        rows[-1] = rows[-1] + test_from
    together.index = np.concatenate(rows)
    facts = prepare_table(
        together.reset_index(drop=True), columns, target=target, classes=classes, split_rows=split_rows, seed=0
    )
    return replace(facts, frame=facts.frame.set_axis(together.index, axis=0), test_from=test_from)


def _cells_of(split: Split, key: str) -> Any:
    return split.inputs[key]


def _column_of(column: Any, values: Any) -> Column:
    """Convert a column of the spec to a column of the report."""
    extent = (f"{column.min:g}", f"{column.max:g}") if isinstance(column, NumberInput) else None
    names = column.categories[:5] if isinstance(column, CategoryInput) else ()
    categories = tuple((name, int((values == name).sum())) for name in names)
    kind = "ordered" if isinstance(column, CategoryInput) and column.ordered else column.kind
    return Column(column.name, kind, column.missing, int(values.nunique()), extent, categories)


def _baselines_of(task: Task | None, dataset: Dataset | None, level: str) -> list[Any]:
    estimators = getattr(task, "estimators", None)
    if estimators is None or dataset is None or len(dataset.spec.targets) != 1 or dataset.spec.target.quantiles:
        return []
    return list(estimators(level, dataset.spec))


def _size_of_model(job: ReportJob, dataset: Dataset | None) -> tuple[int | None, int]:
    """Return the number of parameters of the job's model, and of the hyperparameters that a search of it varies."""
    if job.model is None or dataset is None:
        return None, 0
    with leave_out_weights():
        builder = create_model_builder(job.model)
        built_model, hp = builder.build_checked(job.hyperparameters, dataset.spec, seed=job.seed)
    return built_model.n_parameters, count_searched(hp)


def _sizes(table: Table | None, dataset: Dataset | None) -> dict[str, int]:
    if dataset is not None:
        return dataset.sizes
    assert table is not None
    return {"all": len(table.frame)}


def _which_target(table: Table) -> Finding:
    text = "without a target, each column is only checked on its own"
    return Finding("target", "note", text, f"{format_option('target', table.frame.columns[-1])}, or another column")
