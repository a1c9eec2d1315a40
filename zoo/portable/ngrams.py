"""Hashed n-grams of words and of characters with NumPy only; :mod:`zoo.preprocessing.ngrams` computes the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# A token is a run of letters and digits, or a run of other signs; the spaces are those of Unicode, spelled out since
# regular expressions of Python and of TensorFlow do not agree on them.
SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_WORDS, _SPACES = re.compile(r"([^\W_]+)"), re.compile(f"[{SPACES}]+")
SPACE = ord(" ")
# Odd factors of 64 bits (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"), as signed ones.
FIRST_FACTOR, SECOND_FACTOR, STRIDE = -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15, -0x61C8864680B583EB
FIRST_SHIFT, SECOND_SHIFT, LAST_SHIFT = 30, 27, 31


def hash_ngrams(config: Mapping[str, Any], texts: Sequence[str]) -> list[np.ndarray]:
    """Return the distinct n-grams of texts and how often they occur, as ``HashNgrams`` does.

    Args:
        config: ``words``, ``characters``, ``buckets`` and ``longest`` of the layer.
        texts: B texts.

    Returns:
        Pairs of bucket and count (B, T, 2), zero after the last, and their numbers (B,), at least 1.
    """
    rows = [_count(config, text) for text in texts]
    lengths = np.array([max(1, len(row)) for row in rows], np.int32)
    pairs = np.zeros((len(rows), lengths.max(initial=1), 2), np.float32)
    for index, row in enumerate(rows):
        pairs[index, : len(row)] = row
    return [pairs, lengths]


def split_into_signs(text: str) -> list[str]:
    """Split a text, in lower case, into runs of letters and digits and runs of other signs.

    Example:
        >>> split_into_signs("Win £100 now!!")
        ['win', '£', '100', 'now', '!!']
    """
    return _SPACES.sub(" ", _WORDS.sub(r" \1 ", text.lower())).strip(" ").split(" ")


def _count(config: Mapping[str, Any], text: str) -> np.ndarray:
    """Return the buckets of a text in ascending order with their counts (T, 2)."""
    tokens = [token for token in split_into_signs(text) if token][: config["longest"]]
    points = np.array([ord(sign) for sign in f" {' '.join(tokens)} "], np.int64)
    space = points == SPACE
    starts = np.flatnonzero(space)  # the space before each token, and the last one
    place = np.arange(len(points)) - starts[np.cumsum(space) - 1]
    mixed = np.where(space, 0, _mix(points + place * STRIDE))
    words = np.add.reduceat(mixed, starts)[: len(tokens)]
    hashes = []
    for size in range(1, config["words"] + 1):
        hashes.append(_bucket(_combine(words, size), size, config["buckets"]))
    for size in range(1, config["characters"] + 1):
        last = max(len(points) - size + 1, 0)
        # No n-gram goes from one token to the next; the spaces around a token belong to it.
        inside = [space[offset : last + offset] for offset in (range(1, size - 1) if size > 1 else [0])]
        kept = ~np.any([np.zeros(last, bool), *inside], axis=0)
        hashes.append(config["buckets"] + _bucket(_combine(points, size)[kept], -size, config["buckets"]))
    buckets, counts = np.unique(np.concatenate(hashes), return_counts=True)
    return np.stack([buckets, counts], axis=1).astype(np.float32)


def _combine(values: np.ndarray, size: int) -> np.ndarray:
    """Return a hash of each ``size`` neighbours of values (N,), (N - size + 1,)."""
    last = max(len(values) - size + 1, 0)
    offsets = np.arange(size, dtype=np.int64) * STRIDE
    parts = [_mix(values[offset : last + offset] + shift) for offset, shift in enumerate(offsets)]
    return np.asarray(np.sum(parts, axis=0, dtype=np.int64))


def _bucket(hashes: np.ndarray, salt: int, buckets: int) -> np.ndarray:
    return _mix(hashes + salt) & (buckets - 1)


def _mix(values: np.ndarray) -> np.ndarray:
    """Return 64-bit integers in which each bit of the result depends on all bits of the value."""
    values = (values ^ (values >> FIRST_SHIFT)) * FIRST_FACTOR
    values = (values ^ (values >> SECOND_SHIFT)) * SECOND_FACTOR
    return values ^ (values >> LAST_SHIFT)
