"""The scores of numbers are scikit-learn's; constants and huge numbers do no harm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from zoo.metrics.metric import evaluate
from zoo.metrics.numbers import create_number_metrics, r2

pytestmark = pytest.mark.filterwarnings("error")
ONE = np.ones((1, 1))


@st.composite
def regressed(draw):
    n = draw(st.integers(2, 30))
    number = st.floats(-1e3, 1e3).map(lambda x: round(x, 2))
    truth, prediction = draw(arrays(float, n, elements=number)), draw(arrays(float, n, elements=number))
    return truth, prediction, draw(arrays(float, (2, n), elements=st.sampled_from([0.5, 1.0, 3.0])))


@settings(max_examples=80, deadline=None)
@given(data=regressed())
def test_every_score_is_sklearns(data):
    truth, prediction, weights = data
    rmse, mae, explained = (score.function(truth, prediction, weights) for score in create_number_metrics())
    for row, weight in enumerate(weights):
        close = {"rel": 1e-9, "abs": 1e-9}
        expected = metrics.root_mean_squared_error(truth, prediction, sample_weight=weight)
        assert rmse[row] == pytest.approx(expected, **close)
        assert mae[row] == pytest.approx(metrics.mean_absolute_error(truth, prediction, sample_weight=weight), **close)
        if np.ptp(truth) == 0:
            assert np.isnan(explained[row])
        else:
            assert explained[row] == pytest.approx(
                metrics.r2_score(truth, prediction, sample_weight=weight), rel=1e-6, abs=1e-9
            )


def test_r2_of_a_large_offset_keeps_its_digits():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=100)
    prediction = truth + generator.normal(size=100) / 2
    near = r2(truth, prediction, np.ones((1, 100)))
    np.testing.assert_allclose(r2(truth + 2.0**30, prediction + 2.0**30, np.ones((1, 100))), near, rtol=1e-6)


@pytest.mark.parametrize("value", [0.1, -3.0, 1e9, 1e200])
def test_constant_truth_has_no_r2(value):
    truth = np.full(7, value)
    assert np.isnan(r2(truth, truth * 1.5, np.random.default_rng(0).random((3, 7)))).all()


def test_draws_with_one_value_only_have_no_r2():
    truth = np.array([0.1, 0.2, 0.30001])
    weights = np.array([[3.0, 0.0, 0.0], [0.0, 0.7, 0.0], [1.0, 1.0, 0.0]])
    assert np.isnan(r2(truth, truth, weights)).tolist() == [True, True, False]


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_tiny_and_huge_numbers_neither_warn_nor_overflow(scale):
    truth, prediction = np.tile([0.0, 1.0, 2.0], 5) * scale, np.tile([0.0, 1.0, 3.0], 5) * scale
    values, intervals = evaluate(create_number_metrics(), truth, prediction, resamples=50)
    assert values["rmse"] == pytest.approx(np.sqrt(1 / 3) * scale)
    assert values["r2"] == pytest.approx(0.5)
    assert all(low <= values[name] <= high for name, (low, high) in intervals.items())


def test_error_beyond_all_bounds():
    values, _ = evaluate(create_number_metrics(), np.array([0.0, 1e-200]), np.array([1e200, 1.0]), resamples=20)
    assert values["r2"] == -np.inf


def test_one_row():
    values, intervals = evaluate(create_number_metrics(), np.array([1.0]), np.array([3.0]))
    assert (values["rmse"], values["mae"]) == (2.0, 2.0)
    assert np.isnan([values["r2"], *intervals["r2"]]).all()


def test_a_column_does_not_broadcast():
    with pytest.raises(ValueError, match=r"must both be \(N,\)"):
        evaluate(create_number_metrics(), np.zeros(3), np.zeros((3, 1)))
