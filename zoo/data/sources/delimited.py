"""Delimited text files, such as CSV: separator, encoding and decimal commas are detected."""

from __future__ import annotations

import contextlib
import csv
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from zoo.data.columns.written_columns import WrittenColumns, find_codes, find_decimal_commas
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
_LEADING_ZERO = re.compile(rb"""[,;\t|"\r\n ]0[0-9]+[,;\t|"\r\n ]""")
_BLOCK_BYTES, _LONGEST_CODE = 1 << 24, 64


def read_delimited(request: FileRequest) -> Table:
    """Read a delimited file; its notes say if it is not comma-separated UTF-8, and what is read as written.

    Args:
        request: A file, optionally compressed with gzip or bzip2, and the columns to read as text.

    Raises:
        DataError: If the file is not such a table; the message names the row.

    Example:
        >>> read_delimited(FileRequest(Path("shop.csv"), "shop", "shop.csv")).notes  # doctest: +SKIP
        ('shop.csv: separated by semicolons, with decimal commas',)
    """
    path = request.path
    encoding, encoding_name = find_marked_encoding(path)
    try:
        return _read(request, encoding, encoding_name)
    except UnicodeDecodeError as error:
        if encoding_name is not None:  # the byte-order mark does not fit the contents
            raise DataError(f"cannot be read as {encoding_name}: {error.reason}", where=str(path)) from None
        encoding, encoding_name = guess_encoding(path)
        return _read(request, encoding, encoding_name)


def _read(request: FileRequest, encoding: str, encoding_name: str | None) -> Table:
    path = request.path
    separator, header = _dialect(path, encoding)
    check_columns(len(header), str(path))
    duplicates = [name for name, count in Counter(header).items() if count > 1 and name]
    if duplicates:  # pandas would rename the second one
        raise DataError(f"two columns have the name {duplicates[0]!r}", where=str(path))
    texts: dict[str, type] = {name: str for name in header if name in request.text}
    try:
        frame = _parsed(path, encoding, separator, dtype=texts)
    except pd.errors.EmptyDataError:
        raise DataError("the file has no columns", where=str(path)) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        _check_widths(path, encoding, separator, header)
        message = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(f"cannot be read: {message}", where=str(path)) from None
    if len(frame) and frame.iloc[:, -1].isna().any():  # pandas pads a row that is too short
        _check_widths(path, encoding, separator, header)
    file = _File(path, encoding, separator, tuple(map(str, frame.columns)))
    frame = frame.rename(columns=str)
    written = _find_written(file, frame, texts)
    remarks = [] if separator == "," else [f"separated by {_SEPARATORS[separator]}"]
    remarks += ["with decimal commas"] if written.notations else []
    remarks += [f"in {encoding_name}"] if encoding_name else []
    notes = (f"{path.name}: {', '.join(remarks)}",) if remarks else ()
    frame = frame.assign(**written.columns) if written.columns else frame
    return Table(
        frame,
        request.name,
        request.source,
        notes=(*notes, *written.notes),
        notations=written.notations,
        read_as_written=file.read_as_written,
    )


def _parsed(path: Path, encoding: str, separator: str, **more: Any) -> pd.DataFrame:
    """Return the frame; each column has one type, which does not depend on how pandas divides the file into blocks."""
    options: dict[str, Any] = {"sep": separator, "index_col": False, **more}
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


@dataclass(frozen=True)
class _File:
    """How a file is written: what is needed to read columns again."""

    path: Path
    encoding: str
    separator: str
    columns: tuple[str, ...]

    def read_texts(self, columns: Collection[str], *, keep_missing: bool = True) -> pd.DataFrame:
        """Return columns as texts; if ``keep_missing``, what stands for a missing value is missing."""
        places = [place for place, name in enumerate(self.columns) if name in columns]  # not names: one may be empty
        options: dict[str, Any] = {"dtype": str, "usecols": places, "keep_default_na": keep_missing}
        return _parsed(self.path, self.encoding, self.separator, **options).rename(columns=str)

    def read_as_written(self, column: str) -> pd.Series:
        """Return a column as it is written; an empty cell is empty text."""
        return self.read_texts([column], keep_missing=False)[column]

    def has_leading_zeros(self) -> bool:
        """Return whether a cell may be an integer with a leading zero, which is cheaper than reading columns again."""
        if self.encoding.startswith(("utf-16", "utf-32")):
            return True
        rest = b"\n"
        with open_bytes(self.path) as file:
            while block := file.read(_BLOCK_BYTES):
                if _LEADING_ZERO.search(rest + block):
                    return True
                rest = block[-_LONGEST_CODE:]
        return _LEADING_ZERO.search(rest + b"\n") is not None


def _find_written(file: _File, frame: pd.DataFrame, texts: Collection[str]) -> WrittenColumns:
    """Return the columns that pandas reads otherwise than people write them."""
    codes = find_codes(frame, file.read_texts) if file.has_leading_zeros() else WrittenColumns()
    if file.separator == ",":
        return codes
    commas = find_decimal_commas(frame, {*texts, *codes.columns}, file.read_texts)
    return WrittenColumns({**codes.columns, **commas.columns}, commas.notations, (*codes.notes, *commas.notes))


READER = FileReader(DELIMITED_FILES, read_delimited)
