"""Whole examples as inputs: images, sequences of numbers, texts and observations, described and read from cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.examples.array_columns import IMAGE, SEQUENCE, TEXT
from zoo.data.limits import row_in_source
from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.spec import Input

CHARACTER, WORD = "character", "word"
# Letters and digits: the same in TensorFlow's regular expressions is [\p{L}\p{N}]+.
_WORD = re.compile(r"[^\W_]+")
LEAST_COUNT = 2
MOST_SIDE = 64


def describe_image(name: str, values: pd.Series, *, size: int | None, where: str) -> Input:
    """Return the input for a column of images of the training part.

    Args:
        name: The column.
        values: N images (H, W) or (H, W, C), of one size or of several.
        size: Height and width that the model brings them to; default their own where they have one size, else
            the median of their sides, at most 64.
        where: The source, for errors.
    """
    channels = max(_channels(value, name, row, where) for row, value in _placed(values))
    images = _images(values, name, channels, where)
    heights, widths = images.sizes[:, 0], images.sizes[:, 1]
    if size is not None:
        height = width = size
    elif images.uniform:
        height, width = int(heights[0]), int(widths[0])
    else:
        height = width = min(MOST_SIDE, int(np.median(np.minimum(heights, widths))))
    whole = images.values.dtype == np.uint8
    statistics = {**_moments(images.values), "height": height, "width": width, "whole": whole}
    return Input(name, IMAGE, IMAGE, shape=(None, None, channels), statistics=statistics)


def describe_sequence(name: str, values: pd.Series, *, where: str) -> Input:
    """Return the input for a column of sequences (T, F) of the training part; their lengths may differ."""
    sequences = _sequences(values, name, None, where)
    steps = sequences.values
    missing = int(np.isnan(steps).any(axis=1).sum())
    known = Input(name, SEQUENCE, SEQUENCE, shape=(None, steps.shape[1]), missing=missing)
    lengths = sequences.lengths
    statistics = {
        **_moments(steps),
        "missing": np.isnan(steps).any(axis=0).tolist(),
        "least_length": int(lengths.min()),
        "greatest_length": int(lengths.max()),
        "mean_length": float(lengths.mean()),
    }
    if not np.any(np.array(statistics["std"]) > 0):
        raise DataError(f"column {name} is constant: every step of every sequence is the same", where=where)
    known.statistics.update(statistics)
    return known


def describe_text(name: str, values: pd.Series, *, unit: str, vocabulary: int, where: str) -> Input:
    """Return the input for a column of texts of the training part.

    Args:
        name: The column.
        values: N texts.
        unit: ``character`` or ``word``.
        vocabulary: Most tokens that are known; those that occur once are not.
        where: The source, for errors.
    """
    texts = _texts(values, name, where)
    counts: Counter[str] = Counter()
    lengths = np.empty(len(texts), np.int64)
    for row, text in enumerate(texts):
        tokens = tokens_of(text, unit)
        lengths[row] = len(tokens)
        counts.update(tokens)
    known = [token for token, count in counts.most_common(vocabulary) if count >= LEAST_COUNT]
    if not known:
        raise DataError(f"column {name}: no {unit} occurs twice in the training part", where=where)
    statistics = {
        "unit": unit,
        "greatest_length": int(lengths.max()),
        "mean_length": float(lengths.mean()),
    }
    return Input(name, TEXT, TEXT, shape=(), levels=tuple(known), statistics=statistics)


def tokens_of(text: str, unit: str) -> list[str]:
    """Return a text's letters, or its words in lower case.

    Example:
        >>> tokens_of("Ça va?", "word")
        ['ça', 'va']
    """
    return _WORD.findall(text.lower()) if unit == WORD else list(text)


def example_values(values: pd.Series, known: Input, where: str) -> Any:
    """Return N whole examples as a model's input takes them: ragged images or sequences, texts, or an array.

    Raises:
        DataError: An example of another shape than training had, an empty one, or one that cannot be read.
    """
    if known.kind == IMAGE:
        return _images(values, known.name, int(known.shape[-1] or 1), where)
    if known.kind == SEQUENCE:
        return _sequences(values, known.name, int(known.shape[-1] or 1), where)
    if known.kind == TEXT:
        return _texts(values, known.name, where)
    return _stacked(values, known, where)


def cells_from_columns(frame: pd.DataFrame, known: Input) -> pd.Series | None:
    """Return a column of arrays made of columns ``name_0``, ``name_1``, …; None where the frame lacks one."""
    if None in known.shape or not known.shape:
        return None
    size = int(np.prod([extent or 1 for extent in known.shape]))
    names = [f"{known.name}_{index}" for index in range(size)]
    if not set(names) <= {str(name) for name in frame.columns}:
        return None
    numbers = frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32)
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        value = frame[names[column]].iloc[row]
        place = f"column {names[column]}, row {row_in_source(frame[names[column]], int(row))}"
        told = repr(value) if isinstance(value, str) else str(value)
        raise DataError(f"{told} is not a finite number", where=place)
    return pd.Series(list(numbers.reshape(len(frame), *known.shape)), index=frame.index, dtype=object)


def _placed(values: pd.Series) -> list[tuple[int, Any]]:
    """Values beside their rows in the source."""
    return [(row_in_source(values, row), value) for row, value in enumerate(values)]


def _channels(value: Any, name: str, row: int, where: str) -> int:
    shape = np.shape(value)
    if len(shape) == 2:
        return 1
    if len(shape) == 3 and shape[-1] in (1, 3, 4):
        return 3 if shape[-1] == 4 else int(shape[-1])
    raise DataError(
        f"an image has shape (height, width) or (height, width, channels) with 1 or 3 channels; received {shape}",
        where=f"{where}, column {name}, row {row}",
    )


def _images(values: pd.Series, name: str, channels: int, where: str) -> Ragged:
    images = []
    for row, value in _placed(values):
        own = _channels(value, name, row, where)
        image = np.asarray(value)
        place = f"{where}, column {name}, row {row}"
        if image.size == 0:
            raise DataError(f"an empty image, of shape {image.shape}", where=place)
        if image.dtype.kind not in "uifb":
            raise DataError(f"an image's values are numbers; received {image.dtype}", where=place)
        image = image[..., None] if image.ndim == 2 else image[..., :3]
        if own != channels:
            grey = image.mean(axis=-1, keepdims=True) if channels == 1 else np.repeat(image, 3, axis=-1)
            image = grey.astype(image.dtype)
        images.append(image)
    made = Ragged.of(images, axes=2)
    if made.values.dtype == np.uint8:
        return made
    if made.values.dtype.kind == "f" and not np.isfinite(made.values).all():
        raise DataError(f"column {name}: an image has values that are not finite", where=where)
    return Ragged(made.values.astype(np.float32), made.sizes)


def _sequences(values: pd.Series, name: str, features: int | None, where: str) -> Ragged:
    sequences = []
    for row, value in _placed(values):
        sequence = np.asarray(value)
        place = f"{where}, column {name}, row {row}"
        if sequence.dtype.kind not in "uifb" or sequence.ndim not in (1, 2):
            raise DataError(
                f"a sequence has shape (steps,) or (steps, features) and holds numbers; received {sequence.dtype} "
                f"of shape {sequence.shape}",
                where=place,
            )
        sequence = sequence.reshape(len(sequence), -1) if sequence.size else sequence.reshape(0, features or 1)
        if len(sequence) == 0:
            raise DataError("the sequence has no steps", where=place)
        features = features or sequence.shape[1]
        if sequence.shape[1] != features:
            raise DataError(f"a sequence of {sequence.shape[1]} features, where {features} are expected", where=place)
        sequences.append(sequence)
    made = Ragged.of(sequences, axes=1)
    steps = made.values.astype(np.float32) if len(made) else np.empty((0, features or 1), np.float32)
    return Ragged(np.where(np.isinf(steps), np.float32(np.nan), steps), made.sizes)


def _texts(values: pd.Series, name: str, where: str) -> np.ndarray:
    empty = (values.isna() | (values.astype(str).str.strip() == "")).to_numpy()
    if empty.any():
        row = row_in_source(values, int(np.flatnonzero(empty)[0]))
        raise DataError("the text is empty: a sequence of no steps", where=f"{where}, column {name}, row {row}")
    return values.astype(str).to_numpy(dtype=object)


def _stacked(values: pd.Series, known: Input, where: str) -> np.ndarray:
    made = np.empty((len(values), *(extent or 0 for extent in known.shape)), np.float32)
    for index, (row, value) in enumerate(_placed(values)):
        if np.shape(value) != known.shape or not _all_finite(value):
            place = f"{where}, column {known.name}, row {row}"
            found = f"shape {np.shape(value)}" if np.shape(value) != known.shape else f"{value!r}"
            raise DataError(f"expected finite numbers of shape {known.shape}; received {found}", where=place)
        made[index] = value
    return made


def _all_finite(value: Any) -> bool:
    try:
        return bool(np.isfinite(np.asarray(value, np.float64)).all())
    except (TypeError, ValueError):
        return False


def _moments(values: np.ndarray) -> dict[str, Any]:
    """Mean and standard deviation of each feature or channel, missing values left out; in pieces, to spare memory."""
    count = np.zeros(values.shape[-1])
    total, square = np.zeros(values.shape[-1]), np.zeros(values.shape[-1])
    for piece in _pieces(values):
        present = np.isfinite(piece)
        known = np.where(present, piece, 0.0)
        count += present.sum(axis=0)
        total += known.sum(axis=0)
    mean = total / np.maximum(count, 1)
    for piece in _pieces(values):
        square += np.where(np.isfinite(piece), piece - mean, 0.0).__pow__(2).sum(axis=0)
    return {"mean": mean.tolist(), "std": np.sqrt(square / np.maximum(count, 1)).tolist()}


def _pieces(values: np.ndarray, rows: int = 1 << 20) -> Iterable[np.ndarray]:
    for start in range(0, len(values), rows):
        yield values[start : start + rows].astype(np.float64)
