"""Images in files: a folder of class folders, a folder of images, or one image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from zoo.data.dataset import SPELLINGS
from zoo.data.examples.array_columns import IMAGE, cells_of
from zoo.data.limits import check_inside, check_memory, decoding, in_bytes, memory_at_hand
from zoo.errors import DataError

IMAGE_FILES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# Pillow reads many more, among them PostScript, which is a program; a name's ending does not decide.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
_MANY_PIXELS = 1 << 22
_PIXEL_BYTES = 16  # as decoded, as converted, as an array, and what decoding takes beside

# What an editor or an archive of macOS leaves beside what a user put there.
_NOT_OURS = (".", "__MACOSX")


def read_images(path: Path, source: str) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Return images with their file names and, from the names of folders, their classes and parts.

    Args:
        path: A folder of class folders; a folder of ``train`` and ``test`` (and ``val``) that hold class
            folders; a folder of images; or one image.
        source: What to call it in an error.

    Returns:
        A frame with ``image`` (an array (H, W, C) of bytes in each cell), ``file`` and, where there are class
        folders, ``class``; and the part of each row, or None.

    Raises:
        DataError: A folder without images, or a file that is none.
    """
    if path.is_file():
        return _frame([(path, None, path.name)]), None
    folders = _folders(path, path)
    splits = {folder: SPELLINGS[folder.name.lower()] for folder in folders if folder.name.lower() in SPELLINGS}
    if splits and len(splits) == len(folders) and any(_folders(folder, path) for folder in folders):
        for folder in folders:
            if not _folders(folder, path) and _files(folder, path):
                raise DataError("images without class folders, and other parts have them", where=str(folder))
        frames = [_class_folders(folder, path) for folder in splits]
        names = [np.full(len(frame), split, dtype="<U10") for split, frame in zip(splits.values(), frames, strict=True)]
        return _checked(pd.concat(frames, ignore_index=True), source), np.concatenate(names)
    if folders:
        return _checked(_class_folders(path, path), source), None
    return _checked(_frame([(file, None, file.name) for file in _files(path, path)]), source), None


def read_image(path: Path) -> np.ndarray:
    """Return an image as bytes (H, W, C): one channel when it is grey, else three.

    Raises:
        DataError: When the file does not decode.
    """
    from PIL import Image, ImageOps

    with decoding(str(path), "not an image that can be read"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged data beside the pixels; beyond twice Pillow's size it is an error
        with Image.open(path, formats=_FORMATS) as stored:
            pixels = stored.width * stored.height
            if pixels > _MANY_PIXELS:  # asking for the memory at hand takes as long as decoding a small one
                size = f"an image of {stored.width:,} x {stored.height:,} pixels"
                check_memory(_PIXEL_BYTES * pixels, size, str(path))
            image = ImageOps.exif_transpose(stored)  # a camera says how it was held
            if image.mode == "F":
                raise ValueError("its values are floats; save it with 8 or 16 bits")
            if image.mode.startswith("I"):  # 16 bits
                return np.asarray(np.asarray(image) >> 8, np.uint8)[..., None]
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")
            grey = image.mode in ("1", "L", "LA")
            values = np.asarray(image.convert("L" if grey else "RGB"))
    return values[..., None] if values.ndim == 2 else values


def small_grey(image: np.ndarray, side: int) -> np.ndarray:
    """Return an image (H, W) or (H, W, C) as numbers from 0 to 1 (side, side): the means of the areas they stand for.

    Example:
        >>> small_grey(np.full((8, 6, 3), 255), 2).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    from PIL import Image

    grey = np.asarray(image, np.float32)
    grey = grey.mean(axis=-1) if grey.ndim == 3 else grey
    grey = grey / (255.0 if float(grey.max(initial=0)) > 1 else 1.0)
    return np.asarray(Image.fromarray(grey).resize((side, side), Image.Resampling.BOX), np.float32)


def _folders(path: Path, root: Path) -> list[Path]:
    found = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith(_NOT_OURS))
    for folder in found:
        check_inside(folder, root)
    return found


def _files(folder: Path, root: Path) -> list[Path]:
    found = (file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_FILES and file.is_file())
    files = sorted(
        file for file in found if not any(name.startswith(_NOT_OURS) for name in file.relative_to(folder).parts)
    )
    for file in files:
        check_inside(file, root)
    return files


def _class_folders(path: Path, root: Path) -> pd.DataFrame:
    found = [
        (file, folder.name, str(file.relative_to(root)))
        for folder in _folders(path, root)
        for file in _files(folder, root)
    ]
    return _frame(found)


def _frame(found: Sequence[tuple[Path, str | None, str]]) -> pd.DataFrame:
    images, taken, at_hand = [], 0, memory_at_hand()
    for file, _, _ in found:
        images.append(read_image(file))
        taken += images[-1].nbytes
        if taken > at_hand:
            message = (
                f"the images up to this one take {in_bytes(taken)}, and {in_bytes(at_hand)} of memory were at hand"
            )
            raise DataError(f"{message}; make them smaller first", where=str(file))
    frame = pd.DataFrame({IMAGE: cells_of(images), "file": [name for _, _, name in found]})
    if found and found[0][1] is not None:
        frame["class"] = [str(label) for _, label, _ in found]
    return frame


def _checked(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    if len(frame) == 0:
        raise DataError(
            f"the folder has no images; a folder of class folders is expected, with files {', '.join(IMAGE_FILES)}",
            where=source,
        )
    return frame
