"""Forecasts from a long table: windows, splits in time, predictions, intervals, and input that is wrong."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo.tasks.forecasting._forecast_dataset import ForecastDataset
from zoo.tasks.forecasting._preprocessing import NormalizeWindow
from zoo.tasks.forecasting._time_axis import TimeAxis, find_axis
from zoo.tasks.forecasting._windows import measure_naive_error, measure_windows

import zoo
from zoo.data.dataset import Dataset
from zoo.errors import DataError, UsageError, ZooError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.task import load_task

TASK = load_task("forecasting")
OPTIONS: dict[str, Any] = {"series": "shop", "time": "month", "horizon": 4}
QUICK: dict[str, Any] = {"epochs": 2, "quiet": True, "figures": False}


def draw_sales(shops: int = 6, months: int = 60) -> pd.DataFrame:
    """Return monthly sales with a season and a promotion that doubles them, which is known ahead."""
    rng = np.random.default_rng(0)
    tables = []
    for shop in range(shops):
        promotion = (rng.random(months) < 0.2).astype(float)
        season = 10 + 3 * np.sin(np.arange(months) * 2 * np.pi / 12 + shop)
        tables.append(
            pd.DataFrame(
                {
                    "shop": f"shop {shop}",
                    "month": pd.date_range("2018-01-31", periods=months, freq="ME").strftime("%Y-%m-%d"),
                    "sales": (season * (1 + promotion) * (shop + 1)).round(2),
                    "promotion": promotion,
                    "visitors": season.round(1),
                    "size": "large" if shop % 2 else "small",
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def read(frame: pd.DataFrame, **keys: Any) -> Dataset:
    options = {**OPTIONS, **keys.pop("options", {})}
    return TASK.read(make_job(DataJob, {"source": frame, "target": ("sales",), "options": options, **keys}))


def test_the_test_split_is_the_last_horizon_and_nothing_of_it_is_in_training() -> None:
    frame = draw_sales(shops=120, months=40)
    dataset = read(frame)
    assert dataset.sizes["test"] == dataset.sizes["validation"] == 120
    last = frame.groupby("shop", sort=False)["sales"].apply(lambda values: values.to_numpy()[-4:])
    truth = TASK.rules(dataset.spec).truth_of(dataset.splits["test"])  # type: ignore[attr-defined]
    np.testing.assert_allclose(truth[..., 0], np.stack(last.to_numpy()))
    changed = frame.assign(sales=frame["sales"].where(frame["month"] < "2021-01-01", 1e6))  # the last four months
    again = read(changed)
    assert again.sizes == dataset.sizes
    for name in ("train", "validation"):
        np.testing.assert_array_equal(again.splits[name].target, dataset.splits[name].target)
        for key in ("history", "past"):
            np.testing.assert_array_equal(again.splits[name].inputs[key], dataset.splits[name].inputs[key])


def test_a_split_column_says_where_the_test_rows_begin() -> None:
    frame = draw_sales()
    frame["part"] = np.where(frame["month"] > "2022-06-15", "test", "train")
    dataset = read(frame, split="column=part")
    assert dataset.sizes["test"] == 6 * 2  # seven months hold one horizon, and a part of another
    assert set(dataset.split_rows["test"]) == set(np.flatnonzero(frame["part"] == "test"))


def test_folds_are_the_last_horizons(workspace: Path) -> None:
    run = zoo.train("forecasting/linear", draw_sales(), target="sales", **OPTIONS, cv=3, baselines="none", **QUICK)
    assert len(run.runs) == 3
    assert run.metrics["test_mase"] > 0
    table = draw_sales()
    tested = [set(read(table, fold=f"{k}/3").split_rows["test"].tolist()) for k in (1, 2, 3)]
    assert tested[0] | tested[1] | tested[2] == {60 * shop + month for shop in range(6) for month in range(48, 60)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run with columns of each kind, and intervals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("forecasting"))
        yield zoo.train(
            "forecasting/linear",
            draw_sales(),
            target="sales",
            **OPTIONS,
            known=["promotion"],
            past=["visitors"],
            static=["size"],
            calibration_size=0.3,
            epochs=60,
            quiet=True,
            figures=False,
        )


def test_it_beats_the_seasonal_naive_forecast_with_a_column_known_ahead(run: Any) -> None:
    assert run.metrics["test_mase"] < 0.8 * run.baselines["seasonal_naive"]["test_mase"]
    assert run.baselines["seasonal_naive"]["test_relative_mase"] == pytest.approx(1)


def test_statistical_forecasts_are_baselines_when_all_are_asked_for() -> None:
    months = pd.date_range("2010-01-01", periods=96, freq="MS")
    sales = 100 + np.arange(96) + 20 * np.sin(np.arange(96) * np.pi / 6) + np.random.default_rng(0).normal(0, 2, 96)
    frame = pd.DataFrame({"shop": "north", "month": months, "sales": sales})
    dataset = read(frame)
    scores = {each.name: each.run(dataset, 0) for each in TASK.baselines("all", dataset.spec)}
    naive = scores["seasonal_naive"]["test"]["mase"]
    for name in ("auto_ets", "auto_theta"):
        assert set(scores[name]) == {"validation", "test"}
        assert scores[name]["test"]["mase"] < naive / 2


def test_histories_of_baselines_begin_with_the_first_value() -> None:
    frame = draw_sales()
    late = (frame["shop"] == frame["shop"].iloc[0]) & (frame["month"] < "2019-06-01")
    dataset = read(frame.assign(sales=frame["sales"].mask(late)))
    assert isinstance(dataset, ForecastDataset)
    lengths = [len(history) for history in dataset.list_histories("test")]
    assert len(set(lengths)) > 1
    assert max(lengths) - min(lengths) >= late.sum() - 4 * 3


def test_a_search_saves_the_dataset_for_its_workers(workspace: Path) -> None:
    search = zoo.tune(
        "forecasting/linear",
        draw_sales(),
        target="sales",
        **OPTIONS,
        trials=1,
        epochs=1,
        baselines="none",
        quiet=True,
        figures=False,
    )
    assert len(search.trials) == 1
    assert zoo.load(search.run_id).predict(draw_sales()).shape == (6 * 4, 3)


def test_a_baseline_without_its_package_is_left_out_with_a_note(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "statsforecast" else find_spec(name, *rest)
    )
    run = zoo.train("forecasting/linear", draw_sales(), target="sales", **OPTIONS, baselines="all", **QUICK)
    assert "boosting_on_lags" in run.baselines
    assert not {"auto_ets", "auto_theta"} & set(run.baselines)
    assert any("baseline auto_ets is left out" in note and "[forecasting]" in note for note in run.notes)


def ahead(frame: pd.DataFrame, promotion: float, months: int = 4) -> pd.DataFrame:
    """Return the rows with further months, whose sales are not known."""
    later = frame[frame["month"] >= "2022-09-01"].groupby("shop", sort=False).tail(months).copy()
    later["month"] = np.tile(["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30"][:months], frame["shop"].nunique())
    return pd.concat([frame, later.assign(sales=np.nan, visitors=np.nan, promotion=promotion)])


def test_predictions_are_a_row_for_each_series_and_step(run: Any) -> None:
    frame = ahead(draw_sales(), 0.0)
    predictions = run.model.predict(frame.sample(frac=1, random_state=0), intervals=90)
    assert list(predictions.columns) == ["shop", "month", "prediction", "lower_90", "upper_90"]
    assert len(predictions) == 6 * 4
    assert predictions["month"].iloc[:4].tolist() == ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30"]
    assert (predictions["lower_90"] <= predictions["upper_90"]).all()
    shorter = run.model.predict(frame, horizon=2)
    first = predictions[predictions["shop"] == "shop 0"]["prediction"].to_numpy()[:2]
    np.testing.assert_allclose(shorter[shorter["shop"] == "shop 0"]["prediction"], first)
    promoted = run.model.predict(ahead(draw_sales(), 1.0), horizon=4)["prediction"].to_numpy()
    assert promoted.sum() > 1.3 * run.model.predict(frame)["prediction"].to_numpy().sum()


def test_the_card_lists_the_columns_of_the_source(run: Any) -> None:
    text = zoo.card(run.run_id).text
    assert "It forecasts 4 steps of 1 month from the 24 steps before them, with a season of" in text
    rows = ["shop | series", "month | time", "sales | target", "promotion | known ahead", "visitors | past"]
    assert all(f"| {row} |" in text for row in [*rows, "size | static"])
    assert "history" not in text


def test_a_column_known_ahead_must_be_given(run: Any) -> None:
    with pytest.raises(DataError, match="series shop 0 lacks promotion for 4 of the 4 steps from 2023-01-31 on"):
        run.model.predict(draw_sales())
    with pytest.raises(UsageError, match="up to 4 steps"):
        run.model.predict(ahead(draw_sales(), 0.0), horizon=5)


@pytest.mark.parametrize("model", ["forecasting/nbeats", pytest.param("forecasting/gru", marks=pytest.mark.slow)])
def test_each_model_predicts_the_same_after_loading(model: str, workspace: Path) -> None:
    frame = draw_sales()
    trained = zoo.train(model, frame, target="sales", **OPTIONS, baselines="none", **QUICK)
    expected = trained.model.predict(frame)["prediction"]
    np.testing.assert_allclose(zoo.load(trained.run_id).predict(frame)["prediction"], expected, rtol=1e-6)


CHANGES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "doubled": (lambda f: pd.concat([f, f.iloc[[3]]]), {}, "shop 0 has two rows at month"),
    "irregular": (
        lambda f: f.assign(month=pd.to_datetime("2018-01-01") + pd.to_timedelta(np.arange(len(f)) ** 2, unit="D")),
        {"series": None},
        "irregular",
    ),
    "no series": (lambda f: f, {"series": None}, "--series COLUMN"),
    "no time": (lambda f: f.assign(month=["x"] * len(f)), {}, "is not a time"),
    "mixed zones": (
        lambda f: f.assign(month=[f"{m}T00:00:00" + ("+02:00" if i % 2 else "") for i, m in enumerate(f["month"])]),
        {},
        "has no offset from UTC",
    ),
    "too short": (lambda f: f, {"horizon": 59}, "too few for a horizon of 59"),
    "static changes": (lambda f: f, {"static": ["visitors"]}, "changes within series shop 0"),
    "text": (lambda f: f.assign(sales=["much"] * len(f)), {}, "'much' is not a number"),
    "no column": (lambda f: f, {"known": ["promotions"]}, "there is no column 'promotions'"),
    "one time far off": (
        lambda f: f.assign(month=[*range(len(f) - 1), 10**10]),
        {"series": None},
        "rows in 10,000,000,000 steps",
    ),
    "reserved": (lambda f: f.assign(past=1), {"static": ["past"]}, "cannot be called past"),
    "all constant": (lambda f: f.assign(sales=1.0), {}, "constant in each series"),
    "no values": (lambda f: f.assign(sales=np.nan), {}, "has 0 values"),
    "long window": (lambda f: f, {"lookback": 10**7}, "the longest series has 60 steps"),
    "short window": (lambda f: f, {"lookback": 5}, "must hold a period of 12 steps"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_wrong_input_is_refused(change: str) -> None:
    function, options, message = CHANGES[change]
    with pytest.raises(ZooError, match=message):
        read(function(draw_sales()), options=options)


@pytest.mark.parametrize(("name", "value"), [("split", "random"), ("weight", "size"), ("test", "x.csv")])
def test_options_of_other_tasks_are_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError) as error:
        read(draw_sales(), **{name: value})
    assert error.value.where == name


def test_gaps_and_constant_series_are_noted_and_short_series_left_out() -> None:
    frame = draw_sales()
    frame.loc[(frame["shop"] == "shop 0") & (frame["month"] > "2018-05-01"), "sales"] = np.nan
    frame.loc[frame["shop"] == "shop 1", "sales"] = 7.0
    frame = frame.drop(index=frame.index[frame["shop"] == "shop 2"][20:23])
    notes = " ".join(read(frame).notes)
    assert "1 series are too short and left out: shop 0" in notes
    assert "1 series are constant, and mase leaves them out: shop 1" in notes
    assert "3 of " in notes


@given(st.sampled_from(["h", "D", "W", "MS", "ME", "QS", "YE", "15min"]), st.integers(2, 60), st.integers(0, 2000))
def test_every_regular_step_is_found_and_continued(step: str, steps: int, shift: int) -> None:
    times = pd.Series(
        pd.date_range(pd.Timestamp("2001-01-03") + pd.Timedelta(days=shift), periods=steps + 5, freq=step)
    )
    axis = find_axis([times[:steps]], "the table")
    np.testing.assert_allclose(axis.places(times[:steps]), np.arange(steps))
    if steps > 3 or axis.unit == "seconds":
        continued = axis.extend(times.iloc[0], np.arange(steps + 5))
        np.testing.assert_array_equal(continued.dt.normalize(), times.dt.normalize())


@settings(deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=6, max_size=40), st.integers(1, 6))
def test_the_layer_normalises_as_numpy_does(values: list[float], season: int) -> None:
    history = np.array([values])
    level, scale = measure_windows(history, season)
    window, layer_level, layer_scale = (np.asarray(part) for part in NormalizeWindow(season)(history))
    np.testing.assert_allclose(window, (history - level) / scale, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer_level, level, rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(layer_scale, scale, rtol=1e-5)


def test_the_scale_of_mase_is_worked_by_hand() -> None:
    assert measure_naive_error(np.array([1.0, 2, 4, 3, np.nan]), season=2) == 2.0
    assert np.isnan(measure_naive_error(np.full(9, 3.0), season=2))
    assert TimeAxis("months", 12).season == 1


def test_a_search_over_folds_never_sees_the_test_split() -> None:
    frame = draw_sales()
    for keys in ({"aside": True}, {"split": "column=part"}):
        table = frame.assign(part=np.where(frame["month"] > "2022-08-15", "test", "train"))
        if "split" not in keys:
            table = table.drop(columns="part")
        test = set(read(table, **{k: v for k, v in keys.items() if k == "split"}).split_rows["test"].tolist())
        for fold in ("1/3", "2/3", "3/3"):
            splits = read(table, fold=fold, **keys).split_rows
            assert splits["test"].size
            assert not test & {row for rows in splits.values() for row in rows.tolist()}


def test_covariates_are_scaled_by_what_was_observed_before() -> None:
    frame = draw_sales()
    frame["visitors"] += 1000
    frame.loc[frame["shop"] == "shop 5", "visitors"] = np.nan
    before = read(frame, options={"past": ["visitors"]})
    past = next(input_ for input_ in before.spec.inputs if input_.name == "past")
    place = past.columns.index("visitors")  # type: ignore[attr-defined]
    assert past.mean[place] == pytest.approx(1010, abs=1)  # type: ignore[attr-defined]
    assert past.std[place] < 4  # type: ignore[attr-defined]


def test_the_day_of_a_monthly_series_stays() -> None:
    dates = pd.Series(pd.date_range("2018-02-28", periods=40, freq="MS") + pd.Timedelta(days=27))
    axis = find_axis([dates], "the table")
    assert axis.extend(dates.iloc[0], np.arange(3)).dt.day.tolist() == [28, 28, 28]
    written = draw_sales().assign(month=lambda f: f["month"].str.replace("-", "").astype(int))
    assert read(written).spec.options["unit"] == "months"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(month=np.tile(range(60), 6)), "trained on times that are dates; these are numbers"),
        (lambda f: f.assign(month=np.tile(pd.date_range("2018-01-01", periods=60), 6)), "two rows within one step"),
    ],
)
def test_rows_with_another_time_are_refused(run: Any, change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run.model.predict(change(ahead(draw_sales(), 0.0).head(360)))


def test_a_horizon_that_the_training_steps_do_not_hold_is_refused() -> None:
    with pytest.raises(DataError, match="too few for a horizon of 30; shorten --horizon"):
        read(draw_sales(shops=2, months=48), options={"horizon": 30})


@pytest.mark.parametrize("length", range(2, 14))
def test_short_series_give_a_dataset_or_an_error(length: int) -> None:
    for horizon in (1, 2, 4, 9):
        with contextlib.suppress(DataError):
            assert "train" in read(draw_sales().groupby("shop").tail(length), options={"horizon": horizon}).splits
