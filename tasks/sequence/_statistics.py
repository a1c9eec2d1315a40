"""Sequences as rows of fixed width, for classical estimators."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zoo.data.dataset import Split
from zoo.data.ragged import Ragged
from zoo.spec import CategoryInput, ColumnInput, NumberInput, SequenceInput, Spec
from zoo.supervised.classical_estimators import create_raw_frame


def compute_statistics(split: Split, spec: Spec) -> np.ndarray:
    """Return statistics of each sequence (N, 9 F + 1), and the columns beside it (N, D).

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
    return np.hstack([np.array(rows), *_encode_columns(split, spec)])


def _encode_columns(split: Split, spec: Spec) -> list[np.ndarray]:
    """Return the columns beside the sequences: numbers, whose missing values are the mean, and indicators (N, D)."""
    columns = Spec(spec.task, spec.of_kind(ColumnInput))
    frame = create_raw_frame(split, columns) if columns.inputs else pd.DataFrame()
    categories = {input_.key: input_.categories for input_ in spec.of_kind(CategoryInput) if not input_.ordered}
    means = {input_.key: input_.mean for input_ in spec.of_kind(NumberInput)}
    encoded = []
    for name in frame:
        if name in categories:
            encoded.append(np.asarray(frame[name].to_numpy()[:, None] == np.array(categories[name])[None], float))
        else:
            encoded.append(frame[[name]].fillna(means.get(str(name), 0.0)).to_numpy(float))
    return encoded
