"""Animations: frames written as one file that a browser shows."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

MOST_FRAMES, MOST_PIXELS = 500, 600


def encode_animation(frames: Sequence[np.ndarray], rate: float) -> bytes:
    """Return frames (H, W, 3) of bytes as an animated GIF.

    At most 500 frames are kept, at even distances, and none is wider or higher than 600 pixels.

    Args:
        frames: The frames, at least one.
        rate: Frames a second.
    """
    from PIL import Image

    every = -(-len(frames) // MOST_FRAMES)
    images = [Image.fromarray(frame) for frame in frames[::every]]
    for image in images:
        image.thumbnail((MOST_PIXELS, MOST_PIXELS))
    buffer = io.BytesIO()
    images[0].save(buffer, format="GIF", save_all=True, append_images=images[1:], duration=1000 * every / rate, loop=0)
    return buffer.getvalue()


def write_animation(frames: Sequence[np.ndarray], path: Path, rate: float) -> None:
    """Write frames (H, W, 3) of bytes as an animated GIF; the file is replaced atomically.

    Args:
        frames: The frames, at least one.
        path: File to write.
        rate: Frames a second; see :func:`encode_animation`.
    """
    writing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        writing.write_bytes(encode_animation(frames, rate))
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)
