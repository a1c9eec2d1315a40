"""Figures of a clustering: map of the latent space, cluster sizes and reconstructions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.models.built_model import split_model
from zoo.spec import ImageInput, NumberInput
from zoo.training.preprocessed_arrays import preprocess

from ._metrics import compute_reference_features


def draw_figures(dataset: Dataset, split: str, output: Mapping[str, np.ndarray], model: Any) -> dict[str, Any]:
    """Return the figures of one split, by name.

    Args:
        dataset: The data.
        split: Name of the split.
        output: The model's outputs for the split's rows.
        model: The model, which provides the preprocessing for reconstructions.
    """
    from zoo.figures.clusters import cluster_sizes, column_errors, latent_map, project_to_plane, reconstructions

    rows, spec = dataset.splits[split], dataset.spec
    assigned = output["cluster"].argmax(axis=1)
    drawn = {
        "latent_map": latent_map(
            project_to_plane(output["latent"]), assigned, labels=rows.target, names=dataset.labels
        ),
        "cluster_sizes": cluster_sizes(assigned, spec.options["clusters"]),
    }
    if spec.of_kind(ImageInput):
        image = spec.only(ImageInput)
        few = np.arange(min(10, len(rows)))
        reconstruction = output["reconstruction"][few] * np.array(image.std) + np.array(image.mean)
        original = compute_reference_features(rows, spec, few).reshape(reconstruction.shape) * np.max(image.std)
        return {**drawn, "reconstructions": reconstructions(original, reconstruction)}
    numbers = [column.name for column in spec.of_kind(NumberInput)]
    if numbers:  # they come first among the preprocessed columns
        preprocessing = split_model(model).preprocessing
        assert preprocessing is not None
        wanted = preprocess(preprocessing.model(), rows).x["features"][:, : len(numbers)]
        spread = np.maximum(wanted.var(axis=0), 1e-12)
        errors = np.square(wanted - output["reconstruction"][:, : len(numbers)]).mean(axis=0) / spread
        drawn["column_errors"] = column_errors(numbers, errors)
    return drawn
