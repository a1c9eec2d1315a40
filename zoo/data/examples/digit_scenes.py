"""Composed scenes for segmentation: digits of scikit-learn on generated backgrounds, with masks that are exact."""

from __future__ import annotations

import numpy as np

SCENES, SIDE, DIGIT = 240, 32, 16
CLASSES = ("background", "digit")
_SEED = 0


def compose_digit_scenes() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return images (32, 32, 3) of one digit each, and their masks (32, 32): 1 where the digit is, else 0.

    The images are composed, not photographed: a digit of scikit-learn's set, enlarged twice, is painted in one colour
    onto stripes between two other colours, with noise. No colour is that of the digits of all images, so that a
    threshold cannot find them.

    Example:
        >>> images, masks = compose_digit_scenes()
        >>> len(images), images[0].shape, np.unique(masks[0]).tolist()
        (240, (32, 32, 3), [0, 1])
    """
    from sklearn.datasets import load_digits

    generator = np.random.default_rng(_SEED)
    digits = load_digits().images
    images, masks = [], []
    for digit in digits[generator.permutation(len(digits))[:SCENES]]:
        inside = np.kron(digit, np.ones((2, 2))) > 6
        top, left = generator.integers(0, SIDE - DIGIT + 1, 2)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[top : top + DIGIT, left : left + DIGIT] = inside
        image = np.where(mask[..., None] > 0, generator.integers(0, 256, 3), _draw_stripes(generator))
        images.append(np.clip(image + generator.normal(0, 8, image.shape), 0, 255).astype(np.uint8))
        masks.append(mask)
    return images, masks


def _draw_stripes(generator: np.random.Generator) -> np.ndarray:
    """Return soft stripes (H, W, 3) between two random colours, in a random direction."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle, frequency, phase = generator.uniform([0, 0.2, 0], [np.pi, 0.6, 2 * np.pi])
    wave = 0.5 + 0.5 * np.sin(frequency * (np.cos(angle) * rows + np.sin(angle) * columns) + phase)
    first, second = generator.integers(0, 256, (2, 3))
    return np.asarray(first + wave[..., None] * (second - first))
