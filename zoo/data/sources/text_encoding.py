"""Open text files: compression by suffix, detected encoding, and limits while reading."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
from pathlib import Path
from typing import Any, BinaryIO, cast

from zoo.data.limits import MOST_RATIO, RATIO_FROM_BYTES, check_memory, format_bytes
from zoo.errors import DataError

COMPRESSED = ("", ".gz", ".bz2")
BLOCK_BYTES = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with a byte-order mark"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),  # before UTF-16, whose mark is a prefix
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


def list_endings(*names: str) -> tuple[str, ...]:
    """Return the file suffixes of a kind of text file, plain and compressed.

    Example:
        >>> list_endings(".csv")
        ('.csv', '.csv.gz', '.csv.bz2')
    """
    return tuple(name + packed for name in names for packed in COMPRESSED)


class _Guarded(io.RawIOBase):
    """Raw file stream that raises an error for a NUL byte, or if decompressed text would not fit into memory."""

    def __init__(self, path: Path, *, nul: bool) -> None:
        self.packed = path.open("rb")
        self.file, self.path, self.nul = _unpacked(self.packed, path), path, nul
        self.start, self.checked = 0, RATIO_FROM_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self.file.read(len(buffer))
        if not self.nul and (place := block.find(b"\0")) >= 0:
            raise DataError(f"not a text file: byte {self.start + place} is NUL", where=str(self.path))
        self.start += len(block)
        if self.start > self.checked:
            self._check()
        buffer[: len(block)] = block
        return len(block)

    def _check(self) -> None:
        stored = self.packed.tell()  # compressed bytes read so far
        if self.start > MOST_RATIO * stored:
            size = f"{format_bytes(stored)} decompress to more than {format_bytes(self.start)}"
            message = f"{size}; the limit is a factor of {MOST_RATIO}. Decompress the file first if this is intended"
            raise DataError(message, where=str(self.path))
        check_memory(self.start - self.checked, "the decompressed text", str(self.path))
        self.checked = self.start + RATIO_FROM_BYTES

    def close(self) -> None:
        self.file.close()
        self.packed.close()
        super().close()


def _unpacked(file: BinaryIO, path: Path) -> BinaryIO:
    name = path.name.lower()
    if name.endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb"))
    return cast(BinaryIO, bz2.BZ2File(file)) if name.endswith(".bz2") else file


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading with limits; decompress gzip and bzip2 by suffix."""
    return cast(BinaryIO, io.BufferedReader(_Guarded(path, nul=True), BLOCK_BYTES))


def open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    """Open a text file for reading in an encoding, with limits.

    Raises:
        DataError: While reading, for a NUL byte, or more text than fits into memory.
    """
    raw = _Guarded(path, nul=encoding.startswith(("utf-16", "utf-32")))
    return io.TextIOWrapper(io.BufferedReader(raw, BLOCK_BYTES), encoding=encoding, newline="")


def check_bytes(path: Path) -> None:
    """Raise an error if a file has a NUL byte, which text never has.

    Raises:
        DataError: With the position of the first one.
    """
    # A single reused buffer keeps this pass cheap compared to pandas.
    buffer, start = bytearray(BLOCK_BYTES), 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            if (place := buffer.find(0, 0, count)) >= 0:
                raise DataError(f"not a text file: byte {start + place} is NUL", where=str(path))
            start += count


def find_marked_encoding(path: Path) -> tuple[str, str | None]:
    """Return a text file's encoding by its byte-order mark, and its name if it is worth a note.

    Raises:
        DataError: If the file is empty, or larger than the available memory.
    """
    check_memory(path.stat().st_size, "the file", str(path))
    with open_bytes(path) as file:
        start = file.read(4)
    if not start:
        raise DataError("the file is empty", where=str(path))
    return next(((name, words) for mark, name, words in _MARKS if start.startswith(mark)), ("utf-8", None))


def guess_encoding(path: Path) -> tuple[str, str]:
    """Return encoding and name for a file that is not UTF-8: Windows-1252, or Latin-1 if a byte is undefined there.

    Any byte is valid in Latin-1, so this is a guess, as the name says.
    """
    decoder = codecs.getincrementaldecoder("cp1252")()
    with open_bytes(path) as file:
        try:
            while block := file.read(BLOCK_BYTES):
                decoder.decode(block)
        except UnicodeDecodeError:
            return "latin-1", "Latin-1, as it is not UTF-8"
    return "cp1252", "Windows-1252, as it is not UTF-8"
