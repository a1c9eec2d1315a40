"""The adding problem: sequences whose target depends on two steps that lie far apart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zoo.data.examples.array_columns import SEQUENCE, convert_to_cells

SEQUENCES, STEPS = 6_000, 40
TARGET = "marked_sum"
_FIRST = 10  # the first marked step is among the first ten
_SEED = 0


def generate_adding_problem(sequences: int = SEQUENCES, steps: int = STEPS) -> pd.DataFrame:
    """Return sequences of two features, with a number that depends on two of their steps.

    The first feature is drawn from -1 to 1. The second marks two steps by 1, one of the first ten and one of the first
    half, and by -1 the first and the last step, unless they are marked by 1. The target is 0.5 plus a quarter of the
    sum of the two marked values, so it lies between 0 and 1; a model has to remember them until the end. See Hochreiter
    and Schmidhuber 1997, "Long short-term memory", section 5.4. Every call generates the same sequences.

    Args:
        sequences: Number of sequences.
        steps: Least number of steps T, at least 10; lengths are drawn from T to 1.1 T.

    Raises:
        ValueError: If there are fewer than 10 steps.

    Example:
        >>> generate_adding_problem().shape
        (6000, 2)
        >>> generate_adding_problem(steps=9)
        Traceback (most recent call last):
        ValueError: the adding problem needs at least 10 steps, not 9
    """
    if steps < _FIRST:
        raise ValueError(f"the adding problem needs at least {_FIRST} steps, not {steps}")
    generator = np.random.default_rng(_SEED)
    lengths = generator.integers(steps, steps + steps // 10 + 1, sequences)
    first = generator.integers(0, _FIRST, sequences)
    second = generator.integers(0, steps // 2 - 1, sequences)
    second += second >= first  # another step than the first
    cells, targets = [], []
    for length, *marked in zip(lengths, first, second, strict=True):
        values, marks = generator.uniform(-1, 1, length), np.zeros(length)
        marks[[0, -1]] = -1
        marks[marked] = 1
        cells.append(np.stack([values, marks], axis=1).astype(np.float32))
        targets.append(0.5 + values[marked].sum() / 4)
    return pd.DataFrame({SEQUENCE: convert_to_cells(cells), TARGET: targets})
