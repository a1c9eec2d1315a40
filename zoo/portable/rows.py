"""Convert cells of a file or table to the raw inputs of a model, with NumPy only."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from zoo.portable.answers import find_answer
from zoo.portable.number_parsing import read_number_cells
from zoo.portable.observations import join_columns, read_integers, read_observation

# The years 1 to 9999 in seconds since 1970.
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0
# Texts in a file that mean a missing value, as in pandas.
ABSENT = frozenset(
    {"#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"}
    | {"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
# The forms of ISO 8601 that all parsers read equally.
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.(\d{3}|\d{6}))?)?(Z|[+-]\d{2}:\d{2})?)?", re.ASCII)
_DIGIT = re.compile(r"\d")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\.0+")
Rows = Mapping[str, Sequence[Any]]
IMAGE, SEQUENCE, OBSERVATION, ARRAY = "image", "sequence", "observation", "array"


def read_rows(path: Path) -> dict[str, list[Any]]:
    """Read the columns of a CSV file, of JSON lines, or of the arrays of an ``.npz`` file.

    Raises:
        ValueError: If a line has more or fewer cells than the first, or the file is none of these.
    """
    try:
        return _read_rows(path)
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8; expected a .csv, .jsonl or .npz file") from None


def _read_rows(path: Path) -> dict[str, list[Any]]:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: list(arrays[name]) for name in arrays.files}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        if path.suffix in (".jsonl", ".ndjson"):
            rows = [json.loads(line) for line in lines if line.strip()]
            names = list(dict.fromkeys(name for row in rows for name in row))
            return {name: [row.get(name) for row in rows] for name in names}
        table = [line for line in csv.reader(lines) if line]
    for number, line in enumerate(table, 1):
        if len(line) != len(table[0]):
            raise ValueError(f"{path}, line {number}: {len(line)} cells, but the first line has {len(table[0])}")
    columns = zip(*table[1:], strict=True) if len(table) > 1 else ([] for _ in table[0])
    cells = ([None if cell in ABSENT else cell for cell in column] for column in columns)
    return dict(zip(table[0], cells, strict=True))


def read_inputs(rows: Rows, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the raw values of each input by key, N each: 64-bit numbers, text as objects, lists of arrays."""
    arrays: dict[str, Any] = {}
    unfilled: dict[str, np.ndarray] = {}
    for input_ in inputs:
        name, facts = input_["name"], input_["statistics"]
        if facts.get("was_missing"):  # follows the input that it belongs to
            arrays[input_["key"]] = is_missing(unfilled[name]).astype(np.float64)
            continue
        cells = rows[name] if name in rows else _cells_of_columns(rows, input_)
        if cells is None:
            raise ValueError(f"the column {name!r} that the model needs is missing")
        if input_["kind"] == "number":
            arrays[input_["key"]] = _numbers(name, cells, facts)
            if facts.get("way") == "last":
                unfilled[name], arrays[input_["key"]] = _fill_forward(arrays[input_["key"]])
            continue
        read = READERS[input_["kind"]]
        values = []
        for row, cell in enumerate(cells, 1):
            try:
                values.append(read(None if _absent(cell) else cell, input_))
            except (TypeError, ValueError) as error:
                raise ValueError(f"column {name}, row {row}: {error}") from None
        arrays[input_["key"]] = values
        if input_["kind"] == "date":
            arrays[input_["key"]] = np.array(values, np.float64)
        elif input_["kind"] in ("category", "text"):
            arrays[input_["key"]] = np.array(values, object)
        if facts.get("way") == "last":
            unfilled[name], arrays[input_["key"]] = _fill_forward(arrays[input_["key"]])
    return arrays


def _fill_forward(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values (N,) as they are, and filled forward."""
    return values, values[find_last_present(~is_missing(values))]


def _numbers(name: str, cells: Sequence[Any], facts: Mapping[str, Any]) -> np.ndarray:
    """Return a column of numbers (N,), NaN where one is missing."""
    notation = facts.get("notation", "")
    numbers, wrong = read_number_cells(
        [None if _absent(cell) else cell for cell in cells], notation, is_answer=facts.get("is_answer", False)
    )
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        written = f" written as {notation}" if notation else ""
        raise ValueError(f"column {name}, row {row + 1}: {cells[row]!r} is not a number{written}")
    return numbers


def _absent(cell: Any) -> bool:
    if cell is None or (isinstance(cell, str) and cell == ""):
        return True
    if isinstance(cell, np.datetime64):
        return bool(np.isnat(cell))
    if type(cell).__name__ in ("NAType", "NaTType"):  # of pandas, which may not be installed
        return True
    return isinstance(cell, (float, np.floating)) and math.isnan(cell)


def is_missing(values: np.ndarray) -> np.ndarray:
    """Return a mask (N,) of raw values that are NaN or empty text."""
    return np.isnan(values) if values.dtype.kind == "f" else np.asarray(values == "", bool)


def find_last_present(present: np.ndarray) -> np.ndarray:
    """Return for each position (N,) that of the last present value, or its own if there is none above."""
    positions = np.arange(len(present))
    places = np.maximum.accumulate(np.where(present, positions, -1))
    return np.where(places < 0, positions, places)


def _cells_of_columns(rows: Rows, input_: Mapping[str, Any]) -> list[Any] | None:
    """Join the columns ``name_0``, ``name_1``, … to arrays; None if one is missing."""
    shape = input_["shape"]
    space = input_["statistics"].get("space")
    joined = join_columns(rows, input_["name"], space) if space else None
    if joined is not None:
        return joined
    names = [f"{input_['name']}_{index}" for index in range(math.prod(shape) if shape and None not in shape else 0)]
    if not names or not set(names) <= set(rows):
        return None
    return list(np.array([rows[name] for name in names], np.float32).T.reshape(-1, *shape))


def name_category(value: Any) -> str:
    """Return a value's category: ``1``, ``1.0`` and ``"1"`` are one, as are ``True`` and ``"true"``, but not ``01``."""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if math.isfinite(value) and value == int(value) else str(float(value))
    text = str(value)
    if _INTEGER.fullmatch(text):
        return text.split(".")[0]
    return text.lower() if text in ("True", "TRUE", "true", "False", "FALSE", "false") else text


def _category(cell: Any, input_: Mapping[str, Any]) -> str:
    """Return a cell's category; empty if missing."""
    if cell is None:
        return ""
    if isinstance(cell, str) and input_["statistics"].get("numeric"):
        with suppress(ValueError):
            cell = float(cell)
    name, answers = name_category(cell), input_["statistics"].get("answers", {})
    return find_answer(name, answers) if answers and name not in input_["statistics"]["categories"] else name


def _text(cell: Any, input_: Mapping[str, Any]) -> str:
    if "idf" in input_["statistics"]:
        return _category(cell, input_)
    if cell is None or not str(cell).strip():
        raise ValueError("the text is empty")
    return str(cell)


def _date(cell: Any, input_: Mapping[str, Any]) -> float:
    """Return seconds since 1970 in UTC; a date without a time zone is in UTC."""
    form = input_["statistics"].get("format")
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return math.nan
    if isinstance(cell, np.datetime64):
        moment: Any = cell.astype("datetime64[us]").item()
    elif isinstance(cell, date):
        moment = cell
    else:
        text = str(int(cell)) if isinstance(cell, (float, np.floating)) else str(cell).strip()
        if not form and _DIGIT.search(text) and not _ISO.fullmatch(text):
            raise ValueError(
                f"{text!r} is not a date; expected 2024-01-31, 2024-01-31 08:00:00 or 2024-01-31T08:00:00+01:00"
            )
        try:
            moment = datetime.strptime(text, form) if form else datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            if input_["statistics"].get("strict"):
                raise
            return math.nan
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return min(max(seconds, EARLIEST), LATEST)


def _image(cell: Any, input_: Mapping[str, Any]) -> np.ndarray:
    """Return an image with the model's channels: grey is repeated, colours are averaged, transparency is dropped."""
    image, channels = np.asarray(cell), input_["shape"][-1]
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.size == 0 or image.shape[-1] not in (1, 3, 4):
        raise ValueError(f"expected an image of shape (H, W, {channels}); received {np.shape(cell)}")
    image = image[..., :3]
    if image.shape[-1] == channels:
        return image
    converted = image.mean(axis=-1, keepdims=True) if channels == 1 else np.repeat(image, 3, axis=-1)
    return converted.astype(image.dtype)


def _sequence(cell: Any, input_: Mapping[str, Any]) -> np.ndarray:
    steps, features = np.asarray(cell, np.float32), input_["shape"][-1]
    steps = steps.reshape(len(steps), -1) if steps.ndim == 1 else steps
    if steps.ndim != 2 or len(steps) == 0 or steps.shape[1] != features:
        raise ValueError(f"expected a sequence of shape (T, {features}); received {np.shape(cell)}")
    return np.where(np.isinf(steps), np.float32(np.nan), steps)


def _array(cell: Any, input_: Mapping[str, Any]) -> np.ndarray:
    array = np.asarray(cell, np.float64)
    if list(array.shape) != list(input_["shape"]):
        raise ValueError(f"expected an array of shape {tuple(input_['shape'])}; received {array.shape}")
    return array


def _observation(cell: Any, input_: Mapping[str, Any]) -> Any:
    """Return a vector of numbers (F,), or an integer."""
    space = input_["statistics"].get("space", {"kind": "numbers", "shape": input_["shape"]})
    return read_observation(cell, space) if input_["shape"] else read_integers(cell, space)[0]


READERS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "category": _category,
    "text": _text,
    "date": _date,
    IMAGE: _image,
    SEQUENCE: _sequence,
    OBSERVATION: _observation,
    ARRAY: _array,
}
