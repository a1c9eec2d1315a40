"""Series of a long table: each on a regular grid of steps, with its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import name_categories, parse_numbers, read_numbers
from zoo.data.columns.number_notation import find_numbers
from zoo.data.limits import find_source_row
from zoo.data.sources.read import Table
from zoo.data.splitting.splitters import read_split_column
from zoo.errors import MOST_NAMES, DataError, UsageError, find_nearest_name, join_first

from ._time_axis import NUMBER, TimeAxis, find_axis, read_times

ONLY = "series"  # name of the only series of a table without a column of names
MOST_SPARSE = 1000  # steps for each row


@dataclass(frozen=True)
class Columns:
    """The columns of a long table, by what they are.

    Args:
        target: Column that is forecast.
        time: Column of times.
        series: Column of the series' names; None for a single series.
        past: Columns that are known up to the present.
        known: Columns that are known ahead.
        static: Columns that are constant in a series.
        split: Column with the split of each row.
        categories: Words of each past or known column that has words instead of numbers.
    """

    target: str
    time: str
    series: str | None = None
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    split: str | None = None
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def channels(self) -> list[tuple[str, str | None]]:
        """Column of each covariate, the past ones first, and its category if the column has words."""
        covariates = (*self.past, *self.known)
        return [(name, word) for name in covariates for word in self.categories.get(name, (None,))]

    @property
    def names(self) -> list[str]:
        """All columns."""
        optional = [name for name in (self.series, self.split) if name is not None]
        return [self.target, self.time, *self.past, *self.known, *self.static, *optional]

    def name_series(self, name: object) -> str:
        """Return a series as messages name it; without a column of names there is only one."""
        return f"series {name}" if self.series is not None else "the series"


@dataclass(frozen=True)
class Series:
    """One series on a regular grid: T steps from its first time to its last.

    Args:
        name: Its name in the source.
        first: Its first time.
        values: The target (T,), NaN where it is missing.
        covariates: Past columns, then known columns (T, C), NaN where missing; of words one for each category.
        rows: Row of each step in the source (T,), -1 for a step without a row.
        split: Split of each step (T,), or None.
        static: Cells of its static columns.
    """

    name: Any
    first: Any
    values: np.ndarray
    covariates: np.ndarray
    rows: np.ndarray
    split: np.ndarray | None = None
    static: Mapping[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """Number of steps up to the last one that has a value."""
        present = np.flatnonzero(np.isfinite(self.values))
        return int(present[-1]) + 1 if len(present) else 0


def read_series(table: Table, columns: Columns, axis: TimeAxis | None = None) -> tuple[list[Series], TimeAxis]:
    """Return the series of a long table, in the order of their first appearance, and their time axis.

    Args:
        table: A row for each series and time, in any order.
        columns: What its columns are.
        axis: The time axis; by default found from the times.

    Raises:
        DataError: If a column is missing, a cell cannot be read, or times are doubled or irregular.
    """
    frame, where = table.frame, table.source
    _check_columns(frame, columns, where)
    times, in_utc = read_times(frame[columns.time], where, in_utc=None if axis is None else axis.in_utc)
    numbers = {
        name: _read_covariate(frame[name], columns.categories.get(name), where)
        for name in (*columns.past, *columns.known)
    }
    empty = [name for name in columns.past + columns.known if axis is None and np.isnan(numbers[name]).all()]
    if empty:
        raise DataError(f"column {empty[0]} has no values; leave it out", where=where)
    names = frame[columns.series] if columns.series is not None else pd.Series(ONLY, index=frame.index)
    if names.isna().any():
        row = int(np.flatnonzero(names.isna())[0])
        place = f"{where}, column {columns.series}, row {find_source_row(names, row)}"
        raise DataError("the name of the series is missing", where=place)
    codes, uniques = pd.factorize(names)
    order = np.lexsort((times.to_numpy(), codes))
    groups = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    _check_doubled(times, names, groups, columns, where)
    sorted_times = [times.iloc[rows].reset_index(drop=True) for rows in groups]
    if axis is not None and (axis.unit == NUMBER) != pd.api.types.is_numeric_dtype(times.dtype):
        kinds = ("numbers", "dates") if axis.unit == NUMBER else ("dates", "numbers")
        message = f"the model was trained on times that are {kinds[0]}; these are {kinds[1]}"
        raise DataError(message, where=f"{where}, column {columns.time}")
    axis = axis or find_axis(sorted_times, where, in_utc=in_utc)
    split = _find_split(table, columns)
    values = np.column_stack([_read_numbers(frame[columns.target], where), *numbers.values()])
    series = []
    for name, rows, of_series in zip(uniques, groups, sorted_times, strict=True):
        places = _find_places(of_series, axis, name, columns, where)
        grid = np.full((places[-1] + 1, values.shape[1]), np.nan)
        grid[places] = values[rows]
        row_numbers = np.full(len(grid), -1)
        row_numbers[places] = rows
        static = {column: _constant_cell(frame[column].iloc[rows], name, where) for column in columns.static}
        splits = None if split is None else split[rows][np.searchsorted(places, np.arange(len(grid)), "right") - 1]
        series.append(Series(name, of_series.iloc[0], grid[:, 0], grid[:, 1:], row_numbers, splits, static))
    return series, axis


def fill_gaps(values: np.ndarray) -> np.ndarray:
    """Return values (T, …) in which a missing one is the last before it, or at the beginning the first after it.

    Example:
        >>> fill_gaps(np.array([np.nan, 1.0, np.nan, 3.0])).tolist()
        [1.0, 1.0, 1.0, 3.0]
    """
    frame = pd.DataFrame(values.reshape(len(values), -1))
    return np.asarray(frame.ffill().bfill(), float).reshape(values.shape)


def prepare_covariates(one: Series, axis: TimeAxis, horizon: int) -> np.ndarray:
    """Return the covariates of a series and of a horizon behind it (T + H, C): its own, gaps filled, and calendar."""
    steps = len(one.values) + horizon
    cells = np.concatenate([one.covariates, np.full((horizon, one.covariates.shape[1]), np.nan)])
    calendar = axis.encode_calendar(axis.extend(one.first, np.arange(steps))) if axis.calendar else np.zeros((steps, 0))
    return np.concatenate([np.asarray(pd.DataFrame(cells).ffill(), float), calendar], axis=1)


def _check_columns(frame: pd.DataFrame, columns: Columns, where: str) -> None:
    present = [str(name) for name in frame.columns]
    for name in columns.names:
        if name not in present:
            message = f"there is no column {name!r}; columns: {join_first(present, MOST_NAMES)}"
            raise DataError(message, where=where, nearest=find_nearest_name(name, present))
    twice = next((name for name in columns.names if columns.names.count(name) > 1), None)
    if twice:
        raise UsageError(f"column {twice} is given for two purposes", where="known")


def _read_numbers(values: pd.Series, where: str) -> np.ndarray:
    written = None if pd.api.types.is_numeric_dtype(values.dtype) else find_numbers(values, keep_integers=False)
    return read_numbers(values if written is None else written[0], where)


def _read_covariate(values: pd.Series, categories: Sequence[str] | None, where: str) -> np.ndarray:
    """Return a column that is known ahead or in the past (N,), in which yes and no are 1 and 0.

    Of words it is whether each category holds (N, K): none does where the cell is empty or did not occur in training.
    """
    if categories is not None:
        return (name_categories(values)[:, None] == np.array(categories, object)).astype(float)
    try:
        return _read_numbers(values, where)
    except DataError:
        numbers, wrong = parse_numbers(values, is_answer=True)
        if wrong.any():
            raise
        return numbers


def _check_doubled(
    times: pd.Series, names: pd.Series, groups: Sequence[np.ndarray], columns: Columns, where: str
) -> None:
    moments = times.to_numpy()
    for rows in groups:
        same = np.flatnonzero(moments[rows][1:] == moments[rows][:-1])
        if len(same):
            row = int(max(rows[same[0]], rows[same[0] + 1]))
            of = f"series {names.iloc[row]} has" if columns.series else "there are"
            advice = "" if columns.series else "; if there are several series, use --series COLUMN"
            if not columns.series and "datetime" in str(times.dtype) and times.iloc[row] != times.iloc[row].normalize():
                advice += "; if a clock was set back, give times with their offset from UTC"
            message = f"{of} two rows at {columns.time} {times.iloc[row]}{advice}"
            raise DataError(message, where=f"{where}, row {find_source_row(times, row)}")


def _find_places(times: pd.Series, axis: TimeAxis, name: Any, columns: Columns, where: str) -> np.ndarray:
    places, which = axis.places(times), columns.name_series(name)
    odd = np.flatnonzero(~np.isclose(places, np.rint(places), atol=1e-3))
    if len(odd):
        message = f"{which} has a row at {times.iloc[int(odd[0])]}, which is no multiple of {axis.describe()}"
        raise DataError(f"{message} after its first", where=f"{where}, column {columns.time}")
    places = np.rint(places).astype(np.int64)
    same = np.flatnonzero(np.diff(places) == 0)
    if len(same):
        message = f"{which} has two rows within one step of {axis.describe()}, at {times.iloc[int(same[0]) + 1]}"
        raise DataError(f"{message}: aggregate them", where=f"{where}, column {columns.time}")
    if places[-1] > MOST_SPARSE * (len(places) + 1):
        message = f"{which} has {len(places):,} rows in {places[-1]:,} steps of {axis.describe()}; the largest gap "
        row = int(np.diff(places).argmax())
        message += f"is before {times.iloc[row + 1]}: is that time right?"
        raise DataError(message, where=f"{where}, column {columns.time}")
    return places


def _find_split(table: Table, columns: Columns) -> np.ndarray | None:
    given = columns.split
    return table.split if given is None else read_split_column(table.frame[given], where=table.source)


def _constant_cell(cells: pd.Series, name: Any, where: str) -> Any:
    present = cells.dropna()
    if present.nunique() > 1:
        message = f"column {cells.name} changes within series {name}; a static column is constant, others are --past"
        raise DataError(message, where=where)
    return present.iloc[0] if len(present) else None
