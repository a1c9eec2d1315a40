"""Which columns a model's predictions hang on most: told by shuffling each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.spec import Spec

_CELLS, _LEAST_ROWS, _MOST_ROWS, _MOST_COLUMNS = 20_000, 16, 256, 500
_SHOWN, _COLUMNS = ("number", "category"), ("number", "category", "date", "text")


def strongest_inputs(
    predict: Callable[[Mapping[str, Any]], np.ndarray], split: Split, spec: Spec, count: int = 6
) -> dict[str, np.ndarray]:
    """Return the raw values of the columns that predictions change most with, the strongest first.

    The columns of some rows are shuffled one at a time (Breiman 2001, "Random Forests", section 10), all in one call
    of the model; how far predictions move is the strength. No truth is looked at.

    Args:
        predict: Returns predictions (M, …) for raw inputs of M rows by key.
        part: The rows.
        spec: The schema; columns of numbers and categories count.
        count: How many columns to return.
    """
    names = list(dict.fromkeys(known.name for known in spec.inputs if known.kind in _SHOWN))[:_MOST_COLUMNS]
    if len(spec.inputs) < 2 or not names or any(known.kind not in _COLUMNS for known in spec.inputs):
        return {}
    generator = np.random.default_rng(0)
    rows = min(len(split), int(np.clip(_CELLS // len(names), _LEAST_ROWS, _MOST_ROWS)))
    sample = generator.permutation(len(split))[:rows]
    orders = {name: sample[generator.permutation(rows)] for name in names}
    shuffled = {  # a column's missing cells, which are an input of their own, go with it
        own.key: split.inputs[own.key][
            np.concatenate([sample, *(orders[name] if own.name == name else sample for name in names)])
        ]
        for own in spec.inputs
    }
    told = np.asarray(predict(shuffled), float).reshape(1 + len(names), rows, -1)
    moved = np.abs(told[1:] - told[0]).mean(axis=(1, 2))
    strongest = [names[place] for place in np.argsort(-moved, kind="stable")[:count] if moved[place] > 0]
    keys = {known.name: known.key for known in reversed(spec.inputs) if known.kind in _SHOWN}
    return {name: np.asarray(split.inputs[keys[name]]) for name in strongest}
