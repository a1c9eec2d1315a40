"""Columns of categories none of whose values occurred in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import MISSING
from zoo.errors import join_first
from zoo.portable.preprocessing import split_into_tokens
from zoo.spec import CategoryInput, Spec, TextInput

MOST_QUOTED = 5


def find_unseen(inputs: Mapping[str, Any], spec: Spec) -> Iterator[tuple[str, str, str]]:
    """Yield each column that has values, none of which occurred in training: its name, its values, those of training.

    Args:
        inputs: Raw values by key, N each.
        spec: The description of the training rows.

    Example:
        >>> spec = Spec("regression", (CategoryInput("flag", "flag", categories=("red", "blue")),))
        >>> list(find_unseen({"flag": np.array(["green", ""])}, spec))
        [('flag', "'green'", "'red', 'blue'")]
    """
    for input_ in spec.inputs:
        if isinstance(input_, CategoryInput) and input_.categories:
            seen = input_.categories
            present = _present(inputs[input_.key])
            is_unseen = bool(present) and not any(value in seen for value in present)  # the first one usually is
        elif isinstance(input_, TextInput) and input_.idf:
            seen = input_.vocabulary
            present = _present(inputs[input_.key])
            is_unseen = bool(present) and not any(
                word in seen for text in present for word in split_into_tokens(text, input_.unit)
            )
        else:
            continue
        if is_unseen:
            yield input_.name, _quote(present), _quote(seen)


def _present(values: Any) -> list[str]:
    if isinstance(values, pd.Categorical):
        return [str(values.categories[code]) for code in np.unique(values.codes) if values.categories[code] != MISSING]
    return [str(value) for value in dict.fromkeys(values.tolist()) if value != MISSING]


def _quote(values: Any) -> str:
    return join_first([repr(value) for value in values], MOST_QUOTED)
