"""Figures of clusterings: each row is where it lies, each cluster as large as it is, and nothing is cut off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import assert_draws
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from zoo.figures.clusters import (
    MOST_COLUMNS,
    MOST_IMAGES,
    MOST_POINTS,
    cluster_sizes,
    column_errors,
    latent_map,
    project_to_plane,
    reconstructions,
)

pytestmark = pytest.mark.filterwarnings("error")
rng = np.random.default_rng(0)


def assert_fits(figure: Figure) -> None:
    """It can be saved, and none of its titles, labels and legends reaches beyond its edges."""
    assert_draws(figure, dpi=None)
    texts = [figure._suptitle] if figure.get_suptitle() else []  # type: ignore[attr-defined]
    for panel in figure.axes:
        texts += [panel.title, panel._left_title, panel.xaxis.label, panel.yaxis.label]  # type: ignore[attr-defined]
        legend = panel.get_legend()
        texts += legend.get_texts() if legend is not None else []
    width, height = figure.bbox.size
    for text in texts:
        if text.get_text():
            box = text.get_window_extent()
            assert min(box.x0, box.y0) > -1, text.get_text()
            assert box.x1 < width + 1, text.get_text()
            assert box.y1 < height + 1, text.get_text()


# The plane


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 20), st.integers(2, 6), st.integers(0, 99))
def test_the_plane_is_that_of_principal_components(rows: int, size: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(rows, size))
    plane = project_to_plane(x)
    wanted = PCA(2, svd_solver="full").fit_transform(x)
    assert plane.shape == (rows, 2)
    np.testing.assert_allclose(np.abs(plane), np.abs(wanted), atol=1e-9)
    np.testing.assert_allclose(plane.mean(axis=0), 0, atol=1e-9)
    assert plane[:, 0].std() >= plane[:, 1].std() - 1e-9


def test_a_plane_of_two_columns_keeps_distances() -> None:
    x = rng.normal(5, 3, (MOST_POINTS + 50, 2))
    np.testing.assert_allclose(pdist(project_to_plane(x)[:200]), pdist(x[:200]), rtol=1e-9)
    np.testing.assert_allclose(pdist(project_to_plane(x)[-50:]), pdist(x[-50:]), rtol=1e-9)


@pytest.mark.parametrize(
    "x, wanted",
    [
        (np.array([[1.0], [3.0]]), [[1, 0], [1, 0]]),
        (np.array([[7.0, 8.0, 9.0]]), [[0, 0]]),
        (np.ones((3, 4)), [[0, 0]] * 3),
        (np.array([[np.nan, 1.0], [0.0, -1.0]]), [[1, 0], [1, 0]]),
        (np.array([[0.0, 0.0], [3.0, 4.0]], np.float32), [[2.5, 0], [2.5, 0]]),
    ],
)
def test_a_plane_of_little(x: np.ndarray, wanted: list[list[float]]) -> None:
    np.testing.assert_allclose(np.abs(project_to_plane(x)), wanted, atol=1e-9)


# The map


def points_of(panel: Any) -> dict[str, np.ndarray]:
    """The points of each group by its number, which stands at their median."""
    points_ = {}
    names = [text for text in panel.texts if text.get_text()]
    for points, text in zip(panel.collections, names, strict=True):
        places = np.asarray(points.get_offsets())
        np.testing.assert_allclose(text.get_position(), np.median(places, axis=0), atol=1e-12)
        points_[text.get_text()] = places
    return points_


def rows_of(values: np.ndarray) -> list[tuple[float, ...]]:
    return sorted(map(tuple, values.tolist()))


@pytest.mark.parametrize("groups", [1, 3, 7, 8, 40])
def test_each_row_lies_in_its_group(groups: int) -> None:
    points = rng.normal(size=(300, 2))
    clusters, labels = rng.integers(0, groups, 300), rng.integers(0, 5, 300)
    figure = latent_map(points, clusters, labels=labels, title="Latent space")
    for panel, codes in zip(figure.axes, (clusters, labels), strict=True):
        points_ = points_of(panel)
        assert set(points_) == {str(code) for code in codes}
        for name, places in points_.items():
            assert rows_of(places) == rows_of(points[codes == int(name)])
        faces: list[Any] = [points.get_facecolor() for points in panel.collections]
        colours = {to_hex(face[0]) for face in faces}
        assert len(colours) == len(points_)
        (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
        assert left < points[:, 0].min() < points[:, 0].max() < right
        assert low < points[:, 1].min() < points[:, 1].max() < high
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["Latent space, by cluster", "by label"]
    assert {panel.get_xlabel() for panel in figure.axes} == {"first principal component"}
    assert figure.axes[0].get_ylabel() == "second principal component"
    assert_fits(figure)


def test_names_that_would_cover_each_other_are_left_out() -> None:
    figure = latent_map(rng.normal(size=(300, 2)), rng.integers(0, 150, 300), labels=np.arange(300) % 2, names="ab")
    assert [text.get_text() for text in figure.axes[0].texts] == []
    assert [text.get_text() for text in figure.axes[1].texts] == ["a", "b"]


def test_a_map_without_labels_has_one_panel() -> None:
    figure = latent_map(rng.normal(size=(9, 2)), np.arange(9) % 2, title="T" * 90)
    assert len(figure.axes) == 1
    assert_fits(figure)


def test_of_many_rows_some_are_drawn() -> None:
    n = MOST_POINTS + 1000
    points = rng.normal(size=(n, 2))
    figure = latent_map(points, np.arange(n) % 3)
    shown = np.concatenate(list(points_of(figure.axes[0]).values()))
    assert len(shown) == MOST_POINTS
    assert len({*rows_of(shown)} & {*rows_of(points)}) == MOST_POINTS
    again = np.concatenate(list(points_of(latent_map(points, np.arange(n) % 3).axes[0]).values()))
    assert np.array_equal(shown, again)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_map_of_little(rows: int) -> None:
    figure = latent_map(np.zeros((rows, 2)), np.zeros(rows, int), labels=np.zeros(rows, int))
    assert [len(panel.collections) for panel in figure.axes] == [rows, rows]
    assert_fits(figure)


def test_rows_without_a_label_are_no_group() -> None:
    figure = latent_map(rng.normal(size=(9, 2)), np.zeros(9, int), labels=np.arange(9) % 3 - 1)
    assert {text.get_text() for text in figure.axes[1].texts} == {"0", "1"}


# Sizes


@pytest.mark.parametrize("k", [2, 8, 30, 31, 200])
def test_bars_are_as_high_as_clusters_are_large(k: int) -> None:
    clusters = rng.integers(0, k - 1, 300)  # the last one stays empty
    figure = cluster_sizes(clusters, k)
    axis: Any = figure.axes[0]
    assert [bar.get_height() for bar in axis.patches] == [int((clusters == code).sum()) for code in range(k)]
    np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in axis.patches], np.arange(k))
    assert list(axis.lines[0].get_ydata()) == [300 / k] * 2
    assert axis.get_legend().get_texts()[0].get_text() == "equal sizes"
    empty = k - len(set(clusters.tolist()))
    assert axis.get_title(loc="left") == f"Sizes of {k} clusters, {empty} of them empty"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("cluster", "rows")
    ticks = axis.get_xticks()
    assert len(ticks) <= 31
    assert ticks.tolist() == [int(tick) for tick in ticks]
    assert_fits(figure)


def test_sizes_without_empty_ones_and_without_rows() -> None:
    assert cluster_sizes(np.array([0, 1, 1]), 2).axes[0].get_title(loc="left") == "Sizes of 2 clusters"
    figure = cluster_sizes(np.zeros(0, int), 3)
    assert figure.axes[0].get_title(loc="left") == "Sizes of 3 clusters, 3 of them empty"
    assert_fits(figure)


# Reconstructions


@pytest.mark.parametrize("count", [2, MOST_IMAGES, 25])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_stand_above_what_is_made_of_them(count: int, channels: int) -> None:
    original = rng.normal(100, 30, (count, 6, 5, channels))
    reconstructed = original + rng.normal(0, 40, original.shape)
    figure = reconstructions(original, reconstructed)
    shown = min(count, MOST_IMAGES)
    assert len(figure.axes) == 2 * shown
    low, high = original[:shown].min(), original[:shown].max()
    for panels, images in ((figure.axes[:shown], original), (figure.axes[shown:], reconstructed)):
        for panel, image in zip(panels, images[:shown], strict=True):
            wanted = np.clip((image - low) / (high - low), 0, 1)  # one scale for all
            drawn = np.asarray(panel.images[0].get_array())
            np.testing.assert_allclose(drawn, wanted[..., 0] if channels == 1 else wanted)
            assert panel.images[0].get_clim() == (0, 1)
    assert [figure.axes[0].get_ylabel(), figure.axes[shown].get_ylabel()] == ["original", "reconstructed"]
    assert_fits(figure)


def test_pictures_that_never_change() -> None:
    assert_fits(reconstructions(np.full((3, 4, 4, 1), 7.0), np.full((3, 4, 4, 1), 9.0)))


def test_a_single_image() -> None:
    assert_fits(reconstructions(np.ones((1, 4, 4, 1)), np.ones((1, 4, 4, 1))))


# Errors of columns


@pytest.mark.parametrize("count", [2, MOST_COLUMNS, 60])
def test_columns_that_are_lost_most_come_first(count: int) -> None:
    errors = rng.exponential(0.5, count)
    names = [f"$ column {index}" for index in range(count)]
    figure = column_errors(names, errors)
    axis: Any = figure.axes[0]
    order = np.argsort(-errors)[:MOST_COLUMNS]
    np.testing.assert_allclose([bar.get_width() for bar in axis.patches], errors[order])
    assert [text.get_text() for text in axis.get_yticklabels()] == [rf"\$ column {index}" for index in order]
    assert axis.yaxis_inverted()
    assert axis.get_title(loc="left") == f"Columns with the largest reconstruction error, {len(order)} of {count}"
    assert axis.get_xlabel() == "mean squared reconstruction error / variance"
    assert list(axis.lines[0].get_xdata()) == [1, 1]
    assert_fits(figure)


@pytest.mark.parametrize("names, errors", [([], []), (["a"], [0.0]), (["a long name" * 20], [1e9]), (["a"], [np.nan])])
def test_odd_columns(names: list[str], errors: list[float]) -> None:
    assert_fits(column_errors(names, np.array(errors)))
