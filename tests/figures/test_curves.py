"""The learning curve says which epoch was kept, and survives odd histories."""

import numpy as np
import pytest
from drawing import assert_draws

from zoo.figures.curves import learning_curve

pytestmark = pytest.mark.filterwarnings("error")
NAN = float("nan")


def labels(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_losses_share_a_panel_and_the_kept_epoch_is_marked():
    figure = learning_curve({"loss": [3, 2, 1], "val_loss": [3, 2, 2.5]}, best_epoch=2)
    (axis,) = figure.axes
    assert axis.get_xlabel() == "epoch"
    assert axis.get_ylabel() == "loss"
    assert axis.get_yscale() == "linear"
    assert labels(axis) == ["loss", "val_loss", "epoch 2, kept"]
    assert "best val_loss at epoch 2" in axis.get_title(loc="left")
    assert axis.lines[-1].get_xdata() == [2, 2]
    assert axis.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert_draws(figure)


def test_scores_and_a_varying_rate_have_panels_of_their_own():
    history = {"loss": [1.0, 0.5], "val_log_loss": [1.0, 0.9], "val_accuracy": [0.5, 0.6]}
    assert [axis.get_ylabel() for axis in learning_curve(history).axes] == ["loss", "score"]
    constant = learning_curve({**history, "learning_rate": [0.1, 0.1]})
    assert [axis.get_ylabel() for axis in constant.axes] == ["loss", "score"]
    varying = learning_curve({**history, "learning_rate": [0.1, 0.05]}, best_epoch=1, monitor="val_log_loss")
    assert [axis.get_ylabel() for axis in varying.axes] == ["loss", "score", "learning rate"]
    assert all(axis.lines[-1].get_xdata() == [1, 1] for axis in varying.axes)
    assert_draws(varying)


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([31.0, 1.0], "log"), ([29.0, 1.0], "linear"), ([100.0, 0.0], "linear"), ([100.0, NAN, 1.0], "log")],
)
def test_wide_positive_losses_are_logarithmic(losses, scale):
    assert learning_curve({"loss": losses}).axes[0].get_yscale() == scale


@pytest.mark.parametrize(
    "history",
    [
        {},
        {"loss": []},
        {"loss": [0.5]},
        {"loss": [0.5, NAN, 0.2], "val_loss": [NAN, NAN, NAN]},
        {"loss": [1.0, float("inf"), -float("inf")]},
        {"val_accuracy": [0.1, 0.2]},
        {"loss": [1.0, 0.9], "learning_rate": [NAN, NAN]},
        {"loss": [1e-300, 1e300]},
        {f"val_$core_{index}": np.linspace(0, index, 300) for index in range(40)},
    ],
)
@pytest.mark.parametrize("best_epoch", [None, 1])
def test_odd_histories(history, best_epoch):
    assert_draws(learning_curve(history, best_epoch=best_epoch))


def test_one_epoch_can_be_seen():
    axis = learning_curve({"loss": [0.5]}).axes[0]
    assert axis.lines[0].get_marker() == "o"
    assert axis.get_xlim()[0] < 1 < axis.get_xlim()[1]
