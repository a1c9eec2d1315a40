"""Kinds of columns: found out, told, left out, and nothing of held-out rows in what is known of them."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.columns.column_kinds import KINDS
from zoo.data.columns.date_parsing import convert_to_seconds, find_date_format
from zoo.data.columns.describe_table import describe_columns, describe_table
from zoo.data.columns.encode import extract_inputs
from zoo.data.columns.missing_values import fill_forward, find_newly_missing
from zoo.data.layout import create_layout
from zoo.data.table_dataset import create_table_dataset
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob
from zoo.portable.preprocessing import CALENDAR, extract_calendar_parts

ROWS = 40
RNG = np.random.default_rng(0)
SENTENCES = [f"the parcel {i} came {w} and late" for i, w in enumerate(["soon", "never", "again", "twice"] * 10)]


def kind_of(values, name="a", **options):
    (column,) = describe_columns(pd.DataFrame({name: values}), **options)
    return column


@pytest.mark.parametrize(
    "values, kind",
    [
        (RNG.normal(size=ROWS), "number"),
        (np.arange(ROWS), "number"),
        (np.arange(ROWS) % 5, "code"),
        ([0, 1] * 20, "yes or no"),
        ([True, False] * 20, "yes or no"),
        (["Yes", "no"] * 20, "yes or no"),
        (["Ulm", "Bonn"] * 20, "category"),
        (["high", "Low", "medium", "low"] * 10, "category"),  # Low and low would be two levels at one place
        (["high", "low", "medium", "low"] * 10, "ordered"),
        (pd.Categorical(["b", "a"] * 20, ["b", "a", "c"], ordered=True), "ordered"),
        (pd.date_range("2020-01-01", periods=ROWS), "date"),
        ([f"{d}.03.2021" for d in range(1, 21)] * 2, "date"),
        ([f"2021-03-{d:02} 10:30" for d in range(1, 21)] * 2, "date"),
        (SENTENCES, "text"),
        ([f"k{i}" for i in range(100)], "id"),
        ([3] * ROWS, "constant"),
        ([None] * ROWS, "constant"),
    ],
)
def test_kinds_are_found_out(values, kind):
    assert kind_of(values).kind == kind
    assert kind in KINDS


def test_an_id_is_all_distinct_and_named_like_one():
    assert kind_of(np.arange(ROWS), "user_id").kind == "id"
    assert "--keep user_id" in kind_of(np.arange(ROWS), "user_id").left_out
    assert kind_of(np.arange(ROWS) % 39, "user_id").kind == "number"


def test_a_column_is_described_in_words():
    column = kind_of([None, "low", "high", "medium"] * 10)
    assert (column.missing, column.distinct, column.categories) == (10, 3, (("low", 10), ("medium", 10), ("high", 10)))
    assert "low < medium < high" in column.enters
    column = kind_of([2.5, 1.0, np.inf, None] * 10, missing={"*": "median"})
    assert (column.range, column.missing) == (("1", "2.5"), 20)
    assert column.enters == "one number; missing values become the median, 1.75"
    assert column.remarks == ()  # infinite values are reported once, over all splits


@pytest.mark.parametrize(
    "texts, form, remark",
    [
        (["03/04/2020", "13/04/2020"], "%d/%m/%Y", ""),
        (["03/04/2020", "04/13/2020"], "%m/%d/%Y", ""),
        (["03/04/2020", "04/05/2020"], "%m/%d/%Y", "month before day"),
        (["03.04.2020", "04.05.2020"], "%d.%m.%Y", "day before month"),
        (["2020-04-03", "2020-05-01"], "%Y-%m-%d", ""),
        (["3 Jan 2020", "14 Feb 2021"], "%d %b %Y", ""),
    ],
)
def test_the_column_decides_between_day_and_month(texts, form, remark):
    date_format = find_date_format(np.array(texts, dtype=object))
    assert date_format.format == form
    assert (
        date_format.remark.startswith("the dates are ambiguous and are read " + remark)
        if remark
        else not date_format.remark
    )


@pytest.mark.parametrize("texts", [["Ulm", "Bonn"], ["1.5", "2.5"], ["2020", "2021"], ["10-20", "30-40"], [""]])
def test_what_is_no_date(texts):
    assert find_date_format(np.array(texts * 10, dtype=object)) is None


@settings(deadline=None)
@given(st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)))
def test_the_calendar_is_pythons(moment):
    seconds = convert_to_seconds(pd.Series([moment]), None)
    parts = {name: part[0] for name, part in extract_calendar_parts(seconds).items()}
    assert list(parts) == list(CALENDAR)
    assert (parts["year"], parts["month"], parts["day"]) == (moment.year, moment.month, moment.day)
    assert parts["weekday"] == moment.weekday()
    assert parts["hour"] == pytest.approx(moment.hour + moment.minute / 60 + moment.second / 3600, abs=1e-3)
    angle = 2 * np.pi * (moment.timetuple().tm_yday - 1) / 365.25
    assert (parts["season_sin"], parts["season_cos"]) == pytest.approx((np.sin(angle), np.cos(angle)))


def test_dates_with_zones_are_of_one_clock():
    zoned = pd.Series(["2020-01-01T02:00:00+02:00", "2020-01-01T00:00:00Z"])
    assert convert_to_seconds(zoned, None).tolist() == [1_577_836_800.0] * 2
    assert convert_to_seconds(pd.Series([20200101]), "%Y%m%d").tolist() == [1_577_836_800.0]


TABLE = pd.DataFrame(
    {"age": [1.0, None, 3.0, 8.0] * 10, "town": ["Ulm", "Bonn", None, "Ulm"] * 10, "code": [1, 2, 3, 4] * 10}
)


@pytest.mark.parametrize(
    "column, missing, message, nearest",
    [
        ({"age": "numbr"}, {}, "unknown kind of column 'numbr'; known: number, code", "number"),
        ({"agee": "number"}, {}, "unknown feature 'agee'", "age"),
        ({"town": "number"}, {}, "column town, row 1: 'Ulm' is not a number", None),
        ({"town": "date"}, {}, "column town, row 1: 'Ulm' is not a date in ISO 8601", None),
        (
            {"town": "ordered:Ulm<Bon"},
            {},
            "column town, row 2: 'Bonn' is not among the categories of the given order",
            "Bon",
        ),
        ({"town": "ordered:Ulm"}, {}, "categories from low to high", None),
        ({"town": "hashed:no"}, {}, "integer of at least 2", None),
        ({"town": "number:3"}, {}, "expected 1,234.5 or 1.234,5", None),
        ({"town": "text:3"}, {}, "takes nothing after a colon", None),
        ({}, {"age": "meen"}, "unknown way for missing values 'meen'", "mean"),
        ({}, {"agee": "mean"}, "unknown feature 'agee'", "age"),
        ({}, {"town": "mean"}, "column town is a category, for which 'mean' is not possible", None),
        (
            {},
            {"age": "constant:old"},
            "column age is numeric; the constant 'old' for missing values is not a number",
            None,
        ),
        ({}, {"age": "constant"}, "unknown way", "constant:VALUE"),
    ],
)
def test_what_is_told_and_wrong(column, missing, message, nearest):
    with pytest.raises(UsageError, match=message) as caught:
        describe_table(TABLE, (), "t", column=column, missing=missing)
    assert caught.value.nearest == nearest


def imputed(missing, name="age"):
    input_ = describe_table(TABLE, (), "t", missing=missing)[0].input(name)
    return input_.imputation, input_.fill


def test_ways_for_missing_values():
    assert imputed({}) == (None, None)
    assert imputed({"age": "mean"}) == ("mean", 4)
    assert imputed({"*": "median"}) == ("median", 3)
    assert imputed({"age": "most_frequent"}) == ("most_frequent", 1)
    assert imputed({"age": "constant:-1"}) == ("constant", -1)
    assert imputed({"*": "most_frequent"}, "town") == ("most_frequent", "Ulm")
    assert imputed({"*": "mean"}, "town") == (None, None)
    spec, _ = describe_table(TABLE, (), "t", missing={"town": "constant:Rom"})
    assert spec.input("town").categories == ("Ulm", "Bonn", "Rom")
    spec, notes = describe_table(TABLE, (), "t", missing={"*": "drop"})
    assert [input_.name for input_ in spec.inputs] == ["code"]
    assert notes[0] == "column age is left out: 10 values are missing, and --missing drops such columns"


def test_the_last_known_value_stands_and_another_input_tells():
    spec, _ = describe_table(TABLE, (), "t", missing={"*": "last"})
    assert [input_.key for input_ in spec.inputs] == ["age", "age missing", "town", "town missing", "code"]
    raw = extract_inputs(pd.DataFrame({"age": [None, 5, None], "town": [None, "Rom", None], "code": 1}), spec)
    np.testing.assert_array_equal(raw["age"], [np.nan, 5, 5])  # the model puts the middle of training for the first
    assert raw["age missing"].tolist() == [1, 0, 1]
    assert raw["town"].tolist() == ["", "Rom", "Rom"]
    assert spec.input("age").fill == 3


def test_a_training_row_looks_at_training_rows_only():
    values, train = np.array([1.0, 2.0, np.nan, np.nan]), np.array([True, False, True, False])
    assert fill_forward(values, np.isnan(values), train).tolist() == [1, 2, 1, 2]


def test_what_is_missing_for_the_first_time_is_told():
    spec, _ = describe_table(TABLE, (), "t")
    raw = extract_inputs(pd.DataFrame({"age": [None, 1], "town": [None, "Ulm"], "code": [None, 1]}), spec)
    assert find_newly_missing(raw, spec) == ["code"]


MARKER = {"town": "Atlantis", "age": 987_654_321.0, "note": "zyzzyva", "day": "31.12.7777", "size": "zzzgigantic"}


@pytest.mark.parametrize("missing", [{}, {"*": "mean"}, {"*": "last"}, {"*": "most_frequent"}])
@pytest.mark.parametrize("held_out", ["validation", "test"])
def test_nothing_of_held_out_rows_is_in_the_spec(held_out, missing):
    rows = 120
    part = np.array(["train", "train", "validation", "test"] * (rows // 4))
    frame = pd.DataFrame(
        {
            "town": [["Ulm", "Bonn", None][i % 3] for i in range(rows)],
            "age": [None if i % 5 == 0 else float(i % 7) for i in range(rows)],
            "note": [SENTENCES[i % 40] for i in range(rows)],
            "day": [f"{i % 28 + 1:02}.03.2021" for i in range(rows)],
            "size": [["low", "medium", "high"][i % 3] for i in range(rows)],
            "part": part,
            "y": ["p", "n"] * (rows // 2),
        }
    )
    plain = spec_of(frame, missing)
    for name, value in MARKER.items():
        frame.loc[part == held_out, name] = value if name != "note" else f"a {value} {value} came late"
    marked = spec_of(frame, missing)
    text = marked.to_json()
    assert not [value for value in ("Atlantis", "987654321", "zyzzyva", "7777", "gigantic") if value in text]
    assert marked.inputs == plain.inputs


def spec_of(frame, missing):
    job = DataJob(source=frame, target="y", split="column=part", column={"note": "text"}, missing=missing)
    layout = create_layout(job.column, job.missing)
    return create_table_dataset(job, task="t", target_kind="class", layout=layout).spec


def test_held_out_values_do_not_fill_training_rows():
    frame = pd.DataFrame({"age": [5.0, 9.0, None, 6.0] * 10, "part": ["train", "test", "train", "validation"] * 10})
    job = DataJob(source=frame.assign(y=["p", "p", "n", "n"] * 10), target="y", split="column=part")
    layout = create_layout({}, {"age": "last"})
    train = create_table_dataset(job, task="t", target_kind="class", layout=layout).splits["train"]
    assert train.inputs["age"].tolist() == [5.0] * 20


def test_codes_enter_as_numbers_unless_they_are_told_to_be_names(tmp_path):
    (tmp_path / "a.csv").write_text("zip,y\n" + "01234,p\n1234,n\n" * 20)
    job = DataJob(source=tmp_path / "a.csv", target="y", column={"zip": "category"})
    result = create_table_dataset(job, task="t", target_kind="class", layout=create_layout(job.column, {}))
    assert set(result.spec.input("zip").categories) == {"01234", "1234"}
    spec, _ = describe_table(TABLE, (), "t", column={"code": "category"})
    assert spec.input("code").categories == ("1", "2", "3", "4")


def test_many_levels_are_hashed():
    frame = pd.DataFrame({"a": [f"v{i % 3000}" for i in range(6000)]})
    spec, _ = describe_table(frame, (), "t")
    assert spec.input("a").buckets == 4096
    assert spec.input("a").categories == ()
    with pytest.raises(DataError, match="no usable feature"):
        describe_table(frame[:50], (), "t", column={"a": "id"})
