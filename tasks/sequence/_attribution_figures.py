"""Figures of the steps, words or characters that predictions of validation examples depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.data.ragged import Ragged
from zoo.portable.preprocessing import LENGTH
from zoo.spec import SequenceInput, Spec, TextInput
from zoo.text import format_number

from ._attributions import compute_attributions, preprocess_inputs, split_contributions

MOST_SEQUENCES, MOST_TEXTS = 4, 6
MOST_PREDICTED = 500  # validation rows that the examples are chosen from
MOST_CHARACTERS = 400  # of a text that is drawn, if there are shorter ones
MOST_GAP = 0.05
LETTERS = ("character", "letter")  # the second in models of zoo 0.1.0


def draw_attributions(model: keras.Model, dataset: Dataset, predict: Callable[[Mapping[str, Any]], np.ndarray]) -> Any:
    """Return a figure of what predictions of a few validation examples depend on.

    Of classes, these are the most confident wrong predictions, and the most confident right one of each class; of
    numbers, predictions from the least to the greatest.

    Args:
        model: The full model.
        dataset: Sequences of numbers or texts, with one target.
        predict: Function from raw inputs to decoded predictions: probabilities (N, K), or numbers (N,).
    """
    from zoo.figures.sequences import attributed_sequences, attributed_texts

    spec, validation = dataset.spec, dataset.splits["validation"]
    texts = spec.of_kind(TextInput)
    rows = _choose_candidates(validation, spec)
    prediction, truth = predict(_take(validation, rows)), np.asarray(validation.target)[rows]
    places = choose_examples(truth, prediction, MOST_TEXTS if texts else MOST_SEQUENCES)
    prediction, truth, inputs = prediction[places], truth[places], _take(validation, rows[places])
    chosen = prediction.argmax(axis=1) if spec.has_classes else None
    contributions, gaps = compute_attributions(model, inputs, chosen)
    titles = [_describe(spec, *example) for example in zip(truth, prediction, gaps, strict=True)]
    if texts:
        tokens, values = split_contributions(model, inputs, contributions)
        is_bag = contributions.ndim == 2
        return attributed_texts(
            tokens,
            values,
            titles,
            separator="" if texts[0].unit in LETTERS and not is_bag else " ",
            baseline="a text without words" if is_bag else "tokens whose embedding is zero",
            classes=spec.has_classes,
        )
    sequence = spec.only(SequenceInput)
    lengths = np.asarray(preprocess_inputs(model, inputs)[LENGTH])
    sequences = inputs[sequence.key]
    assert isinstance(sequences, Ragged)
    return attributed_sequences(
        [sequences.example(index)[:length] for index, length in enumerate(lengths)],
        [join_indicators(row[:length], sequence) for row, length in zip(contributions, lengths, strict=True)],
        titles,
        channels=sequence.columns or [f"feature {index}" for index in range(len(sequence.mean))],
        baseline=np.array(sequence.mean),
        classes=spec.has_classes,
    )


def choose_examples(truth: np.ndarray, prediction: np.ndarray, count: int) -> np.ndarray:
    """Return the rows of the examples to explain.

    Args:
        truth: Classes (N,), or numbers.
        prediction: Probabilities (N, K), or numbers (N,).
        count: Maximum number of rows.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
        >>> choose_examples(np.array([0, 0, 0, 1]), probabilities, 4).tolist()
        [2, 0, 3]
        >>> choose_examples(np.zeros(5), np.array([3.0, 1.0, 5.0, 4.0, 2.0]), 3).tolist()
        [1, 0, 2]
    """
    if prediction.ndim == 1:
        places = np.linspace(0, len(prediction) - 1, min(count, len(prediction))).round().astype(np.int64)
        return np.asarray(np.argsort(prediction, kind="stable")[places])
    order, chosen = np.argsort(-prediction.max(axis=1), kind="stable"), prediction.argmax(axis=1)
    wrong, right = order[chosen[order] != truth[order]], order[chosen[order] == truth[order]]
    firsts = right[np.sort(np.unique(truth[right], return_index=True)[1])]  # one of each class
    return np.concatenate([wrong[: count // 2], firsts])[:count]


def join_indicators(contributions: np.ndarray, sequence: SequenceInput) -> np.ndarray:
    """Return the contributions (T, F) of features, each with that of its indicator of missing values.

    Args:
        contributions: Of features, and of the indicators of those that have missing values (T, F').
        sequence: The input.
    """
    width = len(sequence.mean)
    joined = contributions[:, :width].copy()
    joined[:, np.flatnonzero(sequence.has_missing)] += contributions[:, width:]
    return joined


def _choose_candidates(split: Split, spec: Spec) -> np.ndarray:
    """Return rows of a split, without long texts if there are short ones."""
    rows = np.arange(len(split))
    for text in spec.of_kind(TextInput):
        lengths = np.array([len(str(each)) for each in np.asarray(split.inputs[text.key])])
        short = np.flatnonzero(lengths <= MOST_CHARACTERS)
        rows = short if len(short) else rows
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(MOST_PREDICTED, len(rows))).astype(np.int64))]


def _describe(spec: Spec, truth: Any, prediction: Any, gap: float) -> str:
    """Return the title of an example, which says if its contributions do not add up."""
    target = spec.target
    if spec.has_classes:
        chosen, percent = target.classes[prediction.argmax()], 100 * prediction.max()
        text = f"predicted {chosen} ({percent:.0f} %), truth {target.classes[int(truth)]}"
    else:
        text = f"predicted {format_number(float(prediction))}, truth {format_number(truth * target.std + target.mean)}"
    return text if gap <= MOST_GAP else f"{text}; completeness gap {min(100 * gap, 999):.0f} %"


def _take(split: Split, rows: np.ndarray) -> dict[str, Any]:
    return {key: values[rows] for key, values in split.inputs.items()}
