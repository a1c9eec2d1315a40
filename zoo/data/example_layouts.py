"""Layouts of sources with one array or text per row: images, sequences of numbers, texts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.date_parsing import find_date_format
from zoo.data.columns.describe_table import describe_table
from zoo.data.columns.number_notation import find_numbers
from zoo.data.examples.array_columns import (
    IMAGE,
    SEQUENCE,
    TEXT,
    convert_to_cells,
    find_array_columns,
)
from zoo.data.examples.describe_examples import (
    CHARACTER,
    WORD,
    describe_image,
    describe_sequence,
    describe_text,
    split_into_tokens,
)
from zoo.data.layout import Layout
from zoo.data.limits import find_source_row
from zoo.data.source_errors import describe_wrong_source
from zoo.data.sources.image_files import IMAGE_FILES, decode_images
from zoo.data.sources.read import Table, read_table
from zoo.data.splitting.time_order import read_counts, read_moments
from zoo.data.unsupported_targets import check_mask_folders
from zoo.errors import MOST_NAMES, DataError, UsageError, find_nearest_name, join_first
from zoo.spec import ColumnInput, Input, SequenceInput, Spec, Target, TextInput

MOST_CHARACTERS, MOST_WORDS = 1000, 10_000
RESERVED = (SEQUENCE, "length", "steps", "codes", "features")  # names of a model's other inputs
_NO_FORECAST = (
    ". This task predicts one class or number for each whole series, and does not forecast its next values; zoo list "
    "has the models that do"
)


def create_image_layout(size: int | None = None, *, classes: bool = False) -> Layout:
    """Return the layout of images: arrays, folders, or a table with a column of files.

    Args:
        size: Height and width to which the model resizes images; default their own.
        classes: Whether a folder must contain one folder per class.
    """

    def read(source: Any, text: Collection[str] = ()) -> Table:
        table = read_image_table(source, text)
        if classes and set(table.frame.columns) == {IMAGE, "file"}:
            message = "the folder has images but no class folders; expected FOLDER/cat/1.jpg, FOLDER/dog/2.jpg, …"
            raise DataError(message, where=table.source)
        if classes and table.files is not None and table.target == "class":
            check_mask_folders(sorted(set(table.frame["class"])), table.files.tolist(), table.source)
        return table

    def describe(frame: pd.DataFrame, targets: tuple[Target, ...], task: str) -> tuple[Spec, list[str]]:
        name = _cell_column(frame)
        input_ = describe_image(name, frame[name], size=size, where="the images")
        ignored = [str(column) for column in frame if column not in (name, "file")]
        return Spec(task, (input_,), targets, len(frame)), _ignored(ignored)

    return Layout(read, describe)


def read_image_table(source: Any, text: Collection[str] = ()) -> Table:
    """Return a table with a column of images; a column of file names is replaced by the images.

    Raises:
        DataError: If the source has no images.
    """
    table = read_table(source, text=text, cells=IMAGE)
    cells = find_array_columns(table.frame)
    if cells:
        name, first = next((name, values.iloc[0]) for name, values in cells.items())
        if first.ndim < 2:
            raise DataError(f"column {name} has vectors of {first.size} numbers, not images", where=table.source)
        return table
    for name in map(str, table.frame.columns):
        values = table.frame[name]
        if values.map(lambda value: str(value).lower().endswith(IMAGE_FILES)).all():
            file = Path(table.source).expanduser()
            folder = file.parent if file.is_file() else Path()
            files = [str(value) for value in values]
            images, places, notes = decode_images([folder / file for file in files], files)
            frame = table.frame.iloc[places].drop(columns=name)
            return replace(
                table,
                frame=frame.assign(**{name: convert_to_cells(images).to_numpy()}),
                split=table.split[places] if table.split is not None else None,
                notes=(*table.notes, *notes),
                files=np.array(files, object)[places],
            )
    raise describe_wrong_source("table", table.source)


@dataclass
class SequenceLayout:
    """The layout of sequences: arrays, a long table, or a column of texts.

    Args:
        series: Column of a long table with the series that a row belongs to.
        time: Column that orders the rows of a series.
        static: Columns beside a sequence of numbers, with one value for each.
        text: Column of texts; default the only one.
        targets: Columns to predict; default the source's target.
        drop: Columns that are left out.
        split: Column with the split of each series.
        unit: ``character`` or ``word``; by default inferred from the texts.
        vocabulary: Maximum size of the vocabulary.
        columns: Columns of a long table that make up a step; inferred when a table is first read.
        cells: Name of the column of sequences that a long table is converted to; chosen at the same time.
    """

    series: str | None = None
    time: str | None = None
    static: Collection[str] = ()
    text: str | None = None
    targets: Collection[str] = ()
    drop: Collection[str] = ()
    split: str | None = None
    unit: str | None = None
    vocabulary: int | None = None
    columns: list[str] | None = None
    cells: str | None = None

    @classmethod
    def of_spec(cls, spec: Spec) -> SequenceLayout:
        """Return the layout for reading rows for a trained model."""
        text, sequence = spec.of_kind(TextInput), spec.of_kind(SequenceInput)
        return cls(
            series=spec.options.get("series"),
            time=spec.options.get("time"),
            static=list(dict.fromkeys(input_.name for input_ in spec.of_kind(ColumnInput) if input_ not in text)),
            text=text[0].name if text else None,
            targets=[target.name for target in spec.targets],
            columns=list(sequence[0].columns) or None if sequence else None,
            cells=sequence[0].name if sequence else None,
        )

    def layout(self) -> Layout:
        """Return the functions that read and describe a source."""
        return Layout(self.read, self.describe)

    def read(self, source: Any, text: Collection[str] = ()) -> Table:
        """Return a table with one row per sequence."""
        table = read_table(source, text=[*text, *([self.text] if self.text else [])], cells=SEQUENCE)
        has_arrays = bool(find_array_columns(table.frame))
        self._check_static(table)
        served = has_arrays and self.columns is not None  # a model trained on a long table also accepts sequences
        if (self.series is not None or self.time is not None) and not served:
            return self._grouped(table)
        if has_arrays and self.text is not None:
            raise UsageError("the source has sequences of numbers, not a column of texts", where="text")
        if not has_arrays and not isinstance(source, Table):
            self.text = self._text_column(table)
            if self.static:
                message = "--static is for sequences of numbers; models of tables read texts and other columns together"
                raise UsageError(message, where="static")
        return table

    def describe(self, frame: pd.DataFrame, targets: tuple[Target, ...], task: str) -> tuple[Spec, list[str]]:
        """Return the spec of the training rows and notes."""
        where = "the sequences"
        if self.text is None:
            name = _cell_column(frame)
            sequence = describe_sequence(name, frame[name], where=where)
            input_: Input = replace(sequence, columns=tuple(self.columns or ()))
        else:
            name = self.text
            unit = self.unit or _natural_unit(frame[name])
            max_tokens = self.vocabulary or (MOST_CHARACTERS if unit == CHARACTER else MOST_WORDS)
            input_ = describe_text(name, frame[name], unit=unit, vocabulary=max_tokens, where=where)
        ignored = [str(column) for column in frame if column not in (name, self.series, *self.static)]
        inputs, notes = [input_], _ignored(ignored)
        if self.static:
            absent = [name for name in self.static if name not in frame]
            if absent:
                raise UsageError(f"{absent[0]} has another use, such as a group or a weight", where="static")
            described, notes_of_columns = describe_table(frame[[*self.static]], (), task)
            texts = [column.name for column in described.of_kind(TextInput)]
            if texts:
                message = f"column {texts[0]} has texts; only numbers, categories and dates are read beside a sequence"
                raise UsageError(message, where="static")
            inputs += described.inputs
            notes += notes_of_columns
        return Spec(task, tuple(inputs), targets, len(frame)), notes

    def _check_static(self, table: Table) -> None:
        columns = [str(column) for column in table.frame.columns]
        arrays = find_array_columns(table.frame)
        for name in self.static:
            if name not in columns and self.columns is not None:
                raise DataError(f"the column {name!r} that the model needs is missing", where=table.source)
            if name not in columns:
                message = f"there is no column {name!r} for --static; columns: {join_first(columns, MOST_NAMES)}"
                raise DataError(message, where=table.source, nearest=find_nearest_name(name, columns))
            if name in (self.series, self.time, *self._targets(table), self.split, *self.drop) or name in arrays:
                message = "is the series, the time, the target, a split, a sequence or a column that is dropped"
                raise UsageError(f"{name} {message}", where="static")
            if name in RESERVED:
                raise UsageError(f"a column beside a sequence cannot be called {name}; rename it", where="static")

    def _targets(self, table: Table) -> tuple[str, ...]:
        return tuple(self.targets) or ((table.target,) if table.target is not None else ())

    def _text_column(self, table: Table) -> str:
        frame = table.frame.drop(columns=[name for name in self._targets(table) if name in table.frame])
        if self.text is not None:
            if self.text not in frame.columns:
                columns = [str(name) for name in frame.columns]
                message = f"there is no column {self.text!r} of texts; columns: {join_first(columns, MOST_NAMES)}"
                raise DataError(message, where=table.source, nearest=find_nearest_name(self.text, columns))
            return self.text
        texts = [str(name) for name in frame.columns if _is_text(frame[name], few=frame.shape[1] == 1)]
        # Dates are texts only where the source says so, as a file of lines does.
        texts = [name for name in texts if name == TEXT or find_date_format(frame[name].dropna().unique()) is None]
        if len(texts) == 1:
            return texts[0]
        if not texts:
            hint = "; a long table needs --series COLUMN and --time COLUMN, a column of texts --text COLUMN"
            raise describe_wrong_source("table", table.source, hint=hint)
        raise DataError(
            f"which column has the texts? Use --text COLUMN; columns of text: {', '.join(texts)}", where=table.source
        )

    def _grouped(self, table: Table) -> Table:
        """Convert a long table, with a row per step, to a table with a row per series."""
        frame = table.frame
        for option, name in (("series", self.series), ("time", self.time)):
            if name is None:
                raise UsageError("a long table needs both --series COLUMN and --time COLUMN", where=option)
            if name not in frame.columns:
                columns = [str(column) for column in frame.columns]
                message = f"there is no column {name!r} for --{option}; columns: {join_first(columns, MOST_NAMES)}"
                raise DataError(message, where=table.source, nearest=find_nearest_name(name, columns))
        assert self.series is not None
        assert self.time is not None
        targets = self._targets(table)
        others = {self.series, self.time, *targets, self.split, *self.drop, *self.static}
        table = _with_numbers(table, others)
        frame = table.frame
        if self.columns is None:
            self.columns = [
                str(name)
                for name in frame.columns
                if name not in others and pd.api.types.is_numeric_dtype(frame[name].dtype)
            ]
        if not self.columns:
            raise DataError("no numeric column is left for the steps of the series", where=table.source)
        if self.cells is None:
            self.cells = SEQUENCE
            while self.cells in frame.columns:
                self.cells += "_"
        grouped = _by_series(table, self.series, self.time, self.columns, self.cells)
        constant = [
            *((f"target {target!r}", target) for target in targets),
            (f"split in {self.split!r}", self.split),
            *((f"column {name!r} of --static", name) for name in self.static),
        ]
        for what, column in constant:
            if column is not None and column in frame.columns:
                advice = _NO_FORECAST if column in targets else ""
                _check_constant(frame[column], frame[self.series], what, table.source, advice)
        return grouped


def _with_numbers(table: Table, others: Collection[str | None]) -> Table:
    """Return a table whose columns of texts that are numbers are numeric, and notes on those with a few other cells."""
    numbers, notes = {}, []
    for name in map(str, table.frame.columns):
        values = table.frame[name]
        if name in others or pd.api.types.is_numeric_dtype(values.dtype):
            continue
        if (parsed := find_numbers(values, keep_integers=False)) is not None:
            numbers[name] = parsed[0]
            notes += [remark] if (remark := parsed[1].describe(name)) else []
        elif pd.api.types.infer_dtype(values, skipna=True) in ("string", "mixed-integer"):
            wrong = pd.to_numeric(values, errors="coerce").isna() & values.notna()
            if 0 < wrong.sum() < 0.1 * len(values):
                shown = join_first([repr(cell) for cell in pd.unique(values[wrong])], 3)
                notes.append(f"the steps lack column {name}, since {wrong.sum()} of its cells are no numbers: {shown}")
    return replace(table, frame=table.frame.assign(**numbers), notes=(*table.notes, *notes))


def _by_series(table: Table, series: str, time: str, columns: list[str], cells: str) -> Table:
    """Return one row per series: its name, its steps in one cell, and the first value of each other column."""
    frame = table.frame
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise DataError(f"columns that the model needs are missing: {', '.join(absent)}", where=table.source)
    times = read_counts(frame[time])
    moments = times if pd.api.types.is_numeric_dtype(times.dtype) else read_moments(times)
    for name, values in ((series, frame[series]), (time, moments)):
        if values.isna().any():
            row = find_source_row(values, int(np.flatnonzero(values.isna())[0]))
            raise DataError("a value is missing or cannot be read", where=f"{table.source}, column {name}, row {row}")
    twice = pd.DataFrame({"series": frame[series], "time": moments}).duplicated().to_numpy()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        message = f"series {frame[series].iloc[row]} has two rows at {time} {frame[time].iloc[row]}"
        raise DataError(message, where=f"{table.source}, row {find_source_row(frame[series], row)}")
    codes, names = pd.factorize(frame[series])  # in the order of first appearance
    order = np.lexsort((moments.to_numpy(), codes))
    ends = np.cumsum(np.bincount(codes))[:-1]
    steps = frame[columns].to_numpy(dtype=np.float32, na_value=np.nan)[order]
    grouped = pd.DataFrame({series: names, cells: convert_to_cells(np.split(steps, ends))})
    first = pd.Series(codes).drop_duplicates().index
    for column in frame.columns:
        if column not in (series, time, *columns):  # the first that is not missing
            grouped[column] = frame[column].groupby(codes).first().to_numpy()
    split = table.split[first] if table.split is not None else None
    read = table.read_as_written

    def read_first(name: str) -> pd.Series:
        assert read is not None
        return read(name).loc[frame.index[first]].reset_index(drop=True)

    return replace(table, frame=grouped, split=split, read_as_written=None if read is None else read_first)


def _check_constant(values: pd.Series, series: pd.Series, what: str, where: str, advice: str = "") -> None:
    kinds = values.dropna().astype(str).groupby(series, sort=False).nunique()
    several = kinds.index[kinds > 1]
    if len(several):
        raise DataError(f"the {what} changes within series {several[0]}; it must be constant{advice}", where=where)


def _cell_column(frame: pd.DataFrame) -> str:
    names = list(find_array_columns(frame))
    if not names:
        raise DataError("no column has arrays or texts as examples")
    return str(names[0])


def _is_text(values: pd.Series, *, few: bool = False) -> bool:
    """Return whether a column has texts; ``few``: also few different ones, which may as well be categories."""
    present = values.dropna()
    if pd.api.types.is_numeric_dtype(values.dtype) or not present.map(lambda value: isinstance(value, str)).all():
        return False
    return few or bool(present.nunique() > max(20, len(present) // 10))


def _natural_unit(values: pd.Series) -> str:
    """Return ``word`` if texts have several words, else ``character``, as for DNA strings."""
    sample = values.dropna().iloc[:1000].astype(str)
    return WORD if np.median([len(split_into_tokens(text, WORD)) for text in sample]) >= 3 else CHARACTER


def _ignored(columns: Collection[str]) -> list[str]:
    return [f"unused columns: {', '.join(columns)}"] if columns else []
