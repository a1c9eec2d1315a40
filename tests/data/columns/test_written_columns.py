"""Numbers, codes, answers and classes are read as people write them in tables."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import zoo
from zoo.data.columns.encode import extract_inputs, find_text_columns
from zoo.data.columns.number_notation import find_notation
from zoo.data.dataset import Dataset
from zoo.data.example_layouts import SequenceLayout
from zoo.data.layout import create_layout
from zoo.data.sources.read import read_table
from zoo.data.table_dataset import create_table_dataset
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob
from zoo.portable.answers import ANSWERS
from zoo.portable.number_parsing import read_number, split_number
from zoo.portable.rows import read_inputs
from zoo.saving.portable_inputs import describe_input
from zoo.spec import CategoryInput, NumberInput
from zoo.task import load_task

RNG = np.random.default_rng(0)
ROWS = 40
SIDES = np.array(["left", "right"] * (ROWS // 2), dtype=object)


def write_number(value: float, decimal: str, thousands: str, unit: str = "", places: int = 2) -> str:
    """A number as people write it: grouped digits, a fixed number of decimals, a unit before or behind."""
    text = f"{abs(value):,.{places}f}".replace(",", "t").replace(".", decimal).replace("t", thousands)
    text = f"{unit}{text}" if unit in ("$", "£") else f"{text} {unit}" if unit else text
    return f"-{text}" if value < 0 else text


def dataset_of(source: object, target: str = "side", kind: str = "class", **options: object) -> Dataset:
    job = DataJob(source=source, target=(target,), **options)
    layout = create_layout(job.column, job.missing)
    return create_table_dataset(job, task="classification", target_kind=kind, layout=layout)


NOTATIONS = [(".", ","), (".", " "), (".", "'"), (",", "."), (",", " "), (",", "'"), (",", "\u202f")]


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(-(10**9), 10**9), min_size=3, max_size=12).map(lambda cents: [c / 100 for c in cents]),
    signs=st.sampled_from(NOTATIONS),
    unit=st.sampled_from(["", "$", "€", "£", "CHF", "%"]),
)
def test_numbers_are_found_whatever_separates_their_digits(values, signs, unit):
    texts = [write_number(value, *signs, unit) for value in values]
    notation = find_notation(texts)
    assert notation is not None
    assert not notation.ambiguous
    assert [read_number(text, notation.notation) for text in texts] == values


@pytest.mark.parametrize("source", ["csv", "semicolons", "tsv", "json", "frame", "sql", "parquet", "feather"])
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 10**6), signs=st.sampled_from(NOTATIONS), unit=st.sampled_from(["", "€", "$"]))
def test_every_reader_and_predict_read_the_same_numbers(tmp_path: Path, source, seed, signs, unit):
    values = np.random.default_rng(seed).integers(-(10**7), 10**7, ROWS) / 100
    texts = [write_number(value, *signs, unit) for value in values]
    frame = pd.DataFrame({"price": texts, "side": SIDES})
    made = write_source(frame, source, tmp_path)
    dataset = dataset_of(made)
    (price,) = dataset.spec.inputs
    assert isinstance(price, NumberInput)
    for split in dataset.splits.values():
        np.testing.assert_array_equal(split.inputs["price"], values[split.rows])
    again = read_table(made, text=find_text_columns(dataset.spec))
    np.testing.assert_array_equal(extract_inputs(again.frame, dataset.spec)["price"], values)
    portable = read_inputs({"price": texts}, [describe_input(price)])
    np.testing.assert_array_equal(portable["price"], values)


def write_source(frame: pd.DataFrame, kind: str, folder: Path) -> object:
    if kind == "frame":
        return frame
    path = folder / f"a.{ {'semicolons': 'csv', 'sql': 'db'}.get(kind, kind) }"
    path.unlink(missing_ok=True)
    if kind in ("csv", "tsv", "semicolons"):
        frame.to_csv(path, index=False, sep={"csv": ",", "tsv": "\t", "semicolons": ";"}[kind])
    elif kind == "json":
        path.write_text("\n".join(json.dumps(row) for row in frame.to_dict("records")))
    elif kind == "sql":
        with sqlite3.connect(path) as connection:
            frame.to_sql("rows", connection, index=False)
        return f"sqlite:///{path}?table=rows"
    else:
        getattr(frame, f"to_{kind}")(path)
    return str(path)


def test_a_file_with_decimal_commas_separates_thousands_by_points(tmp_path: Path):
    path = tmp_path / "preise.csv"
    rows = [f"{a:.3f};{p}" for a, p in zip(RNG.random(4), ("3.188", "947", "2.801", "1.234.567"), strict=True)]
    path.write_text("a;preis\n" + "\n".join(rows).replace(".", ",", 0).replace("0.", "0,"))
    table = read_table(str(path))
    assert table.frame["preis"].tolist() == [3188.0, 947.0, 2801.0, 1234567.0]
    assert "with decimal commas" in table.notes[0]


def test_an_ambiguous_number_is_said_to_be_so_and_can_be_settled(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("preis;side\n" + "\n".join(f"{3 + i % 4}.188;{side}" for i, side in enumerate(SIDES)))
    dataset = dataset_of(str(path))
    (note,) = [note for note in dataset.notes if "ambiguous" in note]
    assert note.endswith("--column preis=number:1.234,5")
    assert dataset.splits["train"].inputs["preis"].max() < 10
    settled = dataset_of(str(path), column={"preis": "number:1.234,5"})
    assert settled.splits["train"].inputs["preis"].min() > 3000
    assert not [note for note in settled.notes if "ambiguous" in note]


def test_numbers_with_three_decimals_or_a_comma_that_separates_columns_are_not_ambiguous(tmp_path: Path):
    for text in ("a;side\n0.188;l\n3.181;r\n", "a,side\n3.188,l\n3.181,r\n", "a;side\n3.1885;l\n3.181;r\n"):
        path = tmp_path / "a.csv"
        path.write_text(text)
        assert not any("ambiguous" in note for note in read_table(str(path)).notes)


@pytest.mark.parametrize(
    "texts",
    [
        ["$5", "€6"],
        ["5 %", "6"],
        ["12", "oops"],
        ["007", "12"],
        ["1.2.3", "4.5.6"],
        ["12:30", "13:40"],
        ["1,2,3", "4,5"],
        ["555-1234", "555-1235"],
        ["1 23", "4 56"],
    ],
)
def test_what_is_no_number_stays_text(texts):
    assert find_notation(texts) is None


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize("values", [RNG.normal(size=ROWS).round(3), np.arange(ROWS) % 7, np.arange(ROWS) * 1000.5])
def test_the_kind_of_a_column_is_decided_by_training_cells(tmp_path: Path, as_file, values):
    clean = pd.DataFrame({"a": values, "side": SIDES, "split": ["train"] * 28 + ["valid"] * 6 + ["test"] * 6})
    bad = clean.astype({"a": str})
    bad.loc[[30, 38], "a"] = ["oops", "n. a."]
    expected = dataset_of(clean, split="column=split")
    if as_file:
        bad.to_csv(tmp_path / "a.csv", index=False)
    dataset = dataset_of(str(tmp_path / "a.csv") if as_file else bad, split="column=split")
    assert dataset.spec.inputs == expected.spec.inputs
    (note,) = [note for note in dataset.notes if "missing" in note]
    assert note == "2 cells of column a are not a number and are treated as missing: 'oops', 'n. a.'"
    assert np.isnan(dataset.splits["validation"].inputs["a"][2])
    assert np.isnan(dataset.splits["test"].inputs["a"][4])


def test_bad_dates_and_bad_cells_of_a_test_source_are_counted(tmp_path: Path):
    days = pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d").tolist()
    frame = pd.DataFrame({"day": days, "a": RNG.random(ROWS), "side": SIDES})
    tested = frame.astype({"a": str}).replace({"day": {days[3]: "soon"}})
    tested.loc[5, "a"] = "?"
    dataset = dataset_of(frame, test=tested)
    assert (
        "the test source: 1 cell of column day is not a date in the format %Y-%m-%d and is treated as missing: "
        "'soon'" in dataset.notes
    )
    assert "the test source: 1 cell of column a is not a number and is treated as missing: '?'" in dataset.notes


def test_a_bad_training_cell_makes_a_category_and_says_so():
    frame = pd.DataFrame({"a": [f"{v:.1f}" for v in RNG.random(ROWS - 2)] + ["oops"] * 2, "side": SIDES})
    dataset = dataset_of(frame, split="order", validation_size=0.0, test_size=0.0)
    assert isinstance(dataset.spec.inputs[0], CategoryInput)
    assert any("--column a=number" in note for note in dataset.notes)


CODES = st.lists(
    st.one_of(st.from_regex(r"0[0-9]{1,4}", fullmatch=True), st.from_regex(r"[1-9][0-9]{0,4}", fullmatch=True)),
    min_size=2, max_size=4, unique_by=int,
)  # fmt: skip
NAMES = st.lists(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6), min_size=2, max_size=4,
    unique_by=str.lower,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    classes=st.one_of(CODES, NAMES, st.just(["None", "Apnea"]), st.just(["NA", "EU", "n/a"]), st.just(["007", "42"]))
)
def test_the_classes_of_a_target_come_back_as_they_were_written(tmp_path: Path, classes):
    assume(not {name.lower() for name in classes} & {"nan", "true", "false", "inf", "infinity", "null"})
    assume(all(name.isdigit() or not _is_number(name) for name in classes))
    assume(not all(name.isdigit() for name in classes) or any(name != str(int(name)) for name in classes))
    path = tmp_path / "a.csv"
    column = (classes * 12)[: 12 * len(classes)]
    path.write_text("a,code\n" + "\n".join(f"{i % 5}.5,{name}" for i, name in enumerate(column)))
    dataset = dataset_of(str(path), "code")
    assert sorted(dataset.spec.target.classes) == sorted(classes)
    for split in dataset.splits.values():
        assert [dataset.spec.target.classes[code] for code in split.target] == [column[row] for row in split.rows]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_none_is_a_class_that_an_option_leaves_out_and_empty_cells_are_missing(tmp_path: Path):
    path = tmp_path / "a.csv"
    names = ["None", "Apnea", "Insomnia", ""] * 10
    path.write_text("a,disorder\n" + "\n".join(f"{i}.5,{name}" for i, name in enumerate(names)))
    dataset = dataset_of(str(path), "disorder")
    assert dataset.spec.target.classes == ("Apnea", "Insomnia", "None")
    notes = "\n".join(dataset.notes)
    assert "10 rows have the class 'None' of the target disorder" in notes
    assert "10 rows without a target are left out" in notes
    left = dataset_of(str(path), "disorder", missing={"disorder": "drop"})
    assert left.spec.target.classes == ("Apnea", "Insomnia")
    assert "20 rows without a target are left out; 10 read 'None'" in left.notes
    filled = dataset_of(str(path), "disorder", missing={"disorder": "constant:None"})
    assert (
        sum(filled.spec.target.counts) == sum(filled.sizes.values()) - filled.sizes["validation"] - filled.sizes["test"]
    )
    tested = dataset_of(str(path), "disorder", test=str(path))
    assert len(tested.splits["test"].target) == 30
    frame = pd.DataFrame({"a": np.arange(40) / 3, "disorder": [name or None for name in names]})
    assert dataset_of(frame, "disorder").spec.target == dataset.spec.target
    assert dataset_of(frame, "disorder", missing={"disorder": "drop"}).spec.target == left.spec.target
    asked = dataset_of(str(path), "disorder", column={"disorder": "category"})
    assert asked.spec.target == dataset.spec.target
    assert not any("'None'" in note for note in asked.notes)
    with pytest.raises(UsageError, match="can be left out"):
        dataset_of(str(path), "disorder", missing={"disorder": "mean"})


def test_na_is_missing_in_a_target_of_numbers(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("a,y\n" + "\n".join(f"{i}.5,{['1', '2', 'NA'][i % 3]}" for i in range(30)))
    dataset = dataset_of(str(path), "y")
    assert dataset.spec.target.classes == ("1", "2")
    assert "10 rows without a target are left out; 10 read 'NA'" in dataset.notes


def test_leading_zeros_are_text_and_an_option_makes_them_numbers(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("zip,side\n" + "\n".join(f"{i % 7:03d},{side}" for i, side in enumerate(SIDES)))
    (zips,) = dataset_of(str(path)).spec.inputs
    assert isinstance(zips, CategoryInput)
    assert set(zips.categories) == {f"{i:03d}" for i in range(7)}
    (numbers,) = dataset_of(str(path), column={"zip": "number"}).spec.inputs
    assert isinstance(numbers, NumberInput)
    target = dataset_of(str(path), "zip", column={"zip": "number"}).spec.target
    assert target.classes == tuple(map(str, range(7)))


def test_a_target_of_money_is_a_number(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("a,price\n" + "\n".join(f'{i}.5,"${i},250.75"' for i in range(1, 41)))
    dataset = dataset_of(str(path), "price", "number")
    np.testing.assert_allclose(dataset.spec.target.mean, np.mean([
        row * 1000 + 1250.75 for row in dataset.splits["train"].rows
    ]))  # fmt: skip
    with pytest.raises(DataError, match="is not a number"):
        dataset_of(str(path), "price", "number", column={"price": "number:1.234,5 €"})


@settings(max_examples=60, deadline=None)
@given(
    trained=st.sampled_from(ANSWERS),
    asked=st.sampled_from(ANSWERS),
    write=st.sampled_from([str.lower, str.upper, str.title]),
    typed=st.booleans(),
)
def test_answers_in_any_spelling_are_the_same(trained, asked, write, typed):
    yes = RNG.random(ROWS) < 0.5
    yes[:2] = [True, False]
    spelled = np.where(yes, *map(write, trained))
    dataset = dataset_of(pd.DataFrame({"flag": spelled, "side": SIDES}), validation_size=0.0, test_size=0.0)
    (flag,) = dataset.spec.inputs
    for pair in (list(map(write, asked)), [1, 0], [True, False], [1.0, 0.0]):
        rows = pd.DataFrame({"flag": pd.Series(pair, dtype=object if typed else None)})
        given_ = extract_inputs(rows, dataset.spec)["flag"]
        known = extract_inputs(pd.DataFrame({"flag": list(map(write, trained))}), dataset.spec)["flag"]
        assert list(given_) == list(known)
        assert list(read_inputs({"flag": pair}, [describe_input(flag)])["flag"]) == list(known)


def test_several_spellings_of_an_answer_are_one_category():
    flags = ["Yes", "yes", "no", "NO"] * 10
    (flag,) = dataset_of(pd.DataFrame({"flag": flags, "side": SIDES})).spec.inputs
    assert isinstance(flag, CategoryInput)
    assert len(flag.categories) == 2


def test_numbers_that_are_answers_read_words():
    (flag,) = dataset_of(pd.DataFrame({"flag": [0, 1] * 20, "side": SIDES})).spec.inputs
    assert isinstance(flag, NumberInput)
    assert flag.is_answer
    assert read_inputs({"flag": ["yes", "F", True, "0"]}, [describe_input(flag)])["flag"].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("classes", [("yes", "no", "yes ", "no "), ("Apnea", "apnea"), ("a b", "ab")])
def test_classes_that_differ_in_blanks_or_case_get_a_warning(classes):
    frame = pd.DataFrame({"a": RNG.random(48), "label": (list(classes) * 48)[:48]})
    assert any("several spellings" in note for note in dataset_of(frame, "label").notes)
    assert not any(
        "several spellings" in note for note in dataset_of(frame.assign(label=["x", "y"] * 24), "label").notes
    )


def test_streamed_cells_and_weights_are_read_alike(tmp_path: Path):
    frame = pd.DataFrame(
        {"a": RNG.normal(size=400).round(3).astype(str), "w": ["1,5", "2,5"] * 200, "y": [*"ab"] * 200}
    )
    path = tmp_path / "a.parquet"
    frame.to_parquet(path)
    options = {"source": str(path), "target": ("y",), "stream": True, "weight": "w"}
    dataset = load_task("classification").read(DataJob(**options))
    test = dataset.splits["test"]
    assert set(test.weight) == {1.5, 2.5}
    frame.loc[test.rows[:3], "a"] = "oops"
    frame.to_parquet(path)
    again = load_task("classification").read(DataJob(**options))
    assert again.spec == dataset.spec
    assert np.isnan(again.splits["test"].inputs["a"]).sum() == 3
    assert any("3 cells of column a are not a number" in note for note in again.notes)


def test_a_report_knows_numbers_with_units_and_spellings_of_the_target(workspace: Path):
    money = [f"${value:,.2f}" for value in RNG.integers(10**5, 10**7, 80) / 100]
    frame = pd.DataFrame(
        {"price": money, "share": [f"{i % 9},5 %" for i in range(80)], "label": ["yes", "no", "yes ", "no"] * 20}
    )
    report = zoo.data_report(frame, target="label")
    assert {column.name: column.kind for column in report.columns} == {"price": "number", "share": "number"}
    texts = [finding.text for finding in report.findings]
    assert "the target label has several spellings of 1 categories, such as 'yes' = 'yes '" in texts
    assert not any("so it is text" in text for text in texts)
    prices = zoo.data_report(frame.drop(columns="label"), target="price")
    assert prices.task == "regression"


def test_long_tables_read_written_numbers_and_times_with_leading_zeros(tmp_path: Path):
    path = tmp_path / "a.csv"
    steps = np.round(RNG.random(100) * 9000, 2)
    frame = pd.DataFrame({
        "series": np.repeat(np.arange(20), 5), "time": [f"{step:03d}" for step in (9, 12, 8, 11, 10)] * 20,
        "price": [f"${value:,.2f}" for value in steps], "other": ["oops", *map(str, range(99))],
    })  # fmt: skip
    frame.to_csv(path, index=False)
    layout = SequenceLayout(series="series", time="time", targets=("label",))
    table = layout.read(str(path))
    assert layout.columns == ["price"]
    np.testing.assert_allclose(table.frame[layout.cells][0].ravel(), steps[[2, 0, 4, 3, 1]], rtol=1e-6)
    assert any("'oops'" in note for note in table.notes)


def test_a_number_is_short() -> None:
    assert split_number("(" + " " * 5000 + "1") is None
    assert split_number("1" + " 111" * 100) is None


@pytest.mark.parametrize("options", [{}, {"column": {"price": "number"}}])
def test_a_target_of_amounts_may_have_a_word_for_a_missing_value(workspace: Path, options: dict[str, Any]) -> None:
    frame = pd.DataFrame({"a": np.arange(60.0), "price": [f"${1000 + 7 * row:,}" for row in range(60)]})
    frame.loc[3, "price"] = "NA"
    frame.to_csv("prices.csv", index=False)
    spec = zoo.spec_of("prices.csv", task="regression", target="price", split="order", **options)
    assert spec.target.kind == "number"
    assert 1000 < spec.target.mean < 1420


def test_labels_of_a_long_table_are_those_of_its_series(workspace: Path) -> None:
    labels = ["a", "b", "None", ""]
    rows = [(f"s{series}", step, float(step * series), labels[series % 4]) for series in range(40) for step in range(5)]
    pd.DataFrame(rows, columns=["series", "time", "x", "label"]).to_csv("long.csv", index=False)
    options = {"target": "label", "series": "series", "time": "time", "validation_size": 0, "test_size": 0}
    spec = zoo.spec_of("long.csv", task="sequence", **options)
    assert dict(zip(spec.target.classes, spec.target.counts, strict=True)) == {"None": 10, "a": 10, "b": 10}
