"""Sequences: predict a class or a number from a text or a sequence of numbers of any length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Sequence_
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from zoo.data.dataset import Dataset, Split
from zoo.data.example_layouts import SequenceLayout
from zoo.data.layout import Layout, refuse_kinds_of_columns
from zoo.data.ragged import Ragged
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TaskOptions
from zoo.preprocessing.compose import preprocess_sequence
from zoo.preprocessing.input_preprocessing import InputPreprocessing
from zoo.spec import Spec, TextInput
from zoo.supervised.supervised_task import SupervisedTask

from ._baselines import choose_baselines


class Options(TaskOptions):
    """Options of sequence tasks."""

    series: str | None = Field(None, description="column of a long table that says which series a row belongs to")
    time: str | None = Field(None, description="column of a long table that orders the rows of a series")
    static: tuple[str, ...] = Field(
        (), description="column with one value for each sequence of numbers, read beside it; may be repeated"
    )
    text: str | None = Field(None, description="column of texts; default the only one there is")
    unit: Literal["character", "word"] | None = Field(None, description="what a text is cut into; default by the texts")
    vocabulary: int | None = Field(
        None, ge=1, description="size of the vocabulary; default 1000 characters or 10000 words"
    )
    kind: Literal["class", "number"] | None = Field(None, description="what the target is; default by its values")
    max_length: int | None = Field(None, ge=1, description="steps that are kept of a sequence; default all")

    @field_validator("static", mode="before")
    @classmethod
    def _as_names(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))

    @field_validator("unit", mode="before")
    @classmethod
    def _earlier_name(cls, value: Any) -> Any:
        return "character" if value == "letter" else value  # value in jobs of zoo 0.1.0


class Sequence(SupervisedTask):
    """Prediction of a class or a number from a sequence."""

    options = Options
    reads = ("sequences", "text")

    def layout(self, job: DataJob) -> Layout:
        """Return the layout that turns the job's sources into sequences."""
        refuse_kinds_of_columns(job, "sequences or texts")
        options_ = self.settings(job)
        return SequenceLayout(
            series=options_.series,
            time=options_.time,
            static=options_.static,
            text=options_.text,
            targets=job.target,
            drop=job.drop,
            split=job.split_column,
            unit=options_.unit,
            vocabulary=options_.vocabulary,
        ).layout()

    def layout_of(self, spec: Spec) -> Layout:
        """Return the layout that turns rows for a trained model into sequences."""
        return SequenceLayout.of_spec(spec).layout()

    def standard(self, spec: Spec) -> InputPreprocessing:
        """Return the standard preprocessing of sequences, and of the columns beside them."""
        return preprocess_sequence(spec)

    def takes(self, ranks: set[int]) -> bool:
        """Return whether a model's inputs may be sequences."""
        return 3 in ranks

    def strong_model(self, spec: Spec) -> str:
        """Return the model for texts or for numbers that needs few examples."""
        return "sequence/text" if spec.of_kind(TextInput) else "sequence/minirocket"

    def check_run(
        self, model: Any, dataset: Dataset, hyperparameters: Mapping[str, Any], history: Mapping[str, Sequence_[float]]
    ) -> tuple[Sequence_[Any], Mapping[str, Callable[[], Any]]]:
        """Return no findings, and a figure of the steps or words that validation predictions depend on."""
        from ._attribution_figures import draw_attributions
        from ._attributions import can_attribute

        rules = self.rules(dataset.spec)
        if not can_attribute(dataset, model):
            return (), {}
        draw = partial(draw_attributions, model, dataset, lambda inputs: rules.decode(self.output(model, inputs)))
        return (), {"integrated_gradients": draw}

    def draw(
        self, model: Any, split: Split, spec: Spec, truth: np.ndarray, prediction: np.ndarray
    ) -> Mapping[str, Any]:
        """Return a figure of the accuracy by length."""
        from zoo.figures.sequences import accuracy_by_length

        values = next(iter(split.inputs.values()))
        if not isinstance(values, Ragged) or values.uniform or prediction.ndim != 2:
            return {}
        return {"accuracy_by_length": accuracy_by_length(values.lengths, prediction.argmax(axis=1) == truth)}


TASK = Sequence("sequence", example="japanese_vowels", target_kind="either", estimators=choose_baselines)
