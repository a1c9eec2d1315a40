"""Calibration of probabilities, decision threshold and conformal quantiles, on rows not used for training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from zoo.calibration.conformal import compute_quantiles
from zoo.calibration.fit_calibration import (
    SHARES,
    check_rows,
    choose_threshold,
    fit_calibration,
    select_rows,
    set_threshold,
    split_in_two,
)
from zoo.data.dataset import Dataset
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.metrics.classes import log_loss
from zoo.models.built_model import BuiltModel
from zoo.spec import Spec
from zoo.supervised.targets import ConformalRules, TargetRules
from zoo.task import Calibration

FEW_FOR_ISOTONIC = 1000  # Niculescu-Mizil and Caruana 2005, "Predicting good probabilities", section 5
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
        prediction = rules.decode(task.output(full_model, rows.inputs))
        weight = np.ones(len(rows)) if rows.weight is None else np.asarray(rows.weight)
        chosen_at = choose_threshold(threshold, rows.encoded_target, prediction, spec.target.positive_index, weight)
        notes.append(f"{spec.target.positive} is called from a probability of {chosen_at:.4g} on, for {threshold}")
        spec, facts = set_threshold(spec, chosen_at), {**facts, "threshold": chosen_at}
    quantiles: list[float | None] = []
    if split is not None:
        assert isinstance(rules, ConformalRules)  # checked before training
        prediction = rules.decode(task.output(full_model, split.inputs))
        wrong = rules.nonconformity(rules.truth(split.encoded_target), prediction)
        quantiles = compute_quantiles(wrong, split.weight, counts=spec.weights_count)
        if threshold is not None:
            notes.append("prediction sets go by probabilities: what the threshold calls may lie outside of its set")
    return Calibration(spec, quantiles, facts, tuple(notes))


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
