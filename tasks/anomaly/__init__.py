"""Anomaly detection: score table rows by how unlike the mostly normal training rows they are."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Several
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from zoo.data.columns.encode import find_text_columns
from zoo.data.dataset import Dataset
from zoo.data.layout import COLUMNS
from zoo.data.sources.read import Table
from zoo.data.table_dataset import encode_table
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TaskOptions
from zoo.metrics.intervals import FRACTION, Interval
from zoo.metrics.metric import Metric
from zoo.models.built_model import BuiltModel
from zoo.spec import Spec
from zoo.task import Baseline, Calibration, Evaluation, OutputRules, Task
from zoo.training.preprocessed_arrays import convert_to_tensor, forward, prepare_inputs
from zoo.training.training_state import FitPlan, FitResult

from ._baselines import BASELINES, FITTED_ROWS, run_baseline
from ._figures import draw_figures
from ._fit import fit_network
from ._layers import CONTRIBUTIONS, SCORE
from ._metrics import ALARM_RATE, create_metrics, score_rows
from ._reading import read_dataset
from ._threshold import choose_threshold


class Options(TaskOptions):
    """Options of anomaly detection."""

    labels: str | None = Field(
        None, description="column that says which rows are anomalies, for scoring only: nothing learns from it"
    )
    alarm_rate: float = Field(
        0.01, gt=0, lt=1, description="fraction of rows like those of the validation split to call anomalous"
    )


class AnomalyRules(OutputRules):
    """Predictions are ``prediction`` (1 for an anomaly, else 0), ``score`` and ``columns``, which made it high."""

    def metrics(self) -> Several[Metric]:
        """Return the loss, which comes first, and, if there are labels, the scores against them."""
        return create_metrics("labels" in self.spec.options)

    def limits(self) -> dict[str, Interval]:
        """Return the limits of the metrics, and of the rate of alarms."""
        return {**super().limits(), ALARM_RATE: FRACTION}

    def decoding(self) -> Mapping[str, Any]:
        """Return how anomalies are decoded from an output."""
        names = list(dict.fromkeys(self.spec.options.get("columns", ())))
        threshold = self.spec.options.get("threshold")
        return {"kind": "alarm", "of": SCORE, "threshold": threshold, "parts": CONTRIBUTIONS, "columns": names}


class Anomaly(Task):
    """Anomaly detection in tables."""

    options = Options
    comparison = create_metrics(labelled=True)[1]
    no_comparison = "losses of different models mean different things: --labels COLUMN compares them by pr_auc"

    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset; its targets are labels for scoring, if there are any: 1 for an anomaly."""
        return read_dataset(job, self.name, self.settings(job))

    def rows(self, source: Any, spec: Spec) -> Table:
        """Return raw rows to score."""
        return COLUMNS.read(source, find_text_columns(spec))

    def arrays(self, frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
        """Return inputs by key of raw rows; there is no target."""
        inputs, _, _ = encode_table(frame, spec)
        return {key: convert_to_tensor(values) for key, values in prepare_inputs(inputs).items()}, None, None

    def rules(self, spec: Spec) -> AnomalyRules:
        """Return the metrics of anomaly scores, and how anomalies are predicted."""
        return AnomalyRules(spec)

    def adopt(self, model: Any, spec: Spec) -> BuiltModel:
        """Raise: a user's own model does not say how it scores anomalies."""
        message = "a model of one's own cannot score anomalies yet; take a model of the catalogue"
        raise UsageError(message, where=model.name)

    def fit(self, built_model: BuiltModel, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train the network on the preprocessed rows; early stopping monitors the validation loss."""
        return fit_network(built_model, dataset, plan, cache)

    def output(self, model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the ``score`` (N, 1) and the ``contributions`` (N, C) of the columns to it, of N rows."""
        return dict(forward(model, inputs))

    def evaluate(self, model: Any, dataset: Dataset, split: str, *, intervals: bool) -> Evaluation:
        """Return the loss, the fraction of alarms and the scores against the labels of one split."""
        output = self.output(model, dataset.splits[split].inputs)
        scores, bounds = score_rows(output, dataset, split, intervals=intervals)
        return Evaluation(scores, bounds, lambda: draw_figures(dataset, split, output))

    def calibrate(self, built_model: BuiltModel, dataset: Dataset, job: DataJob) -> Calibration:
        """Return the threshold for the stated alarm rate, chosen on validation rows."""
        return choose_threshold(partial(self.output, built_model.full_model()), dataset)

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Several[Baseline]:
        """Return the classical detectors of a level; without labels nothing scores them."""
        names = BASELINES[level] if "labels" in spec.options else ()
        return [Baseline(name, partial(run_baseline, name), fitted_rows=FITTED_ROWS.get(name)) for name in names]


TASK = Anomaly("anomaly", example="breast_cancer")
