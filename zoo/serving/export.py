"""Exports of a run's model, each checked by comparing its own runtime's predictions with the model's."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import extract_inputs
from zoo.data.dataset import Dataset
from zoo.data.ragged import Ragged
from zoo.errors import JobError, StorageError, UsageError, ZooError, join_first, shorten_error
from zoo.fitting.fit import choose_evaluated_split
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import FORMATS, ExportJob
from zoo.models.built_model import find_preprocessing
from zoo.portable.predict import Exported, decode_outputs
from zoo.portable.rows import IMAGE, SEQUENCE
from zoo.quiet_import import silence_libraries
from zoo.running.progress import Progress
from zoo.saving.abandoned_files import create_prefix, remove_abandoned
from zoo.saving.export_formats import (
    OUTPUT,
    SAVED_MODEL,
    check_packages,
    convert_ranked,
    convert_to_columns,
    measure_difference,
    measure_disagreement,
    write_export,
)
from zoo.saving.files import check_folder
from zoo.saving.model import Model
from zoo.spec import CategoryInput
from zoo.stored_runs.lookup import load, load_job, resolve_run
from zoo.task import Task, load_task
from zoo.text import convert_to_plain, format_number
from zoo.tracking.store import Store
from zoo.tracking.store_failures import translate_failures

MOST_ROWS, SYNTHETIC_ROWS = 500, 100
# 32-bit floats summed in another order; and fraction of rows with two almost equally likely classes.
TOLERANCE, MOST_TIES = 1e-4, 0.01
# When an image is resized, a pixel between two integers may be rounded either way.
TOLERANCE_RESIZED = 1e-2
CALLS, WARM = 100, 5
TABLE_KINDS = {"number", "category", "date"}
GUIDE_FILE = "README.md"


@dataclass(frozen=True)
class Export:
    """One exported format, written and compared.

    Args:
        format: ``savedmodel``, ``onnx`` or ``litert``.
        folder: Folder of the export.
        bytes: Size of the model's own files.
        rows: Rows predicted by its own runtime.
        difference: Largest difference from the model's output, in probabilities or standard deviations of a number.
        latency_ms: Median time for one row, from cells to prediction, in this process.
        quantized: Whether weights are in 8 bits.
        score: Name of the objective, if it is quantized.
        before: The model's score on the split that evaluates it.
        after: The export's score on the same split.
    """

    format: str
    folder: str
    bytes: int
    rows: int
    difference: float
    latency_ms: float
    quantized: bool = False
    score: str = ""
    before: float | None = None
    after: float | None = None

    def __str__(self) -> str:
        size = f"{self.bytes / 1e6:.2f} MB" if self.bytes >= 100_000 else f"{self.bytes / 1e3:.1f} kB"
        text = f"{self.format}: {self.folder}, {size}, one row in {self.latency_ms:.2f} ms; "
        if self.score:
            text += f"in 8 bits {self.score} {format_number(self.before)} becomes {format_number(self.after)}; "
        return f"{text}{self.rows} rows compared, largest difference {self.difference:.1g}"


@dataclass
class Exports:
    """The exports of a run.

    Args:
        run_id: MLflow's id of the run.
        exports: The exports.
        refused: Why a format does not support the model, by format.
    """

    run_id: str
    exports: list[Export] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo export --json`` prints."""
        return convert_to_plain(
            {"run_id": self.run_id, "exports": list(map(vars, self.exports)), "refused": self.refused}
        )

    def __repr__(self) -> str:
        lines = [str(one) for one in self.exports]
        return "\n".join([*lines, *(f"{name}: refused: {why}" for name, why in self.refused.items())])


@accept_keywords(ExportJob, "run", "format", "output")
def export(job: ExportJob, *, quiet: bool = False) -> Exports:
    """Export a run's model; each export is loaded by its own runtime and compared with the model.

    Args:
        job: The job; or its keys as keywords.
        quiet: Show no progress.

    Raises:
        UsageError: No such run, packages of a format are missing, a requested format does not support the model, the
            folder exists, or there are no rows to compare.
        JobError: The predictions of an export differ.

    Example:
        >>> export(run.run_id, "onnx").exports[0].folder  # doctest: +SKIP
    """
    progress, formats, quantize = Progress(quiet=quiet), job.format, job.quantize
    for kind in formats:
        check_packages(kind)
    store = Store()
    chosen = resolve_run(store, job.run)
    model = load(chosen)
    folder = Path(job.output) if job.output is not None else Path(f"{model.name.replace('/', '-')}-{chosen[:8]}")
    check_folder(folder)
    for kind in formats or FORMATS:
        if (folder / kind).exists():
            raise UsageError(
                "the folder already holds an export; choose another --output or remove it", where=str(folder / kind)
            )
    subject = _Subject.of(store, chosen, model, job.on)
    exports = Exports(chosen)
    for kind in formats or FORMATS:
        progress.say(f"exporting to {kind} …")
        try:
            check_packages(kind)
            exported = _try_export(subject, folder / kind, kind, quantize=quantize and kind == "litert")
        except (JobError, UsageError) as error:
            if formats or isinstance(error, StorageError):
                raise
            exports.refused[kind] = error.message
            continue
        exports.exports.append(exported)
        store.client.log_text(chosen, json.dumps(convert_to_plain(vars(exported)), indent=1), f"exports/{kind}.json")
    if not exports.exports:
        raise JobError("; ".join(f"{name}: {why}" for name, why in exports.refused.items()), where="format")
    return exports


@dataclass(frozen=True)
class _Subject:
    """A model with rows and its predictions for them.

    Args:
        run_id: MLflow's id of its run.
        model: The model.
        task: Its task.
        frame: Raw rows.
        output: The model's outputs for them, by name.
        expected: Its predictions.
        dataset: The run's own data; None if other rows were given.
    """

    run_id: str
    model: Model
    task: Task
    frame: pd.DataFrame
    output: Mapping[str, np.ndarray]
    expected: pd.DataFrame
    dataset: Dataset | None

    @property
    def scale(self) -> float:
        """Divisor for differences of predicted numbers."""
        stds = [target.std for target in self.model.spec.targets if target.kind == "number"]
        return max(stds, default=1.0) or 1.0

    @classmethod
    def of(cls, store: Store, run_id: str, model: Model, on: Any) -> _Subject:
        task, dataset = load_task(model.spec.task), None
        if on is not None:
            frame = task.rows(on, model.spec).frame.head(MOST_ROWS)
        else:
            job = load_job(store, run_id)
            try:
                dataset = dataclasses.replace(task.read(job), spec=model.spec)
            except UsageError as error:
                message = f"the run's own source cannot be read ({error.message}); give rows with --on SOURCE"
                raise UsageError(message, where="on") from None
            order = [
                choose_evaluated_split(dataset),
                *(name for name in dataset.splits if name != choose_evaluated_split(dataset)),
            ]
            splits = [task.rows(task.example_rows(dataset, n, MOST_ROWS), model.spec).frame for n in order]
            frame = pd.concat(splits, ignore_index=True).head(MOST_ROWS)
        frame = pd.concat([frame, _synthetic_rows(frame, model)], ignore_index=True)
        if not len(frame):
            raise UsageError("there are no rows to compare predictions on", where="on")
        output = task.output(model.keras_model, extract_inputs(frame, model.spec))
        outputs = output if isinstance(output, Mapping) else {OUTPUT: output}
        return cls(run_id, model, task, frame, outputs, task.rules(model.spec).predictions(output), dataset)


def _synthetic_rows(frame: pd.DataFrame, model: Model) -> pd.DataFrame:
    """Return synthetic rows: shuffled cells of other rows, missing values and unknown categories."""
    inputs = [input_ for input_ in model.spec.inputs if not getattr(input_, "indicates_missing", False)]
    if {input_.kind for input_ in inputs} - TABLE_KINDS or not len(frame):
        return frame.head(0)
    rng = np.random.default_rng(0)
    preprocessed = find_preprocessing(model.keras_model) is not None
    columns: dict[str, list[Any]] = {}
    for input_ in inputs:
        cells = frame[input_.name].to_numpy(object)[rng.integers(len(frame), size=SYNTHETIC_ROWS)].tolist()
        for row in np.flatnonzero(rng.random(SYNTHETIC_ROWS) < 0.1) if input_.missing or preprocessed else ():
            cells[row] = None  # a network on raw columns need not handle values that were never missing in training
        if isinstance(input_, CategoryInput):
            for row in np.flatnonzero(rng.random(SYNTHETIC_ROWS) < 0.1):
                cells[row] = "never seen"
        columns[input_.name] = cells
    return pd.DataFrame(columns)


def _try_export(subject: _Subject, folder: Path, kind: str, *, quantize: bool) -> Export:
    """Export, and turn errors of a converter or runtime into an error of zoo."""
    try:
        with translate_failures():
            return _write_and_compare(subject, folder, kind, quantize=quantize)
    except ZooError:
        raise
    except Exception as error:
        message = f"{kind} does not support the model: {shorten_error(error)[:300]}"
        if kind == SAVED_MODEL:  # it supports all models
            raise JobError(message, where="format") from None
        raise UsageError(f"{message}; use savedmodel", where="format") from None


@contextmanager
def _created(folder: Path) -> Iterator[None]:
    """Create a folder, and remove it if nothing was put into it."""
    folder.mkdir(exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # not empty
            folder.rmdir()


def _write_and_compare(subject: _Subject, folder: Path, kind: str, *, quantize: bool) -> Export:
    """Write an export to a temporary folder, compare it, and then move it to its place."""
    prefix = create_prefix(folder.name)
    remove_abandoned(folder.parent, folder.name)
    with _created(folder.parent), tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent) as temporary:
        writing = Path(temporary) / kind
        with silence_libraries():
            write_export(writing, subject.model, kind, run_id=subject.run_id, quantize=quantize)
            exported, columns = Exported(writing), convert_to_columns(subject.frame)
            outputs = exported.output(columns)
        rule = exported.facts["output"]
        if rule["kind"] == "ranking":
            differing, (difference, row) = 0.0, measure_difference(*convert_ranked(subject.output, outputs, rule))
        else:
            difference, row = measure_difference(subject.output, outputs)
            differing = measure_disagreement(subject.expected, decode_outputs(outputs, rule), subject.scale)
        tolerance = TOLERANCE_RESIZED if _resized(subject.frame, exported.facts["steps"]) else TOLERANCE
        if (difference > tolerance or differing > MOST_TIES) and not quantize:
            shown = {name: cells[row] for name, cells in list(columns.items())[:10] if np.ndim(cells[row]) == 0}
            message = f"{kind} predicts {100 * differing:.0f} % of the rows differently than the model; "
            message += f"its output differs by up to {difference:.2g} in the row {shown}"
            raise JobError(f"{message}; nothing was exported", where="format")
        size = sum((writing / name).stat().st_size for name in exported.facts["files"] if not name.endswith(".py"))
        export_ = Export(kind, str(folder), size, len(subject.frame), difference, _latency_ms(exported, columns))
        if quantize:
            export_ = _with_loss(export_, subject, exported)
        (writing / GUIDE_FILE).write_text(_guide(export_, exported.facts), encoding="utf-8")
        shutil.move(writing, folder)
    return export_


def _resized(frame: pd.DataFrame, steps: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether integer images are resized by the preprocessing steps."""
    sizes = [step["config"] for step in steps if step["layer"] == "ResizeImages" and step["config"]["whole"]]
    sizes = [config for config in sizes if config["height"]]  # others keep their size
    shapes = {np.shape(cell)[:2] for name in frame.columns for cell in frame[name]} if sizes else set()
    return any(shape != (config["height"], config["width"]) for config in sizes for shape in shapes)


def _latency_ms(exported: Exported, columns: Mapping[str, Sequence[Any]]) -> float:
    times = []
    for call in range(WARM + CALLS):
        index = call % len(next(iter(columns.values())))
        row = {name: cells[index : index + 1] for name, cells in columns.items()}
        start = time.perf_counter()
        exported.predict(row)
        times.append(time.perf_counter() - start)
    return float(np.median(times[WARM:]) * 1000)


def _with_loss(export_: Export, subject: _Subject, exported: Exported) -> Export:
    """Return the export with its score and the model's, on the split that evaluates the model."""
    dataset = subject.dataset
    export_ = dataclasses.replace(export_, quantized=True)
    split = choose_evaluated_split(dataset) if dataset is not None else ""
    if dataset is None or dataset.splits[split].target is None:
        return export_
    objective = subject.task.rules(subject.model.spec).metrics()[0].name
    before, after = (
        subject.task.evaluate(model, dataset, split, intervals=False).scores[objective]
        for model in (subject.model.keras_model, _ExportAsModel(exported))
    )
    return dataclasses.replace(export_, score=f"{split}_{objective}", before=before, after=after)


@dataclass(frozen=True)
class _ExportAsModel:
    """An export with the interface of a model, for evaluation."""

    exported: Exported

    def outputs_of(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """Return the output (N, …) for raw inputs by key."""
        raw = {
            key: list(map(values.example, range(len(values)))) if isinstance(values, Ragged) else np.asarray(values)
            for key, values in inputs.items()
        }
        return self.exported.output_of(raw)[self.exported.facts["output"]["of"]]


def _explain_rows(inputs: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the name of a file for ``predict.py``, and how to write it if no CSV file can hold an input."""
    kinds = {input_["kind"]: input_["name"] for input_ in inputs}
    if SEQUENCE in kinds:  # of different lengths, which no array holds
        row = json.dumps({kinds[SEQUENCE]: [[0.5, 1.5], [0.7, 1.1]]})
        return "rows.jsonl", f"`rows.jsonl` has an object a line, with a list for each time step: `{row}`.\n\n"
    if IMAGE in kinds:
        name = kinds[IMAGE]
        return "rows.npz", f'`numpy.savez("rows.npz", {name}=images)` writes images (N, H, W, C) of one size.\n\n'
    return "rows.csv", ""


def _guide(export_: Export, facts: Mapping[str, Any]) -> str:
    """Return the text of the README in the folder."""
    names = join_first([f"`{input_['name']}` ({input_['kind']})" for input_ in facts["inputs"]], 40)
    tensors = "\n".join(f"- `{name}`: {tensor['dtype']}" for name, tensor in list(facts["tensors"].items())[:40])
    inputs = (
        "The file takes tensors; the steps in `model.json` compute them from the columns; `preprocessing.py` carries "
        "them out with NumPy."
        if facts["steps"]
        else "The file takes the raw columns, each under its key in `model.json`: a category as text, in one spelling "
        'for `1`, `1.0` and `"1"` (`rows.py`), and a date in seconds since 1970.'
    )
    rows, how = _explain_rows(facts["inputs"])
    batch = f"\n\nIt takes {facts['batch']} row at a time." if facts["batch"] else ""
    return f"""# {facts["model"]} as {export_.format}

An export of the MLflow run `{facts["run"]}` by zoo {facts["zoo"]}. It needs NumPy and `{facts["runtime"]}`, not zoo.

    pip install numpy {facts["runtime"]}
    python predict.py {rows} > predictions.csv

{how}In Python: `from predict import Exported; Exported(".").predict({{"column": [...]}})`.

Columns: {names}. {inputs}

Tensors of `{facts["file"]}`:

{tensors}{batch}

Its predictions were compared with the model on {export_.rows} rows: the largest difference was
{export_.difference:.1g}, in probabilities or in standard deviations of a number{
        "; the weights are in 8 bits" if export_.quantized else ""
    }. `predict.py` refuses files that were changed after the export.
"""
