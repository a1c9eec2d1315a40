"""Figures of images: the worst errors are those, in their order, and filters share one scale."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from drawing import assert_draws
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from zoo.figures.images import (
    COLUMNS,
    MOST_ERRORS,
    MOST_FILTERS,
    MOST_MAPS,
    draw_image,
    feature_maps,
    filters,
    worst_errors,
)

pytestmark = pytest.mark.filterwarnings("error")
rng = np.random.default_rng(0)


def assert_fits(figure: Figure) -> None:
    """It can be saved; no title is cut off, and none covers its neighbour's."""
    assert_draws(figure, dpi=None)
    width = figure.bbox.width
    boxes = [panel.title.get_window_extent() for panel in figure.axes if panel.get_title()]
    if figure.get_suptitle():
        boxes.append(figure._suptitle.get_window_extent())  # type: ignore[attr-defined]
    for box in boxes:
        assert box.x0 > -1
        assert box.x1 < width + 1
    for one, other in pairwise(boxes):
        assert not one.overlaps(other)


def shown(panel: Any) -> np.ndarray:
    return np.asarray(panel.images[0].get_array())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3]), st.integers(0, 99))
def test_a_image_is_scaled_from_black_to_white(height: int, width: int, channels: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(-50, 300, (height, width, channels)).astype(float)
    axis = Figure().subplots()
    draw_image(axis, image, low=0, high=200)
    wanted = np.clip(image / 200, 0, 1)
    np.testing.assert_allclose(shown(axis), wanted[..., 0] if channels == 1 else wanted)
    assert axis.images[0].get_clim() == (0, 1)
    assert axis.images[0].get_cmap().name == ("gray" if channels == 1 else axis.images[0].get_cmap().name)
    assert (len(axis.get_xticks()), len(axis.get_yticks())) == (0, 0)


def test_a_image_without_a_range() -> None:
    axis = Figure().subplots()
    draw_image(axis, np.full((2, 2, 1), 3.0), low=3, high=3)
    assert shown(axis).tolist() == [[0, 0], [0, 0]]


def tagged(rows: int, *, kind: Any = np.uint8) -> list[np.ndarray]:
    """Images of several sizes whose first pixel says which row they are of."""
    images_ = [rng.integers(0, 200, (3 + row % 4, 3 + row % 3, 1)).astype(kind) for row in range(rows)]
    for row, image in enumerate(images_):
        image[0, 0, 0] = row
    return images_


@pytest.mark.parametrize("rows, classes", [(3, 2), (12, 150), (120, 10)])
def test_the_surest_errors_come_first(rows: int, classes: int) -> None:
    truth = rng.integers(0, classes, rows)
    prediction = rng.dirichlet(np.full(classes, 0.2), rows)
    prediction[0] = np.eye(classes)[(truth[0] + 1) % classes]
    images = tagged(rows)
    figure = worst_errors(images, truth, prediction, [f"class {code}" for code in range(classes)])
    chosen, sure = prediction.argmax(axis=1), prediction.max(axis=1)
    wanted = sorted(np.flatnonzero(chosen != truth), key=lambda row: -sure[row])[:MOST_ERRORS]
    drawn = [panel for panel in figure.axes if panel.images]
    assert len(drawn) == len(wanted)
    assert len(figure.axes) % COLUMNS == 0
    for panel, row in zip(drawn, wanted, strict=True):
        np.testing.assert_allclose(shown(panel), images[row][..., 0] / 255)
        named = f"class {truth[row]} predicted as\nclass {chosen[row]}, {100 * sure[row]:.0f} %"
        assert panel.get_title() == named
    assert not any(panel.axison for panel in figure.axes if not panel.images)
    assert_fits(figure)


def test_ties_stay_in_their_order() -> None:
    prediction = np.tile([1.0, 0.0], (7, 1))
    figure = worst_errors(tagged(7), np.ones(7, int), prediction, ["a", "b"])
    first = [shown(panel)[0, 0] * 255 for panel in figure.axes if panel.images]
    np.testing.assert_allclose(first, np.arange(7))


def test_pictures_of_broken_numbers_have_their_own_white() -> None:
    images = [np.array([[[0.0], [0.5]]]), np.array([[[-1.0], [3.0]]]), np.zeros((1, 2, 1))]
    figure = worst_errors(images, np.zeros(3, int), np.tile([0.0, 1.0], (3, 1)), ["a", "b"])
    assert [shown(panel).tolist() for panel in figure.axes[:3]] == [[[0, 1]], [[0, 1]], [[0, 0]]]
    assert_fits(figure)


@pytest.mark.parametrize("rows", [0, 4])
def test_no_errors_are_said_so(rows: int) -> None:
    truth = np.arange(rows) % 2
    figure = worst_errors(tagged(rows), truth, np.eye(2)[truth], ["a", "b"])
    assert (figure.axes, figure.texts[0].get_text()) == ([], "No image was misclassified.")
    assert_fits(figure)


def test_long_names_of_classes() -> None:
    names = ["Iris-versicolor of the north", "Iris-virginica of the south"]
    assert_fits(worst_errors(tagged(10), np.zeros(10, int), np.tile([0.0, 1.0], (10, 1)), names))


@pytest.mark.parametrize("count, channels", [(2, 1), (8, 3), (9, 1), pytest.param(100, 3, marks=pytest.mark.slow)])
def test_filters_share_one_scale(count: int, channels: int) -> None:
    kernels = rng.normal(size=(3, 5, channels, count))
    figure = filters(kernels)
    drawn = [panel for panel in figure.axes if panel.images and panel.get_label() != "<colorbar>"]
    means = kernels.mean(axis=2)[..., :MOST_FILTERS]
    assert len(drawn) == min(count, MOST_FILTERS)
    most = np.abs(means).max()
    for index, panel in enumerate(drawn):
        np.testing.assert_allclose(shown(panel), means[..., index])
        assert panel.images[0].get_clim() == pytest.approx((-most, most))
    assert figure.axes[-1].get_label() == "<colorbar>"
    assert figure.get_suptitle() == "Filters of the first convolution"
    assert_fits(figure)


def test_feature_maps_show_those_that_vary_most() -> None:
    maps = {"first": rng.normal(size=(2, 6, 5, 12)) * 2.0 ** np.arange(12), "second": rng.normal(size=(2, 3, 2, 4))}
    figure = feature_maps(rng.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8), maps)
    rows = np.array(figure.axes).reshape(4, 1 + MOST_MAPS)
    np.testing.assert_allclose(shown(rows[0][1]), maps["first"][0, ..., 11])
    np.testing.assert_allclose(shown(rows[2][1]), maps["first"][1, ..., 11])
    assert [len([panel for panel in row if panel.images]) for row in rows] == [9, 9 - 4, 9, 9 - 4]
    assert_fits(figure)


def test_filters_that_are_all_zero() -> None:
    assert_fits(filters(np.zeros((3, 3, 1, 4))))


def test_a_single_filter() -> None:
    assert_fits(filters(rng.normal(size=(3, 3, 1, 1))))
