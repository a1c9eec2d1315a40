"""Latency of a model for one row."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.training.preprocessed_arrays import compile_model, convert_to_tensor, prepare_inputs

_CALLS, _WARM = 30, 3


def measure_latency(model: Any, dataset: Dataset) -> float:
    """Return the median time in milliseconds of the full model for one raw row, compiled and after warm-up."""
    split = next(iter(dataset.splits.values()))
    names = {tensor.name for tensor in model.inputs}
    row = prepare_inputs({key: values[:1] for key, values in split.inputs.items()})
    tensors = {key: convert_to_tensor(values) for key, values in row.items() if key in names}
    call, times = compile_model(model), []
    for _ in range(_WARM + _CALLS):
        began = time.perf_counter()
        call(tensors, training=False)
        times.append(time.perf_counter() - began)
    return float(np.median(times[_WARM:]) * 1000)
