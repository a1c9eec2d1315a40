"""Contributions of words to a model of hashed n-grams, from those of its n-grams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.portable.ngrams import hash_ngrams


def split_over_words(
    config: Mapping[str, Any], tokens: Sequence[str], pairs: np.ndarray, contributions: np.ndarray
) -> np.ndarray:
    """Return the contribution of each token of a text (W,), which add up to those of its n-grams.

    A token has the n-grams of its characters, and an equal share of each n-gram of words that it is part of. What an
    n-gram contributes is divided equally among its occurrences.

    Args:
        config: ``words``, ``characters`` and ``buckets`` of ``HashNgrams``.
        tokens: W tokens of the text, as :func:`zoo.portable.ngrams.split_into_signs` returns them.
        pairs: Bucket and count of each distinct n-gram of the text (T, 2).
        contributions: Of each of them (T,).

    Example:
        >>> config = {"words": 2, "characters": 0, "buckets": 4096}
        >>> first, second, both = (_hash_windows(config, [text], 0, 2)[0] for text in ("not", "bad", "not bad"))
        >>> pairs = np.array([[bucket, 1] for bucket in both])
        >>> values = np.array([-1.0 if bucket in first else -3.0 if bucket in second else 6.0 for bucket in both])
        >>> split_over_words(config, ["not", "bad"], pairs, values).tolist()
        [2.0, 0.0]
    """
    each = {int(bucket): value / max(count, 1) for (bucket, count), value in zip(pairs, contributions, strict=True)}
    totals = np.zeros(len(tokens))
    for index, ngrams in enumerate(_hash_windows(config, tokens, config["characters"], 0)):
        totals[index] += _add_up(ngrams, each)
    for size in range(1, config["words"] + 1):
        windows = [" ".join(tokens[index : index + size]) for index in range(len(tokens) - size + 1)]
        shorter = _hash_windows(config, windows, 0, size - 1)
        for index, ngrams in enumerate(_hash_windows(config, windows, 0, size)):
            # Of the n-grams of a window, only one has as many words as the window.
            totals[index : index + size] += _add_up(ngrams - shorter[index], each) / size
    return totals


def _hash_windows(config: Mapping[str, Any], texts: Sequence[str], characters: int, words: int) -> list[Counter[int]]:
    """Return how often each bucket occurs in each text, of n-grams of at most so many characters and words."""
    if not texts or characters == words == 0:
        return [Counter() for _ in texts]
    settings = {"characters": characters, "words": words, "buckets": config["buckets"], "longest": None}
    distinct = list(dict.fromkeys(texts))
    pairs, lengths = hash_ngrams(settings, distinct)
    counters = [
        Counter({int(bucket): int(count) for bucket, count in row[:length] if count})
        for row, length in zip(pairs, lengths, strict=True)
    ]
    by_text = dict(zip(distinct, counters, strict=True))
    return [by_text[text] for text in texts]


def _add_up(ngrams: Mapping[int, int], each: Mapping[int, float]) -> float:
    return sum(count * each.get(bucket, 0.0) for bucket, count in ngrams.items())
