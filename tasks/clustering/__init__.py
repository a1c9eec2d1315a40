"""Clustering: group table rows or images without labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence as Several
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from zoo.data.columns.encode import find_text_columns
from zoo.data.dataset import Dataset
from zoo.data.sources.read import Table
from zoo.data.table_dataset import create_table_dataset, encode_table
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.models.built_model import BuiltModel
from zoo.networks.autoencoder import CLUSTER, LATENT
from zoo.spec import Spec
from zoo.task import Baseline, Evaluation, Task
from zoo.training.preprocessed_arrays import convert_to_tensor, forward, prepare_inputs
from zoo.training.training_state import FitPlan, FitResult

from ._baselines import BASELINES, FITTED_ROWS, run_baseline
from ._description import Description
from ._fit import fit_clusters
from ._hierarchy import join_clusters
from ._metrics import Judge
from ._number import choose_number, set_number
from ._predicting import ClusterRules, PredictOptions, predict_merged
from ._reading import ROWS, Options, check_enough, describe_rows, sample_rows


class Clustering(Task):
    """Clustering of table rows or images."""

    options = Options
    predict_options = PredictOptions
    reads = ("table", "images")

    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset; its targets are labels for scoring, if there are any."""
        options_ = self.settings(job)
        for name in ("target", "positive"):
            if getattr(job, name):
                raise UsageError("clustering predicts no column; --labels COLUMN scores by one", where=name)
        describe = partial(describe_rows, size=options_.size, column=job.column, missing=job.missing)
        layout, options = dataclasses.replace(ROWS, describe=describe), options_.model_dump(exclude_none=True)
        dataset = create_table_dataset(
            job, task=self.name, target_kind="none", layout=layout, options=options, labels=options_.labels
        )
        check_enough(dataset, options_.clusters or 2)
        return dataset if options_.clusters else set_number(dataset, choose_number(dataset))

    def rows(self, source: Any, spec: Spec) -> Table:
        """Return raw rows to assign to clusters."""
        return ROWS.read(source, find_text_columns(spec))

    def arrays(self, frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
        """Return inputs by key of raw rows; there is no target."""
        inputs, _, _ = encode_table(frame, spec, ROWS)
        return {key: convert_to_tensor(values) for key, values in prepare_inputs(inputs).items()}, None, None

    def rules(self, spec: Spec) -> ClusterRules:
        """Return the metrics of clusters, and how they are predicted."""
        return ClusterRules(spec)

    def adopt(self, model: Any, spec: Spec) -> BuiltModel:
        """Raise: a user's own model does not say what to cluster by."""
        raise UsageError("a model of one's own cannot cluster yet; take a model of the catalogue", where=model.name)

    def fit(self, built_model: BuiltModel, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train the autoencoder, then fit the mixture to its latent vectors."""
        result = fit_clusters(built_model, dataset, plan, cache)
        split = "validation" if "validation" in dataset.splits else "train"
        scores = self.evaluate(built_model.full_model(), dataset, split, intervals=False).scores
        result.scores = {self.objective_prefix + name: value for name, value in scores.items()}
        return result

    def output(self, model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``cluster`` (N, K), ``latent`` (N, L), ``reconstruction`` and ``error`` (N, 1) of N rows."""
        return dict(forward(model, inputs))

    def evaluate(self, model: Any, dataset: Dataset, split: str, *, intervals: bool) -> Evaluation:
        """Score the clusters of one split; for stability, the mixture is fitted again on resampled training rows."""
        layer = model.get_layer("network").get_layer(CLUSTER)
        output = self.output(model, dataset.splits[split].inputs)
        train = self.output(model, sample_rows(dataset.splits["train"]))
        judge = Judge(dataset.spec.options["clusters"], layer.kind, intervals=intervals)
        scores, bounds = judge.scores(train[LATENT], output[LATENT], output[CLUSTER], dataset, split)
        description = Description(dataset, split, output, train[LATENT], train[CLUSTER].argmax(axis=1), layer.means)
        return Evaluation(scores, bounds, lambda: description.draw(model), tables=description.tables)

    def predict(
        self, model: Any, spec: Spec, frame: pd.DataFrame, inputs: Mapping[str, Any], options: Any
    ) -> tuple[Any, pd.DataFrame]:
        """Return the raw output and the clusters of raw rows, merged into coarser ones on request."""
        output = self.output(model, inputs)
        if options.cut is None:
            return output, self.rules(spec).predictions(output)
        merged = join_clusters(np.asarray(model.get_layer("network").get_layer(CLUSTER).means), options.cut)
        return output, predict_merged(output[CLUSTER], merged)

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Several[Baseline]:
        """Return the classical clustering baselines of a level, on raw columns or pixels."""
        rows = FITTED_ROWS
        return [Baseline(n, partial(run_baseline, n), most, fitted_rows=rows.get(n)) for n, most in BASELINES[level]]


TASK = Clustering("clustering", example="digits")
