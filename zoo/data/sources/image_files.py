"""Images in files: a folder of class folders, a folder of images, or one image."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np
import pandas as pd

from zoo.data.dataset import SPELLINGS
from zoo.data.examples.array_columns import IMAGE, convert_to_cells
from zoo.data.limits import check_inside, check_memory, format_bytes, measure_available_memory, report_decoding_errors
from zoo.errors import DataError, UnreadableFileError, join_first
from zoo.text import is_utf_8

IMAGE_FILES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# Pillow reads many more formats, including PostScript, which runs code. The file's content decides, not its suffix.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
_MANY_PIXELS = 1 << 22
_PIXEL_BYTES = 16  # decoded, converted and array copies, and the decoder's own memory

# Hidden files, and those of macOS archives.
_NOT_OURS = (".", "__MACOSX")
_skipped: ContextVar[bool] = ContextVar("skip_broken", default=False)


@contextmanager
def drop_broken_images(skip: bool) -> Iterator[None]:
    """Leave out images that cannot be decoded inside a ``with`` block; False changes nothing."""
    token = _skipped.set(skip or _skipped.get())
    try:
        yield
    finally:
        _skipped.reset(token)


def read_images(path: Path, source: str) -> tuple[pd.DataFrame, np.ndarray | None, list[str]]:
    """Read images with their file names and, from the names of folders, their classes and splits.

    Args:
        path: A folder of class folders; a folder of ``train`` and ``test`` (and ``val``) that contain class
            folders; a folder of images; or one image.
        source: Name of the source in error messages.

    Returns:
        A frame with ``image`` (an array (H, W, C) of bytes in each cell), ``file`` and, if there are class
        folders, ``class``; the split of each row, or None; and a note, if files were left out.

    Raises:
        DataError: If a folder has no images, or a file is not an image.
    """
    labelled_files, split = _findlist_image_files(path)
    if not labelled_files:
        raise DataError(
            f"the folder has no images; expected class folders with files {', '.join(IMAGE_FILES)}", where=source
        )
    images, places, notes = decode_images(
        [file for file, _, _ in labelled_files], [name for *_, name in labelled_files]
    )
    labelled_files = [labelled_files[place] for place in places]
    frame = pd.DataFrame({IMAGE: convert_to_cells(images), "file": [name for *_, name in labelled_files]})
    if labelled_files[0][1] is not None:
        frame["class"] = [str(label) for _, label, _ in labelled_files]
    return frame, split[places] if split is not None else None, notes


def _findlist_image_files(path: Path) -> tuple[list[tuple[Path, str | None, str]], np.ndarray | None]:
    """Return path, class and name of each file, and the split of each; None without classes or splits."""
    if path.is_file():
        return [(path, None, path.name)], None
    folders = _folders(path, path)
    splits = {folder: SPELLINGS[folder.name.lower()] for folder in folders if folder.name.lower() in SPELLINGS}
    if splits and len(splits) == len(folders) and any(_folders(folder, path) for folder in folders):
        for folder in folders:
            if not _folders(folder, path) and list_image_files(folder, path):
                raise DataError("the images have no class folders, but other splits have", where=str(folder))
        parts = [_class_folders(folder, path) for folder in splits]
        names = [np.full(len(part), split, dtype="<U10") for split, part in zip(splits.values(), parts, strict=True)]
        return [file for part in parts for file in part], np.concatenate(names)
    if folders:
        return _class_folders(path, path), None
    return [(file, None, file.name) for file in list_image_files(path, path)], None


def decode_images(files: Sequence[Path], names: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """Return the images in files, the places (M,) of those that could be decoded, and a note on the others.

    Args:
        files: N files.
        names: Their names in the note.

    Raises:
        DataError: If a file is not an image and broken ones are not skipped, if all are broken, or if the images do not
            fit into memory.
    """
    images, places, broken, available = [], [], [], measure_available_memory()
    size_bytes, first_error = 0, None
    for place, file in enumerate(files):
        try:
            images.append(read_image(file))
        except UnreadableFileError as error:
            if not _skipped.get():
                advice = f"{error.message}; to leave out such images, use --skip-broken"
                raise DataError(advice, where=error.where) from None
            first_error = first_error or error
            broken.append(names[place])
            continue
        places.append(place)
        size_bytes += images[-1].nbytes
        if size_bytes > available:
            message = (
                f"the images up to this one need {format_bytes(size_bytes)} of memory; "
                f"{format_bytes(available)} were available"
            )
            raise DataError(f"{message}. Reduce their size first", where=str(file))
    if first_error is not None and not images:
        raise DataError(f"none of {len(files)} images can be read: {first_error}")
    note = f"{len(broken):,} of {len(files):,} images cannot be read and are left out: {join_first(broken, 5)}"
    return images, np.array(places, int), [note] if broken else []


def read_image(path: Path) -> np.ndarray:
    """Read an image as bytes (H, W, C), with one channel if it is grey, else three.

    Raises:
        DataError: If the file cannot be decoded.
    """
    from PIL import Image, ImageOps

    with report_decoding_errors(str(path), "cannot be read as an image"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata; above twice Pillow's size limit it is an error
        with Image.open(path, formats=_FORMATS) as stored:
            pixels = stored.width * stored.height
            if pixels > _MANY_PIXELS:  # the check takes as long as decoding a small image
                size = f"an image of {stored.height:,} x {stored.width:,} pixels (height x width)"
                check_memory(_PIXEL_BYTES * pixels, size, str(path))
            image = ImageOps.exif_transpose(stored)  # rotate by the camera's orientation
            if image.mode == "F":
                raise ValueError("its values are floats; save it with 8 or 16 bits")
            if image.mode.startswith("I"):  # 16 bits
                return np.asarray(np.asarray(image) >> 8, np.uint8)[..., None]
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")
            grey = image.mode in ("1", "L", "LA")
            values = np.asarray(image.convert("L" if grey else "RGB"))
    return values[..., None] if values.ndim == 2 else values


def shrink_to_grey(image: np.ndarray, side: int) -> np.ndarray:
    """Return an image (H, W) or (H, W, C) as grey values in [0, 1], downsampled to (side, side) by area means.

    Example:
        >>> shrink_to_grey(np.full((8, 6, 3), 255), 2).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    from PIL import Image

    grey = np.asarray(image, np.float32)
    grey = grey.mean(axis=-1) if grey.ndim == 3 else grey
    grey = grey / (255.0 if float(grey.max(initial=0)) > 1 else 1.0)
    return np.asarray(Image.fromarray(grey).resize((side, side), Image.Resampling.BOX), np.float32)


def _folders(path: Path, root: Path) -> list[Path]:
    folders = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith(_NOT_OURS))
    for folder in folders:
        _check_name(folder)
        check_inside(folder, root)
    return folders


def list_image_files(folder: Path, root: Path) -> list[Path]:
    """Return the image files below a folder, in order of their names; hidden ones are left out.

    Args:
        folder: The folder.
        root: Folder that links must not lead out of.

    Raises:
        DataError: If a name is not valid UTF-8, or a link leads out of the root.
    """
    candidates = (file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_FILES and file.is_file())
    files = sorted(
        file for file in candidates if not any(name.startswith(_NOT_OURS) for name in file.relative_to(folder).parts)
    )
    for file in files:
        _check_name(file)
        check_inside(file, root)
    return files


def _check_name(path: Path) -> None:
    if not is_utf_8(path.name):
        raise DataError(f"the name {path.name!r} is not valid UTF-8; rename it", where=str(path.parent))


def _class_folders(path: Path, root: Path) -> list[tuple[Path, str | None, str]]:
    return [
        (file, folder.name, str(file.relative_to(root)))
        for folder in _folders(path, root)
        for file in list_image_files(folder, root)
    ]
