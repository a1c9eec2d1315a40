"""Figures of a search survive few trials, mixed hyperparameters, and scores that are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import assert_draws

from zoo.figures.searches import best_so_far, importances, parallel_coordinates, slices
from zoo.tuning.oracles.hyperparameter_importance import compute_importance

pytestmark = pytest.mark.filterwarnings("error")
RNG = np.random.default_rng(0)
MIXED: list[dict[str, Any]] = [
    {
        "units": int(2 ** RNG.integers(3, 9)),
        "rate": float(10 ** RNG.uniform(-4, -1)),
        "kind": "ab"[n % 2],
        "bias": n > 5,
    }
    for n in range(30)
]
SCORES = [trial["rate"] * 3 + 0.01 * (trial["kind"] == "a") for trial in MIXED]


@pytest.mark.parametrize("rows", [0, 1, 2, 30])
@pytest.mark.parametrize("direction", ["min", "max"])
def test_any_number_of_trials_is_drawn(rows: int, direction: str) -> None:
    trials, scores = MIXED[:rows], SCORES[:rows]
    names = ["rate", "units", "kind", "bias"]
    assert_draws(best_so_far(range(rows), scores, name="val_rmse", direction=direction))
    assert_draws(slices(trials, scores, names, name="val_rmse"))
    assert_draws(parallel_coordinates(trials, scores, names, name="val_rmse", direction=direction))


def test_the_best_so_far_passes_over_trials_without_a_score() -> None:
    figure = best_so_far([1, 2, 3, 4], [0.5, float("nan"), 0.7, 0.2], name="val_rmse", direction="min")
    assert figure.axes[0].lines[1].get_ydata().tolist() == [0.5, 0.5, 0.5, 0.2]
    assert_draws(figure)


def test_what_decides_the_score_matters_most() -> None:
    importances_ = compute_importance(MIXED, SCORES)
    assert next(iter(importances_)) == "rate"
    assert importances_["rate"][0] > 0.5
    assert importances_["rate"][0] > 3 * max(share for name, (share, _) in importances_.items() if name != "rate")
    assert all(0 <= share <= 1 and spread >= 0 for share, spread in importances_.values())
    assert_draws(importances(importances_))


def test_too_few_trials_or_nothing_that_varies_say_nothing() -> None:
    assert compute_importance(MIXED[:5], SCORES[:5]) == {}
    assert compute_importance([{"units": 1}] * 20, list(range(20))) == {}
    assert compute_importance([{"units": n, "extra": 1} if n % 2 else {"units": n} for n in range(20)], list(range(20)))
