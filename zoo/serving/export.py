"""Exports of a run's model that count only once their own runtime has predicted what the model predicts."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import raw_inputs
from zoo.data.dataset import Dataset
from zoo.data.ragged import Ragged
from zoo.errors import JobError, UsageError, ZooError, first_line, listed
from zoo.fitting.fit import evaluated_split
from zoo.jobs.commands import FORMATS
from zoo.models.built_model import preprocessing_of
from zoo.portable.predict import Exported, decoded
from zoo.quiet_import import libraries_silenced
from zoo.running.progress import Progress
from zoo.saving.export_formats import (
    OUTPUT,
    as_columns,
    check_packages,
    differing_predictions,
    largest_difference,
    write_export,
)
from zoo.saving.files import check_folder
from zoo.saving.model import Model
from zoo.stored_runs.lookup import load, resolve_run, stored_job
from zoo.task import Task, task_of
from zoo.text import number, plain
from zoo.tracking.store import Store

MOST_ROWS, MADE_ROWS = 500, 100
# 32-bit floats that are added up in another order; and two classes that are all but equally likely.
TOLERANCE, MOST_TIES = 1e-4, 0.01
# A pixel between two whole numbers may become either, once an image is resized.
TOLERANCE_RESIZED = 1e-2
CALLS, WARM = 100, 5
TABLE_KINDS = {"number", "category", "date"}
GUIDE_FILE = "README.md"


@dataclass(frozen=True)
class Export:
    """One format, as it was written and compared.

    Args:
        format: ``savedmodel``, ``onnx`` or ``litert``.
        folder: Where it lies.
        bytes: Size of the model's own files.
        rows: Rows that its own runtime predicted.
        difference: Greatest difference from the model's output: probabilities, or standard deviations of a number.
        latency_ms: Median time for one row, from cells to prediction, in this process.
        quantized: Whether weights are in 8 bits.
        score: Name of the objective where it is quantized.
        before: The model's score on the part that it is judged by.
        after: That of the export.
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
        told = f"{self.format}: {self.folder}, {size}, one row in {self.latency_ms:.2f} ms; "
        if self.score:
            told += f"in 8 bits {self.score} {number(self.before)} becomes {number(self.after)}; "
        return f"{told}{self.rows} rows predicted again, greatest difference {self.difference:.1g}"


@dataclass
class Exports:
    """What was exported of a run.

    Args:
        run_id: MLflow's id of the run.
        made: The exports.
        refused: Why a format cannot hold the model, by format.
    """

    run_id: str
    made: list[Export] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo export --json`` prints."""
        return plain({"run_id": self.run_id, "exports": list(map(vars, self.made)), "refused": self.refused})

    def __repr__(self) -> str:
        lines = [str(one) for one in self.made]
        return "\n".join([*lines, *(f"{name}: refused: {why}" for name, why in self.refused.items())])


def export(
    run_id: str,
    format: Sequence[str] | str = (),
    output: str | None = None,
    *,
    quantize: bool = False,
    on: Any = None,
    quiet: bool = False,
) -> Exports:
    """Export a run's model; each export is loaded by its own runtime and compared before it counts.

    Args:
        run_id: MLflow's id, or its first characters; of a search its best trial's; or ``NAME@ALIAS``.
        format: One or several of ``savedmodel``, ``onnx`` and ``litert``; default all that can hold the model.
        output: Folder, in which each format gets one of its own; default named by model and run.
        quantize: For LiteRT: keep weights in 8 bits, and tell what that costs.
        on: Rows on which to compare; default those of the run's own source.
        quiet: Show no progress.

    Raises:
        UsageError: No such run, a format whose packages are not there, a folder that is, or no rows to compare on.
        JobError: A format that was asked for cannot hold the model, or its predictions differ.

    Example:
        >>> export(run.run_id, "onnx").made[0].folder  # doctest: +SKIP
    """
    formats = (format,) if isinstance(format, str) else tuple(format)
    return run_export(run_id, formats, output, quantize=quantize, on=on, progress=Progress(quiet=quiet))


def run_export(
    run_id: str, formats: Sequence[str], output: str | None, *, quantize: bool, on: Any, progress: Progress
) -> Exports:
    """Carry out an export; see :func:`export`."""
    for kind in formats:
        check_packages(kind)
    store = Store()
    chosen = resolve_run(store, run_id)
    model = load(chosen)
    folder = Path(output) if output is not None else Path(f"{model.name.replace('/', '-')}-{chosen[:8]}")
    check_folder(folder)
    for kind in formats or FORMATS:
        if (folder / kind).exists():
            raise UsageError("there is an export already; name another folder or remove it", where=str(folder / kind))
    subject = _Subject.of(store, chosen, model, on)
    made = Exports(chosen)
    for kind in formats or FORMATS:
        progress.say(f"exporting to {kind} …")
        try:
            check_packages(kind)
            one = _tried(subject, folder / kind, kind, quantize=quantize and kind == "litert")
        except (JobError, UsageError) as error:
            if formats:
                raise
            made.refused[kind] = error.message
            continue
        made.made.append(one)
        store.client.log_text(chosen, json.dumps(plain(vars(one)), indent=1), f"exports/{kind}.json")
    if not made.made:
        raise JobError("; ".join(f"{name}: {why}" for name, why in made.refused.items()), where="format")
    return made


@dataclass(frozen=True)
class _Subject:
    """A model, and rows that it predicts.

    Args:
        run_id: MLflow's id of its run.
        model: The model.
        task: Its task.
        frame: Raw rows.
        output: The model's outputs of them, by name.
        expected: Its predictions.
        dataset: The run's own data; None where other rows were named.
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
        """What differences of predicted numbers are divided by."""
        target = self.model.spec.target
        return target.std or 1.0 if target is not None and target.kind == "number" else 1.0

    @classmethod
    def of(cls, store: Store, run_id: str, model: Model, on: Any) -> _Subject:
        task, dataset = task_of(model.spec.task), None
        if on is not None:
            frame = task.rows(on, model.spec).frame.head(MOST_ROWS)
        else:
            job = stored_job(store, run_id)
            try:
                dataset = dataclasses.replace(task.read(job), spec=model.spec)
            except UsageError as error:
                told = f"the run's own source cannot be read again ({error.message}); name rows: --on SOURCE"
                raise UsageError(told, where="on") from None
            order = [evaluated_split(dataset), *(name for name in dataset.splits if name != evaluated_split(dataset))]
            splits = [task.example_rows(dataset, name, MOST_ROWS) for name in order]
            frame = pd.concat(splits, ignore_index=True).head(MOST_ROWS)
        frame = pd.concat([frame, _made_rows(frame, model)], ignore_index=True)
        if not len(frame):
            raise UsageError("there are no rows to compare on", where="on")
        output = task.output(model.keras_model, raw_inputs(frame, model.spec))
        named = output if isinstance(output, Mapping) else {OUTPUT: output}
        return cls(run_id, model, task, frame, named, task.predictions(model.spec, output), dataset)


def _made_rows(frame: pd.DataFrame, model: Model) -> pd.DataFrame:
    """Rows that were not there: cells of other rows, missing ones, levels that nobody has seen."""
    inputs = [known for known in model.spec.inputs if not known.statistics.get("was_missing")]
    if {known.kind for known in inputs} - TABLE_KINDS or not len(frame):
        return frame.head(0)
    rng = np.random.default_rng(0)
    preprocessed = preprocessing_of(model.keras_model) is not None
    columns: dict[str, list[Any]] = {}
    for known in inputs:
        cells = frame[known.name].to_numpy(object)[rng.integers(len(frame), size=MADE_ROWS)].tolist()
        for row in np.flatnonzero(rng.random(MADE_ROWS) < 0.1) if known.missing or preprocessed else ():
            cells[row] = None  # a network that takes columns raw promises nothing of what it never saw missing
        if known.kind == "category":
            for row in np.flatnonzero(rng.random(MADE_ROWS) < 0.1):
                cells[row] = "never seen"
        columns[known.name] = cells
    return pd.DataFrame(columns)


def _tried(subject: _Subject, folder: Path, kind: str, *, quantize: bool) -> Export:
    """Export, and say in words what a converter or runtime raises."""
    try:
        return _exported(subject, folder, kind, quantize=quantize)
    except ZooError:
        raise
    except Exception as error:
        raise JobError(f"{kind} cannot hold the model: {first_line(error)[:300]}", where="format") from None


def _exported(subject: _Subject, folder: Path, kind: str, *, quantize: bool) -> Export:
    """Write an export beside its place, compare it, and only then put it there."""
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        writing = Path(beside) / kind
        with libraries_silenced():
            write_export(writing, subject.model, kind, run_id=subject.run_id, quantize=quantize)
            exported, columns = Exported(writing), as_columns(subject.frame)
            made = exported.output(columns)
        difference, row = largest_difference(subject.output, made)
        predicted = decoded(made, exported.facts["output"])
        differing = differing_predictions(subject.expected, predicted, subject.scale)
        tolerance = TOLERANCE_RESIZED if _resized(subject.frame, exported.facts["steps"]) else TOLERANCE
        if (difference > tolerance or differing > MOST_TIES) and not quantize:
            shown = {name: cells[row] for name, cells in list(columns.items())[:10] if np.ndim(cells[row]) == 0}
            told = f"{kind} predicts {differing:.0%} of the rows otherwise than the model; its output is off by "
            told += f"{difference:.2g} in the row {shown}"
            raise JobError(f"{told}; nothing was kept", where="format")
        size = sum((writing / name).stat().st_size for name in exported.facts["files"] if not name.endswith(".py"))
        one = Export(kind, str(folder), size, len(subject.frame), difference, _latency_ms(exported, columns))
        if quantize:
            one = _with_loss(one, subject, exported)
        (writing / GUIDE_FILE).write_text(_guide(one, exported.facts), encoding="utf-8")
        shutil.move(writing, folder)
    return one


def _resized(frame: pd.DataFrame, steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether images of whole numbers are resized on their way."""
    sizes = [step["config"] for step in steps if step["layer"] == "ResizeImages" and step["config"]["whole"]]
    shapes = {np.shape(cell)[:2] for name in frame.columns for cell in frame[name]} if sizes else set()
    return any(shape != (known["height"], known["width"]) for known in sizes for shape in shapes)


def _latency_ms(exported: Exported, columns: Mapping[str, Sequence[Any]]) -> float:
    times = []
    for call in range(WARM + CALLS):
        place = call % len(next(iter(columns.values())))
        row = {name: cells[place : place + 1] for name, cells in columns.items()}
        began = time.perf_counter()
        exported.predict(row)
        times.append(time.perf_counter() - began)
    return float(np.median(times[WARM:]) * 1000)


def _with_loss(one: Export, subject: _Subject, exported: Exported) -> Export:
    """The export with what 8 bits cost: its score and the model's, on the part that the model is judged by."""
    dataset = subject.dataset
    one = dataclasses.replace(one, quantized=True)
    split = evaluated_split(dataset) if dataset is not None else ""
    if dataset is None or dataset.splits[split].target is None:
        return one
    objective = subject.task.metrics(subject.model.spec)[0].name
    before, after = (
        subject.task.evaluate(model, dataset, split, intervals=False).scores[objective]
        for model in (subject.model.keras_model, _Answering(exported))
    )
    return dataclasses.replace(one, score=f"{split}_{objective}", before=before, after=after)


@dataclass(frozen=True)
class _Answering:
    """An export where a model is scored."""

    exported: Exported

    def outputs_of(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """Return the output (N, …) for raw inputs by key."""
        raw = {
            key: list(map(values.example, range(len(values)))) if isinstance(values, Ragged) else np.asarray(values)
            for key, values in inputs.items()
        }
        return self.exported.output_of(raw)[self.exported.facts["output"]["of"]]


def _guide(one: Export, facts: Mapping[str, Any]) -> str:
    """What somebody reads who was handed the folder."""
    names = listed([f"`{known['name']}` ({known['kind']})" for known in facts["inputs"]], 40)
    tensors = "\n".join(f"- `{name}`: {held['dtype']}" for name, held in list(facts["tensors"].items())[:40])
    before = (
        f"The file takes tensors that are made of them by the {len(facts['steps'])} steps in `model.json`; "
        "`preparation.py` carries these out with NumPy."
        if facts["steps"]
        else "The file takes them as they are, each by its key in `model.json`; a category as text, in one spelling "
        'for `1`, `1.0` and `"1"` (`rows.py`), a date in seconds since 1970.'
    )
    at_once = f"\n\nIt takes {facts['batch']} row at a time." if facts["batch"] else ""
    return f"""# {facts["model"]} as {one.format}

An export of the MLflow run `{facts["run"]}` by zoo {facts["zoo"]}. It needs NumPy and `{facts["runtime"]}`, not zoo.

    pip install numpy {facts["runtime"]}
    python predict.py rows.csv > predictions.csv

In Python: `from predict import Exported; Exported(".").predict({{"column": [...]}})`.

Columns: {names}. {before}

Tensors of `{facts["file"]}`:

{tensors}{at_once}

What it predicts was compared with the model on {one.rows} rows: the greatest difference was {one.difference:.1g}, in
probabilities or in standard deviations of a number{", for its weights are in 8 bits" if one.quantized else ""}.
`predict.py` refuses files that have changed since.
"""
