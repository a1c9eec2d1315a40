"""Results of runs and searches: objects for people, and JSON for programs."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zoo.metrics.direction import Direction
from zoo.metrics.intervals import Interval
from zoo.reporting.check_inputs import Finding
from zoo.text import INTERVAL_WIDTH, convert_to_plain, format_interval, format_number

if TYPE_CHECKING:  # it imports Keras, which tables of runs do not need
    from zoo.saving.model import Model


def find_best_baseline(baselines: Mapping[str, Mapping[str, float]], objective: str, direction: str) -> str | None:
    """Return the baseline that is best on validation, or on training without a validation split; test chooses nothing.

    Example:
        >>> find_best_baseline({"a": {"val_rmse": 2.0}, "b": {"val_rmse": 1.0}}, "rmse", "min")
        'b'
    """
    for prefix in ("val_", "train_"):
        ranked = {name: scores.get(prefix + objective, math.nan) for name, scores in baselines.items()}
        finite = {name: value for name, value in ranked.items() if not math.isnan(value)}
        if finite:
            return min(finite, key=lambda name: Direction(direction).key(finite[name]))
    return None


@dataclass
class Run:
    """One tracked fit.

    Args:
        run_id: MLflow's id.
        experiment: Name of the experiment.
        task: Name of the task.
        model_name: Name of the model.
        source: Where the data came from.
        objective: Metric that the model was chosen by, without prefix.
        direction: ``min`` or ``max``.
        metrics: Metrics by name, such as ``test_accuracy``.
        intervals: 95 % intervals by the metric's name.
        baselines: Metrics of each baseline on the same splits.
        hyperparameters: All of them, as trained.
        n_parameters: Number of trained parameters.
        epochs_run: Epochs that were trained.
        best_epoch: Epoch whose weights were kept, counted from 1.
        seconds: Wall time of the training.
        artifact_uri: Where MLflow keeps the run's files.
        notes: Notes for the user.
        diagnosis: Problems of the training (:mod:`zoo.reporting.diagnosis`); empty if it is healthy.
        limits: Least and greatest possible value of each score that has them, by its name without prefix.
    """

    run_id: str
    experiment: str
    task: str
    model_name: str
    source: str
    objective: str
    direction: str
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    baselines: Mapping[str, Mapping[str, float]]
    hyperparameters: Mapping[str, Any]
    n_parameters: int
    epochs_run: int
    best_epoch: int
    seconds: float
    artifact_uri: str
    notes: tuple[str, ...] = ()
    diagnosis: tuple[Finding, ...] = ()
    limits: Mapping[str, Interval] = field(default_factory=dict)
    draw: Callable[[], Mapping[str, Any]] = field(default=dict, repr=False)
    load: Callable[[], Model] | None = field(default=None, repr=False)

    @cached_property
    def model(self) -> Model:
        """The trained model: raw rows in, predictions out."""
        assert self.load is not None
        return self.load()

    @cached_property
    def figures(self) -> Mapping[str, Any]:
        """The run's figures by name, as matplotlib figures."""
        return self.draw()

    @property
    def headline(self) -> str:
        """Name of the metric that tables show: the objective, on test if there is a test split."""
        for prefix in ("test_", "val_", "train_"):
            if prefix + self.objective in self.metrics:
                return prefix + self.objective
        return "train_" + self.objective

    def find_limits(self, score: str) -> Interval | None:
        """Return the least and the greatest possible value of a score, named with the prefix of its split."""
        return self.limits.get(score.partition("_")[2])

    @property
    def best_baseline(self) -> str | None:
        """Name of the baseline that is best by the objective on validation; see :func:`find_best_baseline`."""
        return find_best_baseline(self.baselines, self.objective, self.direction)

    @property
    def verdict(self) -> str:
        """Model against best baseline: better, worse, or a tie if the baseline's score is inside the interval.

        Baselines without the objective, such as the loss of a network, are not compared.
        """
        if self.best_baseline is None:
            return "baselines not compared" if self.baselines else "no baseline"
        baseline = self.baselines[self.best_baseline].get(self.headline, math.nan)
        low, high = self.intervals.get(self.headline, (math.nan, math.nan))
        if not (baseline < low or baseline > high):
            return "tie"
        better = Direction(self.direction).better(self.metrics[self.headline], baseline)
        return "model better" if better else "baseline better"

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo train --json`` prints."""
        names = [
            "run_id",
            "experiment",
            "task",
            "model_name",
            "source",
            "metrics",
            "intervals",
            "baselines",
            "hyperparameters",
            "n_parameters",
            "epochs_run",
            "best_epoch",
            "seconds",
            "artifact_uri",
            "notes",
        ]
        values = {name: getattr(self, name) for name in names}
        renamed = {
            ("model" if name == "model_name" else name): convert_to_plain(value) for name, value in values.items()
        }
        return {**renamed, "diagnosis": [finding.as_dict() for finding in self.diagnosis]}

    def __repr__(self) -> str:
        return self.in_words()

    def in_words(self, *, evidence: bool = False) -> str:
        """Return scores, baseline and diagnosis as text for a terminal.

        Args:
            evidence: With the evidence behind each verdict of the diagnosis.
        """
        lines = [f"Run {self.run_id[:8]}: {self.model_name} on {self.source}"]
        names = [name for name in self.metrics if name.startswith(self.headline.split("_")[0] + "_")]
        best = self.best_baseline
        width = max(18, *(len(name) + 2 for name in names))
        head = f"{'metric':<{width}}{'model':>10}  {'95 % interval':<{INTERVAL_WIDTH}}"
        lines.append(head + (f"best baseline by validation ({best})" if best else ""))
        for name in names:
            baseline = format_number(self.baselines[best].get(name, math.nan)) if best else ""
            value, bounds = format_number(self.metrics[name]), format_interval(self.intervals.get(name))
            lines.append(f"{name:<{width}}{value:>10}  {bounds:<{INTERVAL_WIDTH}}{baseline}".rstrip())
        lines += format_baselines(self.baselines, best, self.headline, names)
        kept = self.hyperparameters.get("keep", "best")
        lines.append(
            f"{self.verdict}{f' by {self.objective}' if best else ''}; {self.n_parameters:,} parameters, "
            f"{kept} epoch {self.best_epoch} of {self.epochs_run}, {self.seconds:.1f} s of training"
        )
        lines += format_findings(self.diagnosis, evidence=evidence)
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


@dataclass
class Trial:
    """One set of hyperparameters that a search tried.

    Args:
        trial_id: Its number, as text.
        status: ``COMPLETED``, ``PRUNED``, ``FAILED``, or ``STOPPED`` if the time was over while it ran.
        score: The objective on validation; for a trial that was stopped, the best so far.
        hyperparameters: By name.
        seconds: Training time.
        run_id: MLflow's id.
        estimated: Whether the score is an estimate, because the trial was stopped between folds or seeds.
    """

    trial_id: str
    status: str
    score: float | None
    hyperparameters: Mapping[str, Any]
    seconds: float
    run_id: str | None
    estimated: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the trial as JSON."""
        return {name: convert_to_plain(getattr(self, name)) for name in self.__dataclass_fields__}


@dataclass
class Search:
    """A search and its trials.

    Args:
        run_id: MLflow's id of the parent run.
        best: The best trial's run, scored on test once.
        trials: All trials, in the order in which they were proposed.
        direction: ``min`` or ``max``.
        seconds: Wall time.
        importance: For each hyperparameter that varied, the fraction of the variance of the trials' ranks that it
            explains alone, and its standard deviation; the largest first, empty with few trials.
        selected: Id of the trial whose hyperparameters are used.
    """

    run_id: str
    best: Run
    trials: list[Trial]
    direction: str
    seconds: float
    importance: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    selected: str = ""

    @property
    def model(self) -> Model:
        """The best trial's model."""
        return self.best.model

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo tune --json`` prints."""
        return {
            "run_id": self.run_id,
            "best": self.best.as_dict(),
            "trials": [trial.as_dict() for trial in self.trials],
            "selected": self.selected,
            "importance": {
                name: convert_to_plain({"mean": mean, "std": std}) for name, (mean, std) in self.importance.items()
            },
        }

    def __repr__(self) -> str:
        done = [trial for trial in self.trials if trial.score is not None and not trial.estimated]
        ranked = sorted(done, key=lambda trial: Direction(self.direction).key(trial.score))
        varied = list_varied([trial.hyperparameters for trial in self.trials])
        lines = [f"Search {self.run_id[:8]}: {len(self.trials)} trials in {self.seconds:.1f} s; the best of them:"]
        selected = [trial for trial in ranked[5:] if trial.trial_id == self.selected]
        for trial in [*ranked[:5], *selected]:
            values = format_values(trial.hyperparameters, varied)
            mark = "  (used)" if trial.trial_id == self.selected else ""
            lines.append(f"  {trial.trial_id:>4}  {format_number(trial.score):>9}  {values}{mark}")
        importance = format_importance(self.importance)
        lines += (
            [f"hyperparameter importance (fraction of variance ± standard deviation): {importance}"]
            if importance
            else []
        )
        return "\n".join([*lines, repr(self.best)])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def find_common_notes(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the notes that all runs share, which are those about their data, and any about a baseline, each once."""
    every = dict.fromkeys(note for run in runs for note in run.notes)
    return tuple(note for note in every if "baseline" in note or all(note in run.notes for run in runs))


def format_unranked(baselines: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> list[str]:
    """Return the scores of baselines that cannot be ranked, as lines for a terminal.

    Args:
        baselines: Metrics of each baseline.
        names: The metrics to show.

    Example:
        >>> format_unranked({"isolation_forest": {"test_roc_auc": 0.75}}, ["test_loss", "test_roc_auc"])
        ['baseline isolation_forest: test_roc_auc 0.75']
    """
    return [
        f"baseline {baseline}: {', '.join(f'{name} {format_number(scores[name])}' for name in names if name in scores)}"
        for baseline, scores in baselines.items()
    ]


def format_baselines(
    baselines: Mapping[str, Mapping[str, float]], best: str | None, headline: str, names: Sequence[str]
) -> list[str]:
    """Return the scores of all baselines but the best one, as lines for a terminal.

    Args:
        baselines: Metrics of each baseline.
        best: Name of the best one; None if they cannot be ranked.
        headline: The metric to show if they can.
        names: The metrics to show if they cannot.

    Example:
        >>> scores = {"mean": {"test_rmse": 2.0}, "ridge": {"test_rmse": 1.0}, "lasso": {"test_rmse": 1.5}}
        >>> format_baselines(scores, "ridge", "test_rmse", ["test_rmse"])
        ['other baselines by test_rmse: mean 2, lasso 1.5']
    """
    if best is None:
        return format_unranked(baselines, names)
    others = {name: scores.get(headline, math.nan) for name, scores in baselines.items() if name != best}
    text = ", ".join(f"{name} {format_number(value)}" for name, value in others.items())
    return [f"other baselines by {headline}: {text}"] if others else []


def list_varied(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the hyperparameters that have several values among the trials.

    Example:
        >>> list_varied([{"units": 8, "layers": 2}, {"units": 16, "layers": 2}])
        ['units']
    """
    names = dict.fromkeys(name for trial in trials for name in trial)
    return [name for name in names if len({str(trial.get(name)) for trial in trials}) > 1]


def format_values(hyperparameters: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return some of a trial's hyperparameters as text, without those that its model does not have.

    Example:
        >>> format_values({"model": "linear", "learning_rate": 0.01}, ["model", "units", "learning_rate"])
        'model=linear, learning_rate=0.01'
    """
    return ", ".join(f"{name}={format_number(hyperparameters[name])}" for name in names if name in hyperparameters)


def format_importance(importance: Mapping[str, tuple[float, float]]) -> str:
    """Return the most important hyperparameters as text; empty if there are none.

    Example:
        >>> format_importance({"units": (0.5, 0.125)})
        'units 0.50 ± 0.12'
    """
    return ", ".join(f"{name} {mean:.2f} ± {std:.2f}" for name, (mean, std) in list(importance.items())[:4])


def format_findings(findings: Sequence[Finding], *, evidence: bool = False) -> list[str]:
    """Return each problem and what to try next as lines for a terminal, with the evidence on request.

    Example:
        >>> format_findings([Finding("not converged", "warning", "it was still falling", "--epochs 400")])
        ['not converged: it was still falling', '  next: --epochs 400']
    """
    lines = []
    for finding in findings:
        shown = [f"  {text}" for text in finding.evidence] if evidence else []
        lines += [f"{finding.topic}: {finding.text}", *shown, f"  next: {finding.advice}"]
    return lines
