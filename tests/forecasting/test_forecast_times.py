"""Times of series as users have them: business days, offsets from UTC, changes to summer time; columns with words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo.tasks.forecasting._forecast_rows import read_windows
from zoo.tasks.forecasting._time_axis import find_axis

from zoo.data.dataset import Dataset
from zoo.data.sources import public_sets
from zoo.data.sources.read import read_table
from zoo.errors import DataError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.task import load_task

TASK = load_task("forecasting")
ZONE = "Europe/Prague"


def draw(times: Any, **columns: Any) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(10, 2, len(times)).round(2)
    return pd.DataFrame({"time": times, "sales": values, **columns})


def read(frame: pd.DataFrame, **options: Any) -> Dataset:
    keys = {"source": frame, "target": ("sales",), "options": {"time": "time", **options}}
    return TASK.read(make_job(DataJob, keys))


def continue_times(dataset: Dataset, frame: pd.DataFrame) -> list[str]:
    """Return the times that a model of the dataset forecasts after the frame."""
    return list(read_windows(read_table(frame), dataset.spec).frame["times"].iloc[0])


def write(times: pd.DatetimeIndex) -> list[str]:
    return [time.isoformat() for time in times]


def test_business_days_have_no_weekends() -> None:
    days = pd.bdate_range("2022-01-03", "2022-10-07")
    frame = draw(days.strftime("%Y-%m-%d"))
    dataset = read(frame.drop(index=[40]))  # a holiday
    assert (dataset.spec.options["unit"], dataset.spec.options["season"]) == ("business days", 5)
    assert "1 of 200 steps have no value" in " ".join(dataset.notes)
    assert continue_times(dataset, frame) == [f"2022-10-{day}" for day in range(10, 15)]
    assert continue_times(dataset, frame.iloc[:-2])[:3] == ["2022-10-06", "2022-10-07", "2022-10-10"]
    saturday = pd.concat([frame, draw(["2022-10-08"])])
    with pytest.raises(
        DataError, match="the series has a row at 2022-10-08 00:00:00, which is no multiple of 1 business day"
    ):
        continue_times(dataset, saturday)


def test_a_day_of_the_weekend_makes_all_days_count() -> None:
    days = pd.bdate_range("2022-01-03", "2022-10-07").union([pd.Timestamp("2022-03-05")])
    assert read(draw(days)).spec.options["season"] == 7


@given(st.integers(0, 3000), st.integers(10, 80), st.integers(0, 23))
def test_every_business_day_is_found_and_continued(shift: int, steps: int, hour: int) -> None:
    days = pd.Series(pd.bdate_range(pd.Timestamp("2001-01-01") + pd.Timedelta(days=shift), periods=steps + 7))
    times = days + pd.Timedelta(hours=hour)
    axis = find_axis([times[:steps]], "the table")
    np.testing.assert_array_equal(axis.places(times[:steps]), np.arange(steps))
    np.testing.assert_array_equal(axis.extend(times.iloc[0], np.arange(steps + 7)), times)


@pytest.mark.parametrize("form", ["text", "moments"])
@pytest.mark.parametrize("hour", [0, 6])
def test_days_count_as_the_clock_shows_them_over_a_change_to_summer_time(form: str, hour: int) -> None:
    times = pd.date_range(f"2022-03-01 {hour:02d}:00", periods=80, freq="D", tz=ZONE)
    frame = draw(write(times) if form == "text" else times)
    expected = [f"2022-05-2{day}" + (" 06:00:00" if hour else "") for day in range(7)]
    assert continue_times(read(frame), frame) == expected


def test_months_with_an_offset_begin_on_the_first() -> None:
    frame = draw(write(pd.date_range("2019-01-01", periods=60, freq="MS", tz=ZONE)))
    dataset = read(frame)
    assert dataset.spec.options["unit"] == "months"
    assert continue_times(dataset, frame)[:2] == ["2024-01-01", "2024-02-01"]


def test_hours_with_an_offset_count_in_utc_and_say_so() -> None:
    frame = draw(write(pd.date_range("2022-10-20", periods=400, freq="h", tz=ZONE)))
    dataset = read(frame, horizon=3)
    expected = ["2022-11-05 14:00:00+00:00", "2022-11-05 15:00:00+00:00", "2022-11-05 16:00:00+00:00"]
    assert continue_times(dataset, frame) == expected
    assert continue_times(dataset, frame.tail(1)) == expected
    with pytest.raises(DataError, match=r"trained on times with an offset from UTC.*these have none"):
        continue_times(dataset, frame.assign(time=frame["time"].str[:19]))


def test_hours_of_a_clock_that_was_set_back_need_an_offset() -> None:
    times = pd.date_range("2022-10-29", periods=60, freq="h", tz=ZONE).tz_localize(None)
    with pytest.raises(DataError, match=r"two rows at time 2022-10-30 02:00:00.*their offset from UTC"):
        read(draw(times))


def test_moments_with_and_without_a_zone_are_refused() -> None:
    times = [pd.Timestamp("2022-01-01", tz=None if day % 2 else "UTC") + pd.Timedelta(days=day) for day in range(40)]
    with pytest.raises(DataError, match="row 2: '2022-01-02 00:00:00' has no offset from UTC"):
        read(draw(pd.Series(times, dtype=object)))


def test_yes_and_no_are_numbers() -> None:
    days = pd.date_range("2022-01-01", periods=80)
    for option in ("known", "past"):
        answers, numbers = (
            read(draw(days, promo=cells * 40), **{option: ["promo"]}) for cells in (["yes", "no"], [1, 0])
        )
        np.testing.assert_array_equal(answers.splits["train"].inputs["past"], numbers.splits["train"].inputs["past"])
        with pytest.raises(DataError, match="column load, row 4: 'much' is not a number"):
            read(draw(days, load=["1", "2", "3", "much"] * 20), **{option: ["load"]})
        with pytest.raises(DataError, match="column code has 80 different words"):
            read(draw(days, code=[f"a{day}" for day in range(80)]), **{option: ["code"]})
        with pytest.raises(DataError, match="column promo has no values"):
            read(draw(days, promo=np.nan), **{option: ["promo"]})


@pytest.mark.parametrize("option", ["known", "past"])
def test_words_are_a_channel_for_each(option: str) -> None:
    """An empty cell and a word that did not occur in training are none of the categories."""
    frame = draw(pd.date_range("2022-01-01", periods=80), weather=["sun", "rain", "rain", None] * 20)
    dataset = read(frame, **{option: ["weather"]})
    (past,) = [input_ for input_ in dataset.spec.inputs if input_.name == "past"]
    assert past.columns[1:3] == ("weather rain", "weather sun")  # type: ignore[attr-defined]
    window = dataset.splits["train"].inputs["past"][-1, -4:, 1:3]
    assert sorted(window.tolist()) == [[0, 0], [0, 1], [1, 0], [1, 0]]
    later = draw(pd.date_range("2022-01-01", periods=80), weather=["sun", "hail"] * 40)
    later.loc[72:, "sales"] = None
    row = TASK.rows(later, dataset.spec).frame.iloc[0]
    assert row["past"][-2:, 1:3].tolist() == [[0, 1], [0, 0]]
    if option == "known":
        assert row["future"][:2, :2].tolist() == [[0, 1], [0, 0]]
    example = TASK.example_rows(dataset)
    assert example["weather"].tolist()[:3] == ["sun", "rain", "rain"]
    again = TASK.rows(example, dataset.spec).frame.iloc[0]["past"]
    np.testing.assert_array_equal(again[-3:, 1:3], dataset.splits["train"].inputs["past"][0][-3:, 1:3])


def test_a_series_too_short_for_one_step_is_not_told_to_shorten_it() -> None:
    with pytest.raises(DataError) as error:
        read(draw(pd.date_range("2022-01-01", periods=2)))
    assert str(error.value) == "the longest series has 2 steps, too few for a horizon of 1"


def test_a_folder_of_public_datasets_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_sets, "_online", lambda: False)
    job = make_job(DataJob, {"source": "tfds:nothing_such", "data_dir": str(tmp_path)})
    with pytest.raises(DataError, match=tmp_path.name):
        TASK.read(job)


def test_messages_say_what_is_too_short() -> None:
    frame = draw(pd.date_range("2022-01-01", periods=60), part=["train"] * 3 + ["test"] * 57)
    for keys, message in (
        ({"split": "column=part"}, "no series has more than 3 training rows before its first test row"),
        ({"fold": "1/30"}, "too few for a horizon of 7 and 30 folds; shorten --horizon"),
    ):
        job = {"source": frame, "target": ("sales",), "options": {"time": "time"}, **keys}
        with pytest.raises(DataError, match=message):
            TASK.read(make_job(DataJob, job))
