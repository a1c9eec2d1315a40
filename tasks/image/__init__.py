"""Pictures belong to one of two or more classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from zoo.data.dataset import Part
from zoo.data.example_layouts import picture_layout
from zoo.data.ragged import Ragged
from zoo.data.table_dataset import Layout, refuse_kinds_of_columns
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TaskOptions
from zoo.models.built_model import network_of
from zoo.preprocessing.images import PicturePreparation
from zoo.spec import Spec
from zoo.supervised.supervised_task import SupervisedTask

from ._rivals import rivals


class Options(TaskOptions):
    """What only pictures need."""

    size: int | None = Field(None, ge=4, description="height and width that pictures are brought to; default their own")


class ImageClassification(SupervisedTask):
    """Classes of pictures."""

    options = Options
    reads = ("pictures",)

    def layout(self, job: DataJob) -> Layout:
        """Return how the job's sources become pictures."""
        refuse_kinds_of_columns(job, "pictures")
        return picture_layout(self.settings(job).size, classes=True)

    def layout_of(self, spec: Spec) -> Layout:
        """Return how rows for a trained model become pictures."""
        return picture_layout()

    def standard(self, spec: Spec) -> PicturePreparation:
        """Return the preparation of pictures."""
        return PicturePreparation(spec)

    def takes(self, ranks: set[int]) -> bool:
        """Tell whether a model's inputs may be pictures."""
        return 4 in ranks

    def draw(self, model: Any, part: Part, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return the worst errors, and the filters of the first convolution where there is one."""
        from zoo.figures.images import filters, worst_errors

        pictures = part.inputs[spec.inputs[0].key]
        assert isinstance(pictures, Ragged)
        assert spec.target is not None
        wrong = np.flatnonzero(prediction.argmax(axis=1) != truth)
        worst = wrong[np.argsort(-prediction[wrong].max(axis=1), kind="stable")][:20]
        shown = [pictures.example(row) for row in worst]
        drawn = {"worst_errors": worst_errors(shown, truth[worst], prediction[worst], spec.target.classes)}
        layers = [layer for layer in network_of(model).layers if type(layer).__name__ == "Conv2D"]
        return {**drawn, "filters": filters(np.asarray(layers[0].kernel))} if layers else drawn


TASK = ImageClassification("image", example="digits", target_kind="class", estimators=rivals)
