"""The confusion matrix counts right, the reliability diagram bins right, and both draw odd inputs."""

import numpy as np
import pytest
from drawing import assert_draws

from zoo.figures.classes import confusion_matrix, reliability

pytestmark = pytest.mark.filterwarnings("error")


def test_cells_are_counts_and_shares_of_the_true_class():
    figure = confusion_matrix(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), ["no", "yes"])
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["2\n67 %", "1\n33 %", "0\n0 %", "1\n100 %"]
    np.testing.assert_allclose(axis.images[0].get_array(), [[2 / 3, 1 / 3], [0, 1]])
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "true class")
    assert [label.get_text() for label in axis.get_xticklabels()] == ["no", "yes"]
    assert "75.0 % of 4 rows" in axis.get_title(loc="left")
    assert_draws(figure)


@pytest.mark.parametrize("k", [1, 2, 20, 21, 40, 150])
def test_numbers_only_where_there_is_room(k):
    generator = np.random.default_rng(0)
    truth, called = generator.integers(0, k, (2, 500))
    figure = confusion_matrix(truth, called, [f"a rather long name of class ${index}$" for index in range(k)])
    assert len(figure.axes[0].texts) == (k * k if k <= 20 else 0)
    assert len(figure.axes[0].get_xticks()) <= 60
    assert_draws(figure)


def test_classes_that_never_occur_and_no_rows():
    nothing = np.zeros(0, int)
    assert_draws(confusion_matrix(nothing, nothing, ["a", "b", "c"]))
    assert_draws(confusion_matrix(np.array([2]), np.array([1]), ["a", "b", "c"]))


def test_many_rows_fit_into_cells():
    truth = np.repeat([0, 1], [1_250_000, 123_456])
    texts = [text.get_text() for text in confusion_matrix(truth, truth, ["a", "b"]).axes[0].texts]
    assert texts == ["1.25M\n100 %", "0\n0 %", "0\n0 %", "123k\n100 %"]


def points_of(figure):
    return np.stack(figure.axes[0].containers[0].lines[0].get_data())


def test_reliability_has_fifteen_bins_of_equal_mass():
    generator = np.random.default_rng(0)
    p = generator.random(1500)
    truth = (generator.random(1500) < p).astype(int)
    figure = reliability(truth, np.stack([1 - p, p], axis=1))
    sure, share = points_of(figure)
    assert len(sure) == 15
    np.testing.assert_allclose(sure, np.sort(np.maximum(p, 1 - p)).reshape(15, 100).mean(axis=1))
    np.testing.assert_allclose(sure, share, atol=0.15)
    assert sum(patch.get_height() for patch in figure.axes[1].patches) == 1500
    assert "1,500 rows" in figure.axes[0].get_title(loc="left")
    assert_draws(figure)


def test_ties_share_a_bin():
    truth = np.array([0] * 8 + [1] * 2)
    sure, share = points_of(reliability(truth, np.tile([1.0, 0.0], (10, 1))))
    assert (sure.tolist(), share.tolist()) == ([1.0], [0.8])


@pytest.mark.parametrize(
    "probabilities",
    [
        np.array([[0.3, 0.7]]),
        np.eye(2)[[0, 1, 1]],
        np.full((5, 40), 1 / 40),
        np.array([[np.nan, np.nan], [0.5, 0.5]]),
        np.full((3, 2), np.nan),
        np.zeros((0, 3)),
    ],
)
def test_odd_probabilities(probabilities):
    assert_draws(reliability(np.zeros(len(probabilities), int), probabilities))
