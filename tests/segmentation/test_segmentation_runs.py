"""Segmentation as a user meets it: a run with its baselines, predictions of any size, and its network and loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from command import Answer
from zoo.tasks.segmentation._mask_dataset import VOID
from zoo.tasks.segmentation._mask_files import read_mask
from zoo.tasks.segmentation._mask_network import LOSSES, DrawFlips, Flip, MaskLoss, PadToMultiple
from zoo.tasks.segmentation._predicting import predict_in_tiles, predict_probabilities

import zoo
from zoo.data.ragged import Ragged
from zoo.portable.predict import decode_outputs
from zoo.portable.preprocessing import STEPS
from zoo.preprocessing.images import ResizeImages
from zoo.saving.export_formats import measure_difference, measure_disagreement

SMALL = {"hyperparameters": {"filters": 8, "depth": 1, "learning_rate": 0.03}, "quiet": True}


@pytest.fixture
def scenes(workspace: Path) -> dict[str, list[np.ndarray]]:
    """Squares brighter than what is beside them, but not than all else: images of two sizes."""
    rng = np.random.default_rng(0)
    images, masks = [], []
    for number in range(60):
        height, width = (16, 20) if number % 2 else (12, 12)
        top, left = rng.integers(1, height - 6), rng.integers(1, width - 6)
        mask = np.zeros((height, width), np.uint8)
        mask[top : top + 5, left : left + 5] = 1
        images.append((rng.integers(0, 30) + np.linspace(0, 180, width) + 40 * mask)[..., None].astype(np.uint8))
        masks.append(mask)
    return {"image": images, "mask": masks}


def test_a_run_beats_its_thresholds_and_predicts_masks(
    scenes: dict[str, list[np.ndarray]], command: Callable[..., Answer]
) -> None:
    run = zoo.train("segmentation/unet", scenes, epochs=40, baselines="all", **SMALL)
    best = max(scores["test_iou_mean"] for name, scores in run.baselines.items() if name != "boosting")
    assert set(run.baselines) == {"most_frequent", "colour_threshold", "nearest_colour", "boosting"}
    assert run.metrics["test_iou_mean"] > best + 0.2
    assert {"test_dice", "test_pixel_accuracy"} <= set(run.metrics)
    low, high = run.intervals["test_iou_mean"]
    assert low < run.metrics["test_iou_mean"] < high
    assert {"overlays", "iou_by_class", "learning_curve"} <= set(run.figures)
    predicted = run.model.predict({"image": scenes["image"]})
    assert [mask.shape for mask in predicted["prediction"]] == [mask.shape for mask in scenes["mask"]]
    right = np.mean([np.mean(p == t) for p, t in zip(predicted["prediction"], scenes["mask"], strict=True)])
    assert right > 0.9
    np.testing.assert_allclose(predicted[["fraction_0", "fraction_1"]].sum(axis=1), 1)
    pd.testing.assert_frame_equal(run.model.predict(scenes["image"]), predicted)
    colour = np.repeat(scenes["image"][1], 3, axis=-1)
    assert [mask.shape for mask in run.model.predict(colour)["prediction"]] == [(16, 20)]
    alone = run.model.predict({"image": scenes["image"][:1]})
    np.testing.assert_array_equal(alone["prediction"][0], predicted["prediction"][0])


def test_the_command_line(scenes: dict[str, list[np.ndarray]], command: Callable[..., Answer]) -> None:
    from PIL import Image

    for folder, values in (("images", scenes["image"]), ("masks", scenes["mask"])):
        (Path("photos") / folder).mkdir(parents=True)
        for number, value in enumerate(values[:20]):
            Image.fromarray(value.squeeze()).save(Path("photos") / folder / f"{number:02}.png")
    small = ["--set", "filters=8", "--set", "depth=1", "--epochs", "1", "--baselines", "none"]
    answer = command("train", "segmentation/unet", "photos", *small, "--json")
    assert answer.status == 0, answer.err
    run = answer.json["run_id"]
    answer = command("predict", run, "photos/images", "--output", "predicted")
    assert answer.status == 0, answer.err
    assert read_mask(Path("predicted/07.png")).shape == (16, 20)
    assert len(list(Path("predicted").iterdir())) == 20
    answer = command("predict", run, "photos/images/00.png")
    assert "array of 12 x 12" in answer.out
    answer = command("predict", run, "photos/images/00.png", "--json")
    assert np.shape(answer.json["predictions"][0]["prediction"]) == (12, 12)
    tables = {path.name for path in Path("mlruns").rglob("tables/*.json")}
    assert {"scores_by_class.json", "scores_by_image.json"} <= tables
    answer = command("train", "segmentation/unet", "photos", "--ignore", "300")
    assert (answer.status, "Traceback" in answer.err) == (2, False)
    report = command("data", "photos").out
    assert "training images are 10 for each of" in report
    assert "accuracy" not in report
    assert "target mask (segmentation)" in report
    Path("photos/masks/03.png").unlink()
    answer = command("data", "photos")
    assert (answer.status, "1 of 20 images have no mask: 03" in answer.err) == (2, True), answer.err
    answer = command("train", "image/cnn", "photos")
    assert (answer.status, "would be its classes" in answer.err) == (2, True), answer.err


def test_tiles_have_the_probabilities_of_the_whole_image() -> None:
    spec = zoo.spec_of("digit_scenes", task="segmentation")
    model = zoo.build("segmentation/unet", spec, filters=8, depth=2)
    image = np.random.default_rng(0).integers(0, 256, (70, 101, 3)).astype(np.uint8)
    whole = dict(predict_probabilities(model, Ragged.of([image], axes=2)))[0]
    np.testing.assert_allclose(predict_in_tiles(model, image, side=16, margin=32), whole, atol=1e-5)


# --- exports ---


def test_an_export_decodes_masks_of_several_sizes_and_is_compared_by_pixels() -> None:
    rule = {"kind": "mask", "of": "output", "values": [0, 255], "classes": ["sky", "sun"]}
    outputs = np.empty(2, object)
    outputs[:] = [np.full((2, 3, 2), [0.9, 0.1]), np.full((4, 4, 2), [0.2, 0.8])]
    columns = decode_outputs({"output": outputs}, rule)
    assert [mask.tolist() for mask in columns["prediction"]] == [[[0] * 3] * 2, [[255] * 4] * 4]
    assert columns["fraction_sun"].tolist() == [0.0, 1.0]
    other = outputs.copy()
    other[1] = other[1].copy()
    other[1][0, 0] = [0.7, 0.3]
    difference, row = measure_difference({"output": outputs}, {"output": other})
    assert (difference, row) == (pytest.approx(0.5), 1)
    expected, actual = (
        {"prediction": decode_outputs({"output": some}, rule)["prediction"]} for some in (outputs, other)
    )
    assert measure_disagreement(pd.DataFrame(expected), actual, 1.0) == pytest.approx(1 / 32)


@pytest.mark.parametrize("whole", [True, False])
def test_images_may_keep_their_size(whole: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype("uint8" if whole else "float32")
    layer = ResizeImages(0, 0, whole)
    np.testing.assert_array_equal(layer(images), images)
    np.testing.assert_array_equal(STEPS["ResizeImages"](layer.get_config(), images), images)


# --- layers and losses ---


def test_flips_undo_themselves_and_do_nothing_in_inference() -> None:
    images = np.random.default_rng(0).normal(size=(64, 6, 4, 2)).astype("float32")
    flips = DrawFlips("both", seed=1)(images, training=True)
    assert 0.2 < float(np.mean(flips)) < 0.8
    flipped = Flip()(images, flips, training=True)
    assert not np.array_equal(flipped, images)
    np.testing.assert_array_equal(Flip()(flipped, flips, training=True), images)
    np.testing.assert_array_equal(Flip()(images, flips, training=False), images)
    assert not np.asarray(DrawFlips("horizontal", seed=1)(images, training=True))[:, 0].any()


@pytest.mark.parametrize("size", [(1, 1), (3, 8), (8, 8), (9, 15)])
def test_padding_repeats_the_border(size: tuple[int, int]) -> None:
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    padded = np.asarray(PadToMultiple(8)(images))
    height, width = (-(-side // 8) * 8 for side in size)
    wanted = np.pad(images, ((0, 0), (0, height - size[0]), (0, width - size[1]), (0, 0)), mode="edge")
    np.testing.assert_array_equal(padded, wanted)


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_are_least_for_the_truth_and_leave_out_pixels_without_a_class(kind: str) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (4, 6, 6))
    right = np.eye(3, dtype="float32")[truth]
    wrong = np.roll(right, 1, axis=-1)
    loss = MaskLoss(kind)
    assert float(loss(truth, right)) == pytest.approx(0, abs=1e-4)
    assert float(loss(truth, wrong)) > 0.9
    void = truth.copy()
    void[:, 3:] = VOID
    mixed = np.concatenate([right[:, :3], wrong[:, 3:]], axis=1)
    assert float(loss(void, mixed)) == pytest.approx(0, abs=1e-4)
    assert MaskLoss.from_config(loss.get_config()).kind == kind


def test_cross_entropy_is_that_of_keras() -> None:
    rng = np.random.default_rng(0)
    truth, output = rng.integers(0, 3, (4, 6, 6)), rng.dirichlet(np.ones(3), (4, 6, 6)).astype("float32")
    expected = keras.losses.SparseCategoricalCrossentropy()(truth, output)
    assert float(MaskLoss("crossentropy")(truth, output)) == pytest.approx(float(expected), rel=1e-5)
