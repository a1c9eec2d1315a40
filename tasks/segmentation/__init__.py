"""Segmentation: predict the class of each pixel of an image."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Several
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from zoo.data.columns.encode import extract_inputs
from zoo.data.dataset import Dataset
from zoo.data.layout import refuse_kinds_of_columns
from zoo.data.sources.read import Table
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TaskOptions
from zoo.models.built_model import BuiltModel
from zoo.spec import Spec
from zoo.task import NEED_A_TARGET, Baseline, Evaluation, Task
from zoo.training.preprocessed_arrays import convert_to_tensor, prepare_inputs
from zoo.training.training_state import FitPlan, FitResult

from ._baselines import choose_baselines
from ._figures import describe_figures, draw_figures
from ._fit import fit_network
from ._mask_dataset import get_images, get_mask, read_dataset
from ._mask_metrics import count_confusion, score_confusions
from ._mask_reading import read_images
from ._predicting import MaskRules, get_raw_images, predict_classes, predict_probabilities, write_predictions

RESAMPLES = 1000


class Options(TaskOptions):
    """Options of segmentation."""

    ignore: int | None = Field(None, ge=0, le=255, description="value of masks that means no class; default none does")
    crop: int | None = Field(
        None, ge=8, description="side of the square crops in training; default the larger side of images, at most 128"
    )


class Segmentation(Task):
    """Segmentation of images."""

    options = Options
    reads = ("masks",)
    write_predictions = staticmethod(write_predictions)
    refuses = dict.fromkeys(NEED_A_TARGET, "all pixels that have a class count the same")

    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset, whose targets are masks."""
        refuse_kinds_of_columns(job, "images")
        return read_dataset(job, self.name, self.settings(job))

    def rows(self, source: Any, spec: Spec) -> Table:
        """Return images to predict."""
        return read_images(source)

    def arrays(self, frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
        """Return images by key, padded to one size; masks are not encoded."""
        inputs = extract_inputs(read_images(frame).frame, spec)
        return {key: convert_to_tensor(values) for key, values in prepare_inputs(inputs).items()}, None, None

    def rules(self, spec: Spec) -> MaskRules:
        """Return the metrics of masks, and how they are predicted."""
        return MaskRules(spec)

    def adopt(self, model: Any, spec: Spec) -> BuiltModel:
        """Raise: a user's own model does not say which sizes it takes."""
        raise UsageError("a model of one's own cannot segment yet; take a model of the catalogue", where=model.name)

    def fit(self, built_model: BuiltModel, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train the network on crops of the images."""
        return fit_network(built_model, dataset, plan)

    def output(self, model: Any, inputs: Mapping[str, Any]) -> np.ndarray:
        """Return probabilities (N, H, W, K) of N images; of several sizes an array (N,) of arrays (H, W, K)."""
        images = inputs["image"]
        outputs = np.empty(len(images), object)
        for row, values in predict_probabilities(model, images):
            outputs[row] = values
        return np.stack(list(outputs)) if len(outputs) and images.uniform else outputs

    def evaluate(self, model: Any, dataset: Dataset, split: str, *, intervals: bool) -> Evaluation:
        """Score the masks of one split."""
        rows, spec = dataset.splits[split], dataset.spec
        images, classes = get_images(rows, spec), len(spec.target.classes)
        predicted = predict_classes(model, images)
        masks = (get_mask(rows, row, size) for row, size in enumerate(images.sizes))
        confusions = np.array([count_confusion(*pair, classes) for pair in zip(masks, predicted, strict=True)])
        scores, bounds = score_confusions(confusions, dataset, split, resamples=RESAMPLES if intervals else 0)
        figures = partial(draw_figures, rows, spec, predicted, confusions)
        tables = partial(describe_figures, rows, spec, confusions)
        return Evaluation(scores, bounds if intervals else {}, figures, tables=tables)

    def predict(
        self, model: Any, spec: Spec, frame: pd.DataFrame, inputs: Mapping[str, Any], options: Any
    ) -> tuple[Any, pd.DataFrame]:
        """Return the classes of pixels, and the predicted masks."""
        classes = predict_classes(model, get_raw_images(inputs, spec))
        return classes, self.rules(spec).predictions(np.array([*classes, None], object)[:-1])

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Several[Baseline]:
        """Return the baselines of a level."""
        return choose_baselines(level, spec)


TASK = Segmentation("segmentation", example="digit_scenes")
