"""Describe and read inputs that are one array or text per row: images, sequences, texts and observations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.examples.array_columns import IMAGE, SEQUENCE, TEXT
from zoo.data.examples.given_observations import read_observations
from zoo.data.limits import find_source_row
from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.portable.preprocessing import split_into_tokens
from zoo.spec import ArrayInput, ImageInput, Input, ObservationInput, SequenceInput, TextInput

CHARACTER, WORD = "character", "word"
LEAST_COUNT = 2
MOST_SIDE = 64


def describe_image(name: str, values: pd.Series, *, size: int | None, where: str) -> ImageInput:
    """Return the input for a column of images of the training split.

    Args:
        name: The column.
        values: N images (H, W) or (H, W, C), whose sizes may differ.
        size: Height and width to which the model resizes images; default their own if all have one size, else the
            median of their shorter sides, at most 64.
        where: Name of the source in error messages.
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
    integer, (mean, std) = images.values.dtype == np.uint8, _moments(images.values)
    return ImageInput(
        name, IMAGE, shape=(None, None, channels), mean=mean, std=std, height=height, width=width, integer=integer
    )


def describe_sequence(name: str, values: pd.Series, *, where: str, key: str = SEQUENCE) -> SequenceInput:
    """Return the input for a column of sequences (T, F) of the training split, whose lengths may differ.

    Args:
        name: The column.
        values: N sequences.
        where: Name of the source in error messages.
        key: Name of the Keras input.

    Raises:
        DataError: If a sequence is empty or not numeric, or if every step is the same.
    """
    sequences = _sequences(values, name, None, where)
    steps = sequences.values
    lengths, (mean, std) = sequences.lengths, _moments(steps)
    if not any(value > 0 for value in std):
        raise DataError(f"column {name} is constant: every step of every sequence is the same", where=where)
    return SequenceInput(
        name,
        key,
        shape=(None, steps.shape[1]),
        missing=int(np.isnan(steps).any(axis=1).sum()),
        has_missing=tuple(np.isnan(steps).any(axis=0).tolist()),
        least_length=int(lengths.min()),
        greatest_length=int(lengths.max()),
        mean_length=float(lengths.mean()),
        mean=mean,
        std=std,
    )


def describe_text(name: str, values: pd.Series, *, unit: str, vocabulary: int, where: str) -> TextInput:
    """Return the input for a column of texts of the training split.

    Args:
        name: The column.
        values: N texts.
        unit: ``character`` or ``word``.
        vocabulary: Maximum size of the vocabulary; tokens that occur once are unknown.
        where: Name of the source in error messages.
    """
    texts = _texts(values, name, where)
    counts: Counter[str] = Counter()
    lengths = np.empty(len(texts), np.int64)
    for row, text in enumerate(texts):
        tokens = split_into_tokens(text, unit)
        lengths[row] = len(tokens)
        counts.update(tokens)
    frequent = [token for token, count in counts.most_common(vocabulary) if count >= LEAST_COUNT]
    if not frequent:
        raise DataError(f"column {name}: no {unit} occurs twice in the training split", where=where)
    greatest, mean = int(lengths.max()), float(lengths.mean())
    return TextInput(name, TEXT, vocabulary=tuple(frequent), unit=unit, greatest_length=greatest, mean_length=mean)


def prepare_values(values: pd.Series, input_: Input, where: str) -> Any:
    """Return N examples as a model's input takes them: ragged images or sequences, texts, or an array.

    Raises:
        DataError: If an example is empty, cannot be read, or has another shape than in training.
    """
    if isinstance(input_, ImageInput):
        return _images(values, input_.name, int(input_.shape[-1] or 1), where)
    if isinstance(input_, SequenceInput):
        return _sequences(values, input_.name, int(input_.shape[-1] or 1), where)
    if isinstance(input_, TextInput):
        return _texts(values, input_.name, where)
    if isinstance(input_, ArrayInput):
        return _arrays(values, input_, where)
    assert isinstance(input_, ObservationInput)
    return read_observations(values, input_, where)


def _arrays(values: pd.Series, input_: ArrayInput, where: str) -> np.ndarray:
    arrays = []
    for row, value in _placed(values):
        array = np.asarray(value, np.float64)
        if array.shape != input_.shape:
            message = f"an array has the shape {array.shape}; the model takes {input_.shape}"
            raise DataError(message, where=f"{where}, column {input_.name}, row {row}")
        arrays.append(array)
    return np.stack(arrays) if arrays else np.empty((0, *(extent or 0 for extent in input_.shape)))


def join_numbered_columns(frame: pd.DataFrame, input_: Input) -> pd.Series | None:
    """Join the columns ``name_0``, ``name_1``, … to a column of arrays; None if one of them is missing."""
    if None in input_.shape or not input_.shape:
        return None
    size = int(np.prod([extent or 1 for extent in input_.shape]))
    names = [f"{input_.name}_{index}" for index in range(size)]
    if not set(names) <= {str(name) for name in frame.columns}:
        return None
    numbers = frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32)
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        value = frame[names[column]].iloc[row]
        place = f"column {names[column]}, row {find_source_row(frame[names[column]], int(row))}"
        shown = repr(value) if isinstance(value, str) else str(value)
        raise DataError(f"{shown} is not a finite number", where=place)
    return pd.Series(list(numbers.reshape(len(frame), *input_.shape)), index=frame.index, dtype=object)


def _placed(values: pd.Series) -> list[tuple[int, Any]]:
    """Return pairs of row number in the source and value."""
    return [(find_source_row(values, row), value) for row, value in enumerate(values)]


def _channels(value: Any, name: str, row: int, where: str) -> int:
    shape = np.shape(value)
    if len(shape) == 2:
        return 1
    if len(shape) == 3 and shape[-1] in (1, 3, 4):
        return 3 if shape[-1] == 4 else int(shape[-1])
    raise DataError(
        f"an image needs shape (height, width) or (height, width, channels) with 1 or 3 channels; received {shape}",
        where=f"{where}, column {name}, row {row}",
    )


def _images(values: pd.Series, name: str, channels: int, where: str) -> Ragged:
    images = []
    for row, value in _placed(values):
        own_channels = _channels(value, name, row, where)
        image = np.asarray(value)
        place = f"{where}, column {name}, row {row}"
        if image.size == 0:
            raise DataError(f"the image is empty, with shape {image.shape}", where=place)
        if image.dtype.kind not in "uifb":
            raise DataError(f"an image needs numeric values; received {image.dtype}", where=place)
        image = image[..., None] if image.ndim == 2 else image[..., :3]
        if own_channels != channels:
            grey = image.mean(axis=-1, keepdims=True) if channels == 1 else np.repeat(image, 3, axis=-1)
            image = grey.astype(image.dtype)
        images.append(image)
    ragged = Ragged.of(images, axes=2)
    if ragged.values.dtype == np.uint8:
        return ragged
    if ragged.values.dtype.kind == "f" and not np.isfinite(ragged.values).all():
        raise DataError(f"column {name} has an image with values that are not finite", where=where)
    return Ragged(ragged.values.astype(np.float32), ragged.sizes)


def _sequences(values: pd.Series, name: str, features: int | None, where: str) -> Ragged:
    sequences = []
    for row, value in _placed(values):
        sequence = np.asarray(value)
        place = f"{where}, column {name}, row {row}"
        if sequence.dtype.kind not in "uifb" or sequence.ndim not in (1, 2):
            raise DataError(
                f"a sequence needs numbers of shape (steps,) or (steps, features); received {sequence.dtype} "
                f"of shape {sequence.shape}",
                where=place,
            )
        sequence = sequence.reshape(len(sequence), -1) if sequence.size else sequence.reshape(0, features or 1)
        if len(sequence) == 0:
            raise DataError("the sequence has no steps", where=place)
        features = features or sequence.shape[1]
        if sequence.shape[1] != features:
            raise DataError(f"the sequence has {sequence.shape[1]} features; expected {features}", where=place)
        sequences.append(sequence)
    ragged = Ragged.of(sequences, axes=1)
    steps = ragged.values.astype(np.float32) if len(ragged) else np.empty((0, features or 1), np.float32)
    return Ragged(np.where(np.isinf(steps), np.float32(np.nan), steps), ragged.sizes)


def _texts(values: pd.Series, name: str, where: str) -> np.ndarray:
    empty = (values.isna() | (values.astype(str).str.strip() == "")).to_numpy()
    if empty.any():
        row = find_source_row(values, int(np.flatnonzero(empty)[0]))
        raise DataError("the text is empty", where=f"{where}, column {name}, row {row}")
    return values.astype(str).to_numpy(dtype=object)


def _moments(values: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each feature or channel, ignoring NaN; computed in chunks."""
    count = np.zeros(values.shape[-1])
    total, square = np.zeros(values.shape[-1]), np.zeros(values.shape[-1])
    for piece in _pieces(values):
        present = np.isfinite(piece)
        filled = np.where(present, piece, 0.0)
        count += present.sum(axis=0)
        total += filled.sum(axis=0)
    mean = total / np.maximum(count, 1)
    for piece in _pieces(values):
        square += np.where(np.isfinite(piece), piece - mean, 0.0).__pow__(2).sum(axis=0)
    return tuple(mean.tolist()), tuple(np.sqrt(square / np.maximum(count, 1)).tolist())


def _pieces(values: np.ndarray, rows: int = 1 << 20) -> Iterable[np.ndarray]:
    for start in range(0, len(values), rows):
        yield values[start : start + rows].astype(np.float64)
