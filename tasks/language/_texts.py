"""Texts as tokens: codes with boundaries, sizes, and the bits of an unknown token."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.data.examples.describe_examples import CHARACTER, split_into_tokens
from zoo.data.ragged import Ragged
from zoo.preprocessing.sequences import CODES, UNSEEN, SequencePreprocessing
from zoo.spec import Spec, TextInput
from zoo.training.preprocessed_arrays import Arrays, preprocess

from ._network import find_boundary

UNKNOWN_NAME, END_NAME = "<unknown>", "<end>"


def list_tokens(spec: Spec) -> list[str]:
    """Return the names of the K codes: unknown, the vocabulary, the end of a text."""
    return [UNKNOWN_NAME, *spec.only(TextInput).vocabulary, END_NAME]


def get_texts(split: Split, spec: Spec) -> list[str]:
    """Return the texts of a split."""
    return [str(text) for text in np.asarray(split.inputs[spec.only(TextInput).key])]


def count_sizes(texts: Sequence[str], spec: Spec) -> np.ndarray:
    """Return the number of characters and of tokens of each text (N, 2), its end counted as one of each.

    Of a text by word, the characters are those of the words and one between two of them.

    Example:
        >>> spec = Spec("language", (TextInput("text", "text", unit="word"),))
        >>> count_sizes(["It is!"], spec).tolist()
        [[6.0, 3.0]]
    """
    unit = spec.only(TextInput).unit
    if unit == CHARACTER:
        return np.array([[len(text) + 1] * 2 for text in texts], np.float64).reshape(-1, 2)
    tokens = [split_into_tokens(text, unit) or [""] for text in texts]  # a text without words is one unknown word
    return np.array([[len(" ".join(words)) + 1, len(words) + 1] for words in tokens], np.float64).reshape(-1, 2)


def compute_unknown_bits(texts: Sequence[str], input_: TextInput) -> float:
    """Return the bits that say which token an unknown one is, so that no model gains by knowing few tokens.

    An unknown character is any of the other code points of Unicode, all equally likely. An unknown word is spelled:
    each of its characters and its end are equally likely among the characters of the vocabulary. As its length, that
    of the words is taken which are unknown in the training texts.

    Args:
        texts: The training texts.
        input_: Unit and vocabulary.

    Example:
        >>> round(compute_unknown_bits(["aa"], TextInput("text", "text", vocabulary=("a",), unit="character")), 1)
        20.1
    """
    vocabulary = set(input_.vocabulary)
    if input_.unit == CHARACTER:
        return math.log2(sys.maxunicode + 1 - len(vocabulary))
    alphabet = set("".join(vocabulary))
    words = [word for text in texts for word in split_into_tokens(text, input_.unit) if word not in vocabulary]
    length = float(np.mean([len(word) for word in words or vocabulary]))
    return (length + 1) * math.log2(len(alphabet) + 1)


def count_unknown(texts: Ragged) -> np.ndarray:
    """Return the number of unknown tokens of each text (N,)."""
    return np.add.reduceat(texts.values == UNSEEN, texts.starts, dtype=np.int64) if len(texts) else np.zeros(0)


def encode_split(split: Split, spec: Spec) -> Ragged:
    """Return the codes of a split's texts, each with a boundary before and after it."""
    codes = preprocess(SequencePreprocessing(spec).model(), split).x[CODES]
    assert isinstance(codes, Ragged)
    return add_boundaries(codes, find_boundary(spec))


def add_boundaries(codes: Ragged, boundary: int) -> Ragged:
    """Return texts with one more code before and after each.

    Example:
        >>> add_boundaries(Ragged(np.array([1, 2, 1]), np.array([[2], [1]])), 3).values.tolist()
        [3, 1, 2, 3, 3, 1, 3]
    """
    sizes = codes.sizes + 2
    values = np.full(len(codes.values) + 2 * len(codes), boundary, np.int32)
    ends = np.cumsum(sizes[:, 0])
    is_boundary = np.zeros(len(values), bool)
    is_boundary[ends - 1] = is_boundary[ends - sizes[:, 0]] = True
    values[~is_boundary] = codes.values
    return Ragged(values, sizes)


def cut_into_pieces(texts: Ragged, longest: int) -> Ragged:
    """Cut long texts into pieces for training: each token but the first of a text is predicted in just one of them.

    The first token of a piece is the last one of the piece before it. Gradients go no further back, which is truncated
    back-propagation through time (Williams and Peng 1990) with a state that starts anew.

    Args:
        texts: Texts with boundaries.
        longest: Maximum number of predicted tokens of a piece.

    Example:
        >>> cut = cut_into_pieces(Ragged(np.arange(6), np.array([[6]])), 3)
        >>> [cut.example(row).tolist() for row in range(len(cut))]
        [[0, 1, 2, 3], [3, 4, 5]]
    """
    lengths = texts.lengths - 1
    if lengths.max(initial=0) <= longest:
        return texts
    counts = -(-lengths // longest)
    inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # number of the piece in its text
    starts = np.repeat(texts.starts, counts) + inside * longest
    sizes = np.minimum(longest, np.repeat(lengths, counts) - inside * longest) + 1
    places = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(starts, sizes)
    return Ragged(texts.values[places], sizes[:, None].astype(np.int32))


def prepare_arrays(texts: Ragged) -> Arrays:
    """Return texts with boundaries as what the core of a network is trained on; there is no target."""
    x: dict[str, Any] = {CODES: texts}
    return Arrays(x, np.zeros(len(texts), np.float32))
