"""Sequences as rows of fixed width, for classical estimators."""

from __future__ import annotations

import numpy as np

from zoo.data.dataset import Split
from zoo.data.ragged import Ragged
from zoo.spec import SequenceInput, Spec


def compute_statistics(split: Split, spec: Spec) -> np.ndarray:
    """Return statistics of each sequence (N, 9 F + 1).

    For each feature: mean, standard deviation, minimum, maximum, quartiles, first and last value; and the length.
    """
    input_ = spec.only(SequenceInput)
    sequences, mean = split.inputs[input_.key], np.array(input_.mean)
    assert isinstance(sequences, Ragged)
    rows = []
    for index in range(len(sequences)):
        steps = np.asarray(sequences.example(index), np.float64)
        steps = np.where(np.isnan(steps), mean, steps)
        quartiles = np.quantile(steps, [0.25, 0.5, 0.75], axis=0)
        splits = (steps.mean(0), steps.std(0), steps.min(0), steps.max(0), *quartiles, steps[0], steps[-1])
        rows.append(np.concatenate([*splits, [len(steps)]]))
    return np.array(rows)
