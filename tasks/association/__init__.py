"""Association: complete market baskets, find similar items and rules."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Several
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from zoo.data.dataset import Dataset
from zoo.data.layout import refuse_kinds_of_columns
from zoo.data.sources.read import Table
from zoo.data.table_dataset import create_table_dataset, encode_table
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.metrics.metric import Metric, evaluate
from zoo.models.built_model import BuiltModel
from zoo.portable.predict import decode_outputs
from zoo.spec import Spec, TextInput
from zoo.task import Baseline, Evaluation, OutputRules, Task
from zoo.training.preprocessed_arrays import convert_to_tensor, forward
from zoo.training.training_state import FitPlan, FitResult

from ._baselines import choose_baselines
from ._figures import draw_figures
from ._fit import check_learnable, fit_baskets
from ._hidden import hide_items
from ._metrics import find_ranks, list_metrics
from ._network import ITEMS, SCORES, UNSEEN_ITEMS
from ._options import REFUSES, Options, PredictOptions
from ._reading import BasketLayout
from ._rules import mine_rules_of


class BasketRules(OutputRules):
    """Predictions are ``prediction`` and ``score``, JSON lists by rank, and ``unseen``, the number of unknown items."""

    def metrics(self) -> Several[Metric]:
        """Return the hit rates and measures of the rank."""
        return list_metrics(self.spec)

    def decoding(self) -> Mapping[str, Any]:
        """Return how the best items are decoded from an output."""
        names = list(self.spec.only(TextInput).vocabulary)
        return {"kind": "ranking", "of": ITEMS, "scores": SCORES, "count": UNSEEN_ITEMS, "classes": names, "top": 10}


class Association(Task):
    """Completion of baskets."""

    options = Options
    predict_options = PredictOptions
    reads = ("baskets",)
    refuses = REFUSES

    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset: one row for each basket, without a target."""
        options = self.settings(job)
        refuse_kinds_of_columns(job, "baskets")
        layout = BasketLayout.of_job(job, options).layout()
        dataset = create_table_dataset(
            job, task=self.name, target_kind="none", layout=layout, options=options.model_dump(exclude_none=True)
        )
        check_learnable(dataset)
        if options.min_support is not None:  # the user learns at once that it is too low
            mine_rules_of(dataset)
        return dataset

    def rows(self, source: Any, spec: Spec) -> Table:
        """Return raw baskets to complete."""
        return BasketLayout.of_spec(spec).layout().read(source, ())

    def arrays(self, frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
        """Return baskets by key; there is no target."""
        inputs, _, _ = encode_table(frame, spec, BasketLayout.of_spec(spec).layout())
        return {key: convert_to_tensor(values) for key, values in inputs.items()}, None, None

    def rules(self, spec: Spec) -> BasketRules:
        """Return the metrics of completed baskets, and how the best items are predicted."""
        return BasketRules(spec)

    def adopt(self, model: Any, spec: Spec) -> BuiltModel:
        """Raise: a user's own model does not say how it ranks items."""
        message = "a model of one's own cannot complete baskets yet; take a model of the catalogue"
        raise UsageError(message, where=model.name)

    def fit(self, built_model: BuiltModel, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train the network to complete baskets; early stopping monitors the hit rate."""
        return fit_baskets(built_model, dataset, plan)

    def output(self, model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return codes of the best ``items`` and their ``scores`` (N, K), and the number of ``unseen`` ones (N, 1)."""
        return dict(forward(model, inputs))

    def predict(
        self, model: Any, spec: Spec, frame: pd.DataFrame, inputs: Mapping[str, Any], options: Any
    ) -> tuple[Any, pd.DataFrame]:
        """Return the raw output and the best items of each basket."""
        output = self.output(model, inputs)
        rule = {**self.rules(spec).decoding(), "top": options.top_k}
        return output, pd.DataFrame(decode_outputs(output, rule))

    def evaluate(self, model: Any, dataset: Dataset, split: str, *, intervals: bool) -> Evaluation:
        """Score the ranks of the hidden items of one split; its figures and tables show the rules of training."""
        metrics, rest = list_metrics(dataset.spec), hide_items(dataset.splits[split], dataset.spec)
        output = self.output(model, {dataset.spec.inputs[0].key: rest.texts})
        ranks = find_ranks(output[ITEMS], rest.hidden)
        scores, bounds = evaluate(metrics, ranks, ranks, group=rest.group, resamples=1000 if intervals else 0)
        rules = cache(lambda: mine_rules_of(dataset))
        return Evaluation(
            scores,
            bounds if intervals else {},
            lambda: draw_figures(rules(), ranks, rest.hidden, dataset),
            tables=lambda: {"rules": rules().rules, "item_sets": rules().item_sets},
        )

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Several[Baseline]:
        """Return popularity, item-to-item counts and EASE."""
        return choose_baselines(level, spec)


TASK = Association("association", example="composed_baskets")
