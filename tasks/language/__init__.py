"""Language: predict the next character or word of a text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence as Several
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from zoo.data.dataset import Dataset
from zoo.data.example_layouts import SequenceLayout
from zoo.data.layout import refuse_kinds_of_columns
from zoo.data.sources.read import Table
from zoo.data.table_dataset import create_table_dataset, encode_table
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TaskOptions
from zoo.metrics.metric import Metric
from zoo.models.built_model import BuiltModel
from zoo.spec import Spec, TextInput
from zoo.task import Baseline, Evaluation, OutputRules, Task
from zoo.training.preprocessed_arrays import convert_to_tensor, forward
from zoo.training.training_state import FitPlan, FitResult

from ._baselines import choose_baselines
from ._figures import draw_figures
from ._fit import fit_texts
from ._metrics import METRICS, score_texts
from ._network import BITS, NEXT
from ._texts import compute_unknown_bits, count_sizes, get_texts, list_tokens


class Options(TaskOptions):
    """Options of language models."""

    text: str | None = Field(None, description="column of texts; default the only one there is")
    unit: Literal["character", "word"] = Field("character", description="what is predicted: the next character or word")
    vocabulary: int | None = Field(
        None, ge=1, description="size of the vocabulary; default 1000 characters or 10000 words"
    )
    piece: int = Field(256, ge=2, description="tokens in training: longer texts are cut; scores are of whole texts")


class TextRules(OutputRules):
    """Predictions are ``prediction``, the most probable next token, and ``score``, the bits of the text."""

    def metrics(self) -> Several[Metric]:
        """Return the bits per character, which come first, and per token."""
        return METRICS

    def decoding(self) -> Mapping[str, Any]:
        """Return how the most probable next token is decoded from an output."""
        rule = {"kind": "choice", "of": NEXT, "column": "prediction", "probabilities": False, "score": BITS}
        return {**rule, "classes": list_tokens(self.spec)}


class Language(Task):
    """Prediction of the next character or word."""

    options = Options
    reads = ("text",)

    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset: one row for each text, without a target."""
        options = self.settings(job)
        for name in ("target", "positive"):
            if getattr(job, name):
                raise UsageError("a language model predicts the text itself; --text says which column", where=name)
        refuse_kinds_of_columns(job, "texts")
        layout = SequenceLayout(
            text=options.text, drop=job.drop, split=job.split_column, unit=options.unit, vocabulary=options.vocabulary
        ).layout()
        dataset = create_table_dataset(
            job, task=self.name, target_kind="none", layout=layout, options=options.model_dump(exclude_none=True)
        )
        if not dataset.spec.of_kind(TextInput):
            raise DataError("the source has sequences of numbers; language models need texts", where=str(job.source))
        bits = compute_unknown_bits(get_texts(dataset.splits["train"], dataset.spec), dataset.spec.only(TextInput))
        spec = dataclasses.replace(dataset.spec, options={**dataset.spec.options, "unknown_bits": bits})
        return dataclasses.replace(dataset, spec=spec)

    def rows(self, source: Any, spec: Spec) -> Table:
        """Return raw texts to predict."""
        return SequenceLayout.of_spec(spec).layout().read(source, [spec.only(TextInput).name])

    def arrays(self, frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
        """Return texts by key; there is no target."""
        inputs, _, _ = encode_table(frame, spec, SequenceLayout.of_spec(spec).layout())
        return {key: convert_to_tensor(values) for key, values in inputs.items()}, None, None

    def rules(self, spec: Spec) -> TextRules:
        """Return the metrics of texts, and how the next token is predicted."""
        return TextRules(spec)

    def adopt(self, model: Any, spec: Spec) -> BuiltModel:
        """Raise: a user's own model does not say what its output means."""
        raise UsageError(
            "a model of one's own cannot predict texts yet; take a model of the catalogue", where=model.name
        )

    def fit(self, built_model: BuiltModel, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train the network to predict each token from those before it."""
        return fit_texts(built_model, dataset, plan, cache)

    def output(self, model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``bits`` (N, 1) and the probabilities ``next`` (N, K) of N texts."""
        return dict(forward(model, inputs))

    def evaluate(self, model: Any, dataset: Dataset, split: str, *, intervals: bool) -> Evaluation:
        """Score the bits of the texts of one split."""
        rows, spec = dataset.splits[split], dataset.spec
        sizes = count_sizes(get_texts(rows, spec), spec)
        output = self.output(model, rows.inputs)
        scores, bounds = score_texts(sizes, output, rows.group, resamples=1000 if intervals else 0)
        return Evaluation(scores, bounds, lambda: draw_figures(model, rows, spec, sizes, output[BITS][:, 0]))

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Several[Baseline]:
        """Return n-gram models with back-off, and the frequencies of tokens."""
        return choose_baselines(level, spec)


TASK = Language("language", example="color_names")
