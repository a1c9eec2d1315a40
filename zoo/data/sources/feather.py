"""Feather files (Arrow's IPC file format)."""

from __future__ import annotations

import pandas as pd

from zoo.data.limits import check_table_fits, report_decoding_errors
from zoo.data.raw_table import Table
from zoo.data.sources.file_reader import FileReader, FileRequest


def read_feather(request: FileRequest) -> Table:
    """Return the table of a Feather file; a named index that pandas saved becomes a column.

    Raises:
        DataError: When the file is damaged, or too large for the memory at hand.
    """
    import pyarrow as pa
    from pyarrow import ipc

    with report_decoding_errors(request.source), pa.OSFile(str(request.path)) as file, ipc.open_file(file) as reader:
        first = reader.get_batch(0).num_rows if reader.num_record_batches else 0
        check_table_fits(first * reader.num_record_batches, len(reader.schema.names), request.source)
        frame: pd.DataFrame = reader.read_all().to_pandas()
    named = [str(name) for name in frame.index.names if name is not None]
    frame = frame.reset_index(level=named).reset_index(drop=True) if named else frame.reset_index(drop=True)
    return Table(frame.rename(columns=str), request.name, request.source)


READER = FileReader((".feather", ".arrow"), read_feather)
