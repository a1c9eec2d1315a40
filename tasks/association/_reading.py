"""Reading of baskets: a line or a cell with the items of each, or a long table with a row for each item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import name_categories
from zoo.data.examples.array_columns import TEXT
from zoo.data.layout import Layout
from zoo.data.limits import find_source_row
from zoo.data.sources.read import Table, read_table
from zoo.errors import MOST_NAMES, DataError, UsageError, find_nearest_name, join_first
from zoo.jobs.data_options import DataJob
from zoo.portable.preprocessing import SEPARATORS, split_into_tokens
from zoo.spec import Spec, Target, TextInput

from ._item_notes import describe_rare_items, describe_unseen_items

BASKET = "basket"
MOSTLY = 0.8  # fraction of rows with the most frequent value of their item, from which a column describes the item


@dataclass
class BasketLayout:
    """The layout of baskets: each becomes a text of its different items, in the column ``basket``.

    Args:
        basket: Columns of a long table that together name the basket that a row belongs to.
        item: Column of items: of a long table one in each row, else all items of a basket.
        drop: Columns that are left out.
        vocabulary: Maximum number of items, the most frequent ones.
        unit: How items are separated; by default found in the training source.
        items: The items of the training split, if it was read before.
        same: Column that must have one value in all rows of a basket, since baskets are split by it.
    """

    basket: Sequence[str] = ()
    item: str | None = None
    drop: Sequence[str] = ()
    vocabulary: int | None = None
    unit: str | None = None
    items: frozenset[str] = frozenset()
    same: str | None = None

    @classmethod
    def of_job(cls, job: DataJob, options: Any) -> BasketLayout:
        """Return the layout for a job with options of association."""
        same = job.split_column or job.split_by("group") or job.split_by("hash")
        return cls(options.basket, options.item, job.drop, options.items, same=same)

    @classmethod
    def of_spec(cls, spec: Spec) -> BasketLayout:
        """Return the layout for rows to predict."""
        input_, options = spec.only(TextInput), spec.options
        items, basket = frozenset(input_.vocabulary), options.get("basket", ())
        basket = (basket,) if isinstance(basket, str) else basket  # as models were saved before
        return cls(basket, options.get("item"), unit=input_.unit, items=items)

    def layout(self) -> Layout:
        """Return the functions that read and describe baskets."""
        return Layout(self.read, self.describe)

    def read(self, source: Any, text: Collection[str] = ()) -> Table:
        """Return a table with one row for each basket, and notes on what was left out.

        Raises:
            DataError: If there is no column of baskets, or no basket has an item.
        """
        table = read_table(_join_lists(source), text=[*text, *(name for name in (self.item, BASKET) if name)])
        frame = table.frame
        if self.basket and ({*self.basket, self.item} <= {*frame} or not self.items):
            return self._join_rows(table)
        name = self._find_column(table)
        names = name_categories(frame[name])
        texts = [cell if isinstance(cell, str) else other for cell, other in zip(frame[name], names, strict=True)]
        baskets = self._split(texts)
        return self._finish(replace(table, frame=frame.drop(columns=name)), baskets)

    def describe(self, frame: pd.DataFrame, targets: tuple[Target, ...], task: str) -> tuple[Spec, list[str]]:
        """Return the spec of training baskets, whose vocabulary are their items, the most frequent ones first."""
        assert self.unit is not None
        baskets = [split_into_tokens(text, self.unit) for text in frame[BASKET]]
        counts = Counter(item for basket in baskets for item in basket)
        ordered = sorted(counts, key=lambda item: (-counts[item], item))
        notes = describe_rare_items(ordered[self.vocabulary :], counts) if self.vocabulary is not None else []
        ordered = ordered[: self.vocabulary]
        sizes = np.array([len(basket) for basket in baskets])
        input_ = TextInput(
            BASKET, TEXT, vocabulary=tuple(ordered), unit=self.unit,
            greatest_length=int(sizes.max()), mean_length=float(sizes.mean()),
        )  # fmt: skip
        others = [str(name) for name in frame if name != BASKET]
        notes += [f"unused columns: {', '.join(others)}"] if others else []
        return Spec(task, (input_,), targets, len(frame)), notes

    def _find_column(self, table: Table) -> str:
        """Return the column whose cells have all items of a basket."""
        frame = table.frame
        if BASKET in frame and BASKET not in self.basket:
            return BASKET
        if self.item is not None and not self.items:
            _check_column(table, "item", self.item)
            return self.item
        names = [str(name) for name in frame if name not in self.drop]
        if TEXT in names or len(names) == 1:
            return TEXT if TEXT in names else names[0]
        message = f"there is no column {BASKET!r}"
        if not self.items:  # rows to train on
            message = (
                "which columns have the baskets? Use --basket COLUMN --item COLUMN for a table with a row for each "
                "item, or --item COLUMN for one with all items of a basket in a cell"
            )
        raise DataError(f"{message}; columns: {join_first(names, MOST_NAMES)}", where=table.source)

    def _join_rows(self, table: Table) -> Table:
        """Return a row for each basket of a long table: its items, and the first value of each other column."""
        if self.item is None:
            raise UsageError("a table with a row for each item needs --basket COLUMN and --item COLUMN", where="item")
        for option, name in (*(("basket", name) for name in self.basket), ("item", self.item)):
            _check_column(table, option, name)
        frame = table.frame
        parts = [name_categories(frame[name]) for name in self.basket]
        names = np.array([", ".join(each) if all(each) else "" for each in zip(*parts, strict=True)], object)
        items = np.array([" ".join(item.split()) for item in name_categories(frame[self.item])], dtype=object)
        present = (names != "") & (items != "")
        if not present.any():
            raise DataError(f"no row has both a {' and a '.join(self.basket)} and a {self.item}", where=table.source)
        notes = [f"{count:,} rows without a basket or an item are left out"] if (count := (~present).sum()) else []
        frame, (codes, baskets) = frame[present], pd.factorize(names[present])
        self._check_same(frame, codes, baskets, table.source)
        notes += [] if self.items else self._note_mixed(frame, codes, baskets)
        groups = np.split(items[present][np.argsort(codes, kind="stable")], np.cumsum(np.bincount(codes))[:-1])
        first = np.flatnonzero(~pd.Series(codes).duplicated().to_numpy())
        rest = frame.iloc[first].drop(columns=[*self.basket, self.item]).reset_index(drop=True)
        split = None if table.split is None else table.split[present][first]
        table = replace(table, frame=rest, split=split, notes=(*table.notes, *notes), read_as_written=None)
        return self._finish(table, [list(group) for group in groups])

    def _check_same(self, frame: pd.DataFrame, codes: np.ndarray, baskets: Sequence[str], source: str) -> None:
        """Raise DataError if the rows of a basket do not have the same value in the column that splits them."""
        if self.same is None or self.same not in frame:
            return
        values = pd.Series(name_categories(frame[self.same])).groupby(codes).unique()
        several = values[values.map(len) > 1]
        if len(several):
            first, second, *_ = several.iloc[0]
            message = f"the basket {str(baskets[several.index[0]])!r} has rows with {first!r} and with {second!r} in"
            raise DataError(f"{message} the column {self.same}, which splits the baskets", where=source)

    def _note_mixed(self, frame: pd.DataFrame, codes: np.ndarray, baskets: Sequence[str]) -> list[str]:
        """Return a note on words or dates that differ inside baskets, unless they describe the item."""
        differing = {}
        items = pd.factorize(name_categories(frame[self.item]))[0]
        for name in frame.columns.difference([*self.basket, self.item, *self.drop], sort=False):
            if pd.api.types.is_numeric_dtype(frame[name].dtype):
                continue  # such as quantities and prices
            values = pd.Series(pd.factorize(frame[name])[0])
            if (values == values.groupby(items).transform(lambda of_item: of_item.mode()[0])).mean() > MOSTLY:
                continue
            several = np.flatnonzero(values.groupby(codes).nunique() > 1)
            if len(several):
                differing[str(name)] = several
        if not differing:
            return []
        name, several = next(iter(differing.items()))
        options = " ".join(f"--basket {column}" for column in (*self.basket, name))
        return [
            f"rows with the same {' and '.join(self.basket)} are one basket, such as {baskets[several[0]]!r}, although "
            f"{join_first([*differing], 3)} may differ in it ({name} does in {len(several):,} of {len(baskets):,} "
            f"baskets); if it is part of the name, use {options}"
        ]

    def _split(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the items of each text; of rows to predict, by the separator that gives the most known ones."""
        if self.unit is None:
            self.unit = _find_separator(texts)
        if not self.items:
            return [split_into_tokens(text, self.unit) for text in texts]
        tried = {unit: [split_into_tokens(text, unit) for text in texts] for unit in (self.unit, *SEPARATORS)}
        return max(tried.values(), key=lambda baskets: _fraction_in(baskets, self.items))

    def _finish(self, table: Table, baskets: list[list[str]]) -> Table:
        """Return a table with the different items of each basket as a text; training leaves out empty baskets."""
        sizes = np.array([len(basket) for basket in baskets])
        if self.items and (sizes == 0).any():
            row = find_source_row(table.frame.index.to_series(), int(np.argmin(sizes)))
            raise DataError("the basket has no items", where=f"{table.source}, row {row}")
        baskets = [list(dict.fromkeys(basket)) for basket in baskets]
        repeated = int(sizes.sum()) - sum(map(len, baskets))
        notes = [f"{repeated:,} items are in their basket more than once: they count once"] if repeated else []
        notes += describe_unseen_items(baskets, self.items, table.frame.index) if self.items else []
        if self.unit is None:
            items = {item for basket in baskets for item in basket}
            self.unit = next((name for name in ("comma", "semicolon", "bar") if not _occurs(name, items)), "tab")
        separator = SEPARATORS[self.unit] or " "
        joined = separator.join
        frame = table.frame.assign(**{BASKET: pd.Series(map(joined, baskets), index=table.frame.index, dtype=object)})
        split = table.split
        if not self.items and (sizes == 0).any():
            notes.append(f"{(sizes == 0).sum():,} empty baskets are left out")
            frame, split = frame[sizes > 0], None if split is None else split[sizes > 0]
        if frame.empty:
            raise DataError("no basket has an item", where=table.source)
        return replace(table, frame=frame, split=split, notes=(*table.notes, *notes))


def _join_lists(source: Any) -> Any:
    """Return a frame whose cells are lists of items with a text in each cell; any other source as it is."""
    if not isinstance(source, pd.DataFrame):
        return source
    lists = [name for name in source if source[name].map(lambda cell: isinstance(cell, (list, tuple, set))).any()]
    joined = {name: source[name].map(lambda c: "\t".join(map(str, c)) if _is_list(c) else c) for name in lists}
    return source.assign(**{str(name): cells for name, cells in joined.items()}) if lists else source


def _is_list(cell: Any) -> bool:
    return isinstance(cell, (list, tuple, set))


def _check_column(table: Table, option: str, name: str) -> None:
    names = [str(column) for column in table.frame]
    if name not in names:
        message = f"there is no column {name!r} for --{option}; columns: {join_first(names, MOST_NAMES)}"
        raise DataError(message, where=table.source, nearest=find_nearest_name(name, names))


def _find_separator(texts: Sequence[str]) -> str:
    """Return the first separator that occurs in the texts: tab, semicolon, comma, bar, else white space."""
    return next((name for name, sign in SEPARATORS.items() if sign is None or any(sign in text for text in texts)))


def _occurs(unit: str, items: Iterable[str]) -> bool:
    return any((SEPARATORS[unit] or " ") in item for item in items)


def _fraction_in(baskets: Sequence[Sequence[str]], items: Collection[str]) -> float:
    return sum(item in items for basket in baskets for item in basket) / max(1, sum(map(len, baskets)))
