"""Pictures in files: a folder of class folders, a folder of pictures, or one picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from zoo.data.cells import IMAGE, cells_of
from zoo.data.split import SPELLINGS
from zoo.errors import DataError

PICTURE_FILES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")

# What an editor or an archive of macOS leaves beside what a user put there.
_NOT_OURS = (".", "__MACOSX")


def read_pictures(path: Path, source: str) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Return pictures with their file names and, from the names of folders, their classes and parts.

    Args:
        path: A folder of class folders; a folder of ``train`` and ``test`` (and ``val``) that hold class
            folders; a folder of pictures; or one picture.
        source: What to call it in an error.

    Returns:
        A frame with ``image`` (an array (H, W, C) of bytes in each cell), ``file`` and, where there are class
        folders, ``class``; and the part of each row, or None.

    Raises:
        DataError: A folder without pictures, or a file that is none.
    """
    if path.is_file():
        return _frame([(path, None, path.name)]), None
    folders = _folders(path)
    parts = {folder: SPELLINGS[folder.name.lower()] for folder in folders if folder.name.lower() in SPELLINGS}
    if parts and len(parts) == len(folders) and any(_folders(folder) for folder in folders):
        for folder in folders:
            if not _folders(folder) and _files(folder):
                raise DataError("pictures without class folders, and other parts have them", where=str(folder))
        frames = [_class_folders(folder, path) for folder in parts]
        names = [np.full(len(frame), part, dtype="<U10") for part, frame in zip(parts.values(), frames, strict=True)]
        return _checked(pd.concat(frames, ignore_index=True), source), np.concatenate(names)
    if folders:
        return _checked(_class_folders(path, path), source), None
    return _checked(_frame([(file, None, file.name) for file in _files(path)]), source), None


def read_picture(path: Path) -> np.ndarray:
    """Return a picture as bytes (H, W, C): one channel when it is grey, else three.

    Raises:
        DataError: When the file does not decode.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings(), Image.open(path) as stored:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # beyond twice its size it is an error
            picture = ImageOps.exif_transpose(stored)  # a camera says how it was held
            if picture.mode == "F":
                raise ValueError("its values are floats; save it with 8 or 16 bits")
            if picture.mode.startswith("I"):  # 16 bits
                return np.asarray(np.asarray(picture) >> 8, np.uint8)[..., None]
            if picture.mode == "P" and "transparency" in picture.info:
                picture = picture.convert("RGBA")
            grey = picture.mode in ("1", "L", "LA")
            values = np.asarray(picture.convert("L" if grey else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"not a picture that can be read: {error}", where=str(path)) from None
    return values[..., None] if values.ndim == 2 else values


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith(_NOT_OURS))


def _files(folder: Path) -> list[Path]:
    found = (file for file in folder.rglob("*") if file.suffix.lower() in PICTURE_FILES and file.is_file())
    return sorted(
        file for file in found if not any(part.startswith(_NOT_OURS) for part in file.relative_to(folder).parts)
    )


def _class_folders(path: Path, root: Path) -> pd.DataFrame:
    found = [(file, folder.name, str(file.relative_to(root))) for folder in _folders(path) for file in _files(folder)]
    return _frame(found)


def _frame(found: Sequence[tuple[Path, str | None, str]]) -> pd.DataFrame:
    pictures = [read_picture(file) for file, _, _ in found]
    frame = pd.DataFrame({IMAGE: cells_of(pictures), "file": [name for _, _, name in found]})
    if found and found[0][1] is not None:
        frame["class"] = [str(label) for _, label, _ in found]
    return frame


def _checked(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    if len(frame) == 0:
        raise DataError(
            f"the folder has no pictures; a folder of class folders is expected, with files {', '.join(PICTURE_FILES)}",
            where=source,
        )
    return frame
