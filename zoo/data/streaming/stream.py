"""Streaming of sources larger than memory: rows are read in chunks, and only a bounded sample is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import MISSING, encode_categories
from zoo.data.limits import check_file_or_folder, measure_available_memory, report_decoding_errors
from zoo.data.sources.memory_arrays import collect_columns, convert_types, split_into_columns
from zoo.data.sources.parquet import PARQUET_FILES, is_parquet_folder, list_parts
from zoo.data.sources.tensor_sets import is_tensor_set
from zoo.errors import DataError

CHUNK_ROWS = 1 << 16
OPEN_PIECES = 4  # number of pieces that are interleaved in training
# A column with more categories is counted approximately: the rarest are discarded from time to time.
MOST_COUNTED = 200_000
# A table that would need a larger fraction of the available memory is streamed by default.
MOST_SHARE = 0.25
_COPIES = 4  # of a table's cells, made by reading, describing and splitting

Chunk = tuple[int, pd.DataFrame]


@dataclass(frozen=True)
class Stream:
    """A source whose rows are streamed.

    Args:
        name: Short name of the source.
        source: The source, as the user can type it again where possible.
        pieces: Functions that each yield a subset of the rows, in chunks with the number of their first row.
        columns: Names of the columns.
        rows: Number of rows; None if it is unknown before reading.
        target: Target column, if the source defines one.
        digest: Description of the contents without reading the rows.
    """

    name: str
    source: str
    pieces: Sequence[Callable[[], Iterator[Chunk]]]
    columns: Sequence[str]
    rows: int | None = None
    target: str | None = None
    digest: str = ""

    def chunks(self, order: Sequence[int] | None = None) -> Iterator[Chunk]:
        """Yield all rows in chunks: piece by piece, or interleaved in the given order of pieces."""
        if order is None:
            for piece in self.pieces:
                yield from piece()
            return
        waiting = [self.pieces[number] for number in order]
        open_pieces: list[Iterator[Chunk]] = []
        while waiting or open_pieces:
            while waiting and len(open_pieces) < OPEN_PIECES:
                open_pieces.append(waiting.pop(0)())
            for reader in list(open_pieces):
                chunk = next(reader, None)
                if chunk is None:
                    open_pieces.remove(reader)
                else:
                    yield chunk


def can_stream(source: Any) -> bool:
    """Return whether a source can be streamed: a Parquet file or folder, or a ``tf.data.Dataset``."""
    if is_tensor_set(source):
        return True
    if not isinstance(source, (str, Path)):
        return False
    path = Path(source).expanduser()
    return path.name.lower().endswith(PARQUET_FILES) or is_parquet_folder(path)


def must_stream(source: Any) -> bool:
    """Return whether a source would need a large fraction of the available memory."""
    if not can_stream(source) or is_tensor_set(source) or not Path(source).expanduser().exists():
        return False
    stream = open_stream(source)
    assert stream.rows is not None
    return 8 * _COPIES * stream.rows * len(stream.columns) > MOST_SHARE * measure_available_memory()


def open_stream(source: Any) -> Stream:
    """Return a source as a stream.

    Args:
        source: A Parquet file, a folder of parts, or a ``tf.data.Dataset`` of ``(x, y)`` or ``(x, y, w)``.

    Raises:
        DataError: If the source is none of these, or a file is damaged.
    """
    if not can_stream(source):
        raise DataError(
            "streaming needs a Parquet file, a folder of Parquet files or a tf.data.Dataset", where=str(source)
        )
    if is_tensor_set(source):
        return _of_tensors(source)
    path = Path(source).expanduser()
    if path.exists():
        check_file_or_folder(path, str(source))
    return _of_parquet(path, str(source))


def _of_parquet(path: Path, source: str) -> Stream:
    from pyarrow import parquet

    pieces: list[Callable[[], Iterator[Chunk]]] = []
    first, facts = 0, []
    columns: list[str] = []
    for part in list_parts(path) if path.is_dir() else [path]:
        with report_decoding_errors(str(part)), parquet.ParquetFile(part) as file:
            columns = columns or [str(name) for name in file.schema_arrow.names]
            if set(columns) != {str(name) for name in file.schema_arrow.names}:
                raise DataError(
                    f"its columns differ from those of the first file: {', '.join(columns[:20])}", where=str(part)
                )
            for group in range(file.metadata.num_row_groups):
                metadata = file.metadata.row_group(group)
                pieces.append(_group_reader(part, group, first))
                first += metadata.num_rows
                facts.append((part.name, metadata.num_rows, metadata.total_byte_size))
    if first == 0:
        raise DataError("the table has no rows", where=source)
    return Stream(path.resolve().name.split(".")[0], source, pieces, columns, first, None, repr(facts))


def _group_reader(part: Path, group: int, first: int) -> Callable[[], Iterator[Chunk]]:
    def read() -> Iterator[Chunk]:
        from pyarrow import parquet

        row = first
        with report_decoding_errors(str(part)), parquet.ParquetFile(part) as file:
            for batch in file.iter_batches(CHUNK_ROWS, row_groups=[group]):
                frame = convert_types(batch.to_pandas().rename(columns=str), str(part))
                yield row, frame
                row += len(frame)

    return read


def _of_tensors(source: Any) -> Stream:
    spec = source.element_spec
    if not isinstance(spec, tuple) or not 2 <= len(spec) <= 3:
        raise DataError(f"expected elements (x, y) or (x, y, w); received {spec}", where="(tf.data.Dataset)")
    if source.cardinality().numpy() == -1:  # tf.data.INFINITE_CARDINALITY
        raise DataError("the dataset is infinite; use take(n), or leave out repeat()", where="(tf.data.Dataset)")
    target = spec[1]
    batched = source if target.shape.rank else source.batch(CHUNK_ROWS // 8)

    def read() -> Iterator[Chunk]:
        row = 0
        for element in batched.as_numpy_iterator():
            frame = _frame_of_batch(element)
            yield row, frame
            row += len(frame)

    columns = list(_frame_of_batch(next(iter(batched.take(1).as_numpy_iterator()))).columns)
    cardinality = int(source.cardinality().numpy()) if not target.shape.rank else -2
    rows = cardinality if cardinality >= 0 else None
    return Stream("data", "(tf.data.Dataset in memory)", [read], columns, rows, "y", repr(spec))


def _frame_of_batch(element: Any) -> pd.DataFrame:
    x, y = element[0], element[1]
    if isinstance(x, dict):
        frame = collect_columns({str(name): _decoded(values) for name, values in x.items()})
    else:
        frame = split_into_columns(x, None)
    frame["y"] = _decoded(np.asarray(y).reshape(len(frame)))
    if len(element) == 3:
        frame["weight"] = np.asarray(element[2]).reshape(len(frame))
    return frame


def _decoded(values: np.ndarray) -> Any:
    if values.dtype.kind != "O":
        return values
    return [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values]


def hash_rows(rows: np.ndarray, salt: int) -> np.ndarray:
    """Hash each row number (N,) and a salt to a number in [0, 1).

    The finalizer of SplitMix64 (Steele, Lea and Flood 2014, figure 9).

    Example:
        >>> hash_rows(np.arange(3), 0).round(3).tolist() == hash_rows(np.arange(3), 0).round(3).tolist()
        True
    """
    with np.errstate(over="ignore"):
        z = rows.astype(np.uint64) + np.uint64(1) + np.uint64(salt % 2**32) * np.uint64(0x9E3779B97F4A7C15)
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) / 2**53)


@dataclass
class RowSample:
    """A uniform random sample of streamed rows, of at most ``most`` rows.

    Args:
        share: Fraction of rows in the sample; halved whenever the sample would be too large.
        most: Maximum number of rows.
        dropped: Number of rows that were removed again.
    """

    fraction: float
    most: int
    _frames: list[pd.DataFrame] = field(default_factory=list)
    _places: list[np.ndarray] = field(default_factory=list)
    _rows: int = 0
    dropped: int = 0

    def add(self, frame: pd.DataFrame, rows: np.ndarray, places: np.ndarray) -> None:
        """Add rows, given their numbers and their hashes in [0, 1)."""
        chosen = places < self.fraction
        if not chosen.any():
            return
        self._frames.append(frame[chosen].set_axis(rows[chosen], axis=0))
        self._places.append(places[chosen])
        self._rows += int(chosen.sum())
        while self._rows > self.most:
            self.fraction /= 2
            masks = [places_ < self.fraction for places_ in self._places]
            self._frames = [frame_[mask] for frame_, mask in zip(self._frames, masks, strict=True)]
            self._places = [places_[mask] for places_, mask in zip(self._places, masks, strict=True)]
            remaining = sum(map(len, self._frames))
            self.dropped, self._rows = self.dropped + self._rows - remaining, remaining

    def frame(self) -> pd.DataFrame | None:
        """Return the rows, with their numbers as index; None if there are none."""
        return pd.concat(self._frames) if self._rows else None


def count_categories(counter: Counter[str], values: pd.Series) -> None:
    """Add the categories of a chunk to a counter; the rarest are discarded if there are too many.

    Example:
        >>> counter = Counter(b=1)
        >>> count_categories(counter, pd.Series(["a", "b", "b"]))
        >>> sorted(counter.items())
        [('a', 1), ('b', 3)]
    """
    codes, names = encode_categories(values)
    counts = np.bincount(codes + 1, minlength=len(names) + 1).tolist()
    counter.update({name: count for name, count in zip([MISSING, *names.tolist()], counts, strict=True) if count})
    if len(counter) > MOST_COUNTED:
        kept = counter.most_common(MOST_COUNTED // 2)
        counter.clear()
        counter.update(dict(kept))


@dataclass
class Totals:
    """Streaming statistics of a column: count, moments and extremes of numbers, or counts of categories."""

    numeric: bool
    count: int = 0
    missing: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    categories: Counter[str] = field(default_factory=Counter)

    def add(self, values: pd.Series) -> None:
        """Add the cells of a chunk (Chan, Golub and LeVeque 1983, for the moments)."""
        if not self.numeric:
            count_categories(self.categories, values)
            self.missing = self.categories[MISSING]
            return
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        present = numbers[np.isfinite(numbers)]
        self.missing += len(numbers) - len(present)
        if not len(present):
            return
        mean, count = float(present.mean()), len(present)
        total = self.count + count
        self.squares += float(((present - mean) ** 2).sum()) + (mean - self.mean) ** 2 * self.count * count / total
        self.mean += (mean - self.mean) * count / total
        self.count = total
        self.low, self.high = min(self.low, float(present.min())), max(self.high, float(present.max()))

    @property
    def std(self) -> float:
        """Standard deviation of the numbers."""
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0
