"""One column of the training part is studied: its kind, its statistics, and the inputs of the model it becomes."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.column_kinds import (
    CATEGORY,
    CONSTANT,
    DATE,
    HASHED,
    ID,
    MOST_NAMED,
    NUMBER,
    ORDERED,
    TEXT,
    YES_OR_NO,
    Cells,
    Column,
    Told,
    find_kind,
    in_order,
)
from zoo.data.columns.date_parsing import calendar_parts, spelled
from zoo.data.columns.encode import read_dates, read_numbers
from zoo.data.columns.missing_values import DROP, LAST, MEDIAN, MOST_FREQUENT, way_for
from zoo.data.examples.describe_examples import LEAST_COUNT, tokens_of
from zoo.data.limits import row_in_source
from zoo.errors import DataError, UsageError, nearest_name
from zoo.spec import Input

QUANTILES = 65
MOST_ONE_HOT = 32
MOST_LEVELS = 1000
MOST_WORDS = 1000
LEAST_COVERED = 0.9
LEAST_BUCKETS, MOST_BUCKETS = 64, 4096
WHERE = "the training rows"


@dataclass(frozen=True)
class Studied:
    """A column, and what it becomes.

    Args:
        column: For people.
        inputs: The model's inputs: none where the column is left out, two where one says which values were missing.
    """

    column: Column
    inputs: tuple[Input, ...] = ()


def study(cells: Cells, told: Told | None, ways: Mapping[str, str], key: Callable[[str], str]) -> Studied:
    """Return a column with the inputs that it becomes.

    Args:
        cells: The column's cells in the training rows.
        told: Its kind, where somebody told.
        ways: What stands for missing values, by column.
        key: Gives a Keras input its name.

    Raises:
        UsageError: When a way for missing values does not fit the column.
        DataError: When cells are not what somebody told they are; the message names the row.
    """
    kind = told if told is not None else find_kind(cells)
    why = _left_out(cells, kind, ways)
    if why:
        return Studied(_column(cells, kind, left_out=why))
    make = {TEXT: _text, DATE: _date, ORDERED: _ordered, HASHED: _category, CATEGORY: _category}.get(kind.kind)
    if make is None:
        make = _number if cells.numeric or kind.kind != YES_OR_NO else _category
    way = way_for(cells.name, {_number: "number", _date: "date", _text: "text"}.get(make, "category"), ways)
    if way == DROP and (cells.name in ways or cells.missing):
        why = f"{cells.missing} values are missing, and it was asked to drop it for that"
        return Studied(_column(cells, kind, left_out=why))
    made = make(cells, kind, None if way == DROP else way)
    if isinstance(made, str):
        return Studied(_column(cells, kind, left_out=made))
    facts, enters, remarks = made
    known = Input(cells.name, key(cells.name), **facts)
    inputs = [known]
    if known.statistics.get("way") == LAST and known.missing:
        was = (np.arange(len(cells)) < known.missing).astype(np.float64)
        statistics = {**number_statistics(was, np.sort(was)), "was_missing": True}
        inputs.append(Input(cells.name, key(f"{cells.name} missing"), "number", statistics=statistics))
    found = _column(cells, kind, known=known, enters=enters, remarks=remarks)
    return Studied(found, tuple(inputs))


def number_statistics(present: np.ndarray, ordered: np.ndarray) -> dict[str, Any]:
    """Return what preparation needs to know of numbers (N,), given also in order."""
    places = np.linspace(0, len(ordered) - 1, QUANTILES)
    low = np.floor(places).astype(np.int64)
    high = np.minimum(low + 1, len(ordered) - 1)
    below, above = ordered[low], ordered[high]
    return {
        "mean": float(present.mean()),
        "std": float(present.std()),
        "min": float(ordered[0]),
        "max": float(ordered[-1]),
        "quantiles": (below + (above - below) * (places - low)).tolist(),
    }


def _left_out(cells: Cells, kind: Told, ways: Mapping[str, str]) -> str:
    if cells.distinct == 0:
        return "it has no value"
    if cells.distinct == 1 and cells.missing == 0:
        return "it has one value only"
    name = cells.name
    if kind.kind == CONSTANT:
        return "it was told to be constant"
    if kind.kind != ID:
        return ""
    if kind.told:
        return "it was told to be an id"
    use = NUMBER if cells.numeric else HASHED
    return (
        f"it looks like an id, for none of its values repeats; --column {shlex.quote(f'{name}={use}')} makes a "
        f"feature of it, and predictions carry it over with --keep {shlex.quote(name)}"
    )


Made = tuple[dict[str, Any], str, tuple[str, ...]] | str


def _number(cells: Cells, kind: Told, way: str | None) -> Made:
    if cells.numeric:
        present, ordered = cells.present, cells.sorted_numbers
    else:
        numbers = read_numbers(cells.values, WHERE)
        present = numbers[~np.isnan(numbers)]
        ordered = in_order(present)
    if len(present) == 0:
        return "it has one value only"
    facts: dict[str, Any] = number_statistics(present, ordered)
    facts |= _fill(cells, way, present, lambda text: _constant_number(cells.name, text))
    words = "one number" + ("" if kind.kind != YES_OR_NO else ", 0 or 1")
    return {"kind": "number", "missing": len(cells) - len(present), "statistics": facts}, words, ()


def _date(cells: Cells, kind: Told, way: str | None) -> Made:
    form = kind.detail or None
    seconds = read_dates(cells.values, form, WHERE, strict=kind.told)
    present = np.sort(seconds[~np.isnan(seconds)])
    if len(present) == 0 or (present[0] == present[-1] and len(present) == len(seconds)):
        return "it has one value only"
    parts = {name: [float(part.mean()), float(part.std())] for name, part in calendar_parts(present).items()}
    varying = {name: facts for name, facts in parts.items() if facts[1] > 1e-9}
    for name in set(varying) & {"season_sin", "season_cos"}:
        varying[name] = [0.0, 1.0]  # they are to scale already
    facts: dict[str, Any] = {"parts": varying, "min": float(present[0]), "max": float(present[-1])}
    facts |= {"format": form} if form else {}
    facts |= {"strict": True} if kind.told else {}
    facts |= _fill(cells, way, present, lambda text: _constant_date(cells.name, text, form))
    unread = len(seconds) - len(present) - cells.missing
    remarks = (f"{unread} values are no dates of this format, and are taken as missing",) if unread > 0 else ()
    names = ", ".join(dict.fromkeys(name.partition("_")[0] for name in varying))
    enters = f"parts of the calendar: {names}" + (f"; read as {form}" if form else "")
    return {"kind": "date", "missing": len(seconds) - len(present), "statistics": facts}, enters, remarks


def _text(cells: Cells, kind: Told, way: str | None) -> Made:
    names = cells.coded[1]
    documents: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for name, rows in zip(names, cells.counts, strict=True):
        for word, count in Counter(tokens_of(str(name), "word")).items():
            documents[word] += int(rows)
            total[word] += int(rows) * count
    known = sorted((word for word, count in total.items() if count >= LEAST_COUNT), key=lambda w: (-total[w], w))
    known = known[:MOST_WORDS]
    if not known:
        return "none of its words occurs twice"
    # As scikit-learn smooths it: as if one more text had every word.
    idf = [float(np.log((1 + len(cells)) / (1 + documents[word])) + 1) for word in known]
    made = {
        "kind": "text",
        "levels": tuple(known),
        "missing": cells.missing,
        "statistics": {"unit": "word", "idf": idf},
    }
    return made, f"a bag of its {len(known)} most frequent words, weighted by how rare they are (tf-idf)", ()


def _ordered(cells: Cells, kind: Told, way: str | None) -> Made:
    names = cells.levels
    order = kind.order or tuple(sorted(map(str, names), key=_as_number_or_text))
    strange = [str(name) for name in names if name not in set(order)]
    if strange:
        codes, all_names = cells.coded
        row = row_in_source(cells.values, int(np.flatnonzero(codes == list(all_names).index(strange[0]))[0]))
        place = f"{WHERE}, column {cells.name}, row {row}"
        message = f"{strange[0]!r} is not among the levels of the order that was told: {' < '.join(order)}"
        raise DataError(message, where=place, nearest=nearest_name(strange[0], order))
    facts = {"ordered": True, "numeric": cells.numeric, **_level_fill(cells, way)}
    made = {"kind": "category", "levels": order, "missing": cells.missing, "statistics": facts}
    return made, f"{len(order) - 1} steps, each reached or not: {' < '.join(order[:MOST_LEVELS])}", ()


def _category(cells: Cells, kind: Told, way: str | None) -> Made:
    levels, fill = cells.levels, _level_fill(cells, way)
    facts: dict[str, Any] = {**fill, **({"numeric": True} if cells.numeric else {})}
    counts = np.sort(cells.counts[cells.counts > 0])[::-1]  # a level of other rows alone is none of these
    covered = counts[:MOST_LEVELS].sum() / max(1, counts.sum())
    if kind.kind == HASHED or (not kind.told and len(levels) > MOST_LEVELS and covered < LEAST_COVERED):
        natural = int(np.clip(2 ** np.ceil(np.log2(len(levels))), LEAST_BUCKETS, MOST_BUCKETS))
        buckets = int(kind.detail or natural)
        made = {"kind": "category", "missing": cells.missing, "statistics": {**facts, "buckets": buckets}}
        return made, f"hashed into {buckets} buckets, embedded", ()
    # Beyond a few dozen levels, one that was seen once says nothing that holds for other rows.
    kept = [
        str(name)
        for name, count in zip(levels[:MOST_LEVELS], counts[:MOST_LEVELS], strict=True)
        if len(levels) <= 64 or count > 1
    ]
    if not kept:
        return "none of its values repeats"
    if "fill" in fill and fill["fill"] not in kept:
        kept.append(fill["fill"])  # asked for: it is a level, though no cell has it
    few = len(kept) <= MOST_ONE_HOT
    words = f"an indicator for each of {len(kept)} levels" if few else f"an embedding of {len(kept)} levels"
    return {"kind": "category", "levels": tuple(kept), "missing": cells.missing, "statistics": facts}, words, ()


def _fill(cells: Cells, way: str | None, present: np.ndarray, constant: Callable[[str], float]) -> dict[str, Any]:
    """What stands for a missing number or date, given those that are there in order."""
    if way is None:
        return {}
    if way.startswith("constant:"):
        return {"way": "constant", "fill": constant(way.partition(":")[2])}
    if way == MOST_FREQUENT:
        values, counts = np.unique(present, return_counts=True)
        return {"way": way, "fill": float(values[counts.argmax()])}
    # The first values of a table in order have none before them: the middle one of the training part stands there.
    middle = float(np.median(present)) if way in (MEDIAN, LAST) else float(present.mean())
    return {"way": way, "fill": middle}


def _level_fill(cells: Cells, way: str | None) -> dict[str, Any]:
    if way is None:
        return {}
    if way.startswith("constant:"):
        return {"way": "constant", "fill": way.partition(":")[2]}
    return {"way": way, "fill": str(cells.levels[0])}


def _constant_number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UsageError(f"column {name} is a number, and {text!r} is none to stand for a missing one", where="missing")
    return value


def _constant_date(name: str, text: str, form: str | None) -> float:
    for known in (form, None):
        try:
            return float(read_dates(pd.Series([text], name=name), known, "missing", strict=True)[0])
        except DataError:
            continue
    raise UsageError(f"column {name} is a date, and {text!r} is none to stand for a missing one", where="missing")


def _column(
    cells: Cells,
    kind: Told,
    *,
    known: Input | None = None,
    enters: str = "",
    left_out: str = "",
    remarks: tuple[str, ...] = (),
) -> Column:
    name = CATEGORY if kind.kind == HASHED else kind.kind
    extent = None
    if known is not None and known.kind in ("number", "date"):
        say = spelled if known.kind == "date" else "{:g}".format
        extent = (say(known.statistics["min"]), say(known.statistics["max"]))
    levels: tuple[tuple[str, int], ...] = ()
    if known is not None and known.kind == "category":
        count = dict(zip(cells.coded[1], cells.counts, strict=True))
        shown = known.levels if kind.kind == ORDERED else cells.levels[:MOST_NAMED]
        levels = tuple((str(level), int(count.get(level, 0))) for level in shown)
    missing = known.missing if known is not None else cells.missing
    if known is not None and known.statistics.get("way"):
        facts = known.statistics
        enters += f"; {_in_words(facts)} stands for a missing value"
    form = known.statistics.get("format") if known is not None else None
    remarks = kind.remarks + remarks
    return Column(cells.name, name, missing, cells.distinct, extent, levels, enters, left_out, remarks, form)


def _in_words(facts: Mapping[str, Any]) -> str:
    value = facts["fill"]
    said = {"constant": f"{value!r}", LAST: f"the last known value above, or else {value!r},"}
    return said.get(facts["way"], f"the {facts['way'].replace('_', ' ')}, {value!r},")


def _as_number_or_text(name: str) -> tuple[int, float, str]:
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)
