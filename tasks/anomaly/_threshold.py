"""The threshold on the score from which a row is called anomalous."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.task import Calibration

from ._layers import SCORE


def find_threshold(scores: np.ndarray, alarm_rate: float) -> float:
    """Return the threshold that a further row like these exceeds with at most the given probability.

    It is the conformal quantile of the scores (Laxhammar and Falkman 2010, "Conformal prediction for distribution-
    independent anomaly detection in streaming vessel data"), or the highest score if there are too few rows.

    Args:
        scores: (N,) scores of rows that trained nothing.
        alarm_rate: Between 0 and 1.

    Example:
        >>> find_threshold(np.arange(1.0, 100.0), 0.1)
        90.0
    """
    rank = math.ceil((len(scores) + 1) * (1 - alarm_rate) - 1e-9)
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def choose_threshold(score_inputs: Callable[[Mapping[str, Any]], Mapping[str, Any]], dataset: Dataset) -> Calibration:
    """Return the threshold for the stated alarm rate, in the spec's options.

    Args:
        score_inputs: Function from inputs by key to the model's output.
        dataset: The data; validation rows choose, or training rows if there are none. Labels are not used.
    """
    split = "validation" if "validation" in dataset.splits else "train"
    rate = float(dataset.spec.options["alarm_rate"])
    scores = np.asarray(score_inputs(dataset.splits[split].inputs)[SCORE], float)[:, 0]
    threshold = find_threshold(scores, rate)
    note = f"rows with a score above {threshold:.4g} are called anomalous: {rate:.3g} of rows like the {split} rows"
    if (len(scores) + 1) * rate < 1:
        note += f"; with only {len(scores)} of them it is their highest score, and the alarm rate is less certain"
    spec = dataclasses.replace(dataset.spec, options={**dataset.spec.options, "threshold": threshold})
    return Calibration(spec, facts={"threshold": threshold}, notes=(note,))
