"""A fitted model, with all that its run's page is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.data.dataset import Dataset
from zoo.fitting.model_builder import ModelBuilder
from zoo.jobs.data_options import DataJob
from zoo.models.built_model import BuiltModel
from zoo.training.fit_loop import FitResult


@dataclass(frozen=True)
class Fitted:
    """A network that was trained, with all that its run's page is made from."""

    job: DataJob
    builder: ModelBuilder
    built_model: BuiltModel
    dataset: Dataset
    hyperparameters: Mapping[str, Any]
    result: FitResult


def evaluated_split(dataset: Dataset) -> str:
    """Return the part that a model is judged by: test, or without one validation, or without that the training part."""
    return next((split for split in ("test", "validation") if split in dataset.splits), "train")
