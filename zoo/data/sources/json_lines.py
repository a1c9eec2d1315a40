"""JSON records: one per line, or one array."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from zoo.data.limits import check_columns, check_memory
from zoo.data.raw_table import Table
from zoo.data.sources.file_reader import FileReader, FileRequest
from zoo.data.sources.text_encoding import find_marked_encoding, list_endings, open_text
from zoo.errors import DataError

JSON_FILES = list_endings(".jsonl", ".ndjson", ".json")
# Approximate memory of a cell as a Python object; number of records between two checks of memory.
_CELL_BYTES, _AT_A_TIME = 40, 1 << 14


def read_json(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the records of a file; return their table and notes. A key that a record lacks becomes a missing value.

    Args:
        path: A file of lines, or of one array, optionally compressed with gzip or bzip2.

    Raises:
        DataError: If the file has anything else; the message names the line.

    Example:
        >>> frame, notes = read_json(Path("shop.jsonl"))  # doctest: +SKIP
    """
    encoding, words = find_marked_encoding(path)
    records: list[dict[str, Any]] = []
    columns: dict[str, None] = {}
    try:
        for place, record in _records(path, encoding):
            if not isinstance(record, dict):
                message = f'{place} is {_kind(record)}; expected an object such as {{"age": 3, "name": "x"}}'
                raise DataError(message, where=str(path))
            if not record.keys() <= columns.keys():
                columns.update(dict.fromkeys(record))
                check_columns(len(columns), str(path))
            records.append(record)
            if len(records) % _AT_A_TIME == 0:
                size = len(columns) * _CELL_BYTES * _AT_A_TIME
                check_memory(size, f"reading more than {len(records):,} rows", str(path))
    except UnicodeDecodeError as error:
        message = f"not in {words or 'UTF-8'}: {error.reason}; save the file in UTF-8"
        raise DataError(message, where=str(path)) from None
    check_memory(16.0 * len(records) * len(columns), f"{len(records):,} records with {len(columns):,} keys", str(path))
    frame = pd.DataFrame.from_records(records, columns=list(columns))
    return frame, (f"{path.name}: in {words}",) if words else ()


def _records(path: Path, encoding: str) -> Iterator[tuple[str, Any]]:
    """Yield each record with its position in words."""
    with open_text(path, encoding) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            if line.lstrip().startswith("["):
                yield from _array(path, line + file.read(), number)
                return
            yield f"line {number}", _parsed(path, line, number)


def _array(path: Path, text: str, line: int) -> Iterator[tuple[str, Any]]:
    for number, record in enumerate(_parsed(path, text, line), 1):
        yield f"record {number}", record


def _parsed(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {line + error.lineno - 1}, column {error.colno}"
        raise DataError(f"not JSON, {place}: {error.msg}", where=str(path)) from None
    except RecursionError:
        raise DataError(f"line {line} is nested too deeply", where=str(path)) from None
    except ValueError:  # Python's limit on the digits of an integer
        raise DataError(f"line {line} has a number with too many digits; write it as text", where=str(path)) from None


def _kind(value: Any) -> str:
    kinds = {list: "an array", str: "a string", bool: "a Boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def _read_request(request: FileRequest) -> Table:
    frame, notes = read_json(request.path)
    return Table(frame.rename(columns=str), request.name, request.source, notes=notes)


READER = FileReader(JSON_FILES, _read_request)
