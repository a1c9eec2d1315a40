"""What the output of a clustering means: its metrics and predictions, also of coarser clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from zoo.jobs.fit_options import TaskOptions
from zoo.metrics.clusters import cluster_scores
from zoo.metrics.metric import Metric
from zoo.task import OutputRules


class PredictOptions(TaskOptions):
    """Options of prediction."""

    cut: int | None = Field(None, ge=2, description="number of coarser clusters that the model's are merged into")


class ClusterRules(OutputRules):
    """Predictions are ``probability_<cluster>`` of each cluster and the most probable ``cluster``."""

    def metrics(self) -> Sequence[Metric]:
        """Return stability, which comes first, silhouette and, if there are labels, the scores against them."""
        return cluster_scores("labels" in self.spec.options)

    def decoding(self) -> Mapping[str, Any]:
        """Return how the most probable cluster is decoded from an output."""
        named = list(range(self.spec.options["clusters"]))
        return {"kind": "choice", "of": "cluster", "column": "cluster", "classes": named, "probabilities": True}


def predict_merged(probabilities: np.ndarray, merged: np.ndarray) -> pd.DataFrame:
    """Return the predictions of coarser clusters: the one that holds a row's cluster, and the sums of probabilities.

    Args:
        probabilities: Probabilities of the K clusters (N, K).
        merged: Coarser cluster of each of them (K,).

    Example:
        >>> predict_merged(np.array([[0.4, 0.3, 0.3]]), np.array([0, 1, 1])).to_dict("records")
        [{'probability_0': 0.4, 'probability_1': 0.6, 'cluster': 0}]
    """
    sums = probabilities @ np.eye(merged.max() + 1)[merged]
    table = pd.DataFrame(sums, columns=[f"probability_{cluster}" for cluster in range(sums.shape[1])])
    # Not the largest sum, which for few rows is another one: clusters would not lie inside the coarser ones.
    return table.assign(cluster=merged[probabilities.argmax(axis=1)])
