"""Feather is read like the other table formats; a reader is one file that is found by listing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pyarrow import feather

from zoo.data.sources.file_reader import list_readers
from zoo.data.sources.read import read_table
from zoo.errors import DataError

FRAME = pd.DataFrame({"size": [1.5, None, 3.0], "town": ["Ulm", None, "01"], 7: [True, False, True]})


@pytest.mark.parametrize("compression", ["lz4", "zstd", "uncompressed"])
def test_a_table(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "shop.feather"
    FRAME.rename(columns=str).to_feather(path, compression=compression)
    table = read_table(str(path))
    assert (table.name, table.source) == ("shop", str(path))
    pd.testing.assert_frame_equal(table.frame, read_table(FRAME).frame)


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_damaged_file_is_an_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "shop.feather"
    feather.write_feather(FRAME.rename(columns=str), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"shop\.feather"):
        read_table(str(path))


def test_endings_are_unique() -> None:
    endings = [ending for reader in list_readers() for ending in reader.endings]
    assert len(set(endings)) == len(endings)
    assert {".csv", ".csv.gz", ".parquet", ".npz", ".jsonl", ".txt", ".feather"} <= set(endings)
