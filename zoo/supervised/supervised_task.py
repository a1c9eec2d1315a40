"""Base class of tasks with a target: reading, fitting, scoring, predicting and baselines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from zoo.calibration.fit_calibration import choose_threshold_of
from zoo.data.columns.encode import find_text_columns
from zoo.data.dataset import SPLIT_PREFIX, Dataset, Split
from zoo.data.layout import COLUMNS, Layout, create_layout
from zoo.data.memory import give_back_memory
from zoo.data.ragged import Ragged
from zoo.data.sources.read import Table
from zoo.data.streaming.sample_stream import sample_streamed_rows
from zoo.data.streaming.stream import must_stream, open_stream
from zoo.data.streaming.streamed_dataset import StreamedSplit, create_streamed_dataset
from zoo.data.table_dataset import create_table_dataset, encode_table
from zoo.errors import UsageError
from zoo.inspection.gradient_flow import PROBE_ROWS
from zoo.inspection.permutation_importance import select_strongest_inputs
from zoo.inspection.probe_rows import preprocess_sample
from zoo.jobs.data_options import DataJob
from zoo.metrics.metric import Metric, evaluate
from zoo.models.built_model import BuiltModel
from zoo.preprocessing.table import preprocess_table
from zoo.spec import Spec
from zoo.supervised.after_fit import calibrate, check_calibration
from zoo.supervised.classical_estimators import ClassicalBaseline, Estimators, run_estimator
from zoo.supervised.own_model import adopt_model, check_output
from zoo.supervised.several_targets import RULES, create_rules
from zoo.supervised.targets import TargetRules
from zoo.task import Baseline, Calibration, Evaluation, Task
from zoo.training.adapted_layers import prepare_layers
from zoo.training.fit_loop import fit
from zoo.training.preprocessed_arrays import (
    Arrays,
    convert_to_tensor,
    forward,
    keep_raw_arrays,
    load_or_preprocess,
    prepare_inputs,
)
from zoo.training.streamed_arrays import StreamedArrays, accumulate, collect
from zoo.training.training_state import FitPlan, FitResult, Monitor


class SupervisedTask(Task):
    """A task whose examples have a target to predict.

    A subclass for examples that are not table rows sets ``layout`` and ``standard``, and may add figures.

    Args:
        name: The folder's name.
        example: Bundled source that demonstrates the task's models.
        target_kind: ``class``, ``number`` or ``either``, which depends on the target column or the option ``kind``.
        estimators: Classical baselines by level and spec.
    """

    refuses: Mapping[str, str] = {}

    def __init__(self, name: str, *, example: str, target_kind: str, estimators: Estimators) -> None:
        super().__init__(name, example=example)
        self.target_kind = target_kind
        self.estimators = estimators

    def layout(self, job: DataJob) -> Layout:
        """Return the layout that turns the job's sources into examples."""
        return create_layout(job.column, job.missing)

    def layout_of(self, spec: Spec) -> Layout:
        """Return the layout that turns rows for a trained model into examples."""
        return COLUMNS

    def standard(self, spec: Spec) -> Any:
        """Return the standard preprocessing for a user's own model with a single unnamed input."""
        return preprocess_table(spec)

    def draw(
        self, model: Any, split: Split, spec: Spec, truth: np.ndarray, prediction: np.ndarray
    ) -> Mapping[str, Any]:
        """Return the task's own figures of one split, in addition to those of its kind of target."""
        return {}

    def rules(self, spec: Spec) -> TargetRules:
        """Return the rules for the spec's kind of target."""
        return create_rules(spec)

    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset."""
        options = self.settings(job).model_dump(exclude_none=True)
        kind = options.get("kind", self.target_kind)
        layout = self.layout(job)
        if self.streams(job) and job.sample_rows is not None:
            job = sample_streamed_rows(job)
        if self.streams(job):
            stream = open_stream(job.source)
            dataset = create_streamed_dataset(
                stream, job, task=self.name, target_kind=kind, describe=layout.describe, options=options
            )
        else:
            dataset = create_table_dataset(job, task=self.name, target_kind=kind, layout=layout, options=options)
            give_back_memory(dataset.nbytes)
        if "quantiles" not in options:
            return dataset
        if len(dataset.spec.targets) != 1 or dataset.spec.has_classes:
            message = f"quantiles are of one number; the targets are {dataset.spec.target_names}"
            raise UsageError(message, where="quantiles")
        return _with_quantiles(dataset, options["quantiles"])

    def streams(self, job: DataJob) -> bool:
        """Return whether the job's rows are streamed rather than held in memory, as requested or by their size.

        Raises:
            UsageError: If streaming is requested and the task does not read tables.
        """
        if job.stream and "table" not in self.reads:
            raise UsageError("only tables can be streamed", where="stream")
        asked = job.stream if job.stream is not None else must_stream(job.source)
        return asked and "table" in self.reads

    def rows(self, source: Any, spec: Spec) -> Table:
        """Return raw rows to predict."""
        return self.layout_of(spec).read(source, find_text_columns(spec))

    def arrays(self, frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
        """Return inputs by key, encoded target and weight of raw rows, for direct use with Keras.

        Sequences are padded to the longest.

        Raises:
            UsageError: If images of several sizes would have to form one array.
        """
        inputs, target, weight = encode_table(frame, spec, self.layout_of(spec))
        for key, values in inputs.items():
            if isinstance(values, Ragged) and values.sizes.shape[1] > 1 and not values.uniform:
                raise UsageError("images of several sizes make no array; bring them to one size before", where=key)
        return {key: convert_to_tensor(values) for key, values in prepare_inputs(inputs).items()}, target, weight

    def suits(self, model: Any) -> bool:
        """Return whether a user's own model fits this task, judging by its loss and inputs."""
        loss = model.loss
        name = str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss).lower()
        kinds = RULES if self.target_kind == "either" else (self.target_kind,)
        ranks = {len(tensor.shape) for tensor in model.inputs} if model.built else {2}
        return self.takes(ranks) and any(word in name for kind in kinds for word in RULES[kind].loss_words)

    def takes(self, ranks: set[int]) -> bool:
        """Return whether inputs of these ranks, batch axis included, may belong to this task."""
        return max(ranks) <= 2

    def adopt(self, model: Any, spec: Spec) -> BuiltModel:
        """Return a user's own compiled model as a built model, adding preprocessing if it has none."""
        return adopt_model(model, spec, self.standard(spec), self.rules(spec).output_width())

    def check_network(self, built_model: BuiltModel, spec: Spec, *, name: str) -> None:
        """Raise if the output does not have the width that the targets need."""
        check_output(built_model.inference or built_model.network, self.rules(spec).output_width(), name)

    def fit(self, built_model: BuiltModel, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train the network on preprocessed data; early stopping monitors the first validation score."""
        splits: dict[str, Any] = {}
        model = built_model.preprocessing_model
        names = {tensor.name for tensor in built_model.network.inputs}
        for name in ("train", "validation"):
            if name in dataset.splits:
                digest = (
                    built_model.preprocessing.digest
                    if cache is not None and built_model.preprocessing is not None
                    else ""
                )
                split = dataset.splits[name]
                if isinstance(split, StreamedSplit):
                    splits[name] = StreamedArrays(split, model, names, plan.seed)
                    continue
                splits[name] = (
                    keep_raw_arrays(split, names)
                    if model is None
                    else load_or_preprocess(model, digest, name, split, cache)
                )
        prepare_layers(built_model.network, splits["train"])
        plan = dataclasses.replace(plan, monitor=self._monitor(dataset))
        if dataset.spec.weights_count and isinstance(built_model.network.loss, keras.losses.Loss):
            # A duplicated row counts twice in the mean loss; so must a row of weight 2.
            built_model.network.loss.reduction = "mean_with_sample_weight"
        return fit(
            built_model.network,
            splits["train"],
            splits.get("validation"),
            plan,
            inference=built_model.inference,
            trainer=built_model.trainer,
            phases=built_model.phases,
        )

    def probe(self, built_model: BuiltModel, dataset: Dataset) -> Arrays | None:
        """Return a few preprocessed training rows with their targets, unless rows are streamed."""
        train = dataset.splits["train"]
        return None if isinstance(train, StreamedSplit) else preprocess_sample(built_model, train, PROBE_ROWS)

    def output(self, model: Any, inputs: Mapping[str, Any]) -> np.ndarray:
        """Return the model's output (N, …) for raw inputs by key."""
        return forward(model, inputs)

    def scored_rows(self, model: Any, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Return truth and predictions of a split in the form for metrics."""
        rows, rules = dataset.splits[split], self.rules(dataset.spec)
        return rules.truth_of(rows), rules.decode(self.output(model, rows.inputs))

    def evaluate(self, model: Any, dataset: Dataset, split: str, *, intervals: bool) -> Evaluation:
        """Score the full model, including preprocessing, on one split."""
        rows, spec = dataset.splits[split], dataset.spec
        rules = self.rules(spec)
        truth = rules.truth_of(rows)
        output = self.output(model, rows.inputs)
        if intervals and isinstance(rows, StreamedSplit):
            return self._scored_in_passing(model, rows, spec, truth, output)
        prediction = rules.decode(output)
        scores, bounds = evaluate(
            rules.metrics(),
            truth,
            prediction,
            weight=rows.weight,
            counts=spec.weights_count,
            group=rows.group,
            resamples=1000 if intervals else 0,
        )

        def figures() -> Mapping[str, Any]:
            figures_ = {**rules.draw(truth, prediction), **self.draw(model, rows, spec, truth, prediction)}
            if spec.has_classes:
                return figures_  # classification errors have no sign
            strongest = select_strongest_inputs(lambda inputs: rules.decode(self.output(model, inputs)), rows, spec)
            return {**figures_, **(rules.draw_inputs(truth, prediction, strongest) if strongest else {})}

        return Evaluation(
            scores,
            bounds if intervals else {},
            figures,
            output if intervals else None,
            tables=lambda: rules.tabulate(truth, prediction, rows.weight),
            notes=rules.list_notes(),
        )

    def _scored_in_passing(
        self, model: Any, split: StreamedSplit, spec: Spec, truth: np.ndarray, output: np.ndarray
    ) -> Evaluation:
        """Score all rows of a streamed split without holding them in memory; figures use the sample in memory."""
        rules = self.rules(spec)
        prediction = rules.decode(output)

        def predict(rows: Split) -> np.ndarray:
            return rules.decode(self.output(model, rows.inputs))

        weight: np.ndarray | None
        if prediction.ndim == 2 and prediction.shape[1] == 2:
            truths, predictions, weight = accumulate(split, predict)
            counts = True
        else:
            target, predictions, weight = collect(split, predict)
            truths, counts = rules.truth(target), spec.weights_count
        scores, bounds = evaluate(rules.metrics(), truths, predictions, weight=weight, counts=counts, resamples=200)
        return Evaluation(scores, bounds, lambda: rules.draw(truth, prediction), output)

    def calibrate(self, built_model: BuiltModel, dataset: Dataset, job: DataJob) -> Calibration:
        """Return calibration, decision threshold and conformal quantiles, computed on rows not used for training."""
        return calibrate(self, built_model, dataset, job)

    def check_calibration(self, dataset: Dataset, job: DataJob) -> None:
        """Raise if calibration is requested without probabilities, or a threshold without exactly two classes."""
        check_calibration(self, dataset, job)

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Sequence[Baseline]:
        """Return the scikit-learn baselines of a level."""
        return [
            Baseline(baseline.name, partial(self._run_estimator, baseline), baseline.most_rows, baseline.is_dummy)
            for baseline in self.estimators(level, spec)
        ]

    def _monitor(self, dataset: Dataset) -> Monitor:
        spec = dataset.spec
        rules = self.rules(spec)
        first: Metric = rules.metrics()[0]
        validation = dataset.splits.get("validation")
        weight = np.ones(len(validation)) if validation is not None else np.ones(1)
        if validation is not None and validation.weight is not None:
            weight = np.asarray(validation.weight)

        truth = rules.truth_of(validation) if validation is not None else np.empty(0)

        def score(output: np.ndarray) -> float:
            return float(first.function(truth, rules.decode(output), weight[None])[0])

        return Monitor(SPLIT_PREFIX["validation"] + first.name, first.direction, score)

    def _run_estimator(
        self, baseline: ClassicalBaseline, dataset: Dataset, seed: int
    ) -> Mapping[str, Mapping[str, float]]:
        spec, rules = dataset.spec, self.rules(dataset.spec)
        scored: dict[str, Mapping[str, float]] = {}
        predictions = run_estimator(baseline, baseline.construct(seed), dataset)
        if dataset.threshold is not None:
            _, validation = predictions["validation"]
            rows = dataset.splits["validation"]
            rules = self.rules(choose_threshold_of(dataset.threshold, rows, rules.decode(validation), spec))
        for split, (target, prediction) in predictions.items():
            truth, values = rules.truth(target), rules.decode(prediction)
            weight = dataset.splits[split].weight
            scored[split], _ = evaluate(
                rules.metrics(), truth, values, weight=weight, counts=spec.weights_count, resamples=0
            )
        return scored


def _with_quantiles(dataset: Dataset, levels: Sequence[float]) -> Dataset:
    return dataclasses.replace(dataset, spec=dataset.spec.with_target(quantiles=tuple(levels)))
