"""Image classification: predict which of two or more classes an image belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from pydantic import Field

from zoo.data.dataset import Dataset, Split
from zoo.data.example_layouts import create_image_layout
from zoo.data.layout import Layout, refuse_kinds_of_columns
from zoo.data.ragged import Ragged
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TaskOptions
from zoo.models.built_model import find_network
from zoo.preprocessing.images import ImagePreprocessing
from zoo.spec import ImageInput, Spec
from zoo.supervised.supervised_task import SupervisedTask

from ._baselines import choose_baselines

MOST_MAPPED = 3  # images whose feature maps are drawn


class Options(TaskOptions):
    """Options of image classification."""

    size: int | None = Field(None, ge=4, description="height and width that images are brought to; default their own")


class ImageClassification(SupervisedTask):
    """Classification of images."""

    options = Options
    reads = ("images",)

    def layout(self, job: DataJob) -> Layout:
        """Return the layout that turns the job's sources into images."""
        refuse_kinds_of_columns(job, "images")
        return create_image_layout(self.settings(job).size, classes=True)

    def layout_of(self, spec: Spec) -> Layout:
        """Return the layout that turns rows for a trained model into images."""
        return create_image_layout()

    def standard(self, spec: Spec) -> ImagePreprocessing:
        """Return the standard preprocessing of images."""
        return ImagePreprocessing(spec)

    def takes(self, ranks: set[int]) -> bool:
        """Return whether a model's inputs may be images."""
        return 4 in ranks

    def check_run(
        self, model: Any, dataset: Dataset, hyperparameters: Mapping[str, Any], history: Mapping[str, Sequence[float]]
    ) -> tuple[Sequence[Any], Mapping[str, Callable[[], Any]]]:
        """Return a warning if augmentation makes classes look alike, and figures that explain validation errors."""
        from ._confusions import describe_confusions, draw_confusions, find_confusions
        from ._explanations import can_explain, draw_nearest, draw_occlusion

        drawings: dict[str, Callable[[], Any]] = {}
        rules = self.rules(dataset.spec)
        if can_explain(dataset, model):
            # Predicted once, and only if the figures are drawn.
            predict = cache(lambda: rules.decode(self.output(model, dataset.splits["validation"].inputs)))
            drawings["nearest_training_images"] = lambda: draw_nearest(model, dataset, predict())
            drawings["occlusion_maps"] = lambda: draw_occlusion(model, dataset, predict())
        confusions = find_confusions(dataset, hyperparameters)
        if not confusions:
            return (), drawings
        classes = dataset.spec.target.classes
        drawings["augmentation_changes_classes"] = partial(draw_confusions, confusions, classes)
        return describe_confusions(confusions, classes), drawings

    def draw(
        self, model: Any, split: Split, spec: Spec, truth: np.ndarray, prediction: np.ndarray
    ) -> Mapping[str, Any]:
        """Return figures of the worst errors and, if there are convolutions, of filters and feature maps."""
        from zoo.figures.images import feature_maps, filters, list_errors, worst_errors

        from ._feature_maps import compute_feature_maps

        images = split.inputs[spec.only(ImageInput).key]
        assert isinstance(images, Ragged)
        drawn, shown = {}, np.arange(min(len(split), MOST_MAPPED))
        if spec.has_classes:
            worst = list_errors(truth, prediction)[:20]
            errors = [images.example(row) for row in worst]
            drawn["worst_errors"] = worst_errors(errors, truth[worst], prediction[worst], spec.target.classes)
            shown = np.sort(np.unique(truth, return_index=True)[1])[:MOST_MAPPED]  # one image of each class
        maps = compute_feature_maps(model, {key: values[shown] for key, values in split.inputs.items()})
        if maps:
            drawn["feature_maps"] = feature_maps([images.example(int(row)) for row in shown], maps)
        layers = [layer for layer in find_network(model).layers if type(layer).__name__ == "Conv2D"]
        return {**drawn, "filters": filters(np.asarray(layers[0].kernel))} if layers else drawn


TASK = ImageClassification("image", example="digits", target_kind="class", estimators=choose_baselines)
