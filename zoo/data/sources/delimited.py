"""Delimited text files, such as CSV: separator, encoding and decimal commas are detected."""

from __future__ import annotations

import contextlib
import csv
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from zoo.data.limits import check_columns
from zoo.data.raw_table import Table
from zoo.data.sources.file_reader import FileReader, FileRequest
from zoo.data.sources.text_encoding import (
    COMPRESSED,
    check_bytes,
    find_marked_encoding,
    guess_encoding,
    list_endings,
    open_bytes,
    open_text,
)
from zoo.errors import DataError

DELIMITED_FILES = list_endings(".csv", ".tsv")
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
_SAMPLE_CHARACTERS, _LONGEST_HEADER = 1 << 16, 1 << 24
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*|\s*[+-]?\d+\s*")


def read_delimited(path: Path, text: Collection[str] = ()) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a delimited file; return its table, and notes if it is not comma-separated UTF-8.

    Args:
        path: A file, optionally compressed with gzip or bzip2.
        text: Columns to read as text.

    Raises:
        DataError: If the file is not such a table; the message names the row.

    Example:
        >>> frame, notes = read_delimited(Path("shop.csv"))  # doctest: +SKIP
        >>> notes  # doctest: +SKIP
        ('shop.csv: separated by semicolons, with decimal commas',)
    """
    encoding, encoding_name = find_marked_encoding(path)
    try:
        frame, notes = _read(path, encoding, text)
    except UnicodeDecodeError as error:
        if encoding_name is not None:  # the byte-order mark does not fit the contents
            raise DataError(f"cannot be read as {encoding_name}: {error.reason}", where=str(path)) from None
        encoding, encoding_name = guess_encoding(path)
        frame, notes = _read(path, encoding, text)
    remarks = [*notes, *([f"in {encoding_name}"] if encoding_name else [])]
    return frame, (f"{path.name}: {', '.join(remarks)}",) if remarks else ()


def _read(path: Path, encoding: str, text: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    separator, header = _dialect(path, encoding)
    check_columns(len(header), str(path))
    duplicates = [name for name, count in Counter(header).items() if count > 1 and name]
    if duplicates:  # pandas would rename the second one
        raise DataError(f"two columns have the name {duplicates[0]!r}", where=str(path))
    texts: dict[str, type] = {name: str for name in header if name in text}
    try:
        frame = _parsed(path, encoding, separator, texts)
    except pd.errors.EmptyDataError:
        raise DataError("the file has no columns", where=str(path)) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        _check_widths(path, encoding, separator, header)
        message = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(f"cannot be read: {message}", where=str(path)) from None
    if len(frame) and frame.iloc[:, -1].isna().any():  # pandas pads a row that is too short
        _check_widths(path, encoding, separator, header)
    notes = [] if separator == "," else [f"separated by {_SEPARATORS[separator]}"]
    if separator != ",":
        frame, has_commas = _with_decimal_commas(frame, texts)
        notes += ["with decimal commas"] if has_commas else []
    return frame, notes


def _parsed(path: Path, encoding: str, separator: str, texts: dict[str, type]) -> pd.DataFrame:
    """Return the frame; each column has one type, which does not depend on how pandas divides the file into blocks."""
    options: dict[str, Any] = {"sep": separator, "index_col": False, "dtype": texts}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        if (
            encoding == "utf-8" and path.suffix.lower() not in COMPRESSED
        ):  # pandas reads such a file with several threads
            check_bytes(path)
            frame = pd.read_csv(path, **options)
            if not any(pd.api.types.is_object_dtype(kind) for kind in frame.dtypes):
                return frame
        with open_text(path, encoding) as file:
            return pd.read_csv(file, low_memory=False, **options)


def _dialect(path: Path, encoding: str) -> tuple[str, list[str]]:
    """Return the separator and the names in the header."""
    with open_text(path, encoding) as file:
        sample = file.read(_SAMPLE_CHARACTERS)
        while "\n" not in sample.lstrip() and "\r" not in sample.lstrip() and (more := file.read(_SAMPLE_CHARACTERS)):
            sample += more
            if len(sample) > _LONGEST_HEADER:
                message = f"the first line has more than {_LONGEST_HEADER:,} characters; expected column names"
                raise DataError(message, where=str(path))
        is_complete = not file.read(1)
    lines = sample.splitlines(keepends=True)
    rows = {sign: list(_sample_rows(lines if is_complete else lines[:-1] or lines, sign)) for sign in _SEPARATORS}
    if not any(rows.values()):
        raise DataError("the file has no columns", where=str(path))
    best = max(_SEPARATORS, key=lambda sign: _agreement(rows[sign]))
    if not rows[best]:
        raise DataError("the header cannot be read", where=str(path))
    return best, rows[best][0]


def _sample_rows(lines: list[str], separator: str) -> Iterator[list[str]]:
    try:
        yield from (row for row in csv.reader(lines, delimiter=separator) if row)
    except csv.Error:  # a cell above csv's limit of 131,072 characters: use the rows so far
        return


def _agreement(rows: list[list[str]]) -> tuple[float, int]:
    """Score a separator: the fraction of rows as wide as the header, then the width."""
    width = len(rows[0]) if rows else 0
    if width < 2:  # a single column fits any separator
        return (0.0, 0)
    return (1 + sum(len(row) == width for row in rows) / len(rows), width)


def _check_widths(path: Path, encoding: str, separator: str, header: list[str]) -> None:
    """Raise an error if a row has more or fewer values than the header has names.

    Arrow's reader, unlike pandas, distinguishes a missing value from an empty one, in a third of the time that pandas
    needs for the file.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    bad_rows: list[tuple[int, int]] = []

    def keep(row: Any) -> str:
        bad_rows.append((row.number - 1, row.actual_columns))  # the header is row 1
        return "error"

    # In encodings other than UTF a character is one byte, so Latin-1 decodes them all.
    decoded = encoding if encoding.startswith("utf") else "latin-1"
    names = [str(index) for index in range(len(header))]
    options = (
        arrow_csv.ReadOptions(use_threads=False, column_names=names, block_size=1 << 24, encoding=decoded),
        arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=keep),
        arrow_csv.ConvertOptions(include_columns=["0"], column_types={"0": pa.binary()}, check_utf8=False),
    )
    with open_bytes(path) as file, contextlib.suppress(pa.ArrowInvalid), arrow_csv.open_csv(file, *options) as rows:
        for _ in rows:
            pass
    if bad_rows:
        number, width = bad_rows[0]
        message = f"row {number} has {_counted(width, 'value')}, but the header has {_counted(len(header), 'name')}"
        raise DataError(message, where=str(path))


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _with_decimal_commas(frame: pd.DataFrame, texts: Collection[str]) -> tuple[pd.DataFrame, bool]:
    """Convert columns that are numbers with a decimal comma."""
    numbers: dict[str, pd.Series] = {}
    for name in frame.columns.difference(list(texts), sort=False):
        if pd.api.types.is_numeric_dtype(frame[name].dtype):
            continue
        values = frame[name].dropna().astype(str)
        if len(values) and values.str.fullmatch(_DECIMAL_COMMA).all() and values.str.contains(",").any():
            numbers[name] = pd.to_numeric(frame[name].astype("str").str.replace(",", ".", regex=False))
    return (frame.assign(**numbers), True) if numbers else (frame, False)


def _read_request(request: FileRequest) -> Table:
    frame, notes = read_delimited(request.path, request.text)
    return Table(frame.rename(columns=str), request.name, request.source, notes=notes)


READER = FileReader(DELIMITED_FILES, _read_request)
