"""Transfer learning: weights arrive, layers are frozen in turn, and what cannot be loaded is said clearly."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from command import Answer
from zoo.tasks.image._backbones import SUFFIXES, choose_side, create_backbone, list_backbones, map_to_pixels

import zoo
from zoo.errors import UsageError
from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.models.built_model import find_network
from zoo.spec import ImageInput, Spec, Target
from zoo.task import load_task
from zoo.training.recorder import MemoryRecorder

RANDOM = np.random.default_rng(0)
SMALL = {"backbone": "MobileNet", "alpha": 0.25, "shift": 0, "zoom": 0, "flip": False}


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    """A backbone whose weights and statistics are not those of a new one."""
    keras.utils.set_random_seed(7)
    model = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.25)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            layer.beta.assign(RANDOM.normal(0, 0.3, layer.beta.shape))
    model(RANDOM.uniform(-1, 1, (64, 32, 32, 3)), training=True)  # statistics by which signals pass
    return model


@pytest.fixture(scope="module")
def weights(backbone: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    backbone.save_weights(path)
    return str(path)


def photos(count: int = 40, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Small bytes in colour: bright at the top, or at the bottom."""
    images = RANDOM.integers(0, 80, (count, 12, 10, channels))
    names = np.arange(count) % 2
    images[names == 0, :6] += 150
    images[names == 1, 6:] += 150
    return images.astype(np.uint8), np.array(["top", "bottom"])[names]


def spec_of(channels: int, integer: bool = True, shape: tuple[int, int] = (12, 10)) -> Spec:
    mean, std = tuple(range(100, 100 + channels)), tuple(range(50, 50 + channels))
    image = ImageInput("image", (None, None, channels), mean=mean, std=std, height=shape[0], width=shape[1],
                       integer=integer)  # fmt: skip
    return Spec("image", (image,), targets=(Target("kind", "class", ("a", "b")),), rows=100)


def backbone_of(model: Any) -> keras.Model:
    return find_network(model).get_layer("inference_mode").layer


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_of_a_file_arrive(suffix: str, backbone: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / f"backbone{suffix}"
    (backbone.save_weights if suffix == ".weights.h5" else backbone.save)(path)
    loaded = create_backbone("MobileNet", str(path), (32, 32), 0.25)
    images = RANDOM.uniform(-1, 1, (3, 32, 32, 3))
    np.testing.assert_allclose(loaded(images), backbone(images), atol=1e-6)


@pytest.mark.parametrize("name", ["MobileNet", "ResNet50V2", "ResNet50", "DenseNet121", "MobileNetV3Small", "VGG16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_prepared_as_the_backbone_does(name: str, channels: int) -> None:
    spec = spec_of(channels)
    image = spec.only(ImageInput)
    pixels = RANDOM.uniform(0, 255, (2, 4, 4, channels)).astype(np.float32)
    colors = np.repeat(pixels, 3, axis=-1) if channels == 1 else pixels
    module = keras.applications.__dict__[
        {"MobileNet": "mobilenet", "ResNet50V2": "resnet_v2", "ResNet50": "resnet", "DenseNet121": "densenet",
         "MobileNetV3Small": "mobilenet_v3", "VGG16": "vgg16"}[name]
    ]  # fmt: skip
    layer = map_to_pixels(spec, name)
    standardized = (pixels - np.array(image.mean)) / np.array(image.std)
    np.testing.assert_allclose(layer(standardized), module.preprocess_input(colors.copy()), atol=1e-3)
    restored = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(restored(standardized), layer(standardized))


@pytest.mark.parametrize("name", list_backbones())
def test_every_backbone_has_a_linear_preprocessing(name: str) -> None:
    layer = map_to_pixels(spec_of(3), name)
    assert np.isfinite(np.array(layer.matrix)).all()
    assert np.linalg.matrix_rank(np.array(layer.matrix)) == 3


def test_other_values_are_brought_to_the_statistics_of_imagenet() -> None:
    values = map_to_pixels(spec_of(1, integer=False), "MobileNetV3Small")(RANDOM.normal(size=(200, 8, 8, 1)))
    assert abs(float(np.mean(values)) - 118) < 2
    assert abs(float(np.std(values)) - 58) < 2


def test_small_images_are_enlarged_and_large_ones_kept() -> None:
    assert choose_side(spec_of(3), 32, exactly=False) == (38, 32)
    assert choose_side(spec_of(3, shape=(100, 64)), 32, exactly=False) == (100, 64)
    assert choose_side(spec_of(3, shape=(100, 64)), 32, exactly=True) == (50, 32)


def test_the_network_computes_the_features_of_the_backbone(backbone: keras.Model, weights: str) -> None:
    x, _ = photos(channels=1)
    dataset = load_task("image").read(DataJob(source=photos(channels=1)))
    built, _ = create_model_builder("image/finetune").build_checked({**SMALL, "weights": weights}, dataset.spec, seed=0)
    model = built.full_model()
    features = keras.Model(built.network.inputs, built.network.get_layer("pooling").output)
    images = built.preprocessing_model({"image": x.astype(np.float32)})  # type: ignore[misc]
    enlarged = keras.layers.Resizing(38, 32)(np.repeat(x, 3, axis=-1).astype(np.float32))
    same = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(38, 32, 3), alpha=0.25)
    same.set_weights(backbone.get_weights())
    expected = np.asarray(same(enlarged / 127.5 - 1, training=False)).mean(axis=(1, 2))
    assert np.ptp(expected, axis=0).max() > 0.1
    np.testing.assert_allclose(features(images), expected, atol=1e-3)
    assert np.isfinite(np.asarray(model({"image": x.astype(np.float32)}))).all()


def weights_after(epochs: int, weights: str, **options: Any) -> tuple[list[np.ndarray], Any]:
    dataset = load_task("image").read(DataJob(source=photos()))
    fixed = {**SMALL, "weights": weights, "head_epochs": 1, "learning_rate": 0.01, **options}
    fitted = fit(create_model_builder("image/finetune"), dataset, fixed, Plan(epochs=epochs))
    return backbone_of(fitted.built_model.full_model()).get_weights(), fitted


def test_the_backbone_is_frozen_first_and_fine_tuned_then(backbone: keras.Model, weights: str) -> None:
    original = backbone.get_weights()
    for value, first in zip(weights_after(1, weights)[0], original, strict=True):
        np.testing.assert_array_equal(value, first)
    later, fitted = weights_after(3, weights, keep="last")
    moved = [np.abs(value - first).max() for value, first in zip(later, original, strict=True)]
    names = [weight.path for weight in backbone.weights]
    assert all(move == 0 for move, name in zip(moved, names, strict=True) if "moving" in name)
    assert all(move > 0 for move, name in zip(moved, names, strict=True) if "kernel" in name)
    assert fitted.result.epochs_run == 3


@pytest.mark.slow
def test_the_lower_layers_can_stay_frozen(backbone: keras.Model, weights: str) -> None:
    later, _ = weights_after(2, weights, unfrozen=0.5, keep="last")
    moved = [np.abs(value - first).max() > 0 for value, first in zip(later, backbone.get_weights(), strict=True)]
    first = moved.index(True)
    assert 0.3 * len(moved) < first < 0.7 * len(moved)
    frozen, _ = weights_after(2, weights, unfrozen=0)
    for value, original in zip(frozen, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(value, original)


@pytest.mark.slow
def test_a_resumed_training_ends_with_the_same_weights(weights: str, tmp_path: Path) -> None:
    dataset = load_task("image").read(DataJob(source=photos()))
    builder, fixed = create_model_builder("image/finetune"), {**SMALL, "weights": weights, "head_epochs": 1}
    straight = fit(builder, dataset, fixed, Plan(epochs=3)).built_model.network.get_weights()
    for stop_after in (1, 2):
        path = tmp_path / f"checkpoint_{stop_after}"
        fit(builder, dataset, fixed, Plan(epochs=3, checkpoint=path, recorder=MemoryRecorder(stop_after)))
        resumed = fit(builder, dataset, fixed, Plan(epochs=3, checkpoint=path)).built_model.network.get_weights()
        for value, expected in zip(resumed, straight, strict=True):
            np.testing.assert_array_equal(value, expected)


def test_a_run_predicts_raw_images_and_says_what_it_trains(
    weights: str, workspace: Path, command: Callable[..., Answer]
) -> None:
    x, y = photos()
    np.savez("photos.npz", x=x, y=y)
    fixed = {**SMALL, "weights": weights, "head_epochs": 1}
    options = [f"--set={name}={value}" for name, value in fixed.items()]
    trained = command("train", "image/finetune", "photos.npz", "--epochs=2", "--baselines=none", *options)
    assert trained.status == 0, trained.err
    said = "from epoch 1: only the output layer is trained, on the frozen MobileNet with the weights of"
    assert f"{said} {weights}" in trained.err
    assert "from epoch 2: MobileNet" in trained.err
    model = zoo.load(command("runs", "--json").json["runs"][0]["run_id"])
    direct = np.asarray(model.keras_model({"image": x.astype(np.float32)}, training=False))
    probability = np.asarray(model.predict_proba(x))
    np.testing.assert_allclose(probability[:, 1:], direct, atol=1e-5)
    answer = command("show", "image/finetune", "photos.npz", *options)
    assert answer.status == 0, answer.err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_exports_predict_what_the_run_predicts(weights: str, workspace: Path) -> None:
    fixed = {**SMALL, "weights": weights, "head_epochs": 1}
    options = {"epochs": 2, "baselines": "none", "quiet": True, "figures": False}
    x, y = photos()
    np.savez("photos.npz", x=x, y=y)
    run = zoo.train("image/finetune", "photos.npz", hyperparameters=fixed, **options)
    exported = zoo.export(run.run_id, output="exported", quiet=True)
    assert {one.format for one in exported.exports} == {"savedmodel", "onnx", "litert"}
    assert all(one.difference < 1e-3 for one in exported.exports)


def offline(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """No network, and nothing in Keras' cache."""

    def refuse(*_: Any) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", refuse)
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(cache))


def test_without_a_network_the_error_names_the_file(
    workspace: Path, command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    offline(monkeypatch, workspace)
    answer = command("train", "image/finetune", "digits", "--json")
    assert answer.status == 2
    message = answer.json["error"]["message"]
    assert "/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5 " in message
    assert "--set weights=FILE" in message


def test_it_is_described_without_a_network(
    workspace: Path, command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    offline(monkeypatch, workspace)
    answer = command("show", "image/finetune", "--json")
    assert answer.status == 0, answer.err
    assert answer.json["hyperparameters"]["weights"]["default"] == "imagenet"


def test_a_search_leaves_it_out_without_a_network(
    weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offline(monkeypatch, tmp_path)
    spec = load_task("image").read(DataJob(source="digits")).spec
    builder = create_model_builder("image/*", several=True)
    suited, refused = builder.keep_suited(spec)
    assert list(refused) == ["image/finetune"]
    assert "image/cnn" in suited.models
    assert builder.keep_suited(spec, {"weights": weights})[1] == {}


@pytest.mark.parametrize(
    "fixed, message",
    [
        ({"backbone": "MobilNet"}, "did you mean 'MobileNet'"),
        ({"weights": "missing.h5"}, "there is no file missing.h5"),
        ({"weights": "notes.txt"}, "ends with .weights.h5"),
        ({"weights": "broken.weights.h5"}, "has no weights of MobileNet"),
        ({"weights": "other.weights.h5"}, "has no weights of MobileNet"),
        ({"weights": "GIVEN", "alpha": 0.5}, "has no weights of MobileNet"),
        ({"weights": "GIVEN", "backbone": "MobileNetV3Small"}, "has no weights of MobileNetV3Small"),
        ({"backbone": "VGG16", "alpha": 0.5}, "VGG16 has one width"),
    ],
)
def test_wrong_weights(
    fixed: dict[str, Any], message: str, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("notes.txt", "broken.weights.h5"):
        Path(name).write_text("not weights")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights("other.weights.h5")
    fixed = {**SMALL, **{name: weights if value == "GIVEN" else value for name, value in fixed.items()}}
    with pytest.raises(UsageError) as error:
        create_model_builder("image/finetune").build_checked(fixed, spec_of(3), seed=0)
    assert message in str(error.value)


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(UsageError, match="images with 1 or 3 channels; these have 4"):
        create_model_builder("image/finetune").build_checked({"weights": "none"}, spec_of(4), seed=0)
