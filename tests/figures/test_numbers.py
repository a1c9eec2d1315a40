"""Figures of numbers: what lies where, and inputs that leave nothing to scale by."""

import numpy as np
import pytest
from drawing import assert_draws
from matplotlib.collections import PathCollection

from zoo.figures.intervals import interval_coverage
from zoo.figures.numbers import predicted_against_true, residuals, residuals_by_input

pytestmark = pytest.mark.filterwarnings("error")
BOTH = pytest.mark.parametrize("draw", [predicted_against_true, residuals])


def test_prediction_is_up_and_truth_across():
    figure = predicted_against_true(np.array([1.0, 3.0]), np.array([2.0, 5.0]), name="price in EUR")
    axis = figure.axes[0]
    assert axis.collections[0].get_offsets().tolist() == [[1, 2], [3, 5]]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("true price in EUR", "predicted price in EUR")
    across, up = axis.lines[0].get_data()
    assert list(across) == list(up)
    assert axis.get_xlim() == axis.get_ylim()
    assert_draws(figure)


def test_residual_is_truth_less_prediction():
    figure = residuals(np.array([1.0, 3.0]), np.array([2.0, 5.0]), name="price in EUR")
    axis, beside = figure.axes
    assert axis.collections[0].get_offsets().tolist() == [[2, -1], [5, -2]]
    assert axis.get_ylabel() == "true minus predicted price in EUR"
    assert beside.get_xlabel() == "rows"
    assert [line.get_ydata()[0] for line in axis.lines] == [0, -1.5]
    assert axis.get_ylim()[0] < 0 < axis.get_ylim()[1]
    assert_draws(figure)


@BOTH
def test_cells_replace_points_beyond_two_thousand(draw):
    x = np.random.default_rng(0).normal(size=2001)
    points, cells = draw(x[:2000], x[:2000] / 2, name="y"), draw(x, x / 2, name="y")
    assert isinstance(points.axes[0].collections[0], PathCollection)
    assert cells.axes[0].collections[0].get_array().sum() == 2001
    assert_draws(cells)


@BOTH
@pytest.mark.parametrize(
    ("truth", "prediction"),
    [
        ([], []),
        ([1.0], [1.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([np.nan, np.inf, 1.0], [1.0, 1.0, 2.0]),
        ([np.nan], [np.nan]),
        ([1e9, 1e9 + 1], [1e9, 1e9 + 2]),
        ([-1e200, 1e200], [1e200, 0.0]),
        ([1e-200, 2e-200], [0.0, 1e-200]),
        ([5.0] * 3000, [5.0] * 3000),
        ([5.0] * 3000, [1e12] * 3000),
    ],
)
def test_odd_inputs(draw, truth, prediction):
    assert_draws(draw(np.array(truth), np.array(prediction), name="a $ name that does not end " * 5))


@BOTH
def test_rows_left_out_are_told(draw):
    figure = draw(np.array([1.0, np.nan]), np.array([1.0, 1.0]), name="y")
    assert "1 row (1 not finite, left out)" in figure.axes[0].get_title(loc="left")


@BOTH
def test_a_column_is_refused(draw):
    with pytest.raises(ValueError, match=r"must both be \(N,\)"):
        draw(np.zeros(3), np.zeros((3, 1)), name="y")


def test_residuals_lie_over_numbers_and_stand_in_boxes_over_categories():
    generator = np.random.default_rng(0)
    inputs = {
        "age": np.append(generator.normal(size=99), np.nan),
        "town": generator.choice(["Bern", "Köln", ""], 100),
        "floor": generator.integers(0, 3, 100),
        "price in $": generator.normal(size=100),
    }
    error = np.where(inputs["town"] == "Bern", 5.0, 0.0)
    error[0] = np.nan
    figure = residuals_by_input(error, inputs, name="rent")
    age, town, floor, price = figure.axes
    assert len(age.collections[0].get_offsets()) == 98
    assert {label.get_text() for label in town.get_xticklabels()} == {"Bern", "Köln", "missing"}
    assert {label.get_text() for label in floor.get_xticklabels()} == {"0", "1", "2"}
    assert len({panel.get_ylim() for panel in figure.axes}) == 1
    assert age.get_ylabel() == "true minus predicted\nrent"
    assert price.get_xlabel() == "price in \\$"
    assert_draws(figure)


@pytest.mark.parametrize("error", [[1.0], [np.nan, 2.0], [0.0] * 3000])
def test_residuals_over_inputs_that_leave_nothing_to_scale_by(error):
    values = {"one": np.ones(len(error)), "name": np.array([""] * len(error)), "far": np.arange(len(error)) * 1e12}
    assert_draws(residuals_by_input(np.array(error), values, name="y"))


def test_coverage_stands_over_what_was_asked_for():
    figure = interval_coverage([50, 90], [0.5, 0.8], [1.0, 2.5], n_rows=100, size="width in EUR")
    above, below = figure.axes
    observed = next(line for line in above.lines if line.get_label() == "observed")
    assert observed.get_xydata().tolist() == [[50, 50], [90, 80]]
    assert below.lines[0].get_xydata().tolist() == [[50, 1.0], [90, 2.5]]
    assert_draws(figure)
    assert_draws(interval_coverage([90], [1.0], [1.0], n_rows=1, size="classes in a set"))
