"""Figures of comparisons survive one model, missing scores and long names; ties stand under one bar."""

from __future__ import annotations

import math

import pytest
from drawing import assert_draws

from zoo.figures.comparisons import critical_difference, scores_beside

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("count", [1, 2, 25])
def test_any_number_of_models_is_drawn(count: int) -> None:
    names = [f"a model with a name that is rather long {index}" for index in range(count)]
    means = [0.1 * index for index in range(count)]
    figure = scores_beside(
        names, means, [(mean - 0.1, mean + 0.1) for mean in means], [[mean, mean] for mean in means], score="rmse"
    )
    assert_draws(figure)
    assert_draws(critical_difference(dict(zip(names, means, strict=True)), 0.5, sources=3))


def test_what_is_unknown_is_left_out() -> None:
    assert_draws(scores_beside(["a"], [math.nan], [(math.nan, math.nan)], [[math.nan]], score="rmse", baselines=["a"]))


def test_ties_are_under_one_bar_and_none_is_inside_another() -> None:
    figure = critical_difference({"a": 1.0, "b": 1.5, "c": 2.2, "d": 4.0}, 1.0, sources=5)
    bars = [line.get_xdata().tolist() for line in figure.axes[0].lines if line.get_linewidth() == 4]
    assert [[round(x, 2) for x in bar] for bar in bars] == [[0.97, 1.53], [1.47, 2.23]]
