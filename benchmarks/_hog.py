"""Histograms of oriented gradients, in NumPy: the features of a classical rival of image models."""

from __future__ import annotations

import numpy as np

ORIENTATIONS, CELL, BLOCK = 9, 4, 2  # for images of 28 to 64 pixels
CLIPPED = 0.2


def compute_hog(images: np.ndarray) -> np.ndarray:
    """Return histograms of oriented gradients (N, D) of images (N, H, W, C).

    Dalal and Triggs 2005, "Histograms of Oriented Gradients for Human Detection": of each pixel the channel with the
    strongest gradient, unsigned orientations shared between the two nearest bins, blocks of 2 x 2 cells with
    clipped L2 norms.
    """
    pixels = np.sqrt(np.asarray(images, np.float32))
    down, across = np.zeros_like(pixels), np.zeros_like(pixels)
    down[:, 1:-1], across[:, :, 1:-1] = pixels[:, 2:] - pixels[:, :-2], pixels[:, :, 2:] - pixels[:, :, :-2]
    strongest = np.hypot(down, across).argmax(axis=-1)[..., None]
    down, across = (np.take_along_axis(each, strongest, axis=-1)[..., 0] for each in (down, across))
    bins = (np.arctan2(down, across) % np.pi) / np.pi * ORIENTATIONS
    lower, strength = np.floor(bins).astype(int), np.hypot(down, across)
    rows, columns = pixels.shape[1] // CELL, pixels.shape[2] // CELL
    cells = np.zeros((len(pixels), rows, columns, ORIENTATIONS), np.float32)
    for index, share in ((lower, 1 - (bins - lower)), (lower + 1, bins - lower)):
        for orientation in range(ORIENTATIONS):
            voted = np.where(index % ORIENTATIONS == orientation, strength * share, 0)[
                :, : rows * CELL, : columns * CELL
            ]
            cells[..., orientation] += voted.reshape(len(pixels), rows, CELL, columns, CELL).sum(axis=(2, 4))
    size = BLOCK * BLOCK * ORIENTATIONS
    blocks = np.stack(
        [
            cells[:, row : row + BLOCK, column : column + BLOCK].reshape(len(pixels), size)
            for row in range(rows - BLOCK + 1)
            for column in range(columns - BLOCK + 1)
        ],
        axis=1,
    )
    normed = np.minimum(blocks / np.sqrt((blocks**2).sum(axis=-1, keepdims=True) + 1e-4), CLIPPED)
    normed /= np.sqrt((normed**2).sum(axis=-1, keepdims=True) + 1e-4)
    return normed.reshape(len(pixels), -1)
