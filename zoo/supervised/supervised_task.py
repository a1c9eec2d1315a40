"""What tasks with a target share: reading, fitting, scoring, predicting, baselines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd

from zoo.calibration.conformal import limit_at
from zoo.data.columns.encode import text_columns
from zoo.data.dataset import PART_PREFIX, Dataset, Part
from zoo.data.memory import give_back_memory
from zoo.data.ragged import LENGTH, Ragged
from zoo.data.sources.read import Table
from zoo.data.streaming.stream import must_stream, open_stream
from zoo.data.streaming.streamed_dataset import StreamedPart, streamed_dataset
from zoo.data.table_dataset import COLUMNS, Layout, column_layout, table_arrays, table_dataset
from zoo.errors import UsageError
from zoo.inspection.permutation_importance import strongest_inputs
from zoo.jobs.data_options import DataJob
from zoo.metrics.metric import Score, evaluate
from zoo.models.built_model import Pieces, pieces_of_model
from zoo.preprocessing.table import prepare_table
from zoo.spec import Spec
from zoo.supervised.after_fit import check_settling, settle
from zoo.supervised.classical_estimators import Estimators, Rival, run_estimator
from zoo.supervised.targets import RULES, TargetRules, rules_of
from zoo.task import Baseline, Evaluation, Settled, Task
from zoo.training.fit_loop import FitPlan, FitResult, Monitor, fit
from zoo.training.preprocessed_arrays import as_tensor, forward, model_inputs, prepared, raw_arrays
from zoo.training.streamed_arrays import StreamedArrays, accumulated, collected

COVERAGES = (*range(10, 100, 10), 95, 99)  # percent, of a figure


class SupervisedTask(Task):
    """A task whose examples have a target to predict.

    A subclass for examples that are no rows of columns sets ``layout`` and ``standard``, and may add figures.

    Args:
        name: The folder's name.
        example: Bundled source on which the task's models are shown.
        target_kind: ``class``, ``number``, or ``either``, where the target's column tells, or the option ``kind``.
        estimators: Classical rivals by level and spec.
    """

    refuses: Mapping[str, str] = {}

    def __init__(self, name: str, *, example: str, target_kind: str, estimators: Estimators) -> None:
        super().__init__(name, example=example)
        self.target_kind = target_kind
        self.estimators = estimators

    def layout(self, job: DataJob) -> Layout:
        """Return how the job's sources become examples."""
        return column_layout(job.column, job.missing)

    def layout_of(self, spec: Spec) -> Layout:
        """Return how rows for a trained model become examples."""
        return COLUMNS

    def standard(self, spec: Spec) -> Any:
        """Return the preparation that is put before a user's own model with a single nameless input."""
        return prepare_table(spec)

    def draw(self, model: Any, part: Part, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return figures of one part that belong to this task, beside those of its kind of target."""
        return {}

    def rules(self, spec: Spec) -> TargetRules:
        """Return the rules for the spec's kind of target."""
        return rules_of(spec)

    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset."""
        options = self.settings(job).model_dump(exclude_none=True)
        kind = options.get("kind", self.target_kind)
        layout = self.layout(job)
        if self.streams(job):
            stream = open_stream(job.source)
            dataset = streamed_dataset(
                stream, job, task=self.name, target_kind=kind, describe=layout.describe, options=options
            )
        else:
            dataset = table_dataset(job, task=self.name, target_kind=kind, layout=layout, options=options)
            give_back_memory(dataset.nbytes)
        return dataset if "quantiles" not in options else _with_quantiles(dataset, options["quantiles"])

    def streams(self, job: DataJob) -> bool:
        """Tell whether the job's rows pass by instead of being held in memory: as asked for, else by their size.

        Raises:
            UsageError: When they shall, and the task reads no tables.
        """
        if job.stream and "table" not in self.reads:
            raise UsageError("only the rows of a table pass by", where="stream")
        asked = job.stream if job.stream is not None else must_stream(job.source)
        return asked and "table" in self.reads

    def rows(self, source: Any, spec: Spec) -> Table:
        """Return raw rows to predict."""
        return self.layout_of(spec).read(source, text_columns(spec))

    def arrays(self, frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
        """Return inputs by key, encoded target and weight of raw rows, for those who call Keras themselves.

        Sequences are padded to the longest.

        Raises:
            UsageError: When pictures of several sizes would have to be one array.
        """
        inputs, target, weight = table_arrays(frame, spec, self.layout_of(spec))
        for key, values in inputs.items():
            if isinstance(values, Ragged) and values.sizes.shape[1] > 1 and not values.uniform:
                raise UsageError("pictures of several sizes make no array; bring them to one size before", where=key)
        return {key: as_tensor(values) for key, values in model_inputs(inputs).items()}, target, weight

    def scores(self, spec: Spec) -> Sequence[Score]:
        """Return the scores for the spec's kind of target; the first is the objective of a search."""
        return self.rules(spec).scores(spec)

    def predictions(self, spec: Spec, output: np.ndarray) -> pd.DataFrame:
        """Return ``prediction`` of N rows and, for classes, ``probability_<class>`` of each."""
        return self.rules(spec).predictions(spec, output)

    def decoding(self, spec: Spec) -> Mapping[str, Any]:
        """Return how predictions come out of an output."""
        return self.rules(spec).decoding(spec)

    def suits(self, model: Any) -> bool:
        """Tell by its loss and its inputs whether a user's own model is one for this task."""
        loss = model.loss
        name = str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss).lower()
        kinds = RULES if self.target_kind == "either" else (self.target_kind,)
        ranks = {len(known.shape) for known in model.inputs} if model.built else {2}
        return self.takes(ranks) and any(word in name for kind in kinds for word in RULES[kind].loss_words)

    def takes(self, ranks: set[int]) -> bool:
        """Tell from the ranks of a model's inputs, batch axis included, whether they may be this task's."""
        return max(ranks) <= 2

    def adopt(self, model: Any, spec: Spec) -> Pieces:
        """Return the pieces of a user's own compiled model.

        A model whose inputs have the columns' names takes them raw. One with a single input (B, F) gets
        the standard preparation of the table's columns put before it.
        """
        pieces = pieces_of_model(model)
        self._check_output(model, spec)
        names = set(_input_names(model))
        if pieces.preparation is not None or names <= {known.key for known in spec.inputs}:
            return pieces
        preparation = self.standard(spec)
        wanted = preparation.tensors()
        if names == set(wanted):
            return Pieces(model, preparation)
        facts = spec.inputs[0].statistics
        if LENGTH in wanted and facts.get("least_length") != facts["greatest_length"]:
            raise UsageError(
                "the sequences differ in length, and a model with one input would take padding for steps; it must "
                f"have the inputs {', '.join(wanted)}",
                where=model.name,
            )
        tensors = {name: tuple(known.shape[1:]) for name, known in wanted.items() if name != LENGTH}
        name, prepared_shape = next(iter(tensors.items()))
        shape = tuple(model.inputs[0].shape[1:]) if len(model.inputs) == 1 else None
        if len(tensors) > 1 or shape is None or not _fits(shape, prepared_shape):
            one = "" if len(tensors) > 1 else f", or one input {(None, *prepared_shape)} of prepared values"
            raise UsageError(
                f"the model's inputs {[tuple(known.shape) for known in model.inputs]} do not fit the data: "
                f"it must have inputs named {', '.join(known.key for known in spec.inputs[:5])} …{one}",
                where=model.name,
            )
        return Pieces(model, _Single(preparation, name))

    def fit(self, pieces: Pieces, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train the network on prepared data; early stopping watches the first score on validation."""
        parts: dict[str, Any] = {}
        model = pieces.preparation.model() if pieces.preparation is not None else None
        names = set(_input_names(pieces.network))
        for name in ("train", "validation"):
            if name in dataset.parts:
                digest = pieces.preparation.digest if cache is not None and pieces.preparation is not None else ""
                part = dataset.parts[name]
                if isinstance(part, StreamedPart):
                    parts[name] = StreamedArrays(part, model, names, plan.seed)
                    continue
                parts[name] = raw_arrays(part, names) if model is None else prepared(model, digest, name, part, cache)
        plan = dataclasses.replace(plan, monitor=self._monitor(dataset))
        if dataset.spec.weights_count and isinstance(pieces.network.loss, keras.losses.Loss):
            # A row twice divides the loss by two rows: so does a row of weight 2.
            pieces.network.loss.reduction = "mean_with_sample_weight"
        return fit(pieces.network, parts["train"], parts.get("validation"), plan)

    def output(self, model: Any, inputs: Mapping[str, Any]) -> np.ndarray:
        """Return the model's output (N, …) for raw inputs by key."""
        return forward(model, inputs)

    def evaluate(self, model: Any, dataset: Dataset, part: str, *, intervals: bool) -> Evaluation:
        """Score the whole model, from raw rows on, on one part."""
        rows, spec = dataset.parts[part], dataset.spec
        assert rows.target is not None
        rules = self.rules(spec)
        truth = rules.truth(spec, rows.target)
        output = self.output(model, rows.inputs)
        if intervals and isinstance(rows, StreamedPart):
            return self._scored_in_passing(model, rows, spec, truth, output)
        prediction = rules.decode(spec, output)
        scores, bounds = evaluate(
            self.scores(spec),
            truth,
            prediction,
            weight=rows.weight,
            counts=spec.weights_count,
            resamples=1000 if intervals else 0,
        )

        def figures() -> Mapping[str, Any]:
            made = {**rules.draw(spec, truth, prediction), **self.draw(model, rows, spec, truth, prediction)}
            if spec.target is None or spec.target.kind != "number":
                return made  # the errors of classes have no sign
            strongest = strongest_inputs(lambda inputs: rules.decode(spec, self.output(model, inputs)), rows, spec)
            return {**made, **(rules.draw_inputs(spec, truth, prediction, strongest) if strongest else {})}

        return Evaluation(scores, bounds if intervals else {}, figures, output if intervals else None)

    def _scored_in_passing(
        self, model: Any, part: StreamedPart, spec: Spec, truth: np.ndarray, output: np.ndarray
    ) -> Evaluation:
        """Score all rows of a part that pass by, without holding them; figures are of the sample that is held."""
        rules = self.rules(spec)
        prediction = rules.decode(spec, output)

        def predict(rows: Part) -> np.ndarray:
            return rules.decode(spec, self.output(model, rows.inputs))

        weight: np.ndarray | None
        if prediction.ndim == 2 and prediction.shape[1] == 2:
            known, told, weight = accumulated(part, predict)
            counts = True
        else:
            target, told, weight = collected(part, predict)
            known, counts = rules.truth(spec, target), spec.weights_count
        scores, bounds = evaluate(self.scores(spec), known, told, weight=weight, counts=counts, resamples=200)
        return Evaluation(scores, bounds, lambda: rules.draw(spec, truth, prediction), output)

    def settle(self, pieces: Pieces, dataset: Dataset, job: DataJob) -> Settled:
        """Return calibration, threshold and conformal limits, found after training on rows that taught nothing."""
        return settle(self, pieces, dataset, job)

    def check_settling(self, dataset: Dataset, job: DataJob) -> None:
        """Refuse calibration of what has no probabilities, and a threshold where there are not two classes."""
        check_settling(dataset, job)

    def interval_scores(
        self, spec: Spec, rows: Part, output: np.ndarray, limits: Sequence[float | None], percent: float = 90.0
    ) -> dict[str, float]:
        """Return coverage and size of the prediction sets or intervals of a part's rows."""
        return self._interval_metrics(spec, rows, output, limits, [percent])[0]

    def draw_intervals(
        self, spec: Spec, rows: Part, output: np.ndarray, limits: Sequence[float | None]
    ) -> Mapping[str, Any]:
        """Return coverage and size of the prediction sets or intervals of a part's rows over what was asked for."""
        from zoo.figures.intervals import interval_coverage

        known = [percent for percent in COVERAGES if np.isfinite(limit_at(limits, percent))]
        made = self._interval_metrics(spec, rows, output, limits, known)
        target = spec.target
        if not made or target is None:
            return {}
        kind, size = ("set_size", "classes in a set") if target.kind == "class" else ("interval_width", "width")
        size = f"{size} of {target.name}" if target.kind == "number" else size
        found = [scores[f"conformal_coverage_{percent:g}"] for percent, scores in zip(known, made, strict=True)]
        sizes = [scores[f"conformal_{kind}_{percent:g}"] for percent, scores in zip(known, made, strict=True)]
        return {"interval_coverage": interval_coverage(known, found, sizes, n_rows=len(rows), size=size)}

    def _interval_metrics(
        self, spec: Spec, rows: Part, output: np.ndarray, limits: Sequence[float | None], percents: Sequence[float]
    ) -> list[dict[str, float]]:
        rules = self.rules(spec)
        assert rows.target is not None
        prediction = rules.decode(spec, output)
        weight = np.ones(len(rows)) if rows.weight is None else np.asarray(rows.weight)
        truth = rules.truth(spec, rows.target)
        return [
            rules.interval_metrics(spec, truth, prediction, limit_at(limits, percent), percent, weight)
            for percent in percents
        ]

    def held_out(self, spec: Spec, rows: Part, output: np.ndarray) -> pd.DataFrame:
        """Return ``row`` in the source, ``truth``, ``weight`` if any, and predictions of a part's rows."""
        assert rows.target is not None
        truth = self.rules(spec).named_truth(spec, rows.target)
        columns = {"row": rows.rows, "truth": truth, **({} if rows.weight is None else {"weight": rows.weight})}
        return pd.concat([pd.DataFrame(columns), self.predictions(spec, output)], axis=1)

    def intervals(self, spec: Spec, output: np.ndarray, limits: Sequence[float | None], percent: float) -> pd.DataFrame:
        """Return prediction sets or intervals of N rows that hold the truth so many times in a hundred."""
        return self.rules(spec).intervals(spec, output, limit_at(limits, percent), percent)

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Sequence[Baseline]:
        """Return scikit-learn's rivals at this level."""
        return [
            Baseline(rival.name, partial(self._run_rival, rival), rival.most_rows, rival.guesses)
            for rival in self.estimators(level, spec)
        ]

    def _monitor(self, dataset: Dataset) -> Monitor:
        spec = dataset.spec
        rules = self.rules(spec)
        first: Score = self.scores(spec)[0]
        validation = dataset.parts.get("validation")
        weight = np.ones(len(validation)) if validation is not None else np.ones(1)
        if validation is not None and validation.weight is not None:
            weight = np.asarray(validation.weight)

        def score(target: np.ndarray, output: np.ndarray) -> float:
            truth = rules.truth(spec, target.reshape(len(target)))
            return float(first.function(truth, rules.decode(spec, output), weight[None])[0])

        return Monitor(PART_PREFIX["validation"] + first.name, first.direction, score)

    def _run_rival(self, rival: Rival, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
        spec, rules = dataset.spec, self.rules(dataset.spec)
        scored: dict[str, Mapping[str, float]] = {}
        for part, (target, prediction) in run_estimator(rival, rival.make(seed), dataset).items():
            truth, values = rules.truth(spec, target), rules.decode(spec, prediction)
            weight = dataset.parts[part].weight
            scored[part], _ = evaluate(
                self.scores(spec), truth, values, weight=weight, counts=spec.weights_count, resamples=0
            )
        return scored

    def _check_output(self, model: Any, spec: Spec) -> None:
        outputs = model.outputs if isinstance(model.outputs, (list, tuple)) else [model.outputs]
        width = self.rules(spec).output_width(spec)
        if len(outputs) != 1 or tuple(outputs[0].shape[1:]) != (width,):
            shapes = ", ".join(str(tuple(known.shape)) for known in outputs)
            raise UsageError(
                f"the model's output must have shape (None, {width}) for this target; it has {shapes}", where=model.name
            )


def _with_quantiles(dataset: Dataset, levels: Sequence[float]) -> Dataset:
    spec = dataset.spec
    assert spec.target is not None
    target = dataclasses.replace(spec.target, quantiles=tuple(levels))
    return dataclasses.replace(dataset, spec=dataclasses.replace(spec, target=target))


class _Single:
    """A preparation for a network with a single nameless input: one of its tensors."""

    def __init__(self, preparation: Any, name: str) -> None:
        self._preparation, self._name = preparation, name

    @property
    def digest(self) -> str:
        return str(self._preparation.digest)

    def raw_tensors(self) -> dict[str, Any]:
        return dict(self._preparation.raw_tensors())

    def model(self) -> Any:
        import keras

        named = self._preparation.model()
        return keras.Model(named.input, named.output[self._name], name=named.name)


def _fits(shape: tuple[int | None, ...], prepared_shape: tuple[int | None, ...]) -> bool:
    if len(shape) != len(prepared_shape):
        return False
    return all(None in pair or pair[0] == pair[1] for pair in zip(shape, prepared_shape, strict=True))


def _input_names(model: Any) -> list[str]:
    return [known.name for known in model.inputs]
