"""Ragged arrays: sequences and images of different sizes, concatenated without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """N examples that differ in the size of their first axes, stored without padding.

    Args:
        values: All examples concatenated (S, …): the steps of sequences (S, F), or the pixels of images (S, C).
        sizes: Size of each example along the ragged axes (N, A): A is 1 for sequences, 2 for images.

    Example:
        >>> sequences = Ragged.of([np.zeros((2, 3)), np.ones((4, 3))], axes=1)
        >>> sequences.values.shape, sequences.sizes.tolist(), sequences[1:].padded().shape
        ((6, 3), [[2], [4]], (1, 4, 3))
    """

    values: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, examples: Sequence[Any], *, axes: int) -> Ragged:
        """Return examples concatenated; each has ``axes`` ragged axes first, then the common ones."""
        sizes = np.array([example.shape[:axes] for example in examples], np.int32).reshape(len(examples), axes)
        flat = [example.reshape(-1, *example.shape[axes:]) for example in examples]
        return cls(np.concatenate(flat) if flat else np.empty(0), sizes)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Number of rows of ``values`` of each example (N,)."""
        return self.sizes.prod(axis=1, dtype=np.int64)

    @cached_property
    def starts(self) -> np.ndarray:
        """First row of ``values`` of each example (N,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])[:-1].astype(np.int64)

    def __len__(self) -> int:
        return len(self.sizes)

    def example(self, index: int) -> np.ndarray:
        """Return one example."""
        start = self.starts[index]
        rows = self.values[start : start + self.lengths[index]]
        return rows.reshape(*self.sizes[index], *self.values.shape[1:])

    def __getitem__(self, rows: Any) -> Ragged:
        """Return the examples of a slice or of an array of positions."""
        if isinstance(rows, slice) and rows.step in (None, 1):
            first, last, _ = rows.indices(len(self))
            ends = np.append(self.starts, len(self.values))
            return Ragged(self.values[ends[first] : ends[max(first, last)]], self.sizes[rows])
        sizes = self.sizes[rows]
        starts, lengths = self.starts[rows], self.lengths[rows]
        # Position inside each example, then in the array, without a loop over examples.
        inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Ragged(self.values[np.repeat(starts, lengths) + inside], sizes)

    def padded(self, size: Sequence[int] | None = None) -> np.ndarray:
        """Return one array (N, *size, …), padded with zeros at the end of each example.

        Args:
            size: Size of the ragged axes; default the largest of any example.
        """
        axes, item = self.sizes.shape[1], self.values.shape[1:]
        greatest = tuple(size) if size is not None else tuple(self.sizes.max(axis=0, initial=0))
        if len(self) and (self.sizes == greatest).all():
            return self.values.reshape(len(self), *greatest, *item)
        padded = np.zeros((len(self), *greatest, *item), self.values.dtype)
        if axes == 1:
            padded[np.arange(greatest[0]) < self.sizes] = self.values
            return padded
        for index, extents in enumerate(self.sizes):
            padded[index][tuple(slice(0, int(extent)) for extent in extents)] = self.example(index)
        return padded

    @property
    def uniform(self) -> bool:
        """Whether all examples have one size."""
        return len(self) == 0 or bool((self.sizes == self.sizes[0]).all())
