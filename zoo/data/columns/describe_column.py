"""Describe one column of the training split: its kind, its statistics and the model inputs it becomes."""

from __future__ import annotations

import dataclasses
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
    ColumnKind,
    find_kind,
    sort_sample,
)
from zoo.data.columns.date_parsing import format_date
from zoo.data.columns.encode import read_dates, read_numbers
from zoo.data.columns.missing_values import DROP, LAST, MEDIAN, MOST_FREQUENT, choose_method
from zoo.data.examples.describe_examples import LEAST_COUNT
from zoo.data.limits import find_source_row
from zoo.errors import DataError, UsageError, find_nearest_name
from zoo.portable.answers import map_answers
from zoo.portable.preprocessing import extract_calendar_parts, split_into_tokens
from zoo.spec import CategoryInput, ColumnInput, DateInput, NumberInput, TextInput

QUANTILES = 65
MOST_NUMBER = 1e150  # the square of a larger number is infinite
MOST_ONE_HOT = 32
MOST_LEVELS = 1000
MOST_WORDS = 1000
LEAST_COVERED = 0.9
LEAST_BUCKETS, MOST_BUCKETS = 64, 4096
WHERE = "the training rows"


@dataclass(frozen=True)
class DescribedColumn:
    """A column and the model inputs that it becomes.

    Args:
        column: Summary for display.
        inputs: Model inputs: none if the column is left out, two if one of them indicates missing values.
    """

    column: Column
    inputs: tuple[ColumnInput, ...] = ()


def describe_column(
    cells: Cells, asked_kind: ColumnKind | None, methods: Mapping[str, str], key: Callable[[str], str]
) -> DescribedColumn:
    """Describe a column and the model inputs that it becomes.

    Args:
        cells: The column's cells in the training rows.
        asked_kind: Kind given by the user, or None to infer it.
        ways: Imputation of missing values, by column.
        key: Function that returns the name of the Keras input.

    Raises:
        UsageError: If an imputation does not fit the column.
        DataError: If a cell does not have the given kind; the message names the row.
    """
    kind = asked_kind if asked_kind is not None else find_kind(cells)
    why = _left_out(cells, kind, methods)
    if why:
        return DescribedColumn(_column(cells, kind, left_out=why))
    make = {TEXT: _text, DATE: _date, ORDERED: _ordered, HASHED: _category, CATEGORY: _category}.get(kind.kind)
    if make is None:
        make = _number if cells.numeric or kind.kind != YES_OR_NO else _category
    method = choose_method(cells.name, {_number: "number", _date: "date", _text: "text"}.get(make, "category"), methods)
    if method == DROP and (cells.name in methods or cells.missing):
        why = f"{cells.missing} values are missing, and --missing drops such columns"
        return DescribedColumn(_column(cells, kind, left_out=why))
    description = make(cells, kind, None if method == DROP else method)
    if isinstance(description, str):
        return DescribedColumn(_column(cells, kind, left_out=description))
    input_, enters, remarks = description
    input_ = dataclasses.replace(input_, key=key(cells.name))
    inputs = [input_]
    if input_.imputation == LAST and input_.missing:
        missing = (np.arange(len(cells)) < input_.missing).astype(np.float64)
        statistics = compute_number_statistics(missing, np.sort(missing))
        inputs.append(NumberInput(cells.name, key(f"{cells.name} missing"), indicates_missing=True, **statistics))
    column = _column(cells, kind, input_=input_, enters=enters, remarks=remarks)
    return DescribedColumn(column, tuple(inputs))


def compute_number_statistics(present: np.ndarray, ordered: np.ndarray) -> dict[str, Any]:
    """Return the statistics that preprocessing needs of numbers (N,), given also sorted."""
    places = np.linspace(0, len(ordered) - 1, QUANTILES)
    low = np.floor(places).astype(np.int64)
    high = np.minimum(low + 1, len(ordered) - 1)
    below, above = ordered[low], ordered[high]
    return {
        "mean": float(present.mean()),
        "std": float(present.std()),
        "min": float(ordered[0]),
        "max": float(ordered[-1]),
        "quantiles": tuple((below + (above - below) * (places - low)).tolist()),
    }


def _left_out(cells: Cells, kind: ColumnKind, methods: Mapping[str, str]) -> str:
    if cells.distinct == 0:
        return "it has no values"
    if cells.distinct == 1 and cells.missing == 0:
        return "it has only one value"
    name = cells.name
    if kind.kind == CONSTANT:
        return "its kind was set to constant"
    if kind.kind != ID:
        return ""
    if kind.explicit:
        return "its kind was set to id"
    use = NUMBER if cells.numeric else HASHED
    return (
        f"it looks like an id, since no value repeats; --column {shlex.quote(f'{name}={use}')} uses it as a "
        f"feature, --keep {shlex.quote(name)} copies it to the predictions"
    )


# An input whose key is not chosen yet, how it enters the model, and remarks; or why the column is left out.
Description = tuple[ColumnInput, str, tuple[str, ...]] | str


def _number(cells: Cells, kind: ColumnKind, method: str | None) -> Description:
    if cells.numeric:
        present, ordered = cells.present, cells.sorted_numbers
    else:
        numbers = read_numbers(cells.values, WHERE, kind.detail)
        present = numbers[~np.isnan(numbers)]
        ordered = sort_sample(present)
    if len(present) == 0:
        return "it has only one value"
    most = max(-ordered[0], ordered[-1])
    if most > MOST_NUMBER:
        message = f"has values up to {most:g}, which are too large to scale; correct or drop it"
        raise DataError(message, where=f"column {cells.name}")
    facts = compute_number_statistics(present, ordered)
    facts |= _fill(cells, method, present, lambda text: _constant_number(cells.name, text))
    facts |= {"notation": cells.notation.notation or kind.detail, "is_answer": kind.kind == YES_OR_NO}
    words = "one number" + ("" if kind.kind != YES_OR_NO else ", 0 or 1")
    return NumberInput(cells.name, "", missing=len(cells) - len(present), **facts), words, ()


def _date(cells: Cells, kind: ColumnKind, method: str | None) -> Description:
    form = kind.detail or None
    seconds = read_dates(cells.values, form, WHERE, strict=kind.explicit)
    present = np.sort(seconds[~np.isnan(seconds)])
    if len(present) == 0 or (present[0] == present[-1] and len(present) == len(seconds)):
        return "it has only one value"
    parts = {name: (float(part.mean()), float(part.std())) for name, part in extract_calendar_parts(present).items()}
    varying = {name: facts for name, facts in parts.items() if facts[1] > 1e-9}
    for name in set(varying) & {"season_sin", "season_cos"}:
        varying[name] = (0.0, 1.0)  # already in [-1, 1]
    facts: dict[str, Any] = {"parts": varying, "min": float(present[0]), "max": float(present[-1])}
    facts |= {"format": form, "strict": kind.explicit}
    facts |= _fill(cells, method, present, lambda text: _constant_date(cells.name, text, form))
    unread = len(seconds) - len(present) - cells.missing
    remarks = (f"{unread} values are not dates in this format and are treated as missing",) if unread > 0 else ()
    names = ", ".join(dict.fromkeys(name.partition("_")[0] for name in varying))
    enters = f"calendar features: {names}" + (f"; read as {form}" if form else "")
    return DateInput(cells.name, "", missing=len(seconds) - len(present), **facts), enters, remarks


def _text(cells: Cells, kind: ColumnKind, method: str | None) -> Description:
    names = cells.coded[1]
    documents: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for name, rows in zip(names, cells.counts, strict=True):
        for word, count in Counter(split_into_tokens(str(name), "word")).items():
            documents[word] += int(rows)
            total[word] += int(rows) * count
    vocabulary = sorted((word for word, count in total.items() if count >= LEAST_COUNT), key=lambda w: (-total[w], w))
    vocabulary = vocabulary[:MOST_WORDS]
    if not vocabulary:
        return "no word occurs twice"
    # Smoothed as in scikit-learn: as if one more document contained every word.
    idf = tuple(float(np.log((1 + len(cells)) / (1 + documents[word])) + 1) for word in vocabulary)
    input_ = TextInput(cells.name, "", missing=cells.missing, vocabulary=tuple(vocabulary), unit="word", idf=idf)
    return input_, f"a bag of its {len(vocabulary)} most frequent words with tf-idf weights", ()


def _ordered(cells: Cells, kind: ColumnKind, method: str | None) -> Description:
    names = cells.categories
    order = kind.order or tuple(sorted(map(str, names), key=_as_number_or_text))
    unknown_categories = [str(name) for name in names if name not in set(order)]
    if unknown_categories:
        codes, all_names = cells.coded
        row = find_source_row(
            cells.values, int(np.flatnonzero(codes == list(all_names).index(unknown_categories[0]))[0])
        )
        place = f"{WHERE}, column {cells.name}, row {row}"
        message = f"{unknown_categories[0]!r} is not among the categories of the given order: {' < '.join(order)}"
        raise DataError(message, where=place, nearest=find_nearest_name(unknown_categories[0], order))
    facts = {"ordered": True, "numeric": cells.numeric, **_category_fill(cells, method)}
    return (
        CategoryInput(cells.name, "", missing=cells.missing, categories=order, **facts),
        f"{len(order) - 1} ordinal indicators: {' < '.join(order[:MOST_LEVELS])}",
        (),
    )


def _category(cells: Cells, kind: ColumnKind, method: str | None) -> Description:
    categories, fill = cells.categories, _category_fill(cells, method)
    answers = map_answers(tuple(map(str, categories))) if kind.kind == YES_OR_NO else {}
    if len(categories) > len(set(answers.values())) > 0:  # such as yes, Yes and no: others stand for the most frequent
        kept_names = tuple(dict.fromkeys(answers[str(name).strip().lower()] for name in categories))
        facts = {**fill, "missing": cells.missing, "numeric": cells.numeric}
        return CategoryInput(cells.name, "", categories=kept_names, **facts), _in_answers(categories, kept_names), ()
    facts = {**fill, "missing": cells.missing, "numeric": cells.numeric}
    counts = np.sort(cells.counts[cells.counts > 0])[::-1]  # categories of the training rows only
    covered = counts[:MOST_LEVELS].sum() / max(1, counts.sum())
    if kind.kind == HASHED or (not kind.explicit and len(categories) > MOST_LEVELS and covered < LEAST_COVERED):
        natural = int(np.clip(2 ** np.ceil(np.log2(len(categories))), LEAST_BUCKETS, MOST_BUCKETS))
        buckets = int(kind.detail or natural)
        return (
            CategoryInput(cells.name, "", buckets=buckets, **facts),
            f"hashed into {buckets} buckets, then embedded",
            (),
        )
    # Beyond a few dozen categories, one that occurs once does not generalise.
    kept = [
        str(name)
        for name, count in zip(categories[:MOST_LEVELS], counts[:MOST_LEVELS], strict=True)
        if len(categories) <= 64 or count > 1
    ]
    if not kept:
        return "no value repeats"
    if "fill" in fill and fill["fill"] not in kept:
        kept.append(fill["fill"])  # a given constant is a category even if no cell has it
    few = len(kept) <= MOST_ONE_HOT
    words = f"one-hot encoding of {len(kept)} categories" if few else f"embedding of {len(kept)} categories"
    return CategoryInput(cells.name, "", categories=tuple(kept), **facts), words, ()


def _in_answers(names: np.ndarray, kept: tuple[str, ...]) -> str:
    return f"one-hot encoding of {len(kept)} categories, {' and '.join(kept)}, spelled in {len(names)} ways"


def _fill(cells: Cells, method: str | None, present: np.ndarray, constant: Callable[[str], float]) -> dict[str, Any]:
    """Return how missing numbers or dates are imputed, given the present ones sorted."""
    if method is None:
        return {}
    if method.startswith("constant:"):
        return {"imputation": "constant", "fill": constant(method.partition(":")[2])}
    if method == MOST_FREQUENT:
        values, counts = np.unique(present, return_counts=True)
        return {"imputation": method, "fill": float(values[counts.argmax()])}
    # Values at the top of an ordered table have no predecessor: the median of the training split is used.
    middle = float(np.median(present)) if method in (MEDIAN, LAST) else float(present.mean())
    return {"imputation": method, "fill": middle}


def _category_fill(cells: Cells, method: str | None) -> dict[str, Any]:
    if method is None:
        return {}
    if method.startswith("constant:"):
        return {"imputation": "constant", "fill": method.partition(":")[2]}
    return {"imputation": method, "fill": str(cells.categories[0])}


def _constant_number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UsageError(
            f"column {name} is numeric; the constant {text!r} for missing values is not a number", where="missing"
        )
    return value


def _constant_date(name: str, text: str, form: str | None) -> float:
    for format_ in (form, None):
        try:
            return float(read_dates(pd.Series([text], name=name), format_, "missing", strict=True)[0])
        except DataError:
            continue
    raise UsageError(
        f"column {name} is a date; the constant {text!r} for missing values is not a date", where="missing"
    )


def _column(
    cells: Cells,
    kind: ColumnKind,
    *,
    input_: ColumnInput | None = None,
    enters: str = "",
    left_out: str = "",
    remarks: tuple[str, ...] = (),
) -> Column:
    name = CATEGORY if kind.kind == HASHED else kind.kind
    extent = None
    if isinstance(input_, NumberInput | DateInput):
        say = format_date if isinstance(input_, DateInput) else "{:g}".format
        extent = (say(input_.min), say(input_.max))
    categories: tuple[tuple[str, int], ...] = ()
    if isinstance(input_, CategoryInput):
        count = dict(zip(cells.coded[1], cells.counts, strict=True))
        shown = input_.categories if kind.kind == ORDERED else cells.categories[:MOST_NAMED]
        categories = tuple((str(category), int(count.get(category, 0))) for category in shown)
    missing = input_.missing if input_ is not None else cells.missing
    if input_ is not None and input_.imputation is not None:
        enters += f"; missing values become {_in_words(input_.imputation, input_.fill)}"
    form = input_.format if isinstance(input_, DateInput) else None
    form = input_.notation or None if isinstance(input_, NumberInput) else form
    remarks = kind.remarks + remarks
    return Column(cells.name, name, missing, cells.distinct, extent, categories, enters, left_out, remarks, form)


def _in_words(imputation: str, fill: Any) -> str:
    phrases = {"constant": f"{fill!r}", LAST: f"the last known value above, else {fill!r}"}
    return phrases.get(imputation, f"the {imputation.replace('_', ' ')}, {fill!r}")


def _as_number_or_text(name: str) -> tuple[int, float, str]:
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)
