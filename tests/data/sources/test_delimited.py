"""Tables and documents in text: separators, encodings and packing are found out, and what is not plain is said."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from zoo.data import limits
from zoo.data.sources import text_encoding as opening
from zoo.data.sources.read import Table, read_table
from zoo.errors import DataError

FRAME = pd.DataFrame({"größe": [1.5, -2.25, np.nan], "name": ["a, b", "x;y", "Zoë | é"], "count": [1, 20, 300]})
PACKED = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, content: str | bytes, **options: Any) -> Table:
    return read_table(put(path, content), **options)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_separator_encoding_and_packing(tmp_path: Path, separator: str, encoding: str, packed: str) -> None:
    text = FRAME.to_csv(index=False, sep=separator)
    table = read(tmp_path / f"a.csv{packed}", PACKED[packed](text.encode(encoding)))
    pd.testing.assert_frame_equal(table.frame, FRAME)
    assert table.name == "a"
    plain = separator == "," and encoding == "utf-8"
    assert len(table.notes) == (0 if plain else 1)
    for word, said in {"semicolons": separator == ";", "tabs": separator == "\t", "pipes": separator == "|"}.items():
        assert (word in "".join(table.notes)) == said
    for word, name in {"order mark": "utf-8-sig", "UTF-16": "utf-16", "UTF-32": "utf-32", "1252": "cp1252"}.items():
        assert (word in "".join(table.notes)) == (encoding == name)


def test_a_table_separated_by_tabs_has_an_ending_of_its_own(tmp_path: Path) -> None:
    table = read(tmp_path / "a.tsv", "a\tb\n1,5\tx\n2\ty\n")
    assert table.frame["a"].tolist() == [1.5, 2]
    assert table.notes == ("a.tsv: separated by tabs, with decimal commas",)


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("a;b\n1,5;2\n-0,25;3\n;4\n", {"a": [1.5, -0.25, None], "b": [2, 3, 4]}),
        ('a;b\n"1,5";"x,y"\n"2";"z"\n', {"a": [1.5, 2], "b": ["x,y", "z"]}),
        ("a;b\n1,5e3;2\n+7,0;3\n", {"a": [1500.0, 7], "b": [2, 3]}),
        ("a;b\n1,5;12.05.2020\n2,5;13.05.2020\n", {"a": [1.5, 2.5], "b": ["12.05.2020", "13.05.2020"]}),
        ("a;b\n1,2,3;2\n4,5;3\n", {"a": ["1,2,3", "4,5"], "b": [2, 3]}),
        ('"a, of it";b\n1,5;2\n', {"a, of it": [1.5], "b": [2]}),
        ('text,label\n"a; b; c",x\n"d; e; f",y\n', {"text": ["a; b; c", "d; e; f"], "label": ["x", "y"]}),
        ('a\n"x;y"\nz\n', {"a": ["x;y", "z"]}),
        ("a,b\n1,x|y\n2,z|w\n", {"a": [1, 2], "b": ["x|y", "z|w"]}),
        ('a,b\n"1\n2",x\n3,y\n', {"a": ["1\n2", "3"], "b": ["x", "y"]}),
        ("a,b\r1,x\r2,y\r", {"a": [1, 2], "b": ["x", "y"]}),
        ("\n\na,b\n1,2\n\n3,4\n", {"a": [1, 3], "b": [2, 4]}),
        ("a,b\n1,2\n3,", {"a": [1, 3], "b": [2, None]}),
    ],
)
def test_what_is_found_out(tmp_path: Path, text: str, wanted: dict[str, list[Any]]) -> None:
    pd.testing.assert_frame_equal(read(tmp_path / "a.csv", text).frame, pd.DataFrame(wanted), check_dtype=False)


def test_a_text_column_keeps_its_commas(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "a;b\n1,5;2\n2,5;3\n", text=["a"]).frame["a"].tolist() == ["1,5", "2,5"]


@pytest.mark.parametrize("last", ["abc", "0x"])
def test_a_long_column_is_of_one_type(tmp_path: Path, last: str) -> None:
    rows = 900_000
    table = read(tmp_path / "a.csv", "a,b\n" + "01,xxxx\n" * rows + f"{last},x\n")
    assert table.frame["a"].iloc[[0, -1]].tolist() == ["01", last]
    assert len(table.frame) == rows + 1


@pytest.mark.parametrize(
    "content, message",
    [
        ("a,b\n1,2\n3\n", "row 2 has 1 value, but the header has 2 names"),
        ("a,b\n1,2\n\n3\n4,5\n", "row 2 has 1 value"),
        ('a,b\n"1\n2",2\n3,4\n5,6,7\n', "row 3 has 3 values"),
        ("a;b;c\n1;2;3\n4;5\n", "row 2 has 2 values, but the header has 3 names"),
        ("a;b;c\n1;2;3\n4;5\n".encode("utf-16"), "row 2 has 2 values, but the header has 3 names"),
        ("a\n1\n2,3\n", "row 2 has 2 values, but the header has 1 name$"),
        ('a,b\n1,"2\n3,4\n', "cannot be read"),
        (b"\xff\xfea\0,\0b\0\n", "cannot be read as UTF-16"),
        (b"\xef\xbb\xbfa,b\n1,\xe9\n", "cannot be read as UTF-8 with a byte-order mark"),
        (",".join(f"c{index}" for index in range(100_001)) + "\n", "100,001 columns; a table may have at most 100,000"),
        ("a" * (1 << 24) + "bb\n", "the first line has more than 16,777,216 characters"),
    ],
)
def test_rows_and_headers_that_do_not_fit(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "a.csv", content)
    assert caught.value.where == str(tmp_path / "a.csv")


def test_what_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "RATIO_FROM_BYTES", 1 << 20)
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 1_000_000)
    with pytest.raises(DataError, match=r"decompress to more than .* the limit is a factor of 200"):
        read(tmp_path / "a.csv.gz", packed)
    monkeypatch.setattr(limits, "measure_available_memory", lambda: 1000)
    with pytest.raises(DataError, match=r"the file would need 4 kB of memory; 1 kB are available"):
        read(tmp_path / "b.csv", "a,b\n" + "1,2\n" * 1000)


# JSON


RECORDS = [{"a": 1, "b": "x", "c": None}, {"a": 2.5, "b": "Zoë", "d": True}, {"b": "", "a": -1, "c": [1, 2]}]


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".json"])
@pytest.mark.parametrize("lines", [True, False])
def test_records(tmp_path: Path, ending: str, packed: str, lines: bool) -> None:
    text = "\n".join(map(json.dumps, RECORDS)) + "\n" if lines else json.dumps(RECORDS, indent=1)
    table = read(tmp_path / f"a{ending}{packed}", PACKED[packed](text.encode()))
    assert list(table.frame) == ["a", "b", "c", "d"]
    assert table.frame["a"].tolist() == [1, 2.5, -1]
    assert table.frame["b"].tolist() == ["x", "Zoë", ""]
    assert table.frame["c"].isna().tolist() == [True, True, False]
    assert (table.name, table.notes) == ("a", ())


def test_sequences_in_records(tmp_path: Path) -> None:
    table = read(tmp_path / "a.jsonl", '{"x": [1, 2], "y": 0}\n{"x": [3, 4, 5], "y": 1}\n', cells="sequence")
    assert [cell.tolist() for cell in table.frame["x"]] == [[1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"a": 1}\n{"a": 1,}\n', "not JSON, line 2, column 9"),
        ('{"a": 1}\n[1, 2]\n', "record 1 is a number; expected an object"),
        ('{"a": 1}\n"x"\n', "line 2 is a string; expected an object"),
        ('{"a": 1}\n{"a": 2', "not JSON, line 2"),
        ('[{"a": 1},\n{"a": }]', "not JSON, line 2, column 7"),
        ('{\n "a": [1, 2]\n}', "not JSON, line 2, column 1"),
        ('{"a": ' + "9" * 5000 + "}\n", "line 1 has a number with too many digits"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a": 1}\n{"a": "é"}'.encode("latin-1"), "not in UTF-8"),
        ("", "the file is empty"),
        ("\n\n", "no columns"),
        ("[]", "no columns"),
        ("{" + ",".join(f'"{index}": 1' for index in range(100_001)) + "}", "100,001 columns"),
        ('{"a": 1}\n\0', "byte 9 is NUL"),
    ],
)
def test_records_that_cannot_be_read(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "a.json", content)
    assert caught.value.where == str(tmp_path / "a.json")


# Documents


@pytest.mark.parametrize("packed", PACKED)
def test_a_document_a_line(tmp_path: Path, packed: str) -> None:
    content = PACKED[packed]('one, two\r\nthree "four\n\n  \nfünf;5\n'.encode())
    table = read(tmp_path / f"a.txt{packed}", content)
    assert table.frame.to_dict("list") == {"text": ["one, two", 'three "four', "fünf;5"]}
    assert table.notes == (f"a.txt{packed}: 2 empty lines are left out: lines 3, 4",)


def test_documents_of_other_encodings(tmp_path: Path) -> None:
    for encoding, word in {"cp1252": "Windows-1252", "utf-16": "UTF-16"}.items():
        table = read(tmp_path / "a.txt", "Größe\n–5 €\n".encode(encoding))
        assert table.frame["text"].tolist() == ["Größe", "–5 €"]
        assert word in table.notes[0]
    assert "Latin-1" in read(tmp_path / "a.txt", b"Gr\xf6\x81e\n").notes[0]
    with pytest.raises(DataError, match="no rows"):
        read(tmp_path / "a.txt", "\n\n")
