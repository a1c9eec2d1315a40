"""The interface of a task: a kind of problem with its rules for reading, fitting, scoring and drawing."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from zoo.calibration.conformal import ConformalQuantiles
from zoo.data.dataset import SPLIT_PREFIX, Dataset, Split
from zoo.data.sources.read import Table
from zoo.errors import UsageError, find_nearest_name
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TaskOptions
from zoo.jobs.job import Job, make_job
from zoo.jobs.run_jobs import PredictJob
from zoo.metrics.intervals import Interval
from zoo.metrics.metric import Metric
from zoo.models.built_model import BuiltModel
from zoo.models.written_hyperparameters import refuse_hyperparameters
from zoo.portable.predict import decode_outputs
from zoo.registry import list_tasks, load_task_module
from zoo.spec import Spec
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.training_state import FitPlan, FitResult

_log = logging.getLogger("zoo")
_NO_TARGET = "that is for tasks with a target to predict"
NEED_A_TARGET = dict.fromkeys(
    ("weight", "sample", "class_weight", "ordered", "calibration_size", "conformal", "calibrate", "threshold"),
    _NO_TARGET,
)
# What a model returns: one array, or several by name.
Output = np.ndarray | Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on one split.

    Args:
        scores: Value by name of the score, without prefix.
        intervals: 95 % interval by name of the score.
        figures: Function that draws the figures, by file name without extension; call it only if they are needed.
        output: The model's raw output for the split's rows in memory, if intervals were requested and the task has a
            target.
        tables: Function that returns the task's own tables, by name, in addition to those of predictions.
        notes: Notes for the user about the scores.
    """

    scores: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    figures: Callable[[], Mapping[str, Any]] = dict
    output: Any = None
    tables: Callable[[], Mapping[str, pd.DataFrame]] = dict
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """Result of calibration after training, on rows not used for training.

    Args:
        spec: The spec, with a threshold if one was chosen.
        conformal_quantiles: See :func:`zoo.calibration.conformal.compute_quantiles`, or of each class
            (``compute_class_quantiles``); empty without calibration split.
        facts: Values to track, by name.
        notes: Notes for the user.
    """

    spec: Spec
    conformal_quantiles: ConformalQuantiles = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Baseline:
    """A classical or dummy baseline, fitted and scored on the same splits as the model.

    Args:
        name: Name such as ``logistic``; its metrics have the same names as the model's.
        run: Function from dataset and seed to scores by split, without prefix.
        most_rows: Maximum number of training rows; with more it is skipped with a note. None for no maximum.
        is_dummy: Whether it is what chance attains, as from the training targets alone; skill is measured against it.
        fitted_rows: Maximum number of training rows that it is fitted on; of more it takes a sample, with a note.
        needs: Packages that it needs, and the extra of zoo that installs them; without, it is skipped with a note.
    """

    name: str
    run: Callable[[Dataset, int], Mapping[str, Mapping[str, float]]]
    most_rows: int | None = None
    is_dummy: bool = False
    fitted_rows: int | None = None
    needs: tuple[Sequence[str], str] | None = None


class OutputRules(ABC):
    """What depends on a spec's target: metrics, and what a model's output means.

    Args:
        spec: The spec.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    @abstractmethod
    def metrics(self) -> Sequence[Metric]:
        """Return the metrics; the first is the objective of a search."""

    def limits(self) -> dict[str, Interval]:
        """Return the least and greatest possible value of each score that has them."""
        return {metric.name: metric.limits for metric in self.metrics() if metric.limits is not None}

    @abstractmethod
    def decoding(self) -> Mapping[str, Any]:
        """Return, in plain values, how predictions are decoded from an output, also by exports without zoo.

        ``of`` names the output (``output`` if there is only one) and ``kind`` the rule, as in
        :func:`zoo.portable.predict.decode_outputs`.
        """

    def predictions(self, output: Output) -> pd.DataFrame:
        """Return the predictions that users see: N rows with ``prediction`` and any further columns."""
        outputs = output if isinstance(output, Mapping) else {"output": output}
        return pd.DataFrame(decode_outputs(outputs, self.decoding()))

    def intervals(self, output: Output, conformal_quantiles: ConformalQuantiles, percent: float) -> pd.DataFrame:
        """Return prediction sets or intervals of N rows at the given coverage in percent.

        Raises:
            UsageError: If the task has none.
        """
        targets = f" for the targets {self.spec.target_names}" if len(self.spec.targets) > 1 else ""
        raise UsageError(f"{self.spec.task} has no prediction intervals{targets}", where="intervals")

    def held_out(self, rows: Split, output: Output) -> pd.DataFrame | None:
        """Return the row in the source, truth and predictions of a split's rows; None without a target."""
        return None

    def interval_scores(
        self, rows: Split, output: Output, conformal_quantiles: ConformalQuantiles, percent: float = 90.0
    ) -> Mapping[str, float]:
        """Return the coverage and size of a split's prediction sets or intervals."""
        return {}

    def draw_intervals(self, rows: Split, output: Output, conformal_quantiles: ConformalQuantiles) -> Mapping[str, Any]:
        """Return figures of a split's prediction sets or intervals."""
        return {}


class Task(ABC):
    """A kind of problem. A task's folder has one instance of a subclass, named ``TASK``.

    A subclass may set ``options``, the class of its own options of training; ``predict_options``, the class of those of
    prediction, which :meth:`predict` receives; ``reads``, the kinds of sources that it takes
    (``table``, ``images``, ``sequences``, ``series``, ``text``, ``environment``); ``refuses``, the job keys that do not
    apply to it, with the reason; ``no_folds``, why cross-validation does not apply to it; ``comparison``, the
    metric that compares different models and baselines where the objective cannot, with ``no_comparison``, why data may
    lack it; ``write_predictions``, which writes the predictions of ``zoo predict`` to a path, if not as CSV; and
    ``describe_source``, a sentence and the use of each column for the model card, where inputs are not the columns; and
    ``strong_model``, the name of the model to try where another one is worse than a baseline.

    Args:
        name: The folder's name.
        example: Bundled source that demonstrates the task's models.
    """

    options: type[TaskOptions] = TaskOptions
    predict_options: type[TaskOptions] = TaskOptions
    reads: Sequence[str] = ("table",)
    refuses: Mapping[str, str] = NEED_A_TARGET
    no_folds: str | None = None
    comparison: Metric | None = None
    no_comparison: str = ""
    write_predictions: Callable[[pd.DataFrame, Path], None] | None = None
    describe_source: Callable[[Spec], tuple[str, Mapping[str, str]]] | None = None
    strong_model: Callable[[Spec], str] | None = None

    def __init__(self, name: str, *, example: str) -> None:
        self.name = name
        self.example = example

    def settings(self, job: DataJob) -> Any:
        """Return the job's options for this task: an instance of the task's ``options``.

        Raises:
            UsageError: If an option is unknown to the task or has an invalid value.
        """
        for name, reason in self.refuses.items():
            if getattr(job, name, None):
                raise UsageError(f"{self.name} has no use for it: {reason}", where=name)
        if job.sample_rows is not None and {"series", "environment"} & set(self.reads):
            raise UsageError(f"{self.name} has no rows that could be sampled", where="sample_rows")
        for name in job.options:
            if name in type(job).model_fields:
                raise UsageError(f"zoo {getattr(job, 'command', 'show')} cannot do that; zoo train can", where=name)
        if "hyperparameters" in type(job).model_fields:
            unknown = {name: value for name, value in job.options.items() if name not in self.options.model_fields}
            refuse_hyperparameters(unknown, [getattr(job, "model", None), *getattr(job, "models", ())])
        return self._checked(self.options, job.options, type(job), "")

    def predict_settings(self, options: Mapping[str, Any]) -> Any:
        """Return options of a prediction as an instance of the task's ``predict_options``.

        Raises:
            UsageError: If an option is unknown to the task or has an invalid value.
        """
        return self._checked(self.predict_options, options, PredictJob, " of predict")

    def _checked(self, kind: type[TaskOptions], options: Mapping[str, Any], job: type[Job], of: str) -> Any:
        names = list(kind.model_fields)
        for name in options:
            if name not in names:
                listing = f"the options{of} of {self.name} are {', '.join(names)}"
                listing = listing if names else f"{self.name} has none of its own{of}"
                near = find_nearest_name(name, [*names, *job.model_fields])
                raise UsageError(f"unknown option {name!r}; {listing}", where="options", nearest=near)
        return make_job(kind, dict(options))

    @abstractmethod
    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset: read, split and described.

        Raises:
            DataError: If the data cannot be used.
        """

    def open_source(self, source: Any) -> None:  # noqa: B027  most datasets hold their rows
        """Make a job's source usable in a process that has only the dataset of :meth:`read`."""

    @abstractmethod
    def rows(self, source: Any, spec: Spec) -> Table:
        """Return raw rows to predict, from any source that the task reads.

        Raises:
            DataError: If they cannot be read.
        """

    @abstractmethod
    def arrays(self, frame: Any, spec: Spec) -> tuple[dict[str, Any], np.ndarray | None, np.ndarray | None]:
        """Return inputs by key, encoded target and weight of raw rows; None for what they do not have."""

    @abstractmethod
    def rules(self, spec: Spec) -> OutputRules:
        """Return the rules for a spec's target: metrics, predictions, intervals."""

    def suits(self, model: Any) -> bool:
        """Return whether a user's own compiled Keras model fits this task, judging by its loss."""
        return False

    @abstractmethod
    def adopt(self, model: Any, spec: Spec) -> BuiltModel:
        """Return a user's own compiled model as a built model, adding preprocessing if it has none.

        Raises:
            UsageError: If its inputs or outputs do not fit the data.
        """

    def check_network(self, built_model: BuiltModel, spec: Spec, *, name: str) -> None:  # noqa: B027  by default any fits
        """Raise if the output of a built model does not fit the spec's targets.

        Args:
            built_model: The model.
            spec: The spec.
            name: The model's name, for the error.

        Raises:
            UsageError: With the shape that it has, and the shape that it must have.
        """

    @abstractmethod
    def fit(self, built_model: BuiltModel, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train a network.

        Args:
            built_model: Network and preprocessing.
            dataset: From :meth:`read`.
            plan: Length of training, seed and recorder; this method sets its monitor.
            cache: Folder for preprocessed data that processes share, or None.
        """

    @abstractmethod
    def output(self, model: Any, inputs: Mapping[str, Any]) -> Output:
        """Return the model's raw output for inputs by key, N rows."""

    @abstractmethod
    def evaluate(self, model: Any, dataset: Dataset, split: str, *, intervals: bool) -> Evaluation:
        """Score the full model on one split."""

    def scored_rows(self, model: Any, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Return truth (N, …) and predictions (N, …) of a split in the form for metrics; None without a target."""
        return None

    def calibrate(self, built_model: BuiltModel, dataset: Dataset, job: DataJob) -> Calibration:
        """Return the calibration after training, computed on rows not used for training."""
        return Calibration(dataset.spec)

    def check_calibration(self, dataset: Dataset, job: DataJob) -> None:  # noqa: B027  most tasks calibrate nothing
        """Raise, before training, if :meth:`calibrate` would not be possible after it."""

    def predict(
        self, model: Any, spec: Spec, frame: pd.DataFrame, inputs: Mapping[str, Any], options: Any
    ) -> tuple[Output, pd.DataFrame]:
        """Return the raw output and the predictions of raw rows, which may have several rows for each of them.

        A task with ``predict_options`` overrides it.

        Args:
            model: The full Keras model.
            spec: Describes inputs and targets.
            frame: N raw rows, as :meth:`rows` returned them.
            inputs: Their inputs by key.
            options: An instance of ``predict_options``.
        """
        output = self.output(model, inputs)
        return output, self.rules(spec).predictions(output)

    @abstractmethod
    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Sequence[Baseline]:
        """Return the baselines of this task's models."""

    def check_run(
        self, model: Any, dataset: Dataset, hyperparameters: Mapping[str, Any], history: Mapping[str, Sequence[float]]
    ) -> tuple[Sequence[Any], Mapping[str, Callable[[], Any]]]:
        """Return findings of the task's own for the diagnosis of a run, and functions that draw their figures, by name.

        Args:
            model: The full trained model.
            dataset: The data it was trained on; the test split must not be used.
            hyperparameters: Those of the run.
            history: What was tracked after each epoch, by name.
        """
        return (), {}

    def probe(self, built_model: BuiltModel, dataset: Dataset) -> Arrays | None:
        """Return a few preprocessed training rows with their targets, to look into a network; None without them."""
        return None

    def draw_history(self, history: Mapping[str, Sequence[float]], best_epoch: int) -> Mapping[str, Any]:
        """Return figures of the training history, by name, in addition to the learning curve."""
        return {}

    def example_rows(self, dataset: Dataset, split: str = "train", rows: int = 3) -> pd.DataFrame:
        """Return raw rows of a split as a frame, in their original form; if it is missing, of the first split."""
        chosen = dataset.splits.get(split) or next(iter(dataset.splits.values()))
        return chosen.frame(dataset.spec, most_rows=rows)

    @property
    def objective_prefix(self) -> str:
        """Prefix of the score that searches and rankings use."""
        return SPLIT_PREFIX["validation"]


def load_task(name: str) -> Task:
    """Return the task of a folder.

    Raises:
        UsageError: If there is no such folder, or it has no ``TASK``.

    Example:
        >>> load_task(name).rules(spec).metrics()  # doctest: +SKIP
    """
    module = load_task_module(name)
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task):
        raise UsageError(f"a task's folder exposes TASK, an instance of zoo.task.Task; {module.__file__} does not")
    return task


def load_tasks() -> list[Task]:
    """Return all tasks; a folder in ``ZOO_TASKS`` that cannot be imported is left out, with a warning."""
    tasks = []
    for name in list_tasks():
        try:
            tasks.append(load_task(name))
        except UsageError as error:
            _log.warning("the task %s is left out: %s", name, error)
    return tasks


def find_task(model: Any) -> Task:
    """Return the task that fits a user's own compiled Keras model.

    Raises:
        UsageError: If the task is ambiguous, with the tasks to choose from.
    """
    tasks = load_tasks()
    fitting = [task for task in tasks if task.suits(model)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(task.name for task in fitting or tasks)
    raise UsageError(f"which task is the model {model.name!r} for? Say task=…, one of {names}", where="task")
