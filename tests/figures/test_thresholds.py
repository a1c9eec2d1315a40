"""ROC, precision and recall are scikit-learn's numbers; the least cost lies where it can be counted."""

import numpy as np
import pytest
from drawing import assert_draws
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from zoo.figures.thresholds import roc_and_precision_recall, threshold_cost

pytestmark = pytest.mark.filterwarnings("error")


def drawn(seed: int, rows: int = 200, digits: int = 2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, rows)
    return truth, np.clip(0.5 * truth + generator.random(rows) / 2, 0, 1).round(digits)  # with ties


@pytest.mark.parametrize("seed", range(3))
def test_curves_are_those_of_scikit_learn(seed: int) -> None:
    truth, probability = drawn(seed)
    figure = roc_and_precision_recall(truth, np.stack([1 - probability, probability], axis=1), ("no", "yes"))
    left, right = figure.axes
    false, true, _ = roc_curve(truth, probability, drop_intermediate=False)
    np.testing.assert_allclose(left.lines[0].get_xdata(), false)
    np.testing.assert_allclose(left.lines[0].get_ydata(), true)
    precision, recall, _ = precision_recall_curve(truth, probability)
    np.testing.assert_allclose(right.lines[0].get_xdata()[1:], recall[:-1][::-1])
    np.testing.assert_allclose(right.lines[0].get_ydata()[1:], precision[:-1][::-1])
    assert f"ROC area {roc_auc_score(truth, probability):.3f}" in right.lines[0].get_label()
    assert_draws(figure)


@pytest.mark.parametrize("k", [2, 3, 30])
def test_at_most_ten_classes_are_drawn_and_none_that_never_occurs(k: int) -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, max(1, k - 1), 500)
    figure = roc_and_precision_recall(truth, generator.dirichlet(np.ones(k), 500), [f"a ${n}$ class" for n in range(k)])
    assert_draws(figure)
    assert len(figure.axes[1].get_legend_handles_labels()[0]) <= 10


def test_the_least_cost_is_where_it_can_be_counted() -> None:
    truth, probability = np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.4, 0.9])
    figure = threshold_cost(truth, probability, positive="ill", threshold=0.3)
    (axis,) = figure.axes
    alike, five = axis.lines[0], axis.lines[2]
    at = dict(zip(np.round(alike.get_xdata(), 3), alike.get_ydata(), strict=True))
    # Called from 0.5: one false alarm and one missed of five rows; one decision for all misses two.
    assert at[0.5] == pytest.approx(2 / 2)
    assert at[0.0] == pytest.approx(3 / 2)
    by_five = dict(zip(np.round(five.get_xdata(), 3), five.get_ydata(), strict=True))
    assert by_five[0.3] == pytest.approx(1 / 3)
    assert "threshold in use: 0.3" in [text.get_text() for text in axis.get_legend().get_texts()]
    assert_draws(figure)


@pytest.mark.parametrize("truth", [np.zeros(4, int), np.ones(4, int)])
def test_a_class_alone_is_drawn(truth: np.ndarray) -> None:
    assert_draws(threshold_cost(truth, np.array([0.1, 0.2, 0.3, 1.0]), positive="yes"))
