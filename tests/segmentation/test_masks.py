"""Images with masks: what is read, what is refused and how, what a network learns from, and what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from zoo.tasks.segmentation._fit import Crops, cut_tiles
from zoo.tasks.segmentation._mask_dataset import VOID
from zoo.tasks.segmentation._mask_files import read_mask, write_mask
from zoo.tasks.segmentation._mask_metrics import METRICS, compute_dice, compute_iou, count_confusion
from zoo.tasks.segmentation._predicting import write_predictions

import zoo
from zoo.data.ragged import Ragged
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.metrics.metric import clip_to_limits
from zoo.task import load_task

RNG = np.random.default_rng(0)
SIZES = [(12, 9), (8, 8), (9, 12), (10, 10), (8, 11), (12, 12)]


def draw(size: tuple[int, int], channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros(size, np.uint8)
    mask[2:6, 3:7] = 1
    image = RNG.integers(0, 100, (*size, channels)) + 120 * mask[..., None]
    return image.astype(np.uint8), mask


def write_folder(folder: Path, *, value: int = 255) -> Path:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number, size in enumerate(SIZES):
        image, mask = draw(size)
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask * value).save(folder / "masks" / f"{number}.png")
    return folder


def read(source: Any, **options: Any) -> Any:
    return load_task("segmentation").read(make_job(DataJob, {"source": source, "options": options}))


# --- reading ---


def test_a_folder_of_images_of_several_sizes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos")
    (folder / "classes.txt").write_text("ground\nhouse\n")
    dataset = read(folder)
    assert dataset.spec.target.classes == ("ground", "house")
    assert dataset.spec.options["values"] == [0, 255]
    assert sum(dataset.sizes.values()) == len(SIZES)
    for split in dataset.splits.values():
        images = split.inputs["image"]
        for row, size in enumerate(images.sizes):
            place = int(Path(str(split.files[row])).stem)
            assert tuple(size) == SIZES[place]
            mask = split.target[row, : size[0], : size[1]]
            assert mask.sum() == 16
            assert (split.target[row, size[0] :] == VOID).all()


def test_a_folder_with_splits(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write_folder(tmp_path / "photos" / split, value=1)
    assert read(tmp_path / "photos").sizes == {"train": 6, "validation": 6, "test": 6}


def test_arrays_and_their_names(tmp_path: Path) -> None:
    pairs = [draw((8, 8)) for _ in range(20)]
    x, y = (np.array(values) for values in zip(*pairs, strict=True))
    np.savez(tmp_path / "a.npz", x=x, y=y, names=["sky", "sun", "moon"])
    dataset = read(tmp_path / "a.npz")
    assert dataset.spec.target.classes == ("sky", "sun", "moon")
    assert dataset.spec.target.counts[2] == 0
    pairs = [draw(size) for size in SIZES]
    pixels = {"x": np.concatenate([image.reshape(-1, 3) for image, _ in pairs])}
    pixels["y"] = np.concatenate([mask.ravel() for _, mask in pairs])
    np.savez(tmp_path / "b.npz", size=SIZES, **pixels)
    splits = read(tmp_path / "b.npz").splits.values()
    assert sorted(tuple(size) for split in splits for size in split.inputs["image"].sizes.tolist()) == sorted(SIZES)
    for source in ((x, y), pd.DataFrame({"image": list(x), "mask": list(y)}), {"image": list(x), "mask": list(y)}):
        assert read(source).spec.options["values"] == [0, 1]


def test_ignored_values_are_no_class_and_count_nowhere(workspace: Path) -> None:
    pairs = [draw((8, 8)) for _ in range(20)]
    x, y = (np.array(values) for values in zip(*pairs, strict=True))
    y[:, 0] = 7
    dataset = read((x, y), ignore=7)
    assert dataset.spec.target.classes == ("0", "1")
    assert sum(dataset.spec.target.counts) == len(dataset.splits["train"]) * 56
    assert (dataset.splits["train"].target[:, 0] == VOID).all()
    np.savez("named.npz", x=x, y=np.where(y == 7, 2, y), names=["sky", "sun", "moon"])
    dataset = read("named.npz", ignore=2)
    assert dataset.spec.target.classes == ("sky", "sun")
    assert dataset.spec.options["values"] == [0, 1]
    assert (dataset.splits["train"].target[:, 0] == VOID).all()
    y[y == 7] = 255
    assert any("--ignore 255" in note for note in read((x, np.where(x[..., 0] > 200, 2, y))).notes)


def test_grey_and_colour_images_are_mixed_with_a_note(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos")
    Image.open(folder / "images" / "0.png").convert("L").save(folder / "images" / "0.png")
    dataset = read(folder)
    assert dataset.spec.inputs[0].shape == (None, None, 3)


# --- wrong input ---


def spoil_size(folder: Path) -> None:
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(folder / "masks" / "2.png")


def spoil_pair(folder: Path) -> None:
    (folder / "masks" / "3.png").unlink()


def spoil_other_pair(folder: Path) -> None:
    (folder / "images" / "3.png").unlink()


def spoil_colour(folder: Path) -> None:
    Image.fromarray(RNG.integers(0, 9, (*SIZES[1], 3)).astype(np.uint8)).save(folder / "masks" / "1.png")


def spoil_format(folder: Path) -> None:
    Image.open(folder / "masks" / "1.png").save(folder / "masks" / "1.jpg")
    (folder / "masks" / "1.png").unlink()


def spoil_file(folder: Path) -> None:
    (folder / "masks" / "1.png").write_bytes(b"no image")


def spoil_image(folder: Path) -> None:
    (folder / "images" / "1.png").write_bytes(b"no image")


def spoil_names(folder: Path) -> None:
    (folder / "classes.txt").write_text("a\nb\nc\n")


def spoil_classes(folder: Path) -> None:
    for file in (folder / "masks").iterdir():
        Image.fromarray(np.zeros(SIZES[int(file.stem)], np.uint8)).save(file)


def spoil_names_and_classes(folder: Path) -> None:
    spoil_names(folder)
    spoil_classes(folder)


def spoil_values(folder: Path) -> None:
    Image.fromarray(np.arange(144, dtype=np.uint8).reshape(12, 12)).save(folder / "masks" / "5.png")


def spoil_folder(folder: Path) -> None:
    (folder / "masks").rename(folder / "other")


@pytest.mark.parametrize(
    ("spoil", "message", "where"),
    [
        (spoil_size, "the mask has 5 x 5 pixels, but its image 9 x 12 (height x width); they must have", "masks/2.png"),
        (spoil_pair, "1 of 6 images have no mask: 3; expected", "images/3.png"),
        (spoil_other_pair, "1 of 6 masks have no image: 3; expected", "masks/3.png"),
        (spoil_colour, "the mask is in colour; expected one value for each pixel", "masks/1.png"),
        (spoil_format, "a mask in JPEG has other values than were saved; save masks as PNG", "masks/1.jpg"),
        (spoil_file, "cannot be read as a mask", "masks/1.png"),
        (spoil_image, "cannot be read as an image", "images/1.png"),
        (spoil_names, "3 classes have a name, the first for the value 0, but a mask has the value 255", "mask of"),
        (spoil_classes, "all masks have the value 0; a model needs two classes", "photos"),
        (spoil_names_and_classes, "all pixels of the training masks are of the class a; a model needs two", "photos"),
        (spoil_values, "different values, as photographs have; expected one for each class, at most 64", "photos"),
        (spoil_folder, "there is no folder masks; expected FOLDER/images/1.png", "photos"),
    ],
)  # fmt: skip
def test_wrong_folders(spoil: Any, message: str, where: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos")
    spoil(folder)
    with pytest.raises(UsageError) as caught:
        read(folder)
    assert message in caught.value.message
    assert where in str(caught.value.where)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((4, 8, 8, 3))}, "has no array y_train of masks"),
        ({"x": np.zeros((4, 8, 8, 3)), "y": np.zeros((3, 8, 8))}, "has 4 images, and y_train 3 masks"),
        ({"x": np.zeros((4, 8, 8, 3)), "y": np.zeros((4, 8, 7))}, "the mask has 8 x 7 pixels, but its image 8 x 8"),
        ({"x": np.zeros((4, 8, 8, 3)), "y": np.full((4, 8, 8), 0.5)}, "the mask has the value 0.5; expected integers"),
        ({"x": np.zeros((4, 8, 8, 3)), "y": np.full((4, 8, 8), -1)}, "the mask has the value -1; expected integers"),
        ({"x": np.zeros((4, 8, 8, 3)), "y": np.zeros(4)}, "has the shape (4,)"),
        ({"x": np.zeros((64, 3)), "y": np.zeros(64), "size": [[8, 7]]}, "which the array size (n, 2) of heights"),
    ],
)
def test_wrong_arrays(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError) as caught:
        read(tmp_path / "a.npz")
    assert message in str(caught.value)


def test_a_test_source_with_an_unknown_value(tmp_path: Path) -> None:
    train, test = write_folder(tmp_path / "photos", value=1), write_folder(tmp_path / "later", value=3)
    job = make_job(DataJob, {"source": str(train), "test": str(test)})
    with pytest.raises(UsageError, match="has the value 3, which no mask of the training source has; they have 0, 1"):
        load_task("segmentation").read(job)


def test_other_sources_and_options() -> None:
    with pytest.raises(UsageError, match="this task does not read"):
        read("wine")
    with pytest.raises(UsageError, match="needs the columns image and mask"):
        read(pd.DataFrame({"image": [np.zeros((8, 8))] * 3}))
    with pytest.raises(UsageError, match="the target of segmentation is the mask"):
        zoo.spec_of("digit_scenes", task="segmentation", target="mask")
    with pytest.raises(UsageError, match="has images with masks, which this task does not read"):
        zoo.spec_of("digit_scenes", task="image")


# --- metrics ---

MASKS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 2, VOID])), min_size=1, max_size=40)


@settings(deadline=None)
@given(MASKS)
def test_metrics_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import f1_score, jaccard_score

    prediction, truth = np.array(pairs).T
    confusion = count_confusion(truth, prediction, 3)
    valid = truth != VOID
    assert confusion.sum() == valid.sum()
    if not valid.any():
        return
    present = [index for index in range(3) if index in truth[valid] or index in prediction[valid]]
    expected = jaccard_score(truth[valid], prediction[valid], labels=present, average=None, zero_division=0)
    np.testing.assert_allclose(compute_iou(confusion)[present], expected)
    expected = f1_score(truth[valid], prediction[valid], labels=present, average=None, zero_division=0)
    np.testing.assert_allclose(compute_dice(confusion)[present], expected)
    flat = confusion.reshape(1, -1).astype(float)
    values = [metric.function(np.zeros(1), flat, np.ones((1, 1)))[0] for metric in METRICS]
    assert values[2] == pytest.approx(np.mean(truth[valid] == prediction[valid]))
    assert values[0] <= values[1] <= 1


# --- crops and files ---


def test_crops_differ_by_epoch_and_keep_image_and_mask_together() -> None:
    sizes = [(20, 30), (6, 40), (8, 8)]
    masks = [np.arange(height * width).reshape(height, width) % 200 for height, width in sizes]
    images = Ragged.of([mask[..., None].astype(np.uint8) for mask in masks], axes=2)
    crops = Crops(images, [mask.astype(np.uint8) for mask in masks], 8, seed=0)
    assert len(crops) == 9 + 4 + 1
    first, again, second = (next(crops.buffers(epoch, 4)) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first.x["images"], again.x["images"])
    assert not np.array_equal(first.x["images"], second.x["images"])
    assert first.y is not None
    has_class = first.y != VOID
    np.testing.assert_array_equal(first.x["images"][..., 0][has_class], first.y[has_class])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=4), st.integers(3, 9))
def test_tiles_cover_each_pixel_once(sizes: list[tuple[int, int]], side: int) -> None:
    images = Ragged.of([np.ones((*size, 1), np.uint8) for size in sizes], axes=2)
    tiles = cut_tiles(images, [np.ones(size, np.uint8) for size in sizes], side, most=1000)
    assert tiles.y is not None
    assert (tiles.y != VOID).sum() == images.lengths.sum()


def test_written_masks_are_read_again(tmp_path: Path) -> None:
    masks = [RNG.integers(0, 256, size).astype(np.uint8) for size in SIZES]
    write_mask(masks[0], tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), masks[0])
    cells = np.array([*masks, None], object)[:-1]
    frame = pd.DataFrame({"file": [f"deep/{place}.jpg" for place in range(len(masks))], "prediction": cells})
    write_predictions(frame, tmp_path / "masks")
    np.testing.assert_array_equal(read_mask(tmp_path / "masks" / "deep" / "5.png"), masks[5])
    write_predictions(frame, tmp_path / "masks.npz")
    with np.load(tmp_path / "masks.npz") as arrays:
        np.testing.assert_array_equal(arrays["size"], SIZES)
        np.testing.assert_array_equal(arrays["y"], np.concatenate([mask.ravel() for mask in masks]))
    write_predictions(frame.iloc[[3]], tmp_path / "one.npz")
    with np.load(tmp_path / "one.npz") as arrays:
        assert arrays["y"].shape == (1, 10, 10)
    with pytest.raises(UsageError, match="written to a folder, or to a file"):
        write_predictions(frame, tmp_path / "masks.csv")


def test_intervals_of_means_are_within_the_limits_of_a_metric() -> None:
    for metric in METRICS:
        assert clip_to_limits(metric.limits, -2.0, 2.9) == (0.0, 1.0)
