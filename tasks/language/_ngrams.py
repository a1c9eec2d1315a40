"""N-gram models with interpolated back-off, for texts as codes.

Modified Kneser-Ney smoothing: Chen and Goodman 1999, "An empirical study of smoothing techniques for language
modeling", section 3. The order is chosen on validation texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zoo.data.ragged import Ragged

GREATEST_ORDER, USUAL_ORDER = 10, 6
MOST_TOKENS = 10_000_000


@dataclass(frozen=True)
class _Counts:
    """Discounted counts of the n-grams of one length, in the order of their keys.

    Args:
        discounted: Count of each n-gram less its discount.
        totals: Total count of each context.
        freed: What discounts take from each context, for shorter n-grams.
    """

    discounted: np.ndarray
    totals: np.ndarray
    freed: np.ndarray


@dataclass(frozen=True)
class _Level:
    """The n-grams of one length.

    Args:
        contexts: Sorted keys of the contexts (number of the context without its oldest token, and this token).
        keys: Sorted keys of the n-grams (number of the context, and the token after it).
        raw: How often each occurs.
        longest: Counts for the longest n-grams of a model; shorter ones count in how many contexts they occur (Kneser
            and Ney 1995).
    """

    contexts: np.ndarray
    keys: np.ndarray
    raw: np.ndarray
    longest: _Counts


class NGrams:
    """N-gram models of all orders up to a greatest one; each interpolates with the shorter ones and the uniform.

    No text is empty: at the beginning of a text, its end has the probability 0.

    Args:
        texts: Training texts with boundaries.
        size: Number of codes K; the last is the boundary.
        greatest: Greatest order, the predicted token included.

    Example:
        >>> texts = Ragged(np.array([2, 1, 1, 2, 2, 1, 2]), np.array([[4], [3]]))
        >>> NGrams(texts, 3, 2).compute_bits(texts, 2).shape
        (2,)
    """

    def __init__(self, texts: Ragged, size: int, greatest: int = GREATEST_ORDER) -> None:
        self.size = size
        self.levels: list[_Level] = []
        self.shorter: list[_Counts] = []  # of each level, where its n-grams are not the longest
        tokens = _Positions(texts, size - 1)
        context, contexts = np.zeros(len(tokens), np.int64), np.zeros(1, np.int64)
        former, former_starts = np.empty(0, np.int64), np.empty(0, bool)
        for length in range(greatest):
            if length:
                keys = context * size + tokens.before(length)
                contexts, context = np.unique(keys, return_inverse=True)
            keys, first, places, raw = np.unique(
                context * size + tokens.predicted, return_index=True, return_inverse=True, return_counts=True
            )
            if length:
                level = self.levels[-1]
                distinct = np.bincount(former[first], minlength=len(level.keys))
                # Nothing comes before the beginning of a text, so its n-grams keep their counts.
                counts = np.where(former_starts, level.raw, distinct)
                self.shorter.append(_discount(counts, level.keys // size, len(level.contexts)))
            self.levels.append(_Level(contexts, keys, raw, _discount(raw, keys // size, len(contexts))))
            former, former_starts = places, (tokens.before(length) == size - 1)[first] & (length > 0)

    def compute_bits(self, texts: Ragged, order: int) -> np.ndarray:
        """Return the negative binary logarithm of the probability of each text (N,)."""
        for reached, bits in enumerate(self.iterate_bits(texts), 1):
            if reached == order:
                return bits
        raise ValueError(f"the greatest order is {len(self.levels)}")

    def iterate_bits(self, texts: Ragged) -> Iterator[np.ndarray]:
        """Yield the bits of each text (N,) by the models of order 1, 2, …."""
        tokens = _Positions(texts, self.size - 1)
        context, shorter = np.zeros(len(tokens), np.int64), np.full(len(tokens), 1 / self.size)

        def mix(counts: _Counts) -> np.ndarray:
            mixed = _interpolate(counts, context, ngram, shorter)
            return mixed if length else self._exclude_empty(mixed, counts, tokens)

        for length, level in enumerate(self.levels):
            if length:
                context = _find(level.contexts, np.where(context < 0, -1, context * self.size + tokens.before(length)))
            ngram = _find(level.keys, np.where(context < 0, -1, context * self.size + tokens.predicted))
            with np.errstate(divide="ignore"):
                yield tokens.sum_by_text(-np.log2(mix(level.longest)))
            if length + 1 < len(self.levels):
                shorter = mix(self.shorter[length])

    def _exclude_empty(self, probability: np.ndarray, counts: _Counts, tokens: _Positions) -> np.ndarray:
        """Return the probabilities of unigrams, given for the first token of a text that it is not the end."""
        end = (counts.discounted[-1] + counts.freed[0] / self.size) / counts.totals[0]
        first = np.where(tokens.predicted == self.size - 1, 0.0, probability / (1 - end))
        return np.where(tokens.inside == 1, first, probability)

    def choose_order(self, texts: Ragged) -> int:
        """Return the order with the fewest bits for validation texts."""
        return 1 + int(np.argmin([bits.sum() for bits in self.iterate_bits(texts)]))


class _Positions:
    """The predicted tokens of texts, one after another, with those before them; the first one predicts nothing."""

    def __init__(self, texts: Ragged, boundary: int) -> None:
        self.texts, self.boundary = texts, boundary
        lengths = texts.lengths - 1
        self.inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
        self.places = np.repeat(texts.starts, lengths) + self.inside
        self.rows = np.repeat(np.arange(len(texts)), lengths)
        self.predicted = texts.values[self.places].astype(np.int64)

    def __len__(self) -> int:
        return len(self.places)

    def before(self, steps: int) -> np.ndarray:
        """Return the token ``steps`` before each; before the beginning of a text, its boundary."""
        places = np.where(self.inside >= steps, self.places - steps, self.places - self.inside)
        return self.texts.values[places].astype(np.int64)

    def sum_by_text(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of the values of each text (N,)."""
        return np.bincount(self.rows, values, minlength=len(self.texts))


def _discount(counts: np.ndarray, context: np.ndarray, contexts: int) -> _Counts:
    """Subtract the discounts of Chen and Goodman 1999, equation 17, estimated from the numbers of small counts."""
    n1, n2, n3, n4 = (max(int((counts == count).sum()), 1) for count in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    limits = np.array([1.0, 2.0, 3.0])
    discounts = np.clip([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3], 0.05, 0.95 * limits)
    discount = discounts[np.minimum(counts, 3) - 1]
    totals = np.bincount(context, counts, minlength=contexts)
    return _Counts(counts - discount, totals, np.bincount(context, discount, minlength=contexts))


def _interpolate(counts: _Counts, context: np.ndarray, ngram: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Return probabilities of tokens after contexts, given those by shorter contexts; -1 is for unseen."""
    discounted = np.where(ngram < 0, 0.0, counts.discounted[ngram])
    longer = (discounted + counts.freed[context] * shorter) / counts.totals[context]
    return np.where(context < 0, shorter, longer)


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the places of values among sorted keys, -1 where a value is not among them."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)
