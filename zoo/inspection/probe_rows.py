"""A few preprocessed rows to look into a network with."""

from __future__ import annotations

import numpy as np

from zoo.calibration.fit_calibration import select_rows
from zoo.data.dataset import Split
from zoo.models.built_model import BuiltModel
from zoo.training.preprocessed_arrays import Arrays, keep_raw_arrays, preprocess


def choose_rows(count: int, most: int) -> np.ndarray:
    """Return a random sample of row numbers in ascending order, the same on every call.

    Example:
        >>> choose_rows(3, 5).tolist()
        [0, 1, 2]
    """
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def preprocess_sample(built_model: BuiltModel, split: Split, rows: int) -> Arrays:
    """Return a random sample of a split, preprocessed as the network takes it.

    Args:
        built_model: Network and preprocessing.
        split: Raw rows in memory.
        rows: Maximum number of rows.
    """
    few = select_rows(split, choose_rows(len(split), rows))
    if built_model.preprocessing_model is None:
        return keep_raw_arrays(few, {tensor.name for tensor in built_model.network.inputs})
    return preprocess(built_model.preprocessing_model, few)
