"""Images inside the model: resized and pooled as NumPy would, changed at random in training and never after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.examples.describe_examples import describe_image
from zoo.fitting.fit import Plan, evaluate, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.models.built_model import split_model
from zoo.models.search_space import CheckedHyperParameters
from zoo.networks import Augment, Knobs, add_convolutional_blocks, add_dense_layers, build_image_model
from zoo.networks.convolutional import POOLINGS, MinPooling2D, Standardize
from zoo.preprocessing.images import ImagePreprocessing, ResizeImages
from zoo.spec import Spec, Target
from zoo.task import load_task

rng = np.random.default_rng(0)
SIDE = 20


def spec_of(images: Any, *, size: int | None = None) -> Spec:
    input_ = describe_image("image", pd.Series(list(images), dtype=object), size=size, where="t")
    return Spec("t", (input_,), (Target("y", "class", ("a", "b", "c"), "str"),), 100)


# Resizing


def triangles(old: int, new: int) -> np.ndarray:
    """Bilinear weights (new, old): a triangle around each new pixel's middle, as wide as a new pixel at least."""
    step = old / new
    away = np.abs(np.arange(old) - ((np.arange(new) + 0.5) * step - 0.5)[:, None])
    weights = np.maximum(0, 1 - away / max(step, 1))
    return weights / weights.sum(axis=1, keepdims=True)


def resized(images: np.ndarray, height: int, width: int) -> np.ndarray:
    down, across = triangles(images.shape[1], height), triangles(images.shape[2], width)
    return np.einsum("yh,xw,bhwc->byxc", down, across, images.astype(float))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from([1, 3]),
    st.integers(0, 99),
)
def test_resized_pictures_are_numpys(old: tuple[int, int], new: tuple[int, int], channels: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (2, *old, channels), dtype=np.uint8)
    floats = np.asarray(ResizeImages(*new, whole=False)(images))
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, resized(images, *new), atol=1e-3)
    whole = np.asarray(ResizeImages(*new, whole=True)(images))
    assert whole.dtype == np.uint8
    assert np.abs(whole - resized(images, *new)).max() < 0.501
    if old == new:
        assert np.array_equal(whole, images)


def test_pictures_of_their_size_stay_as_they_are() -> None:
    images = rng.normal(0, 1e4, (3, 5, 4, 1)).astype(np.float32)
    assert np.array_equal(ResizeImages(5, 4, whole=False)(images), images)
    wild = np.array([-3.0, 0.4, 0.6, 254.6, 300.0]).reshape(1, 1, 5, 1)
    assert np.asarray(ResizeImages(1, 5, whole=True)(wild)).ravel().tolist() == [0, 0, 1, 255, 255]


def test_one_preparation_takes_pictures_of_any_size() -> None:
    images = [rng.integers(0, 256, size, dtype=np.uint8) for size in ((8, 6, 3), (4, 9, 3), (30, 30, 3))]
    preprocessing = ImagePreprocessing(spec_of(images))
    assert (preprocessing.input_.height, preprocessing.input_.width) == (6, 6)
    model = preprocessing.model()
    assert model.weights == []
    for image in images:
        output = np.asarray(model({"image": image[None].astype(np.float32)})["images"])
        assert output.dtype == np.uint8
        assert np.abs(output - resized(image[None], 6, 6)).max() < 0.501
    tensor = preprocessing.tensors()["images"]
    assert (tensor.shape, tensor.dtype) == ((None, 6, 6, 3), "uint8")


def test_the_digest_is_of_what_is_prepared() -> None:
    images = rng.integers(0, 256, (4, 6, 6, 1), dtype=np.uint8)
    spec = spec_of(images)
    digest = ImagePreprocessing(spec).digest
    assert digest == ImagePreprocessing(Spec.from_json(spec.to_json())).digest
    others = [spec_of(images, size=5), spec_of(images[:3]), spec_of(images.astype(float))]
    assert len({digest, *(ImagePreprocessing(other).digest for other in others)}) == 4


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_standardised_pictures_have_mean_0_and_deviation_1(kind: Any) -> None:
    images = rng.integers(0, 256, (9, 5, 4, 3)).astype(kind)
    images[..., 2] = 7
    facts = spec_of(images).inputs[0]
    output = np.asarray(Standardize(facts.mean, facts.std)(images))
    assert output.dtype == np.float32
    np.testing.assert_allclose(output.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(output.std(axis=(0, 1, 2)), [1, 1, 0], atol=1e-5)
    flat = images[..., :2].astype(float)
    wanted = (flat - flat.mean(axis=(0, 1, 2))) / flat.std(axis=(0, 1, 2))
    np.testing.assert_allclose(output[..., :2], wanted, atol=1e-4)


# Augmentation


def ramps(rows: int, more: int = 0, side: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """Images whose first two channels say where each pixel is, so that one sees where it came from."""
    down, across = np.meshgrid(np.arange(side[0]), np.arange(side[1]), indexing="ij")
    places = np.broadcast_to(np.stack([down, across], axis=-1), (rows, *side, 2))
    return np.concatenate([places, rng.normal(size=(rows, *side, more))], axis=-1).astype(np.float32)


def bilinear(image: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """An image (H, W, C) read at broken places (H', W')."""
    top, left = np.floor(down).astype(int), np.floor(across).astype(int)
    bottom, right = np.minimum(top + 1, len(image) - 1), np.minimum(left + 1, image.shape[1] - 1)
    y, x = (down - top)[..., None], (across - left)[..., None]
    above = image[top, left] * (1 - x) + image[top, right] * x
    below = image[bottom, left] * (1 - x) + image[bottom, right] * x
    return above * (1 - y) + below * y


def line_of(places: np.ndarray, middle: float) -> tuple[np.ndarray, np.ndarray]:
    """Slope and shift of each row of places (B, side), told from those that no edge cut off."""
    slopes, shifts = [], []
    for row in places:
        inside = (row > row.min() + 1e-3) & (row < row.max() - 1e-3)
        slope, offset = np.polyfit(np.flatnonzero(inside) - middle, row[inside], 1)
        slopes.append(slope)
        shifts.append(offset - middle)
    return np.array(slopes), np.array(shifts)


def changes(layer: Augment, side: tuple[int, int] = (SIDE, SIDE), rows: int = 300) -> dict[str, np.ndarray]:
    """What a layer did to each of many images."""
    output = np.asarray(layer(ramps(rows, side=side), training=True))
    down, down_shift = line_of(output[:, :, 0, 0], (side[0] - 1) / 2)
    across, across_shift = line_of(output[:, 0, :, 1], (side[1] - 1) / 2)
    return {"down": down, "across": across, "down_shift": down_shift, "across_shift": across_shift}


@pytest.mark.parametrize("options", [(0.3, 0.0, False), (0.0, 0.3, False), (0.0, 0.0, True), (0.2, 0.2, True)])
def test_changed_pictures_are_bilinear_and_go_on_beyond_the_edge(options: Any) -> None:
    images = ramps(12, more=3)
    shift, zoom, flip = options
    output = np.asarray(Augment(shift, zoom, flip, seed=4)(images, training=True))
    assert output.shape == images.shape
    assert not np.allclose(output, images)
    for before, after in zip(images, output, strict=True):
        down, across = (np.clip(after[..., index], 0, SIDE - 1) for index in (0, 1))
        assert np.ptp(down, axis=1).max() < 1e-4  # rows stay rows, and columns columns
        assert np.ptp(across, axis=0).max() < 1e-4
        np.testing.assert_allclose(after, bilinear(before, down, across), atol=1e-3)


@pytest.mark.parametrize("side", [(SIDE, SIDE), (12, 30)])
def test_a_shift_is_at_most_its_share_of_the_side(side: tuple[int, int]) -> None:
    output = changes(Augment(0.2, 0.0, seed=1), side)
    for axis, extent in zip(("down", "across"), side, strict=True):
        np.testing.assert_allclose(output[axis], 1, atol=1e-3)
        shift = output[f"{axis}_shift"] / extent
        assert np.abs(shift).max() <= 0.2 + 1e-4
        assert shift.min() < -0.17  # and it goes nearly so far, either way
        assert shift.max() > 0.17
        assert abs(shift.mean()) < 0.03
    assert abs(np.corrcoef(output["down_shift"], output["across_shift"])[0, 1]) < 0.2


def test_a_zoom_keeps_the_middle_and_the_proportions() -> None:
    output = changes(Augment(0.0, 0.25, seed=2))
    assert np.abs(output["down"] - 1).max() <= 0.25 + 1e-3
    assert output["down"].min() < 0.8
    assert output["down"].max() > 1.2
    np.testing.assert_allclose(output["down"], output["across"], atol=1e-3)
    for axis in ("down_shift", "across_shift"):
        np.testing.assert_allclose(output[axis], 0, atol=1e-3)


def test_a_flip_exchanges_left_and_right_every_second_time() -> None:
    images = ramps(300, more=1)
    output = np.asarray(Augment(0.0, 0.0, flip=True, seed=3)(images, training=True))
    flipped = np.array(
        [np.allclose(after, before[:, ::-1], atol=1e-4) for before, after in zip(images, output, strict=True)]
    )
    same = np.array([np.allclose(after, before, atol=1e-4) for before, after in zip(images, output, strict=True)])
    assert (flipped ^ same).all()
    assert 0.4 < flipped.mean() < 0.6


def test_nothing_is_changed_when_predicting_or_by_zeros() -> None:
    images = ramps(5, more=2)
    for training in (False, None):
        kept = Augment(0.3, 0.3, flip=True)(images, **({} if training is None else {"training": training}))
        assert np.array_equal(kept, images)
    np.testing.assert_allclose(Augment(0.0, 0.0)(images, training=True), images, atol=1e-4)


def test_the_seed_decides_and_each_call_draws_anew() -> None:
    images = ramps(8)
    one, same, other = (Augment(0.2, 0.2, seed=seed) for seed in (1, 1, 2))
    drawn = [np.asarray(layer(images, training=True)) for layer in (one, same, other)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.allclose(drawn[0], drawn[2])
    assert not np.allclose(drawn[0], np.asarray(one(images, training=True)))
    keras.utils.set_random_seed(5)
    by_keras = np.asarray(Augment(0.2, 0.2)(images, training=True))
    keras.utils.set_random_seed(5)
    assert np.array_equal(by_keras, Augment(0.2, 0.2)(images, training=True))


# Pooling and blocks


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 2), st.integers(0, 99))
def test_least_pooling_is_the_greatest_of_negatives(height: int, width: int, channels: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2, height, width, channels)).astype(np.float32)
    output = np.asarray(MinPooling2D(2)(x))
    assert np.array_equal(output, -np.asarray(keras.ops.max_pool(-x, 2)))
    windows = x[:, : height // 2 * 2, : width // 2 * 2].reshape(2, height // 2, 2, width // 2, 2, channels)
    assert np.array_equal(output, windows.min(axis=(2, 4)))


def blocks(x: Any, **options: Any) -> keras.Model:
    hp = CheckedHyperParameters(options.pop("knobs", {}))
    given = {"filters": 4, "blocks": 2, "convolutions": 1, "kernel": 3, "pooling": "max", **options}
    inputs = keras.Input(x.shape[1:])
    return keras.Model(inputs, add_convolutional_blocks(inputs, Knobs(hp), **given))


def test_each_kind_of_pooling_takes_its_own_of_each_window() -> None:
    x = rng.normal(size=(2, 6, 6, 1)).astype(np.float32)
    functions: dict[str, Any] = {"max": np.max, "average": np.mean, "min": np.min}
    assert set(POOLINGS) == set(functions)
    for pooling, function in functions.items():
        model = blocks(x, pooling=pooling, blocks=1)
        before = keras.Model(model.input, model.get_layer("activation_0_0").output)(x).numpy()
        wanted = function(before.reshape(2, 3, 2, 3, 2, 4), axis=(2, 4))
        np.testing.assert_allclose(model(x), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "shape, count, wanted",
    [
        ((16, 16, 1), 2, (4, 4, 8)),
        ((16, 16, 1), 4, (1, 1, 32)),
        ((16, 16, 1), 9, (1, 1, 32)),
        ((7, 3, 2), 3, (3, 1, 4)),
    ],
)
def test_blocks_halve_the_sides_until_nothing_would_be_left(shape: Any, count: int, wanted: Any) -> None:
    model = blocks(np.zeros((1, *shape), np.float32), blocks=count, convolutions=2)
    assert model.output.shape == (None, *wanted)
    names = [layer.name for layer in model.layers if layer.name.startswith("convolution")]
    pools = [layer.name for layer in model.layers if layer.name.startswith("pooling")]
    assert len(names) == 2 * len(pools)


@pytest.mark.parametrize(
    "normalization, kind", [("none", ()), ("batch", ("BatchNormalization",)), ("layer", ("LayerNormalization",))]
)
def test_blocks_hold_what_the_knobs_say(normalization: str, kind: tuple[str, ...]) -> None:
    knobs = {"normalization": normalization, "dropout": 0.4, "l2": 0.01, "activation": "tanh"}
    model = blocks(np.zeros((1, 8, 8, 1), np.float32), knobs=knobs)
    kinds = [type(layer).__name__ for layer in model.layers[1:6]]
    assert kinds == ["Conv2D", *kind, "Activation", "MaxPooling2D", "Dropout"] + ([] if kind else ["Conv2D"])
    assert model.get_layer("block_dropout_0").rate == 0.2
    assert len(model.losses) == 2
    assert (
        np.abs(keras.Model(model.input, model.get_layer("activation_0_0").output)(9 * np.ones((1, 8, 8, 1)))).max() <= 1
    )


@pytest.mark.parametrize(
    "pooling", [pytest.param(way, marks=pytest.mark.slow) if way == "average" else way for way in POOLINGS]
)
def test_networks_learn_with_each_pooling(pooling: str) -> None:
    dataset = load_task("image").read(DataJob(source="digits"))
    values = {"pooling": pooling, "filters": 16, "units": 32, "learning_rate": 0.005}
    fitted = fit(create_model_builder("image/cnn"), dataset, values, Plan(epochs=8))
    assert evaluate(fitted, ["test"])["test"].scores["accuracy"] > 0.8


# Whole models


def build(spec: Spec, *, pooling: str = "min", augmented: bool = True) -> keras.Model:
    keras.utils.set_random_seed(0)
    knobs = Knobs(CheckedHyperParameters())

    def hidden(x: Any) -> Any:
        x = Augment(0.2, 0.2, True, name="augment")(x) if augmented else x
        x = add_convolutional_blocks(x, knobs, filters=4, blocks=2, convolutions=1, kernel=3, pooling=pooling)
        return add_dense_layers(keras.layers.Flatten(name="flat")(x), knobs, units=5, layers=1)

    return build_image_model(spec, knobs, hidden)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_saved_and_loaded_in_safe_mode(tmp_path: Path, kind: Any) -> None:
    images = rng.integers(0, 256, (6, 9, 8, 3)).astype(kind)
    model = build(spec_of(images))
    raw = {"image": images.astype(np.float32)}
    wanted = model(raw).numpy()
    assert np.ptp(wanted, axis=0).max() > 1e-3
    assert np.array_equal(model(raw).numpy(), wanted)  # no chance in predictions
    model.save(tmp_path / "model.keras", include_optimizer=False)
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.array_equal(loaded(raw).numpy(), wanted)
    augment = loaded.get_layer("network").get_layer("augment")
    assert (augment.shift, augment.zoom, augment.flip) == (0.2, 0.2, True)
    built_model = split_model(loaded)
    assert built_model.preprocessing is not None
    preprocessed = built_model.preprocessing.model()(raw)
    assert np.array_equal(built_model.network(preprocessed).numpy(), wanted)
    drawn = [built_model.network(preprocessed, training=True).numpy() for _ in range(2)]
    assert not np.allclose(drawn[0], drawn[1])


def test_a_image_is_predicted_as_its_resized_self() -> None:
    spec = spec_of(rng.integers(0, 256, (6, 9, 8, 1), dtype=np.uint8))
    model = build(spec, augmented=False)
    large = rng.integers(0, 256, (2, 20, 31, 1)).astype(np.float32)
    small = np.rint(resized(large, 9, 8)).astype(np.float32)
    np.testing.assert_allclose(model({"image": large}), model({"image": small}), atol=1e-2)
    assert np.array_equal(
        model({"image": large}).numpy(),
        model({"image": np.asarray(ResizeImages(9, 8, True)(large), np.float32)}).numpy(),
    )
