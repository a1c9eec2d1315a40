"""Calibration of probabilities, decision threshold and conformal quantiles, on rows not used for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from zoo.calibration.conformal import (
    ConformalQuantiles,
    compute_class_quantiles,
    compute_quantiles,
    look_up_quantile,
)
from zoo.calibration.fit_calibration import (
    SHARES,
    check_rows,
    choose_threshold_of,
    fit_calibration,
    select_rows,
    split_in_two,
)
from zoo.data.dataset import Dataset, Split
from zoo.errors import UsageError, join_first
from zoo.jobs.data_options import DataJob
from zoo.metrics.classes import log_loss
from zoo.metrics.intervals import Sample, mean_fraction_interval
from zoo.models.built_model import BuiltModel
from zoo.spec import Spec
from zoo.supervised.targets import ConformalRules, TargetRules
from zoo.task import Calibration

FEW_FOR_ISOTONIC = 1000  # Niculescu-Mizil and Caruana 2005, "Predicting good probabilities", section 5
BY_CLASS = "by-class"
STATED = 90.0  # per cent, the coverage that runs report
WORSE = 1.01  # ratio of losses; smaller increases may be chance


class Learner(Protocol):
    """What calibration needs from a task."""

    def rules(self, spec: Spec) -> TargetRules:
        """Return the rules for the spec's kind of target."""

    def output(self, model: Any, inputs: Mapping[str, Any]) -> np.ndarray:
        """Return the model's output for raw inputs by key."""


def calibrate(task: Learner, built_model: BuiltModel, dataset: Dataset, job: DataJob) -> Calibration:
    """Return calibration, decision threshold and conformal quantiles, computed on rows not used for training.

    Raises:
        UsageError: If the target does not allow calibration or a threshold.
    """
    spec, rules = dataset.spec, task.rules(dataset.spec)
    facts: dict[str, float] = {}
    full_model, notes = built_model.full_model(), []
    split = dataset.splits.get("calibration")
    if split is not None and job.calibrate is not None:
        first, second = split_in_two(split, spec)
        chosen = select_rows(split, first)
        output = task.output(full_model, chosen.inputs)
        built_model.calibration, facts = fit_calibration(
            job.calibrate, output, chosen.encoded_target, chosen.weight, moved=_changes_class_frequencies(job)
        )
        before, full_model, split = full_model, built_model.full_model(), select_rows(split, second)
        notes.append(f"probabilities are calibrated by {job.calibrate} on {len(first):,} rows set aside for it")
        if job.calibrate == "isotonic" and len(first) < FEW_FOR_ISOTONIC:
            notes.append(f"isotonic calibration overfits below some {FEW_FOR_ISOTONIC:,} rows; temperature needs fewer")
        notes += _made_worse(task, before, full_model, dataset)
    elif (job.sample or "").startswith("down"):
        # Training stops before the mean prediction is that of all rows. The weighted training rows have the frequencies
        # of all of them; validation rows must not be used, since they choose the epoch and score the model.
        rows = dataset.splits["train"]
        built_model.calibration, facts = fit_calibration(
            SHARES, task.output(full_model, rows.inputs), np.asarray(rows.target), rows.weight
        )
        full_model = built_model.full_model()
        notes.append("after down-sampling, the mean of probabilities is brought to the shares of classes before it")
    threshold = getattr(job, "threshold", None)
    if threshold is not None:
        rows = dataset.splits["validation"]
        spec = choose_threshold_of(threshold, rows, rules.decode(task.output(full_model, rows.inputs)), spec)
        chosen_at = spec.target.threshold
        assert chosen_at is not None
        notes.append(f"{spec.target.positive} is called from a probability of {chosen_at:.4g} on, for {threshold}")
        facts = {**facts, "threshold": chosen_at}
    quantiles: ConformalQuantiles = []
    if split is not None:
        quantiles, conformal_notes = _compute_conformal(
            task, full_model, split, spec, by_class=job.conformal == BY_CLASS
        )
        notes += conformal_notes
        if threshold is not None:
            notes.append("prediction sets go by probabilities: what the threshold calls may lie outside of its set")
    return Calibration(spec, quantiles, facts, tuple(notes))


def _compute_conformal(
    task: Learner, model: Any, split: Split, spec: Spec, *, by_class: bool
) -> tuple[ConformalQuantiles, list[str]]:
    """Return the conformal quantiles, and a note on classes in which sets hold less than their coverage, or nothing."""
    rules = task.rules(spec)
    assert isinstance(rules, ConformalRules)  # checked before training
    truth = rules.truth(split.encoded_target)
    wrong = rules.nonconformity(truth, rules.decode(task.output(model, split.inputs)))
    if by_class:
        classes = len(spec.target.classes)
        of_classes = compute_class_quantiles(wrong, truth, split.weight, counts=spec.weights_count, classes=classes)
        return of_classes, _note_small_classes(of_classes, spec)
    quantiles = compute_quantiles(wrong, split.weight, counts=spec.weights_count)
    return quantiles, _note_uncovered_classes(wrong, truth, split, spec, quantiles) if spec.has_classes else []


def _note_small_classes(by_class: Sequence[Sequence[float | None]], spec: Spec) -> list[str]:
    names = [
        name
        for name, quantiles in zip(spec.target.classes, by_class, strict=True)
        if not np.isfinite(look_up_quantile(quantiles, STATED))
    ]
    if not names:
        return []
    return [
        f"every prediction set of {STATED:g} % contains {join_first(names, 5)}, of which the calibration split has too "
        "few rows; increase --calibration-size"
    ]


def _note_uncovered_classes(
    scores: np.ndarray, truth: np.ndarray, split: Split, spec: Spec, quantiles: Sequence[float | None]
) -> list[str]:
    limit = look_up_quantile(quantiles, STATED)
    weight = np.ones(len(truth)) if split.weight is None else np.asarray(split.weight, float)
    uncovered = []
    for index, name in enumerate(spec.target.classes):
        rows = (truth == index) & (weight > 0)
        if not rows.any():
            continue
        sample = Sample(weight[rows], spec.weights_count, None if split.group is None else split.group[rows])
        inside = (scores[rows] <= limit).astype(float)
        if mean_fraction_interval(inside, sample)[1] < STATED / 100:
            uncovered.append(f"{100 * np.average(inside, weights=weight[rows]):.0f} % of {name}")
    if not uncovered:
        return []
    return [
        f"prediction sets of {STATED:g} % hold that for all rows together, but only {join_first(uncovered, 5)} among "
        "the rows set aside; --conformal by-class holds it in each class"
    ]


def check_calibration(task: Learner, dataset: Dataset, job: DataJob) -> None:
    """Raise if the target does not allow the calibration, threshold or intervals that are requested.

    Raises:
        UsageError: With the option.
    """
    spec = dataset.spec
    if job.calibrate is not None and not spec.has_classes:
        raise UsageError("probabilities are calibrated, and the target has none", where="calibrate")
    if "calibration" in dataset.splits and not isinstance(task.rules(spec), ConformalRules):
        message = f"{spec.task} has no prediction intervals for the targets {spec.target_names}"
        raise UsageError(message, where="calibration_size")
    if job.conformal == BY_CLASS and not spec.has_classes:
        raise UsageError("intervals of a number have no classes", where="conformal")
    if job.conformal == BY_CLASS and "calibration" not in dataset.splits:
        raise UsageError("prediction sets need a calibration split: --calibration-size 0.2", where="conformal")
    threshold = getattr(job, "threshold", None)
    if job.calibrate is not None and "calibration" in dataset.splits:
        check_rows(len(split_in_two(dataset.splits["calibration"], spec)[0]))
    if threshold is not None and not (spec.has_classes and len(spec.target.classes) == 2):
        raise UsageError("a threshold needs a target with two classes", where="threshold")
    if threshold is not None and "validation" not in dataset.splits:
        raise UsageError("a threshold is chosen on the validation split, and there is none", where="threshold")


def _made_worse(task: Learner, before: Any, after: Any, dataset: Dataset) -> list[str]:
    """Return a note if calibration makes the log loss on the validation split worse, which it was not fitted to."""
    rows = dataset.splits.get("validation")
    if rows is None or rows.target is None:
        return []
    rules = task.rules(dataset.spec)
    truth = np.asarray(rows.target)
    weight = np.ones(len(truth)) if rows.weight is None else np.asarray(rows.weight, float)
    predictions = [rules.decode(task.output(model, rows.inputs)) for model in (before, after)]
    losses = [float(log_loss(truth, prediction, weight[None])[0]) for prediction in predictions]
    if losses[1] <= losses[0] * WORSE:
        return []
    return [
        f"calibration makes log_loss on validation worse, {losses[0]:.4g} before and {losses[1]:.4g} after: the rows "
        "set aside differ from those, as few whole groups do, or are too few; leave out --calibrate"
    ]


def _changes_class_frequencies(job: DataJob) -> bool:
    """Return whether the training loss changes the class frequencies, by resampling, class weights or a focal loss."""
    focal = getattr(job, "hyperparameters", {}).get("loss") == "focal"
    return focal or job.class_weight is not None or job.sample is not None
