"""Permutation importance: the columns on which predictions depend most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.spec import Spec

_CELLS, _LEAST_ROWS, _MOST_ROWS, _MOST_COLUMNS = 20_000, 16, 256, 500
_SHOWN, _COLUMNS = ("number", "category"), ("number", "category", "date", "text")


def select_strongest_inputs(
    predict: Callable[[Mapping[str, Any]], np.ndarray], split: Split, spec: Spec, count: int = 6
) -> dict[str, np.ndarray]:
    """Return the raw values of the most important columns, the most important first.

    The columns of some rows are permuted one at a time (Breiman 2001, "Random Forests", section 10), all in one call of
    the model; importance is the mean change of predictions. The target is not used.

    Args:
        predict: Returns predictions (M, …) for raw inputs of M rows by key.
        split: The rows.
        spec: The spec; only numeric and categorical columns are considered.
        count: Maximum number of columns to return.
    """
    names = list(dict.fromkeys(input_.name for input_ in spec.inputs if input_.kind in _SHOWN))[:_MOST_COLUMNS]
    if len(spec.inputs) < 2 or not names or any(input_.kind not in _COLUMNS for input_ in spec.inputs):
        return {}
    generator = np.random.default_rng(0)
    rows = min(len(split), int(np.clip(_CELLS // len(names), _LEAST_ROWS, _MOST_ROWS)))
    sample = generator.permutation(len(split))[:rows]
    orders = {name: sample[generator.permutation(rows)] for name in names}
    shuffled = {  # an input that indicates missing values is permuted with its column
        input_.key: split.inputs[input_.key][
            np.concatenate([sample, *(orders[name] if input_.name == name else sample for name in names)])
        ]
        for input_ in spec.inputs
    }
    predictions = np.asarray(predict(shuffled), float).reshape(1 + len(names), rows, -1)
    change = np.abs(predictions[1:] - predictions[0]).mean(axis=(1, 2))
    strongest = [names[place] for place in np.argsort(-change, kind="stable")[:count] if change[place] > 0]
    keys = {input_.name: input_.key for input_ in reversed(spec.inputs) if input_.kind in _SHOWN}
    return {name: np.asarray(split.inputs[keys[name]]) for name in strongest}
