"""Plain text files, with one document per line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from zoo.data.examples.array_columns import TEXT
from zoo.data.raw_table import Table
from zoo.data.sources.file_reader import FileReader, FileRequest
from zoo.data.sources.text_encoding import find_marked_encoding, guess_encoding, list_endings, open_text
from zoo.errors import DataError, join_first

TEXT_FILES = list_endings(".txt")


def read_texts(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a file's lines as a column of texts; return it with notes. Empty lines are left out.

    Args:
        path: A file, optionally compressed with gzip or bzip2.

    Raises:
        DataError: If the file is not text.

    Example:
        >>> frame, notes = read_texts(Path("names.txt"))  # doctest: +SKIP
        >>> list(frame)  # doctest: +SKIP
        ['text']
    """
    encoding, words = find_marked_encoding(path)
    try:
        lines = _lines(path, encoding)
    except UnicodeDecodeError as error:
        if words is not None:
            raise DataError(f"cannot be read as {words}: {error.reason}", where=str(path)) from None
        encoding, words = guess_encoding(path)
        lines = _lines(path, encoding)
    texts = [line for line in lines if line.strip()]
    empty = [str(number) for number, line in enumerate(lines, 1) if not line.strip()]
    notes = [f"{path.name}: in {words}"] if words else []
    if empty:
        counted = (
            "1 empty line is left out: line" if len(empty) == 1 else f"{len(empty):,} empty lines are left out: lines"
        )
        notes.append(f"{path.name}: {counted} {join_first(empty)}")
    return pd.DataFrame({TEXT: texts}), tuple(notes)


def _lines(path: Path, encoding: str) -> list[str]:
    with open_text(path, encoding) as file:
        return [line.rstrip("\r\n") for line in file]


def _read_request(request: FileRequest) -> Table:
    frame, notes = read_texts(request.path)
    return Table(frame.rename(columns=str), request.name, request.source, notes=notes)


READER = FileReader(TEXT_FILES, _read_request)
