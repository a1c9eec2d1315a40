"""A fitted model, with all that its run's page is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.data.dataset import Dataset
from zoo.fitting.model_builder import Candidate
from zoo.jobs.data_options import DataJob
from zoo.models.built_model import Pieces
from zoo.training.fit_loop import FitResult


@dataclass(frozen=True)
class Fitted:
    """A network that was trained, with all that its run's page is made from."""

    job: DataJob
    candidate: Candidate
    pieces: Pieces
    dataset: Dataset
    hyperparameters: Mapping[str, Any]
    result: FitResult


def judged_part(dataset: Dataset) -> str:
    """Return the part that a model is judged by: test, or without one validation, or without that the training part."""
    return next((part for part in ("test", "validation") if part in dataset.parts), "train")
