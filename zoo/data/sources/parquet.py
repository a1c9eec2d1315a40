"""Parquet: one file, or a folder of part files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from zoo.data.limits import check_inside, check_table_fits, report_decoding_errors
from zoo.data.memory import give_back_memory
from zoo.data.raw_table import Table
from zoo.data.sources.file_reader import FileReader, FileRequest
from zoo.errors import DataError

PARQUET_FILES = (".parquet",)


def is_parquet_folder(path: Path) -> bool:
    """Return whether a folder has the name of a Parquet file, or contains such files."""
    return path.is_dir() and (_is_part(path) or any(_is_part(child) for child in path.iterdir()))


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file, or the part files of a folder in the order of their names.

    A named index that pandas saved becomes a column, as in other programs.

    Args:
        path: A file, or a folder with part files only.

    Raises:
        DataError: If a file is damaged, columns of part files differ, or the folder has other files.

    Example:
        >>> read_parquet(Path("shop.parquet")).shape  # doctest: +SKIP
        (1000, 5)
    """
    import pyarrow as pa
    from pyarrow import parquet

    parts = list_parts(path) if path.is_dir() else [path]
    files: list[Any] = []
    for part in parts:
        with report_decoding_errors(str(part)):
            files.append(parquet.ParquetFile(part, page_checksum_verification=True, pre_buffer=False))
    rows = sum(file.metadata.num_rows for file in files)
    check_table_fits(rows, len(files[0].schema_arrow.names), str(path))
    tables = []
    for part, file in zip(parts, files, strict=True):
        _check_columns(files[0].schema_arrow, file.schema_arrow, parts[0], part)
        with report_decoding_errors(str(part)), file:
            tables.append(file.read())
    with report_decoding_errors(str(path)):
        table = pa.concat_tables(tables, promote_options="permissive") if len(tables) > 1 else tables[0]
        tables.clear()
        table = table.unify_dictionaries()
        size = table.nbytes
        frame: pd.DataFrame = table.to_pandas(self_destruct=True)  # frees each column once it is converted
        del table
        give_back_memory(size)
    named = [str(name) for name in frame.index.names if name is not None]
    return frame.reset_index(level=named).reset_index(drop=True) if named else frame.reset_index(drop=True)


def _is_part(path: Path) -> bool:
    return path.name.lower().endswith(PARQUET_FILES) and not path.name.startswith((".", "_"))


def list_parts(folder: Path) -> list[Path]:
    """Return the part files of a folder, ignoring names with a leading underscore or dot, as Spark writes them."""
    children = sorted(child for child in folder.iterdir() if not child.name.startswith((".", "_")))
    if not children:
        raise DataError("the folder is empty; expected files that end in .parquet", where=str(folder))
    for child in children:
        if not _is_part(child) or not child.is_file():
            kind = "a folder" if child.is_dir() else "another file" if child.exists() else "a broken link"
            message = f"the folder has {kind}, {child.name}; expected only files that end in .parquet"
            raise DataError(message, where=str(folder))
        check_inside(child, folder)
    return children


def _check_columns(first: Any, other: Any, first_part: Path, part: Path) -> None:
    if set(first.names) != set(other.names):
        only = sorted(set(first.names) ^ set(other.names))
        holder = part.name if only[0] in other.names else first_part.name
        raise DataError(f"the files have different columns: only {holder} has {only[0]!r}", where=str(part))


def _read_request(request: FileRequest) -> Table:
    return Table(read_parquet(request.path).rename(columns=str), request.name, request.source)


READER = FileReader(PARQUET_FILES, _read_request)
