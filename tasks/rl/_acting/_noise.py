"""Exploration noise with a memory, so that random actions lead further than those that cancel each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def draw_pink_noise(rng: np.random.Generator, steps: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return standard normal numbers (steps, *shape) whose power falls with the frequency, independent of each other.

    Timmer and König 1995, "On generating power law noise", for the exponent 1.

    Example:
        >>> noise = draw_pink_noise(np.random.default_rng(0), 1000, (2,))
        >>> bool(np.corrcoef(noise[1:, 0], noise[:-1, 0])[0, 1] > 0.4)
        True
    """
    frequencies = np.fft.rfftfreq(steps)[1:]
    scale = frequencies**-0.5
    drawn = rng.standard_normal((2, *shape, len(frequencies)))
    spectrum = np.concatenate([np.zeros((*shape, 1)), (drawn[0] + 1j * drawn[1]) * scale], axis=-1)
    noise = np.moveaxis(np.fft.irfft(spectrum, steps), -1, 0)
    return np.asarray(noise / (2 * np.sqrt(np.sum(scale**2)) / steps), np.float32)


class PinkNoise:
    """Pink noise for the actions of several environments, drawn in blocks.

    Eberhard et al. 2023, "Pink noise is all you need", section 4: of the noises tried it explores most environments
    best, those that need a long swing among them.

    Args:
        rng: Random generator.
        shape: Number of environments, and of numbers of an action.
        block: Number of steps that are drawn together; longer ones hold slower swings.
    """

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int], block: int = 1_000) -> None:
        self.rng, self.shape, self.block = rng, shape, block
        self.left = np.zeros((0, *shape), np.float32)

    def draw(self) -> np.ndarray:
        """Return the noise of the next step (N, A)."""
        if not len(self.left):
            self.left = draw_pink_noise(self.rng, self.block, self.shape)
        noise, self.left = self.left[0], self.left[1:]
        return noise

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the noise that is drawn but not used."""
        return {"noise": self.left}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`arrays` returned."""
        self.left = arrays["noise"].copy()
