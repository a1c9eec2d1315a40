"""What tasks with a table and a target share: reading, fitting, scoring, predicting, baselines."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.table import table_arrays, table_dataset
from zoo.errors import UsageError
from zoo.job import DataJob
from zoo.layers.assembly import Pieces, pieces_of_model
from zoo.layers.preparation import prepare_table
from zoo.scoring.score import Score, evaluate
from zoo.spec import Spec
from zoo.task import PART_PREFIX, Baseline, Evaluation, Task
from zoo.training.arrays import CHUNK, as_tensor, prepared, raw_arrays
from zoo.training.baselines import Estimators, Rival, run_estimator
from zoo.training.loop import FitPlan, FitResult, Monitor, fit


class SupervisedTask(Task):
    """A task whose examples have a target to predict.

    Args:
        name: The folder's name.
        example: Bundled source on which the task's models are shown.
        target_kind: ``class`` or ``number``.
        estimators: Classical rivals by level.
        loss_words: Parts of the names of Keras losses that are for this task.
    """

    def __init__(
        self, name: str, *, example: str, target_kind: str, estimators: Estimators, loss_words: Sequence[str]
    ) -> None:
        super().__init__(name, example=example)
        self.loss_words = tuple(loss_words)
        self.target_kind = target_kind
        self.estimators = estimators

    @abstractmethod
    def decode(self, spec: Spec, output: np.ndarray) -> np.ndarray:
        """Return a network's or estimator's output as scores take it: probabilities (N, K), or numbers (N,)."""

    @abstractmethod
    def truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return an encoded target (N,) as scores take it."""

    @abstractmethod
    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return the task's figures for one part, by name."""

    @abstractmethod
    def output_width(self, spec: Spec) -> int:
        """Return the width that a network's output must have."""

    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset."""
        return table_dataset(job, task=self.name, target_kind=self.target_kind)

    def arrays(self, frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
        """Return inputs by key, encoded target and weight of raw rows, for those who call Keras themselves."""
        inputs, target, weight = table_arrays(frame, spec)
        return {key: as_tensor(values) for key, values in inputs.items()}, target, weight

    def suits(self, model: Any) -> bool:
        """Tell by its loss whether a user's own model learns this kind of target."""
        loss = model.loss
        name = str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss).lower()
        return any(word in name for word in self.loss_words)

    def adopt(self, model: Any, spec: Spec) -> Pieces:
        """Return the pieces of a user's own compiled model.

        A model whose inputs have the columns' names takes them raw. One with a single input (B, F) gets
        the standard preparation of the table's columns put before it.
        """
        pieces = pieces_of_model(model)
        self._check_output(model, spec)
        if pieces.preparation is not None or set(_input_names(model)) <= {known.key for known in spec.inputs}:
            return pieces
        preparation = prepare_table(spec)
        features = preparation.tensors().get("features")
        shape = tuple(model.inputs[0].shape) if len(model.inputs) == 1 else None
        if features is None or preparation.embedded or shape is None or shape[1:] != tuple(features.shape[1:]):
            width = "" if features is None else f", or one input (None, {features.shape[1]}) of prepared columns"
            raise UsageError(
                f"the model's inputs {[tuple(known.shape) for known in model.inputs]} do not fit the data: "
                f"it must have inputs named {', '.join(known.key for known in spec.inputs[:5])} …{width}",
                where=model.name,
            )
        return Pieces(model, _Vector(preparation))

    def fit(self, pieces: Pieces, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train the network on prepared data; early stopping watches the first score on validation."""
        parts = {}
        model = pieces.preparation.model() if pieces.preparation is not None else None
        names = set(_input_names(pieces.network))
        for name in ("train", "validation"):
            if name in dataset.parts:
                digest = pieces.preparation.digest if cache is not None and pieces.preparation is not None else ""
                part = dataset.parts[name]
                parts[name] = raw_arrays(part, names) if model is None else prepared(model, digest, name, part, cache)
        plan = dataclasses.replace(plan, monitor=self._monitor(dataset))
        return fit(pieces.network, parts["train"], parts.get("validation"), plan)

    def output(self, model: Any, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the model's output (N, …), computed in chunks by one compiled function."""
        import tensorflow as tf

        rows, names = len(next(iter(inputs.values()))), set(_input_names(model))
        # One row at a time is common in serving, and tracing a function for it would take longer than running it.
        forward = tf.function(model, reduce_retracing=True) if rows > CHUNK else model
        chunks = []
        for start in range(0, rows, CHUNK):
            raw = {key: as_tensor(values[start : start + CHUNK]) for key, values in inputs.items() if key in names}
            chunks.append(np.asarray(forward(raw, training=False)))
        return np.concatenate(chunks) if chunks else np.empty((0, 1), np.float32)

    def evaluate(self, model: Any, dataset: Dataset, part: str, *, intervals: bool) -> Evaluation:
        """Score the whole model, from raw rows on, on one part."""
        rows, spec = dataset.parts[part], dataset.spec
        assert rows.target is not None
        truth = self.truth(spec, rows.target)
        prediction = self.decode(spec, self.output(model, rows.inputs))
        scores, bounds = evaluate(
            self.scores(spec), truth, prediction, weight=rows.weight, resamples=1000 if intervals else 0
        )
        return Evaluation(scores, bounds if intervals else {}, lambda: self.draw(spec, truth, prediction))

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Sequence[Baseline]:
        """Return scikit-learn's rivals at this level."""
        return [
            Baseline(rival.name, partial(self._run_rival, rival), rival.most_rows) for rival in self.estimators(level)
        ]

    def _monitor(self, dataset: Dataset) -> Monitor:
        spec = dataset.spec
        first: Score = self.scores(spec)[0]
        validation = dataset.parts.get("validation")
        weight = np.ones(len(validation)) if validation is not None else np.ones(1)
        if validation is not None and validation.weight is not None:
            weight = np.asarray(validation.weight)

        def score(target: np.ndarray, output: np.ndarray) -> float:
            truth = self.truth(spec, target.reshape(len(target)))
            return float(first.function(truth, self.decode(spec, output), weight[None])[0])

        return Monitor(PART_PREFIX["validation"] + first.name, first.direction, score)

    def _run_rival(self, rival: Rival, dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
        spec = dataset.spec
        scored: dict[str, Mapping[str, float]] = {}
        for part, (target, prediction) in run_estimator(rival, rival.make(seed), dataset).items():
            truth, values = self.truth(spec, target), self.decode(spec, prediction)
            weight = dataset.parts[part].weight
            scored[part], _ = evaluate(self.scores(spec), truth, values, weight=weight, resamples=0)
        return scored

    def _check_output(self, model: Any, spec: Spec) -> None:
        outputs = model.outputs if isinstance(model.outputs, (list, tuple)) else [model.outputs]
        width = self.output_width(spec)
        if len(outputs) != 1 or tuple(outputs[0].shape[1:]) != (width,):
            shapes = ", ".join(str(tuple(known.shape)) for known in outputs)
            raise UsageError(
                f"the model's output must have shape (None, {width}) for this target; it has {shapes}", where=model.name
            )


class _Vector:
    """A table's preparation for a network with a single nameless input."""

    def __init__(self, preparation: Any) -> None:
        self._preparation = preparation

    @property
    def digest(self) -> str:
        return str(self._preparation.digest)

    def raw_tensors(self) -> dict[str, Any]:
        return dict(self._preparation.raw_tensors())

    def model(self) -> Any:
        import keras

        named = self._preparation.model()
        return keras.Model(named.input, named.output["features"], name=named.name)


def _input_names(model: Any) -> list[str]:
    return [known.name for known in model.inputs]
