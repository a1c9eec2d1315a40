"""Numbers that overflow where they are squared or scaled are named, before a model learns from infinities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo

QUICK = {"epochs": 1, "baselines": "none", "figures": False, "quiet": True}


def table(column: str, value: float, row: int) -> pd.DataFrame:
    """Return a table with one large number."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=60), "z": rng.normal(size=60), "y": rng.normal(size=60)})
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize("row", [0, 3, 59])
@pytest.mark.parametrize("value", [1e300, -1e300, 1e31])
def test_a_target_that_is_too_large_is_named_in_whichever_split(workspace: Path, value: float, row: int) -> None:
    with pytest.raises(zoo.DataError, match=rf"column y, row {row + 1}: .*is too large"):
        zoo.train("regression/linear", table("y", value, row), target="y", **QUICK)


def test_a_feature_that_cannot_be_scaled_is_named(workspace: Path) -> None:
    frame = pd.concat([table("x", 1e300, 3)] * 5, ignore_index=True)  # so that training rows have one
    with pytest.raises(zoo.DataError, match=r"column x.*up to 1e\+300.* too large"):
        zoo.train("regression/linear", frame, target="y", **QUICK)


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"l2": 1e300}, "at most 3e38"),
        ({"units": 10**15}, "does not fit into memory"),
        ({"units": 10**6000}, "cannot be shown"),
    ],
)
def test_hyperparameters_that_are_too_large_are_named(
    workspace: Path, hyperparameters: dict[str, object], words: str
) -> None:
    with pytest.raises(zoo.ZooError, match=words):
        zoo.train("regression/mlp", table("x", 1, 0), target="y", hyperparameters=hyperparameters, **QUICK)
