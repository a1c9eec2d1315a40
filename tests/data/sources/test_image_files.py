"""Images in files: folders say class and part, every mode becomes grey or colour, and a broken file is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.data.sources.image_files import IMAGE_FILES, read_image, read_images
from zoo.data.sources.read import read_table
from zoo.errors import DataError

rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (4, 6), dtype=np.uint8)
COLOUR = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)


def put(path: Path, values: np.ndarray = COLOUR, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def tree(root: Path, *names: str) -> Path:
    """A folder with small images under these names, each of its own shade."""
    for shade, name in enumerate(names):
        put(root / name, np.full((2, 3), shade, np.uint8))
    return root


def shades(frame: Any) -> list[int]:
    return [int(cell[0, 0, 0]) for cell in frame["image"]]


@pytest.mark.parametrize("ending", [ending for ending in IMAGE_FILES if ending not in (".jpg", ".jpeg", ".webp")])
def test_every_lossless_kind_of_file_gives_the_pixels(tmp_path: Path, ending: str) -> None:
    read = read_image(put(tmp_path / f"a{ending}", GREY))
    assert read.dtype == np.uint8
    assert read.shape in ((4, 6, 1), (4, 6, 3))  # GIF has palettes only
    assert np.array_equal(read, np.broadcast_to(GREY[..., None], read.shape))


@pytest.mark.parametrize("ending", [".jpg", ".jpeg", ".webp"])
def test_kinds_that_lose_something_come_close(tmp_path: Path, ending: str) -> None:
    smooth = np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8)
    read = read_image(put(tmp_path / f"a{ending}", np.stack([smooth] * 3, axis=-1), quality=95))
    assert read.shape == (8, 8, 3)
    assert np.abs(read.astype(int) - smooth[..., None]).mean() < 4


def saved(path: Path, mode: str) -> np.ndarray:
    """Save an image in a mode, and return what shall be read."""
    opaque = np.full((*GREY.shape, 1), 255, np.uint8)
    if mode == "L":
        put(path, GREY)
        return GREY[..., None]
    if mode == "RGB":
        put(path, COLOUR)
        return COLOUR
    if mode == "RGBA":
        put(path, np.concatenate([COLOUR, opaque // 2], axis=-1))
        return COLOUR
    if mode == "LA":
        Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(opaque[..., 0] // 2)]).save(path)
        return GREY[..., None]
    if mode == "1":
        put(path, GREY > 127)
        return np.where(GREY > 127, 255, 0).astype(np.uint8)[..., None]
    if mode == "I;16":
        put(path, GREY.astype(np.uint16) * 256 + 17)
        return GREY[..., None]
    palette = Image.fromarray(COLOUR).quantize(5)
    palette.save(path)
    return np.asarray(palette.convert("RGB"))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "1", "I;16", "P"])
def test_every_mode_becomes_grey_or_colour(tmp_path: Path, mode: str) -> None:
    wanted = saved(tmp_path / "a.png", mode)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
    read = read_image(tmp_path / "a.png")
    assert read.dtype == np.uint8
    assert np.array_equal(read, wanted)


def test_sixteen_bits_keep_the_upper_eight(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 257, 32767, 65535]], np.uint16)
    for ending in (".png", ".tif"):
        assert read_image(put(tmp_path / f"a{ending}", values)).ravel().tolist() == [0, 0, 1, 1, 127, 255]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.randoms(use_true_random=False))
def test_any_size_comes_back(tmp_path_factory: Any, height: int, width: int, grey: bool, random: Any) -> None:
    values = np.frombuffer(random.randbytes(height * width * (1 if grey else 3)), np.uint8)
    values = values.reshape((height, width) if grey else (height, width, 3))
    read = read_image(put(tmp_path_factory.getbasetemp() / "any.png", values))
    assert np.array_equal(read, values[..., None] if grey else values)


def test_a_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR).quantize(4)
    image.save(tmp_path / "a.png", transparency=bytes([0, 100, 200, 255]))
    assert np.array_equal(read_image(tmp_path / "a.png"), np.asarray(image.convert("RGB")))


def test_a_photograph_taken_upright(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the sensor lay on its side
    smooth = np.zeros((8, 16, 3), np.uint8)
    assert read_image(put(tmp_path / "a.png", smooth, exif=turned)).shape == (16, 8, 3)


def broken(path: Path, kind: str) -> None:
    whole = put(path, rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).read_bytes()
    contents = {
        "empty": b"",
        "text": b"no image at all",
        "cut": whole[: len(whole) // 2],
        "header only": whole[:30],
        "wrong checksum": whole[:60] + bytes([whole[60] ^ 0xFF]) + whole[61:],
    }
    path.write_bytes(contents[kind])


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "header only", "wrong checksum"])
def test_a_file_that_does_not_decode_is_named(tmp_path: Path, kind: str) -> None:
    tree(tmp_path, "cat/a.png", "dog/b.png")
    broken(tmp_path / "dog" / "c.png", kind)
    for read in (lambda: read_image(tmp_path / "dog" / "c.png"), lambda: read_images(tmp_path, "here")):
        with pytest.raises(DataError, match="cannot be read as an image") as caught:
            read()
        assert caught.value.where == str(tmp_path / "dog" / "c.png")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_image(tmp_path / "a.png")


def test_a_image_too_large_to_be_one(tmp_path: Path) -> None:
    header = put(tmp_path / "a.bmp").read_bytes()
    (tmp_path / "a.bmp").write_bytes(header[:18] + (60_000).to_bytes(4, "little") * 2 + header[26:])
    with pytest.raises(DataError, match="cannot be read as an image") as caught:
        read_image(tmp_path / "a.bmp")
    assert caught.value.where == str(tmp_path / "a.bmp")


def test_class_folders(tmp_path: Path) -> None:
    tree(tmp_path, "dog/b.png", "cat/2.PNG", "cat/1.png", "dog/deep/er/a.bmp")
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    (tmp_path / "readme.md").write_text("none either")
    (tmp_path / ".hidden").mkdir()
    tree(tmp_path / ".hidden", "x.png")
    frame, splits, _ = read_images(tmp_path, "here")
    assert splits is None
    assert frame["file"].tolist() == ["cat/1.png", "cat/2.PNG", "dog/b.png", "dog/deep/er/a.bmp"]
    assert frame["class"].tolist() == ["cat", "cat", "dog", "dog"]
    assert shades(frame) == [2, 1, 0, 3]


@pytest.mark.parametrize(
    "folders, wanted",
    [
        (("train", "test"), {"train": "train", "test": "test"}),
        (("Train", "VAL", "test"), {"Train": "train", "VAL": "validation", "test": "test"}),
        (("training", "valid"), {"training": "train", "valid": "validation"}),
    ],
)
def test_folders_of_parts(tmp_path: Path, folders: tuple[str, ...], wanted: dict[str, str]) -> None:
    names = [f"{folder}/{kind}/1.png" for folder in folders for kind in ("cat", "dog")]
    frame, splits, _ = read_images(tree(tmp_path, *names), "here")
    assert splits is not None
    assert sorted(frame["file"]) == sorted(names)
    for file, kind, split, shade in zip(frame["file"], frame["class"], splits, shades(frame), strict=True):
        assert wanted[file.split("/")[0]] == split
        assert file.split("/")[1] == kind
        assert names[shade] == file


def test_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    frame, splits, _ = read_images(tree(tmp_path, "train/1.png", "test/1.png"), "here")
    assert splits is None
    assert frame["class"].tolist() == ["test", "train"]
    frame, splits, _ = read_images(tree(tmp_path / "more", "train/a/1.png", "plane/b/1.png"), "here")
    assert splits is None
    assert frame["class"].tolist() == ["plane", "train"]


def test_two_folders_may_mean_one_part(tmp_path: Path) -> None:
    names = [f"{split}/{kind}/1.png" for split in ("train", "val", "validation") for kind in ("a", "b")]
    assert sorted(read_images(tree(tmp_path, *names), "here")[0]["file"]) == sorted(names)


def test_hidden_folders_below_classes_are_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.png", "cat/.ipynb_checkpoints/1-checkpoint.png", "dog/1.png")
    assert read_images(tmp_path, "here")[0]["file"].tolist() == ["cat/1.png", "dog/1.png"]


def test_pictures_without_classes(tmp_path: Path) -> None:
    frame, splits, _ = read_images(tree(tmp_path, "b.png", "a.png"), "here")
    assert (list(frame), splits) == (["image", "file"], None)
    assert frame["file"].tolist() == ["a.png", "b.png"]
    frame, splits, _ = read_images(tmp_path / "b.png", "here")
    assert (frame["file"].tolist(), shades(frame), splits) == (["b.png"], [0], None)


@pytest.mark.parametrize("folders", [(), ("cat", "dog"), ("train/cat", "test/cat"), (".hidden",)])
def test_a_folder_without_images(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.txt").write_text("no image")
    with pytest.raises(DataError, match="the folder has no images; expected class folders") as caught:
        read_images(tmp_path, "here")
    assert caught.value.where == "here"


def test_a_folder_of_pictures_is_a_source_with_a_target(tmp_path: Path) -> None:
    tree(tmp_path / "flowers", "rose/1.png", "lily/1.png")
    table = read_table(tmp_path / "flowers", cells="image")
    assert (table.name, table.source, table.target, table.split) == (
        "flowers",
        str(tmp_path / "flowers"),
        "class",
        None,
    )
    single = read_table(str(tmp_path / "flowers" / "rose" / "1.png"), cells="image")
    assert (single.name, single.target, len(single.frame)) == ("1", None, 1)


@pytest.mark.parametrize("cells", [None, "sequence"])
def test_pictures_are_no_table_and_no_sequences(tmp_path: Path, cells: str | None) -> None:
    tree(tmp_path, "rose/1.png", "lily/1.png")
    with pytest.raises(DataError, match=r"has images, which this task does not read; tasks that do: .*image"):
        read_table(tmp_path, cells=cells)
