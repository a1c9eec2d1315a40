"""Masks in image files: reading and writing them with their values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.limits import report_decoding_errors
from zoo.errors import DataError

MOST_VALUE = 255
# As in the masks of PASCAL VOC: neighbouring values get colours that are easy to tell apart.
_BITS = 8


def read_mask(path: Path) -> np.ndarray:
    """Return the values of a mask (H, W) as bytes: grey values, or the indices of a palette.

    Raises:
        DataError: If the file cannot be read, or its pixels are no values of classes.
    """
    from PIL import Image

    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise DataError("a mask in JPEG has other values than were saved; save masks as PNG", where=str(path))
    with (
        report_decoding_errors(str(path), "cannot be read as a mask"),
        Image.open(path, formats=("PNG", "BMP", "GIF", "TIFF", "WEBP")) as stored,
    ):
        values = np.asarray(stored)
    if values.ndim == 3:
        colours = values[..., :3] if values.shape[-1] >= 3 else values[..., :1]
        if (colours != colours[..., :1]).any():
            message = "the mask is in colour; expected one value for each pixel, as in a grey or indexed PNG"
            raise DataError(message, where=str(path))
        values = colours[..., 0]
    return check_mask(values, str(path))


def check_mask(values: np.ndarray, where: str) -> np.ndarray:
    """Return a mask (H, W) as bytes.

    Args:
        values: The mask.
        where: Its name in error messages.

    Raises:
        DataError: If it is not an array of integers from 0 to 255.

    Example:
        >>> check_mask(np.array([[0.0, 2.0]]), "mask").tolist()
        [[0, 2]]
    """
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "uifb":
        message = f"a mask needs one integer for each pixel, of shape (height, width); received {values.dtype}"
        raise DataError(f"{message} of shape {values.shape}", where=where)
    wrong = ~((values >= 0) & (values <= MOST_VALUE)) | (values != np.floor(values))
    if wrong.any():
        message = f"the mask has the value {values[wrong][0]}; expected integers from 0 to {MOST_VALUE}"
        raise DataError(message, where=where)
    return values.astype(np.uint8)


def write_mask(mask: np.ndarray, path: Path) -> None:
    """Write a mask (H, W) of bytes as a PNG file with a palette, so that its values are kept and can be seen."""
    from PIL import Image

    image = Image.fromarray(mask).convert("P") if mask.dtype != np.uint8 else Image.fromarray(mask, mode="P")
    image.putpalette(create_palette().ravel().tolist())
    image.save(path, format="PNG")


def create_palette() -> np.ndarray:
    """Return the colours (256, 3) of the values, as of PASCAL VOC: black for 0.

    Example:
        >>> create_palette()[:3].tolist()
        [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    """
    values, palette = np.arange(MOST_VALUE + 1), np.zeros((MOST_VALUE + 1, 3), np.uint8)
    for bit in range(_BITS):
        for channel in range(3):
            palette[:, channel] |= ((values >> channel & 1) << 7 - bit).astype(np.uint8)
        values = values >> 3
    return palette
